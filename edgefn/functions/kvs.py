"""Key-value stores as functions read them: held in memory, and looked after. Their files are `kvs_file`'s business."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary, WeakValueDictionary

import orjson

from edgefn.functions.kvs_file import Content, Signature, StoreError, read_content, signature


class KeyValueStore:
    """One store, read in memory. It is what a function of the WebAssembly runtimes asks."""

    def __init__(self, path: Path) -> None:
        """Load the store. Raises `StoreError`."""
        self.path = path
        self._seen: Signature = ()
        self._values: Mapping[str, bytes] = {}
        self._content = Content({}, "", "", "")
        self._load(signature(path))

    @property
    def content(self) -> Content:
        """Return what it held when it was last looked at."""
        return self._content

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None."""
        return self._values.get(key)

    def get_by_bytes(self, key: bytes) -> bytes | None:
        """Return the value of a key in UTF-8, or None."""
        return self._values.get(key.decode("utf-8", "surrogateescape"))

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
        """Read the files again if they have changed; return whether they had. Raises `StoreError`; the values stay."""
        seen = signature(self.path)
        if seen == self._seen:
            return False
        self._load(seen)
        return True

    def _load(self, seen: Signature) -> None:
        self._seen = seen
        content = read_content(self.path)
        self._values = {key: value.encode() for key, value in content.pairs.items()}
        self._content = content


@dataclass(slots=True)
class KeyValueStores:
    """The stores that functions of this process read, by path; each is forgotten with its last function.

    `tell` is given a line for the log when a store that is in use becomes unreadable.
    """

    tell: Callable[[str], None]
    _open: WeakValueDictionary[Path, KeyValueStore] = field(default_factory=WeakValueDictionary)
    _troubles: WeakKeyDictionary[KeyValueStore, str] = field(default_factory=WeakKeyDictionary)

    async def open(self, path: Path) -> KeyValueStore:
        """Return a store, which stays open while somebody holds it. Raises `StoreError`."""
        store = self._open.get(path)
        if store is None:
            loaded = await asyncio.to_thread(KeyValueStore, path)
            store = self._open.setdefault(path, loaded)
        return store

    def held(self, path: Path) -> KeyValueStore | None:
        """Return a store that is open."""
        return self._open.get(path)

    async def refresh(self) -> None:
        """Read again what has changed. What can't be read stays as it was; each trouble is told once."""
        for store in list(self._open.values()):
            try:
                await asyncio.to_thread(store.refresh)
                self._troubles.pop(store, None)
            except StoreError as error:
                if self._troubles.get(store) != str(error):
                    self.tell(f"key-value store: {error}; the values from before stay")
                self._troubles[store] = str(error)

    async def watch(self, every: float) -> None:
        """Look for changes each `every` seconds, until cancelled."""
        while True:
            await asyncio.sleep(every)
            await self.refresh()
