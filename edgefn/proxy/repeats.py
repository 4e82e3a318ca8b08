"""Requests that come again, to the letter or in all that matters, and their answers, without reading them anew.

What was sent the usual way is cut where it will differ the next time: the lines that tell the age, and the request's
id. So what is put together from the pieces is what the usual way would send. It counts while the same variants lie
in the store, and while what was chosen of them is fresh.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Protocol
from weakref import ReferenceType

from edgefn.model.headers import NO_HEADERS, Line
from edgefn.model.message import Request, Response
from edgefn.model.settings import ViewerLimits
from edgefn.model.trail import Trail
from edgefn.proxy.passages import Passage, passage_of
from edgefn.proxy.relay import Relay, RelayRepeat
from edgefn.proxy.walk import Walked
from edgefn.rules.lookup import Lookup
from edgefn.rules.shielding import CDN_LOOP, SHIELD_PASS
from edgefn.stores.base import Stored
from edgefn.wire.essence import Essences

_LONGEST = 4_096  # bytes of a request
_SEEN = 32_768
_PER_REPEAT = 2_000  # bytes of Python's own: measured, on the safe side
_PER_VARIANT = 100
_PER_NAME = 200

_READ_HERE = {
    "host", "connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade", "cache-control",
    "pragma", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range", "via",
    CDN_LOOP.lower(), SHIELD_PASS.lower(),
}  # fmt: skip
TELLING = frozenset({*_READ_HERE, "accept-encoding", "origin"})
"""The fields of a request that are looked at on the way to an answer out of memory, and those by which origins choose
their responses most of all. The others change nothing, unless `Vary` or the route's key names them."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer came from: all variants in memory under a key, and which one was chosen, by which fields.

    It keeps none of them alive, so what the store gives up takes no room here.
    """

    key: str
    variants: tuple[ReferenceType[Stored], ...]
    chosen: int
    fields: frozenset[str]

    def stored_in(self, variants: Sequence[Stored]) -> Stored | None:
        """Return what was chosen, if these are the same variants still."""
        known = self.variants
        if len(variants) == 1 == len(known):  # most have one, and this is a tenth of what a hit costs
            only = variants[0]
            return only if known[0]() is only else None
        return variants[self.chosen] if [variant() for variant in known] == list(variants) else None


class Cache(Protocol):
    """What a route's cache knows of its hits."""

    def source_of(self, request: Request) -> Source | None:
        """Return what `request` has just been answered with, None unless that was all of it, as it is stored."""

    def hit_again(self, source: Source) -> tuple[Stored, float] | None:
        """Return what is stored and its age in seconds, None when it is no longer there or no longer fresh."""

    def told_of(self, stored: Stored, age: float) -> Sequence[Line]:
        """Return the lines that a hit of this age adds."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The head of an answer in three pieces: between them stand the lines that tell its age, then the request's id."""

    before: bytes
    between: bytes
    behind: bytes


def cut(head: bytes, aging: bytes, request_id: bytes) -> Cut | None:
    """Return `head` without the two, None where they do not stand in it once, one behind the other."""
    before, aged, rest = head.partition(aging)
    between, named, behind = rest.partition(request_id)
    if not (aged and named) or aging in rest or request_id in before + behind:
        return None
    return Cut(before, between, behind)


class Repeat:
    """One request that may come again, and its answer."""

    __slots__ = ("_cache", "_cut", "_front", "_moment", "_source", "passage", "request", "response", "size")

    def __init__(
        self, request: Request, shown: Response, cache: Cache, source: Source, pieces: Cut, passage: Passage | None
    ) -> None:
        self.request = request.alone(NO_HEADERS)  # which nobody asks for any more, and which may be long
        self.passage = passage
        self.response = shown
        self.size = _PER_REPEAT + 2 * len(pieces.before + pieces.between) + 2 * len(source.key)
        self.size += _PER_VARIANT * len(source.variants)
        self.size += 0 if passage is None else passage.size
        self._cache, self._source, self._cut = cache, source, pieces
        self._moment = (-1, -1)
        self._front = b""

    def answer(self, request_id: str) -> tuple[bytes, bytes] | None:
        """Return head and body for a request of this id; None when it must be answered the usual way."""
        found = self._cache.hit_again(self._source)
        if found is None:
            return None
        stored, age = found
        moment = (int(age), floor(stored.lifetime - age))
        if moment != self._moment:
            self._moment = moment
            self._front = self._cut.before + _written(self._cache.told_of(stored, age)) + self._cut.between
        return b"".join((self._front, request_id.encode(), self._cut.behind)), stored.body

    def trail(self, started: float) -> Trail:
        """Return what there is to tell of one such request that came in at `started`."""
        told = self.request.trail
        return Trail(started, told.route, told.result, cache=told.cache, cache_reason=told.cache_reason)


class Repeats:
    """The requests that are remembered, in at most about `room` bytes: those that came last, and came twice.

    What is answered alike whatever most of its fields say is remembered by its essence. What comes to the letter again
    is known to have that one: to look it up costs less than to take it out.
    """

    def __init__(self, room: int, limits: ViewerLimits) -> None:
        self._most = room // 2
        self._size = 0
        self._sizes: dict[bytes, int] = {}  # of the young ones
        self._young: dict[bytes, Repeat | RelayRepeat] = {}
        self._old: dict[bytes, Repeat | RelayRepeat] = {}
        self._essence_of: dict[bytes, bytes] = {}  # by name, never a repeat itself: that would outlive its place here
        self._seen: set[int] = set()  # hashes: two that are equal do no harm
        self._essences = Essences(TELLING, limits)
        self._has_essences = False

    def get(self, block: bytes) -> Repeat | RelayRepeat | None:
        """Return what is remembered of the request `block`."""
        young = self._young
        repeat = young.get(block)
        if repeat is None:
            essence = self._essence_of.get(block)
            repeat = self._looked_for(block) if essence is None else young.get(essence) or self._from_old(essence)
        return repeat

    def _looked_for(self, block: bytes) -> Repeat | RelayRepeat | None:
        repeat = self._from_old(block)
        return self._alike(block) if repeat is None and self._has_essences else repeat

    def _from_old(self, name: bytes) -> Repeat | RelayRepeat | None:
        repeat = self._old.pop(name, None)
        if repeat is not None:
            self._add(name, repeat)
        return repeat

    def _alike(self, block: bytes) -> Repeat | RelayRepeat | None:
        essence = self._essences.of(block)
        if essence is None:
            return None
        repeat = self._young.get(essence) or self._from_old(essence)
        if repeat is not None and len(block) <= _LONGEST and not self._is_new(block):
            self._take_room(_PER_NAME + len(block) + len(essence))
            self._essence_of[block] = essence
        return repeat

    def drop(self, block: bytes) -> None:
        """Forget a request, but not that it came."""
        self._forget(block)
        essence = self._essence_of.get(block) or (self._essences.of(block) if self._has_essences else None)
        if essence is not None:
            self._forget(essence)

    def learn(self, block: bytes, request: Request, head: bytes, cache: Cache, walked: Walked | None = None) -> None:
        """Remember a request that was answered out of `cache` with this head, if it came before and may come again.

        `walked` is the answer, where a function has had its say before the cache was asked.
        """
        if request.trail.cache != Lookup.HIT:
            return
        is_new = self._is_new(block)
        if is_new and walked is not None:
            return
        passage = None if walked is None else passage_of(walked.passed, request)
        if walked is not None and passage is None:
            return
        source = cache.source_of(request if walked is None else walked.told)
        found = None if source is None else cache.hit_again(source)
        if source is None or found is None:
            return
        essence = self._essences.of(block) if walked is None and source.fields <= TELLING else None
        name = essence or block
        if len(name) > _LONGEST or (is_new if essence is None else self._is_new(essence)):
            return
        stored, age = found
        pieces = cut(head, _written(cache.told_of(stored, age)), request.id.encode())
        if pieces is not None:
            shown = Response(stored.status, stored.reason, NO_HEADERS)
            repeat = Repeat(request, shown, cache, source, pieces, passage)
            self._add(name, repeat)
            self._has_essences |= essence is not None

    def learn_relay(self, block: bytes, relay: Relay, request: Request) -> None:
        """Remember a request that was passed on, if it came before and may come again."""
        if len(block) <= _LONGEST and not self._is_new(block):
            repeat = relay.repeat_of(request)
            if repeat is not None:
                self._add(block, repeat)

    def _is_new(self, name: bytes) -> bool:
        hashed = hash(name)
        if hashed in self._seen:
            return False
        if len(self._seen) >= _SEEN:
            self._seen.clear()
        self._seen.add(hashed)
        return True

    def _add(self, name: bytes, repeat: Repeat | RelayRepeat) -> None:
        size = repeat.size + len(name)
        if size > self._most:
            return
        self._forget(name)
        self._take_room(size)
        self._young[name] = repeat
        self._sizes[name] = size

    def _take_room(self, size: int) -> None:
        if self._size + size > self._most:
            self._old, self._young, self._sizes, self._essence_of, self._size = self._young, {}, {}, {}, 0
        self._size += size

    def _forget(self, name: bytes) -> None:
        if self._young.pop(name, None) is not None:
            self._size -= self._sizes.pop(name)
        self._old.pop(name, None)


def _written(lines: Sequence[Line]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode("latin-1")
