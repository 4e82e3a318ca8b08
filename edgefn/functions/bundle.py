"""A function's files: read from a directory, a zip or one source file, checked, and named by one digest.

Whatever the packing, order, times and modes: the same files give the same digest.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_SIZE = 250 * 1024**2
"""All files together, in bytes (AWS: 250 MB unzipped)."""

MAX_FILES = 50_000
MAX_DEPTH = 32
MAX_NAME = 1_024


class BundleError(Exception):
    """The bundle can't be used. The message names the file in it, and what is wrong."""


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file: its path in the bundle with "/" between parts, its bytes, and whether it may be executed."""

    path: str
    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """All files of a function, sorted by path. `digest` is the SHA-256 of their canonical form, in hex."""

    files: tuple[BundleFile, ...]
    digest: str

    @classmethod
    def of(cls, files: list[BundleFile]) -> "Bundle":
        """Return the bundle of `files`. Raises `BundleError` on names that clash or lead out of it."""
        ordered = tuple(sorted(files, key=lambda file: file.path))
        _check_names([file.path for file in ordered])
        return cls(ordered, _digest(ordered))

    def write(self, directory: Path) -> None:
        """Write the files below `directory`, readable to everybody and writable to nobody else."""
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        directory.chmod(0o755)
        for folder in sorted({folder for file in self.files for folder in _folders(file.path)}):
            (directory / folder).mkdir(mode=0o755, exist_ok=True)
            (directory / folder).chmod(0o755)
        for file in self.files:
            target = directory / file.path
            target.write_bytes(file.data)
            target.chmod(0o755 if file.executable else 0o644)


def _digest(files: tuple[BundleFile, ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        head = f"{len(file.path.encode())}:{file.path}:{'x' if file.executable else '-'}:{len(file.data)}:"
        digest.update(head.encode())
        digest.update(file.data)
    return digest.hexdigest()


def check_name(name: str) -> None:
    """Raise `BundleError` if the path `name` could leave the bundle or is too long or too deep."""
    if not name or "\0" in name or "\\" in name or name.startswith("/") or name[1:2] == ":":
        raise BundleError(f"{name!r}: a path in a bundle must be relative, with / between its parts")
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise BundleError(f"{name!r}: a path in a bundle must have no empty, . or .. part")
    if len(parts) > MAX_DEPTH or len(name.encode()) > MAX_NAME or any(len(part.encode()) > 255 for part in parts):
        raise BundleError(f"{name[:80]!r}: the path is too long or deeper than {MAX_DEPTH} folders")


def _check_names(names: list[str]) -> None:
    if not names:
        raise BundleError("the bundle has no files")
    known = set()
    for name in names:
        check_name(name)
        if name in known:
            raise BundleError(f"{name!r}: stands in the bundle twice")
        known.add(name)
    for name in names:
        for folder in _folders(name):
            if folder in known:
                raise BundleError(f"{folder!r}: is both a file and a folder")


def _folders(name: str) -> Iterator[str]:
    """Yield the folders that a path leads through, the outermost first."""
    end = name.find("/")
    while end >= 0:
        yield name[:end]
        end = name.find("/", end + 1)


class SizeLimit:
    """Counts files and bytes, and refuses the one too many."""

    def __init__(self) -> None:
        self._size = 0
        self._files = 0

    def add(self, name: str, size: int) -> None:
        """Count one more file of `size` bytes. Raises `BundleError`."""
        self._size += size
        self._files += 1
        if self._size > MAX_SIZE:
            raise BundleError(f"{name!r}: the bundle is larger than {MAX_SIZE // 1024**2} MB")
        if self._files > MAX_FILES:
            raise BundleError(f"{name!r}: the bundle has more than {MAX_FILES:,} files")


def read_directory(root: Path) -> Bundle:
    """Read the files below `root`. Symbolic links within it are followed, others refused. Raises `BundleError`."""
    limit = SizeLimit()
    inside = Path(os.path.realpath(root))
    files = []
    for name, path in _walk(root, inside, "", 0):
        try:
            status = path.stat()
            limit.add(name, status.st_size)
            files.append(BundleFile(name, path.read_bytes(), bool(status.st_mode & 0o111)))
        except OSError as error:
            raise BundleError(f"{name!r}: can't be read: {error.strerror}") from error
    return Bundle.of(files)


def _walk(folder: Path, inside: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    if depth > MAX_DEPTH:
        raise BundleError(f"{prefix!r}: deeper than {MAX_DEPTH} folders")
    for entry in sorted(folder.iterdir()):
        name = f"{prefix}{entry.name}"
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(inside):
            raise BundleError(f"{name!r}: is a symbolic link that leaves the bundle")
        if entry.is_dir():
            yield from _walk(entry, inside, f"{name}/", depth + 1)
        elif entry.is_file():
            yield name, entry
        else:
            raise BundleError(f"{name!r}: is neither a file nor a folder")


def read_file(path: Path) -> Bundle:
    """Read one source file as a bundle of its own. Raises `BundleError`."""
    if path.stat().st_size > MAX_SIZE:
        raise BundleError(f"{path.name!r}: the bundle is larger than {MAX_SIZE // 1024**2} MB")
    return Bundle.of([BundleFile(path.name, path.read_bytes())])
