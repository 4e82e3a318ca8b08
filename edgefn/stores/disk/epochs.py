"""The number of the latest purge, where all processes see it at once: sixteen bytes of shared memory.

A purge gets its number under the index's write lock, and it is announced when it is committed, before whoever ordered
it hears of that. So all purges up to the announced number can be read in the index. A number whose purge failed is
never used again.
"""

import fcntl
import mmap
import os
from pathlib import Path

_SIZE = 16
_ANNOUNCED, _GIVEN = 0, 1


class Epochs:
    """The shared counters. Raises `OSError` when they can't be opened."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._file).st_size < _SIZE:
                os.pwrite(self._file, bytes(_SIZE), 0)  # written, not only extended: a hole could fault on a full disk
            self._map = mmap.mmap(self._file, _SIZE)
        except BaseException:
            os.close(self._file)
            raise
        self._cells = memoryview(self._map).cast("Q")

    def latest(self) -> int:
        """Return the number of the latest purge that is committed."""
        return self._cells[_ANNOUNCED]

    def next(self) -> int:
        """Return a number for a purge. For the holder of the write lock."""
        self._cells[_GIVEN] += 1
        return self._cells[_GIVEN]

    def reach(self, known: int) -> None:
        """Give no number up to `known` any more. For the holder of the write lock."""
        self._cells[_GIVEN] = max(self._cells[_GIVEN], known)

    def announce(self, epoch: int) -> None:
        """Let all processes know that this purge is committed. For a thread that may wait."""
        fcntl.flock(self._file, fcntl.LOCK_EX)  # lest one that is late takes a later number back
        try:
            self._cells[_ANNOUNCED] = max(self._cells[_ANNOUNCED], epoch)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of them."""
        self._cells.release()
        self._map.close()
        os.close(self._file)
