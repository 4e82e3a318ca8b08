"""Which interpreter runs a declared runtime, on machines with several of them, or with the wrong one."""

import os
from pathlib import Path

import pytest

from edgefn.sandbox.process.identity import Identity
from edgefn.sandbox.process.interpreters import Interpreters, nearest
from edgefn.sandbox.process.launch import Language, LaunchError
from edgefn.sandbox.process.runtimes import Runtime, Search

ME = Identity(os.geteuid(), os.getegid(), "me", ours=True)


def program(path: Path, says: str) -> str:
    """Make a program that says a version, and nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def nothing_but_what_a_test_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Node.js from PyPI counts; and programs below /tmp do, where tests make theirs."""
    monkeypatch.setattr("edgefn.sandbox.process.interpreters.from_wheel", lambda package, program: None)
    monkeypatch.setattr("edgefn.sandbox.process.runtimes._COVERED", ())


def machine(root: Path, named: dict[str, str] | None = None) -> Interpreters:
    """Return what finds interpreters below `root` only: in its `bin`, and in its home `home`."""
    search = Search(str(root / "bin"), ME, lambda path, _name: path)
    return Interpreters(search, named or {}, str(root / "home"))


@pytest.mark.parametrize(
    ("version", "there", "chosen"),
    [
        ((22,), [(18, 1), (22, 3), (24, 0)], (22, 3)),
        ((22,), [(20, 9), (24, 0)], (24, 0)),
        ((18,), [(24, 0), (20, 1)], (20, 1)),
        ((24,), [(18, 20), (22, 1)], (22, 1)),
        ((3, 12), [(3, 9), (3, 11), (3, 14)], (3, 11)),
        ((3, 12), [(3, 11), (3, 13)], (3, 13)),
        ((), [(20, 1), (24, 1)], (20, 1)),
        ((22,), [], None),
    ],
)
def test_the_nearest_version_is_taken_and_of_two_the_newer(
    version: tuple[int, ...], there: list[tuple[int, int]], chosen: tuple[int, int] | None
) -> None:
    found = nearest(version, [Runtime("/x", "/x", (), one) for one in there])
    assert (None if found is None else found.version) == chosen


def test_each_runtime_gets_its_own_version(tmp_path: Path) -> None:
    bin_, nvm = tmp_path / "bin", tmp_path / "home" / ".nvm" / "versions" / "node"
    expected = {
        "nodejs20.x": program(bin_ / "node", "v20.20.2"),
        "nodejs22.x": program(bin_ / "node22", "v22.20.0"),
        "nodejs18.x": program(bin_ / "node-18", "v18.20.8"),
        "nodejs24.x": program(nvm / "v24.19.0" / "bin" / "node", "v24.19.0"),
    }
    found = machine(tmp_path)
    assert {name: found.find(Language.NODE, name).program for name in expected} == expected
    assert {found.warning(name) for name in expected} == {""}
    assert [one.version for one in found.all(Language.NODE)] == [(18, 20), (20, 20), (22, 20), (24, 19)]
    assert found.find(Language.NODE).version == (20, 20)


def test_another_version_is_never_taken_without_a_word(tmp_path: Path) -> None:
    only = program(tmp_path / "bin" / "node", "v20.20.2")
    found = machine(tmp_path)
    assert found.find(Language.NODE, "nodejs24.x").version == (20, 20)
    assert found.warning("nodejs24.x") == (
        f"nodejs24.x runs on Node.js 20.20 ({only}), with the semantics of nodejs24.x: there is no Node.js 24 here. "
        "Install it, or name it in sandbox.interpreters"
    )


def test_pythons_are_told_apart_by_their_minor_version(tmp_path: Path) -> None:
    says = f'[3, 13, "/usr", "{os.path.dirname(os.__file__)}"]'
    there = program(tmp_path / "home" / ".pyenv" / "versions" / "3.13.0" / "bin" / "python3.13", says)
    found = machine(tmp_path)
    assert found.find(Language.PYTHON, "python3.13").program == there
    assert found.warning("python3.13") == ""
    assert found.warning("python3.14").startswith(f"python3.14 runs on Python 3.13 ({there})")


def test_the_operator_s_choice_is_taken_as_it_is(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "node", "v22.20.0")
    mine = program(tmp_path / "mine", "v18.20.8")
    found = machine(tmp_path, {"nodejs22.x": mine, "nodejs24.x": str(tmp_path / "missing")})
    assert found.find(Language.NODE, "nodejs22.x").program == mine
    assert "nodejs22.x runs on Node.js 18.20" in found.warning("nodejs22.x")
    with pytest.raises(LaunchError, match=r"missing --version printed no version.*sandbox.interpreters names it"):
        found.find(Language.NODE, "nodejs24.x")


def test_nothing_to_run_it_is_said_with_what_was_tried(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "node", "v12.0.0")
    with pytest.raises(LaunchError, match=r"No Node.js found on .*node is Node.js 12, functions need 18"):
        machine(tmp_path).find(Language.NODE, "nodejs20.x")
