"""The number of the latest purge, where all processes see it at once: eight bytes of shared memory.

It never falls, and it is raised under the index's write lock, before the purge is committed. So it may run ahead of
what is committed: by one, or after a failure by a few numbers that no purge will ever have.
"""

import mmap
import os
from pathlib import Path

_SIZE = 8


class Epochs:
    """The shared counter. Raises `OSError` when it can't be opened."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size < _SIZE:
                os.pwrite(file, bytes(_SIZE), 0)  # written, not only extended: a hole could fault on a full disk
            self._map = mmap.mmap(file, _SIZE)
        finally:
            os.close(file)
        self._cells = memoryview(self._map).cast("Q")

    def latest(self) -> int:
        """Return the number."""
        return self._cells[0]

    def next(self) -> int:
        """Raise it by one, and return it. For the holder of the write lock."""
        self._cells[0] += 1
        return self._cells[0]

    def reach(self, known: int) -> None:
        """Raise it to at least `known`. For the holder of the write lock."""
        self._cells[0] = max(self._cells[0], known)

    def close(self) -> None:
        """Let go of it."""
        self._cells.release()
        self._map.close()
