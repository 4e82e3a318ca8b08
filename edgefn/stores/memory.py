"""Cached responses in the memory of this process.

What is asked for once more after it came in is a regular, and regulars have most of the room: what is asked for only
once, however much there is of it, drives out its like and not them (segmented LRU).
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

from edgefn.rules.cache_key import uri_of
from edgefn.rules.purges import ByKey, ByTag, Everything, hits, place_of
from edgefn.rules.vary import Selected
from edgefn.stores.base import Order, Purged, Stored
from edgefn.stores.sweeping import Sweep

_LARGEST_SHARE = 8  # one response may take an eighth of the store
_KEY_SHARE = 2  # all variants of one key may take half of it
_REGULARS = 0.8  # of the store
_VARIANTS = 32  # of one key
_SHELVES = 256
_DROPPED_AT_ONCE = 100  # entries
# What Python spends, in bytes, on 64 bits: measured, and held by a test.
_PER_KEY = 600
_PER_VARIANT = 1_200
_PER_LINE = 330
_PER_VARY = 150
_PER_TAG = 380


def cost(stored: Stored) -> int:
    """Return about how many bytes of memory a response takes, on the safe side."""
    size = _PER_VARIANT + len(stored.body) + _PER_LINE * len(stored.headers)
    for name, value in stored.headers:
        size += len(name) + len(value)
    for name, wanted in stored.vary:
        size += _PER_VARY + len(name) + len(wanted or "")
    for tag in stored.tags:
        size += _PER_TAG + len(tag)
    return size


def _key_cost(key: str) -> int:
    return _PER_KEY + 2 * len(key)


class MemoryStore:
    """A `Store` of at most `capacity` bytes, with at most 32 variants of a key.

    `largest` bounds the bytes of one body; without it that is an eighth of the capacity.
    """

    def __init__(self, capacity: int, largest: int | None = None) -> None:
        self._capacity = capacity
        self._entries = _Entries(capacity)
        self._cleared: list[_Entries] = []
        self._sweeps: list[Sweep] = []
        self._most_of_a_key = capacity // _KEY_SHARE
        self.largest = min(capacity // _LARGEST_SHARE, capacity if largest is None else largest)

    @property
    def size(self) -> int:
        """Return about how many bytes are taken."""
        return self._entries.size

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._entries)

    def get(self, key: str) -> Sequence[Stored]:
        """Return the variants stored under `key`, newest first; empty when there are none. That counts as a use."""
        if self._sweeps:
            self._sweep_key(key)
        entry = self._entries.use(key)
        return () if entry is None else entry.variants

    def peek(self, key: str) -> Sequence[Stored]:
        """Return the same; it is no use."""
        if self._sweeps:
            self._sweep_key(key)
        entry = self._entries.look(key)
        return () if entry is None else entry.variants

    def put(self, key: str, stored: Stored) -> None:
        """Add a variant, in place of one with the same `vary`. One that is too large changes nothing."""
        if len(stored.body) > self.largest:
            return
        held = self.peek(key)
        others = [variant for variant in held if variant.vary != stored.vary] if held else ()
        entry = self._entry(key, [stored, *others])
        if entry.variants:
            self._entries.set(key, entry)

    def _entry(self, key: str, variants: Iterable[Stored]) -> "_Entry":
        """Return the newest of `variants`, as many as `key` may have; none when there is no room for the first."""
        kept: list[Stored] = []
        size = _key_cost(key)
        for variant in variants:
            with_it = size + cost(variant)
            if with_it > self._most_of_a_key or len(kept) == _VARIANTS:
                break
            kept.append(variant)
            size = with_it
        return _Entry(tuple(kept), size)

    def drop(self, key: str, vary: Selected) -> None:
        """Drop one variant. Harmless when there is none."""
        self._keep(key, [variant for variant in self.peek(key) if variant.vary != vary])

    def _keep(self, key: str, left: Sequence[Stored]) -> None:
        if left:
            self._entries.set(key, self._entry(key, left))
        else:
            self._entries.drop(key)

    def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it behind a CR. Harmless when there are none."""
        for extended in self._entries.extending(key):
            self._entries.drop(extended)

    def purge(self, order: Order) -> Sweep:
        """Let nothing of what the purge hits be found any more, or only as stale; `sweep` clears it away."""
        self._entries.serial += 1
        sweep = Sweep(order, self._entries.serial, self._shelves(order))
        if isinstance(order.purge, Everything) and not order.is_soft:
            sweep.hit, sweep.is_over = Purged(self._entries.variants, self.size), True
            self.clear()
        self._sweeps.append(sweep)
        if isinstance(order.purge, ByKey):  # few, and often: what a POST has changed
            while not sweep.is_over:
                self._sweep_some(sweep)
        self._sweeps = [each for each in self._sweeps if not each.is_over]
        return sweep

    def _shelves(self, order: Order) -> Iterable[Sequence[str]]:
        match order.purge:
            case ByKey(key):
                return [self._entries.extending(key)]
            case ByTag(tag):
                return [self._entries.tagged(tag)]
            case _:
                return self._entries.shelved()

    def sweep(self) -> bool:
        """Clear away a little of what was purged; return whether there is more to do."""
        if self._sweeps:
            self._sweep_some(self._sweeps[0])
            if self._sweeps[0].is_over:
                del self._sweeps[0]
        elif self._cleared and not self._cleared[0].drop_some(_DROPPED_AT_ONCE):
            del self._cleared[0]
        return bool(self._sweeps or self._cleared)

    def _sweep_some(self, sweep: Sweep) -> None:
        for key in sweep.next_keys():
            self._sweep_key(key)

    def _sweep_key(self, key: str) -> None:
        """Do to what lies under `key` all that was ordered since it was put there, and has not come to it yet."""
        entry = self._entries.look(key)
        if entry is not None and entry.serial < self._entries.serial:
            left, place = entry.variants, place_of(key)
            for sweep in self._sweeps:
                if sweep.serial > entry.serial:
                    left = _purged(left, place, sweep)
            if left is entry.variants:
                entry.serial = self._entries.serial
            else:
                self._keep(key, left)

    def clear(self) -> None:
        """Let nothing be found any more; `sweep` clears it away."""
        self._cleared.append(self._entries)
        self._entries = _Entries(self._capacity, self._entries.serial)
        for sweep in self._sweeps:
            sweep.is_over = True
        self._sweeps = []


def _purged(variants: tuple[Stored, ...], place: str, sweep: Sweep) -> tuple[Stored, ...]:
    """Return what a purge leaves of the variants at `place`: the same tuple, where that is all. It counts the rest."""
    order = sweep.order
    about = [hits(order.purge, place, each.tags) for each in variants]
    if not any(about):
        return variants
    sweep.hit += Purged(sum(about), sum(map(cost, compress(variants, about))))
    if order.is_soft:
        return tuple(each.softened(order.at) if is_hit else each for each, is_hit in zip(variants, about, strict=True))
    return tuple(each for each, is_hit in zip(variants, about, strict=True) if not is_hit)


class _Entry:
    """The variants of one key and what they cost together. `serial`: the latest purge that has been done to it."""

    __slots__ = ("serial", "size", "tags", "variants")

    def __init__(self, variants: tuple[Stored, ...], size: int) -> None:
        self.serial = 0
        self.variants = variants
        self.size = size
        self.tags = variants[0].tags if len(variants) == 1 else {tag for each in variants for tag in each.tags}


class _Entries:
    """The entries by key, in two queues, least recently used first; and the keys of each tag, and of each URI.

    `serial` is the number of the latest purge: what is put here is of after that. All keys lie on shelves as well, for
    those queues can't be gone through piece by piece while they change.
    """

    def __init__(self, capacity: int, serial: int = 0) -> None:
        self._capacity = capacity
        self._most_of_regulars = int(capacity * _REGULARS)
        self.serial = serial
        self.size = 0
        self._size_of_regulars = 0
        self._regulars: OrderedDict[str, _Entry] = OrderedDict()
        self._newcomers: OrderedDict[str, _Entry] = OrderedDict()
        self.variants = 0
        self._extended: dict[str, set[str]] = {}
        self._tagged: dict[str, set[str]] = {}
        self._on_shelves: list[set[str]] = [set() for _ in range(_SHELVES)]

    def __len__(self) -> int:
        return len(self._regulars) + len(self._newcomers)

    def shelved(self) -> Iterator[Sequence[str]]:
        """Yield all keys but those that come meanwhile."""
        for shelf in self._on_shelves:
            yield list(shelf)

    def drop_some(self, count: int) -> bool:
        """Let go of some entries, of all of which nobody will ask any more; return whether there are others."""
        for queue in (self._regulars, self._newcomers):
            for _ in range(min(count, len(queue))):
                queue.popitem()
        self._extended, self._tagged, self._on_shelves = {}, {}, []
        return bool(self._regulars or self._newcomers)

    def extending(self, key: str) -> list[str]:
        """Return `key` and, if it is a URI's, all that extend it, as far as they are here."""
        return [*self._extended.get(key, ()), *([key] if self.look(key) is not None else [])]

    def tagged(self, tag: str) -> list[str]:
        """Return the keys of which a variant bears the tag."""
        return list(self._tagged.get(tag, ()))

    def look(self, key: str) -> _Entry | None:
        """Return the entry."""
        return self._regulars.get(key) or self._newcomers.get(key)

    def use(self, key: str) -> _Entry | None:
        """Return the entry, which is a regular from now on."""
        entry = self._regulars.get(key)
        if entry is not None:
            self._regulars.move_to_end(key)
            return entry
        entry = self._newcomers.pop(key, None)
        if entry is not None:
            self._regulars[key] = entry
            self._size_of_regulars += entry.size
            self._make_room()
        return entry

    def set(self, key: str, entry: _Entry) -> None:
        """Put the entry in the place of the one before; without one it is a newcomer."""
        entry.serial = self.serial
        before = self._regulars.get(key)
        if before is not None:
            self._regulars[key] = entry
            self._size_of_regulars += entry.size - before.size
        else:
            before = self._newcomers.get(key)
            self._newcomers[key] = entry
            self._on_shelves[hash(key) % _SHELVES].add(key)
            uri = uri_of(key)
            if uri != key:
                self._extended.setdefault(uri, set()).add(key)
        self._untag(key, before)
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        self.size += entry.size - (0 if before is None else before.size)
        self.variants += len(entry.variants) - (0 if before is None else len(before.variants))
        self._make_room()

    def drop(self, key: str) -> None:
        """Remove the entry, if it is there."""
        entry = self._regulars.pop(key, None)
        if entry is not None:
            self._size_of_regulars -= entry.size
        else:
            entry = self._newcomers.pop(key, None)
        if entry is not None:
            self._forget(key, entry)

    def _make_room(self) -> None:
        """Let regulars be newcomers again while they have too much, and drop what is too much in all."""
        while self._size_of_regulars > self._most_of_regulars:
            key, entry = self._regulars.popitem(last=False)
            self._size_of_regulars -= entry.size
            self._newcomers[key] = entry
        while self.size > self._capacity:
            if len(self._newcomers) > 1 or not self._regulars:  # the last one may just have come
                self._forget(*self._newcomers.popitem(last=False))
            else:
                key, entry = self._regulars.popitem(last=False)
                self._size_of_regulars -= entry.size
                self._forget(key, entry)

    def _forget(self, key: str, entry: _Entry) -> None:
        self.size -= entry.size
        self.variants -= len(entry.variants)
        self._on_shelves[hash(key) % _SHELVES].discard(key)
        self._untag(key, entry)
        uri = uri_of(key)
        if uri != key:
            keys = self._extended[uri]
            keys.discard(key)
            if not keys:
                del self._extended[uri]

    def _untag(self, key: str, entry: _Entry | None) -> None:
        for tag in () if entry is None else entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]
