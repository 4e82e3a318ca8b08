"""Cached responses in the memory of this process: what was used least recently goes first."""

from collections.abc import Sequence

from cachetools import LRUCache

from edgefn.rules.cache_key import uri_of
from edgefn.stores.base import Stored

_LARGEST_SHARE = 8  # one response may take an eighth of the store
_KEY_SHARE = 2  # all variants of one key may take half of it
_VARIANTS = 32
# What Python spends, in bytes, on 64 bits: measured, and held by a test.
_PER_KEY = 600
_PER_VARIANT = 1_200
_PER_LINE = 330
_PER_VARY = 150
_PER_TAG = 100


def cost(stored: Stored) -> int:
    """Return about how many bytes of memory a response takes, on the safe side."""
    lines = sum(_PER_LINE + len(name) + len(value) for name, value in stored.headers)
    vary = sum(_PER_VARY + len(name) + len(value or "") for name, value in stored.vary)
    tags = sum(_PER_TAG + len(tag) for tag in stored.tags)
    return _PER_VARIANT + len(stored.body) + lines + vary + tags


def _key_cost(key: str) -> int:
    return _PER_KEY + 2 * len(key)


class MemoryStore:
    """A `Store` of at most `capacity` bytes, with at most 32 variants of a key."""

    def __init__(self, capacity: int) -> None:
        self._entries = _Entries(capacity)
        self._most_of_a_key = capacity // _KEY_SHARE
        self.largest = capacity // _LARGEST_SHARE

    @property
    def size(self) -> int:
        """Return about how many bytes are taken."""
        return int(self._entries.currsize)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._entries)

    def get(self, key: str) -> Sequence[Stored]:
        """Return the variants stored under `key`, newest first; empty when there are none."""
        try:
            return self._entries[key].variants
        except KeyError:
            return ()

    def put(self, key: str, stored: Stored) -> None:
        """Add a variant, in place of one with the same `vary`. One that is too large changes nothing."""
        if len(stored.body) > self.largest:
            return
        others = (variant for variant in self.get(key) if variant.vary != stored.vary)
        entry = self._entry(key, [stored, *others])
        if entry.variants:
            self._entries[key] = entry

    def _entry(self, key: str, variants: list[Stored]) -> "_Entry":
        """Return the newest of `variants`, as many as `key` may have; none when there is no room for the first."""
        kept: list[Stored] = []
        size = _key_cost(key)
        for variant in variants[:_VARIANTS]:
            with_it = size + cost(variant)
            if with_it > self._most_of_a_key:
                break
            kept.append(variant)
            size = with_it
        return _Entry(tuple(kept), size)

    def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it behind a CR. Harmless when there are none."""
        for extended in self._entries.extending(key):
            self._entries.pop(extended, None)
        self._entries.pop(key, None)


class _Entry:
    """The variants of one key and what they cost together."""

    __slots__ = ("size", "variants")

    def __init__(self, variants: tuple[Stored, ...], size: int) -> None:
        self.variants = variants
        self.size = size


class _Entries(LRUCache[str, _Entry]):
    """The entries by key, and beside them the extended keys of each URI."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, getsizeof=lambda entry: entry.size)
        self._extended: dict[str, set[str]] = {}

    def extending(self, uri: str) -> tuple[str, ...]:
        """Return the keys that are longer than `uri` itself."""
        return tuple(self._extended.get(uri, ()))

    def __setitem__(self, key: str, entry: _Entry) -> None:
        super().__setitem__(key, entry)
        uri = uri_of(key)
        if uri != key:
            self._extended.setdefault(uri, set()).add(key)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        uri = uri_of(key)
        keys = self._extended.get(uri, set())
        keys.discard(key)
        if not keys:
            self._extended.pop(uri, None)
