"""A directory of this process's own, gone when the process ends, however it ends.

Each holds a locked file while its process lives. Who starts next clears away those that nobody holds any more.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "edgefn-"
_LOCK = ".lock"


@contextmanager
def scratch_directory(parent: Path | None = None) -> Iterator[str]:
    """Give a fresh directory that others may pass through but not list. Raises `OSError`.

    It is made in `parent`, by default among the system's temporary files.
    """
    parent = parent or Path(tempfile.gettempdir())
    _clear_away(parent)
    directory = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
    lock = _locked(Path(directory))
    try:
        os.chmod(directory, 0o711)  # noqa: S103  # functions run as another user, wherever the checkout lies
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _locked(directory: Path) -> int:
    """Make the lock. It gets its name when it is held, so that nobody finds it free before that."""
    unnamed = directory / f"{_LOCK}.new"
    lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    unnamed.rename(directory / _LOCK)
    return lock


def _clear_away(parent: Path) -> None:
    """Remove what processes of this user left behind that were killed."""
    for directory in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # held, none of ours, or just being removed
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            lock = os.open(directory / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
