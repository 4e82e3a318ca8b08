"""Key-value stores: one JSON file each, held in memory for the functions that read them.

A file is `{"data": [{"key": ..., "value": ...}]}`, as AWS imports it, or simply `{"key": "value"}`; a value that is no
string counts as its JSON text. Whoever writes puts a whole new file in the place of the old one.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from edgefn.rules.kvs import MAX_STORE, Changes, TooMuch, changed, total_size, within_limits

_SUFFIX = ".json"
_FILE_SIZE = 4 * MAX_STORE
"""Bytes of a file: what escaping and punctuation may add to the largest store."""


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
    pairs = within_limits(_listed(data) if isinstance(data, list) else _plain(document))
    if isinstance(pairs, TooMuch):
        raise StoreError(pairs.why)
    created: object = document.get("created") if isinstance(data, list) else None
    digest = hashlib.sha256(orjson.dumps(pairs, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Content(pairs, created if isinstance(created, str) else updated, updated, digest[:32])


def _plain(document: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(value) for key, value in document.items()}


def _listed(data: list[object]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in data:
        match item:
            case {"key": str(key), "value": value} if key not in pairs:
                pairs[key] = _text(value)
            case _:
                raise StoreError(
                    "has an entry under data that is no key with a value, or a key that stands there twice"
                )
    return pairs


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_content(path: Path) -> Content:
    """Return what the file of a store holds. Raises `StoreError`."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > _FILE_SIZE:
                raise StoreError(f"{path}: is larger than {_FILE_SIZE // 1024**2} MB")
            return parsed(file.read(), status.st_mtime)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None


class KeyValueStore:
    """One store, read in memory. It is what a function of the JavaScript runtimes asks."""

    def __init__(self, path: Path) -> None:
        """Load the store. Raises `StoreError`."""
        self.path = path
        self._seen: tuple[int, ...] = ()
        self._values: Mapping[str, bytes] = {}
        self._content = Content({}, "", "", "")
        self.refresh()

    @property
    def content(self) -> Content:
        """Return what it held when it was last looked at."""
        return self._content

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""
        return self._values.get(key)

    def about(self) -> bytes:
        """Return AWS's description of a store, as JSON."""
        content = self._content
        described = {
            "creationDateTime": content.created,
            "lastUpdatedDateTime": content.updated,
            "keyCount": len(content.pairs),
        }
        return orjson.dumps(described)

    def refresh(self) -> bool:
        """Read the file again if it has changed; return whether it had. Raises `StoreError`; the old values stay."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}") from error
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return False
        self._seen = seen
        self._content = read_content(self.path)
        self._values = {key: value.encode() for key, value in self._content.pairs.items()}
        return True


@dataclass(slots=True)
class KeyValueStores:
    """The stores of one location: the files of a directory, by name, each loaded at its first use.

    `tell` is given a line for the log when a store that is in use becomes unreadable.
    """

    directory: Path
    tell: Callable[[str], None]
    _open: dict[str, KeyValueStore] = field(default_factory=dict)

    def open(self, name: str) -> KeyValueStore:
        """Return a store. Raises `StoreError`."""
        if name not in self._open:
            self._open[name] = KeyValueStore(self.path(name))
        return self._open[name]

    def path(self, name: str) -> Path:
        """Return the file of a store. Raises `StoreError` for what is no name."""
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise StoreError(f"{name!r} is not the name of a key-value store")
        return self.directory / f"{name}{_SUFFIX}"

    def names(self) -> tuple[str, ...]:
        """Return the names of all stores."""
        return tuple(sorted(path.stem for path in self.directory.glob(f"*{_SUFFIX}") if path.is_file()))

    def refresh(self) -> None:
        """Read again what has changed. What can't be read stays as it was."""
        for store in tuple(self._open.values()):
            try:
                store.refresh()
            except StoreError as error:
                self.tell(f"key-value store: {error}; the values from before stay")

    async def watch(self, every: float) -> None:
        """Look for changes each `every` seconds, until cancelled."""
        while True:
            await asyncio.sleep(every)
            await asyncio.to_thread(self.refresh)


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
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other writers of a store away until the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.parent / f".{path.name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
