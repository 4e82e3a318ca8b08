"""Blobs as files, named by their digests: written beside, synced, then renamed, so that whatever is there is whole."""

import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgefn.functions.replicas.base import ReplicaError, UnavailableError

PIECE = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNFINISHED = "unfinished-"


class BlobFiles:
    """A directory of blobs. Its methods wait for the disk: they are for threads. They raise `ReplicaError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Make the directory, and clear away what writers left behind that were killed."""
        with _translated(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for unfinished in self._directory.glob(f"{_UNFINISHED}*"):
                _remove_if_abandoned(unfinished)

    def path(self, digest: str) -> Path:
        """Return where a blob is kept. Raises `ReplicaError` for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ReplicaError(f"{digest[:80]!r} is no digest of a blob: that has 64 hex digits")
        return self._directory / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Return whether a blob is there."""
        with _translated(self._directory):
            return self.path(digest).is_file()

    def is_sound(self, digest: str) -> bool:
        """Return whether a blob is there, with the bytes that it should have."""
        found = hashlib.sha256()
        try:
            for piece in self.pieces(digest):
                found.update(piece)
        except ReplicaError:
            return False
        return found.hexdigest() == digest

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Yield a blob in pieces. Raises `ReplicaError`; `UnavailableError` where it can't be read just now."""
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except FileNotFoundError as error:
            raise ReplicaError(f"there is no blob {digest}") from error
        except OSError as error:
            raise UnavailableError(f"{path}: can't be read: {error.strerror}") from error

    def all(self) -> list[str]:
        """Return the digests of all blobs."""
        with _translated(self._directory):
            return sorted(path.name for path in self._directory.glob("??/*") if _DIGEST.fullmatch(path.name))

    def delete(self, digest: str) -> None:
        """Remove a blob, if it is there."""
        with _translated(self._directory):
            self.path(digest).unlink(missing_ok=True)

    def begin_unless_sound(self, digest: str) -> "UnfinishedBlob | None":
        """Begin to write a blob, unless it is there with the bytes that it should have."""
        if self.is_sound(digest):
            return None
        path = self.path(digest)
        with _translated(self._directory):
            return UnfinishedBlob(self._directory, path, digest)


class UnfinishedBlob:
    """A blob that is being written. It must be finished or given up."""

    def __init__(self, directory: Path, path: Path, digest: str) -> None:
        self._path = path
        self._digest = digest
        self._found = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=directory)
        self._unfinished = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # held as long as its writer lives

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        with _translated(self._path):
            self._file.write(piece)
        self._found.update(piece)

    def finish(self, last: bytes) -> None:
        """Add the last bytes, and put the blob in its place, for good. Raises `ReplicaError`."""
        self.write(last)
        if self._found.hexdigest() != self._digest:
            raise ReplicaError(f"the bytes for the blob {self._digest} have the digest {self._found.hexdigest()}")
        with _translated(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._unfinished.rename(self._path)
            self._file.close()
            for directory in (self._path.parent, self._path.parent.parent):
                _sync(directory)

    def give_up(self) -> None:
        """Remove what is not finished; nothing, when it is."""
        with suppress(OSError):
            self._unfinished.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_abandoned(unfinished: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(unfinished, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unfinished.unlink()
        finally:
            os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"{error.filename or path}: {error.strerror}; nothing was changed") from error
