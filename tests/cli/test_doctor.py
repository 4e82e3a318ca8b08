"""`edgefn doctor`: what a user reads before the first function runs."""

import os
from pathlib import Path

import pytest

from tests.cli.running import Here, edgefn


def test_it_says_that_functions_can_run_here_and_what_it_looked_at() -> None:
    done = edgefn("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    checks, _, verdict = done.stdout.partition("\n\n")
    found = {line.split()[1]: line.split()[0] for line in checks.splitlines() if not line.startswith(" ")}
    assert {found.pop("cgroup"), found.pop("landlock")} <= {"ok", "weak"}
    assert found == dict.fromkeys(
        ("system", "user", "tools", "seccomp", "bubblewrap", "namespaces", "node", "python"), "ok"
    )
    assert verdict.startswith("Functions run in the tier '")
    assert "Granted(" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_what_is_missing_comes_with_a_cure(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bash", "prlimit", "setpriv", "python3.11"):
        real = next(f"{place}/{name}" for place in ("/usr/bin", "/bin") if os.path.exists(f"{place}/{name}"))
        (tmp_path / name).symlink_to(real)
    monkeypatch.setattr("edgefn.node.hosting._SYSTEM", ())
    monkeypatch.setattr("edgefn.sandbox.process.runtimes.from_wheel", lambda package, program: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = here("doctor")
    assert done.returncode == 1
    assert "NO    bubblewrap  not found" in done.stdout
    assert "-> `apt install bubblewrap`" in done.stdout
    assert "NO    node        No Node.js found on" in done.stdout
    assert "Functions do not run. bubblewrap (bwrap) was not found." in done.stdout
