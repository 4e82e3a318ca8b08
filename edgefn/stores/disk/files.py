"""Large bodies, each in a file of its own: sealed blocks, one behind the other.

A file is locked from before its first byte until its entry is in the index. So a file that is in no index and not
locked belongs to nobody: its writer was killed.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from edgefn.stores.disk.base import GoneError, LostError
from edgefn.stores.disk.seals import BLOCK, SIZE, block_seal

_SEALED = SIZE + BLOCK
_DIRECTORIES = 256
_TRIES = 3
_NO_END = 2**62
_LEFT_FREE = 256 * 2**20  # bytes at the most, else an eighth of the file system
_LEFT_FREE_SHARE = 8


def free_space(directory: Path) -> int:
    """Return how many bytes may still be put into the file system of `directory`; less than nothing: it is too full.

    Not all that is free: what is on its way, and the index's log, need room, too. Where the file system does not tell
    its size, there is as much as one likes. Raises `OSError`.
    """
    now = os.statvfs(directory)
    if not now.f_blocks:
        return _NO_END
    return now.f_bavail * now.f_frsize - min(_LEFT_FREE, now.f_blocks * now.f_frsize // _LEFT_FREE_SHARE)


class _SweptError(Exception):
    """A file was taken for an orphan between its making and its locking."""


class BodyFiles:
    """The files of a store, by the numbers of their entries. Everything here may wait for the disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, number: int) -> Path:
        """Return where the body of an entry lies."""
        return self._directory / f"{number % _DIRECTORIES:02x}" / f"{number:x}"

    def create(self, number: int) -> "FileWriter":
        """Begin a file. Raises `OSError`."""
        path = self.path(number)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for _ in range(_TRIES):
            with suppress(_SweptError):
                return FileWriter(path, number)
        raise FileNotFoundError(f"{path} is swept away whenever it is made")

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove files, as far as they are there. Who reads one still reads on. Raises `OSError`."""
        for number in numbers:
            self.path(number).unlink(missing_ok=True)

    def batches(self) -> Iterator[list[int]]:
        """Return the numbers of all files, some at a time."""
        for directory in sorted(self._directory.iterdir()):
            yield [int(path.name, 16) for path in directory.iterdir() if path.name.isalnum()]

    def sweep(self, numbers: Sequence[int], is_known: Callable[[int], bool]) -> int:
        """Remove those of the files that nobody is writing, and that are not known then; return how many."""
        return sum(self._swept(self.path(number), number, is_known) for number in numbers)

    def _swept(self, path: Path, number: int, is_known: Callable[[int], bool]) -> bool:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_known(number):
                return False
            path.unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True


class FileWriter:
    """Writes one file. It is to be closed whatever happens, perhaps while a thread still writes. Raises `OSError`."""

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number
        self.whole = 0
        """How many bytes are there in whole blocks."""
        self._index = 0
        self._rest = b""
        self._lock = threading.Lock()
        self._is_closed = False
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # held by a sweep, if at all, and not for long
            if os.fstat(self._file).st_nlink == 0:
                raise _SweptError
        except BaseException:
            os.close(self._file)
            raise

    def append(self, data: bytes) -> None:
        """Write what is whole blocks, and keep the rest for later."""
        whole = self._rest + data
        end = len(whole) - len(whole) % BLOCK
        self._write(memoryview(whole)[:end])
        self._rest = whole[end:]
        self.whole += end

    def finish(self) -> None:
        """Write the rest."""
        self._write(memoryview(self._rest))
        self._rest = b""

    def _write(self, data: memoryview) -> None:
        pieces: list[bytes | memoryview] = []
        for at in range(0, len(data), BLOCK):
            block = data[at : at + BLOCK]
            pieces += [block_seal(self._number, self._index, block), block]
            self._index += 1
        left = memoryview(b"".join(pieces))
        with self._lock:
            if self._is_closed:
                raise LostError("the file was given up")
            while left:
                left = left[os.write(self._file, left) :]

    def close(self, *, keep: bool) -> None:
        """Let go of the file; without `keep` there is none any more. Harmless when repeated."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            try:
                if not keep:
                    self._path.unlink(missing_ok=True)
            finally:
                os.close(self._file)


class FileReader:
    """Reads blocks of one file. May be closed while another thread reads. Raises `LostError` and `OSError`."""

    def __init__(self, path: Path, number: int, length: int) -> None:
        self._number = number
        self._length = length
        self._lock = threading.Lock()
        self._is_closed = False
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise GoneError("the body is not there any more") from error

    @classmethod
    def following(cls, path: Path, number: int) -> "FileReader":
        """Return a reader of the whole blocks of a file that is still being written."""
        return cls(path, number, _NO_END)

    def read(self, first: int, end: int) -> bytes:
        """Return the bytes from `first` up to before `end`. Reads the blocks that they are in, and no others."""
        begin = first // BLOCK
        last = (end - 1) // BLOCK
        try:
            with self._lock:
                if self._is_closed:
                    raise LostError("the body was closed")
                sealed = os.pread(self._file, (last - begin + 1) * _SEALED, begin * _SEALED)
        finally:
            self._close_if_asked()
        blocks = [self._opened(index, sealed, (index - begin) * _SEALED) for index in range(begin, last + 1)]
        whole = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return bytes(whole[first - begin * BLOCK : end - begin * BLOCK])

    def _opened(self, index: int, sealed: bytes, at: int) -> memoryview:
        """Return a block whose seal is intact, and which is as long as it must be."""
        block = memoryview(sealed)[at + SIZE : at + _SEALED]
        is_whole = len(block) == min(BLOCK, self._length - index * BLOCK)
        if not is_whole or block_seal(self._number, index, block) != sealed[at : at + SIZE]:
            raise LostError("the body is not the one that was written")
        return block

    def close(self) -> None:
        """Let go of the file, once nobody reads it."""
        self._is_closed = True
        self._close_if_asked()

    def _close_if_asked(self) -> None:
        """Close the file unless a thread reads it: that one does it then."""
        if self._is_closed and self._lock.acquire(blocking=False):
            try:
                if self._file >= 0:
                    os.close(self._file)
                    self._file = -1
            finally:
                self._lock.release()
