"""Prints the requirements of the `sandbox` extra, for pip-compile: the one list stands in pyproject.toml."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

if __name__ == "__main__":
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    print(*extras["sandbox"], sep="\n")
