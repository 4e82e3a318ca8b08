"""Which places may have entries, where all processes see it: most misses then need no look at the index.

Two Bloom filters with a byte for each slot, so that no two writers can take a mark from each other. Whatever is stored
is marked in both. One is looked at; the other is made anew now and then, for what is dropped leaves its marks behind.
What is not marked yet, though it is stored, is a miss for a moment: that costs a fetch, and nothing else.
"""

import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

_HEADER = 16
_CURRENT = 0  # of the header: which filter is looked at, 1 or 2; 0: none is ready
_MARKS = 1  # and how many marks came since it was made
_BYTES_PER_SLOT = 1_024  # of the store
_FEWEST_SLOTS, _MOST_SLOTS = 2**16, 2**26
_WORN_SHARE = 8  # worn once an eighth of its slots is marked
_HASH = 8  # bytes


def slots_for(capacity: int) -> int:
    """Return how many slots a filter has for a store of so many bytes: a power of two."""
    wanted = min(max(capacity // _BYTES_PER_SLOT, _FEWEST_SLOTS), _MOST_SLOTS)
    return 1 << (wanted - 1).bit_length()


class Known:
    """The filters in a file of shared memory; where the disk has no room for that, nothing is known.

    Raises `OSError` when it can't be opened.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(self._file).st_size or _HEADER + 2 * slots_for(capacity)
            self._is_shared = _has_room(self._file, size)
            self._map = mmap.mmap(self._file if self._is_shared else -1, size)
        except BaseException:
            os.close(self._file)
            raise
        self._cells = memoryview(self._map)[:_HEADER].cast("Q")
        self._slots = (size - _HEADER) // 2

    def may_have(self, place: str) -> bool:
        """Return whether there may be an entry at `place`; False: there is none."""
        current = self._cells[_CURRENT]
        if not current:
            return True
        one, other = self._at(place.encode())
        begin = _HEADER + (current - 1) * self._slots
        return bool(self._map[begin + one] and self._map[begin + other])

    def mark(self, places: Iterable[bytes]) -> None:
        """Note that there are entries at these places."""
        for place in places:
            for at in self._at(place):
                self._map[_HEADER + at] = self._map[_HEADER + self._slots + at] = 1
            self._cells[_MARKS] += 1

    def _at(self, place: bytes) -> tuple[int, int]:
        drawn = int.from_bytes(hashlib.blake2b(place, digest_size=_HASH).digest())
        return drawn % self._slots, (drawn >> 32) % self._slots

    @property
    def is_worn(self) -> bool:
        """Return whether they should be made anew."""
        return self._is_shared and (not self._cells[_CURRENT] or self._cells[_MARKS] > self._slots // _WORN_SHARE)

    def begin(self) -> bool:
        """Begin to make the idle filter anew. False: another process does."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        begin = _HEADER + (self._idle - 1) * self._slots
        self._map[begin : begin + self._slots] = bytes(self._slots)
        self._cells[_MARKS] = 0
        return True

    @property
    def _idle(self) -> int:
        return 2 if self._cells[_CURRENT] == 1 else 1

    def end(self, *, complete: bool) -> None:
        """Let the new one be looked at, when all entries there were at its beginning are marked."""
        if complete:
            self._cells[_CURRENT] = self._idle
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of them."""
        self._cells.release()
        self._map.close()
        os.close(self._file)


def _has_room(file: int, size: int) -> bool:
    """Make the file that long, without a hole: that could fault on a full disk. Return whether it is.

    Raises `OSError`.
    """
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        return False
    return True
