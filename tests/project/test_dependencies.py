"""Every dependency is locked by hash and accounted for in docs/dependencies.md."""

import re
import tomllib
from itertools import chain

import pytest

from tests.project.sources import ROOT, script

prepare = script("prepare.py")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
DOCUMENTED = (ROOT / "docs" / "dependencies.md").read_text()


def names(requirements: list[str]) -> list[str]:
    """Return the distributions that requirements name, normalized as indexes do it."""
    return [re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower() for requirement in requirements]


LOCKED = prepare.pins(prepare.LOCK) | prepare.pins(prepare.SANDBOX_LOCK)
ASKED_FOR = sorted(names([*PYPROJECT["build-system"]["requires"], *PROJECT["dependencies"], *chain(*EXTRAS.values())]))


@pytest.mark.parametrize("dependency", ASKED_FOR)
def test_a_dependency_has_its_row_with_the_locked_version(dependency: str) -> None:
    row = re.search(rf"^\| `{re.escape(dependency)}` \| ([^ |]+) \|", DOCUMENTED, re.MULTILINE | re.IGNORECASE)
    assert row is not None, f"docs/dependencies.md has no row for {dependency}"
    assert row[1] == LOCKED[dependency][0]


@pytest.mark.parametrize("package", sorted(LOCKED))
def test_a_locked_package_is_pinned_by_hash(package: str) -> None:
    version, digests = LOCKED[package]
    assert version
    assert digests


def test_the_sandbox_extra_and_its_lock_are_the_same_list() -> None:
    locked = [f"{package}=={version}" for package, (version, _) in prepare.pins(prepare.SANDBOX_LOCK).items()]
    assert sorted(EXTRAS["sandbox"]) == sorted(locked)


def test_the_lock_brings_what_the_set_up_itself_runs() -> None:
    assert {"pip", "setuptools"} <= LOCKED.keys()
