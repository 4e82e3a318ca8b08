"""The file of a key-value store: what it says, and how it is changed.

A file is `{"data": [{"key": ..., "value": ...}]}`, as AWS imports it, or simply `{"key": "value"}`; a value that is no
string counts as its JSON text. A directory is a store too: all its JSON files together, to be read only. Whoever writes
puts a whole new file in the place of the old one.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from edgefn.rules.kvs import MAX_STORE, Changes, TooMuch, changed, total_size, within_limits

_SUFFIX = ".json"
_FILE_SIZE = 4 * MAX_STORE
"""Bytes of a file: what escaping and punctuation may add to the largest store."""

Signature = tuple[tuple[str, int, int, int], ...]
"""What of a store's files tells that they have changed."""


class StoreError(Exception):
    """A store can't be read or changed. The message names the file or key, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a store holds at one moment. `created` and `updated` are ISO 8601; `etag` differs after each change."""

    pairs: Mapping[str, str]
    created: str
    updated: str
    etag: str

    @property
    def size(self) -> int:
        """Return the bytes of all keys and values."""
        return total_size(self.pairs)


def parsed(source: bytes, modified: float) -> Content:
    """Return what a store's file says; `modified` is when it was written, in Unix seconds. Raises `StoreError`."""
    try:
        document: object = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise StoreError(f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise StoreError("is not a JSON object")
    updated = _iso(modified)
    data: object = document.get("data")
    pairs = _checked(_listed(data) if isinstance(data, list) else _plain(document))
    created: object = document.get("created") if isinstance(data, list) else None
    return Content(pairs, created if isinstance(created, str) else updated, updated, _etag(pairs))


def _checked(pairs: Mapping[str, str]) -> dict[str, str]:
    sound = within_limits(pairs)
    if isinstance(sound, TooMuch):
        raise StoreError(sound.why)
    return sound


def _etag(pairs: Mapping[str, str]) -> str:
    return hashlib.sha256(orjson.dumps(pairs, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _plain(document: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(value) for key, value in document.items()}


def _listed(data: list[object]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, item in enumerate(data):
        match item:
            case {"key": str(key), "value": value} if key not in pairs:
                pairs[key] = _text(value)
            case {"key": str(key), "value": _}:
                raise StoreError(f"data[{number}]: the key {key[:40]!r} stands there twice")
            case _:
                raise StoreError(f'data[{number}]: is no {{"key": "...", "value": ...}}')
    return pairs


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signature(path: Path) -> Signature:
    """Return what differs after the files of a store were written. Raises `StoreError` where there is none."""
    try:
        return tuple(
            (file.name, status.st_ino, status.st_mtime_ns, status.st_size)
            for file in _files(path)
            for status in (file.stat(),)
        )
    except OSError as error:
        raise _unreadable(error, path) from error


def read_content(path: Path) -> Content:
    """Return what a store's file holds, or all files of its directory together. Raises `StoreError`."""
    try:
        files = _files(path)
    except OSError as error:
        raise _unreadable(error, path) from error
    contents = [_read(file) for file in files]
    if not path.is_dir():
        return contents[0]
    pairs: dict[str, str] = {}
    for file, content in zip(files, contents, strict=True):
        for key in pairs.keys() & content.pairs.keys():
            raise StoreError(f"{file}: the key {key[:40]!r} stands in another file of the store, too")
        pairs.update(content.pairs)
    try:
        sound = _checked(pairs)
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None
    updated = max((content.updated for content in contents), default=_iso(path.stat().st_mtime))
    return Content(sound, min((content.created for content in contents), default=updated), updated, _etag(sound))


def _files(path: Path) -> list[Path]:
    """Return the files of a store. Raises `OSError`."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix == _SUFFIX and not file.name.startswith("."))


def _read(path: Path) -> Content:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > _FILE_SIZE:
                raise StoreError(f"is larger than {_FILE_SIZE // 1024**2} MB")
            return parsed(file.read(), status.st_mtime)
    except OSError as error:
        raise _unreadable(error, path) from error
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None


def _unreadable(error: OSError, path: Path) -> StoreError:
    return StoreError(f"{error.filename or path}: can't be read: {error.strerror}")


def update(path: Path, changes: Changes, *, now: float, if_match: str | None = None) -> Content:
    """Change a store, or make it, and return what it then holds. `now` is the Unix time.

    Raises `StoreError` beyond a limit, and when the store's etag is not the expected one.
    """
    with _locked(path):
        before = read_content(path) if path.exists() else Content({}, _iso(now), "", "")
        if if_match is not None and if_match != before.etag:
            raise StoreError(f"{path}: has been changed by somebody else")
        pairs = changed(before.pairs, changes)
        if isinstance(pairs, TooMuch):
            raise StoreError(f"{path}: {pairs.why}")
        _write(path, pairs, before.created)
        return read_content(path)


def import_file(path: Path, source: bytes, *, now: float) -> Content:
    """Put the pairs of an import file (AWS's format, or a plain object) in the place of all that a store held.

    Raises `StoreError`.
    """
    content = parsed(source, now)
    with _locked(path):
        created = read_content(path).created if path.exists() else _iso(now)
        _write(path, content.pairs, created)
        return read_content(path)


def _write(path: Path, pairs: Mapping[str, str], created: str) -> None:
    document = {"created": created, "data": [{"key": key, "value": value} for key, value in sorted(pairs.items())]}
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            os.fchmod(file.fileno(), _mode(path))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _mode(path: Path) -> int:
    """Return the mode of the file that is there; a new one is for everybody to read, who may enter its directory."""
    return path.stat().st_mode & 0o777 if path.exists() else 0o644


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other writers of a store away until the block ends. Raises `StoreError` where nothing can be written."""
    if os.path.isdir(path):
        raise StoreError(f"{path}: is a directory; change one of its files")
    try:
        descriptor = os.open(path.parent / f".{path.name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: can't be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise StoreError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        os.close(descriptor)
