"""What a process that was killed leaves behind is cleared away by the next one."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edgefn.node.scratch import scratch_directory

HOLDING = """
import sys
from edgefn.node.scratch import scratch_directory
with scratch_directory() as directory:
    print(directory, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_it_is_there_while_it_is_used_and_gone_afterwards(place: Path) -> None:
    with scratch_directory() as directory:
        Path(directory, "file").write_text("x")
        assert os.stat(directory).st_mode & 0o777 == 0o711
    assert list(place.iterdir()) == []


def test_one_whose_process_was_killed_goes_and_one_that_is_held_stays(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        with scratch_directory():
            assert theirs.is_dir()
        other.send_signal(signal.SIGKILL)
    assert theirs.is_dir()
    with scratch_directory() as ours:
        assert list(place.iterdir()) == [Path(ours)]


def test_what_only_looks_like_one_is_left_alone(place: Path) -> None:
    (place / "edgefn-notes").mkdir()
    (place / "edgefn-link").symlink_to(place / "edgefn-notes")
    elsewhere = place / "elsewhere"
    elsewhere.write_text("x")
    (place / "edgefn-trap").mkdir()
    (place / "edgefn-trap" / ".lock").symlink_to(elsewhere)
    with scratch_directory():
        pass
    assert sorted(path.name for path in place.iterdir()) == ["edgefn-link", "edgefn-notes", "edgefn-trap", "elsewhere"]
