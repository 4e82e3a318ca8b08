"""What is stored, what a purge hits of it, and the promise of a store in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgefn.model.errors import EdgeError
from edgefn.model.headers import Headers
from edgefn.model.hot import hot_dataclass
from edgefn.rules.age import current_age
from edgefn.rules.freshness import is_fresh
from edgefn.rules.purges import Purge
from edgefn.rules.stale import NEVER_STALE, StaleLimits
from edgefn.rules.vary import Selected


class StoreError(EdgeError):
    """The store can't do it now: the disk is full or broken, or too many wait already."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where the body of an incomplete response begins, and how many bytes there are in all."""

    first: int
    total: int


@hot_dataclass(frozen=True, slots=True, weakref_slot=True)
class Stored:
    """One response as it was stored. Times are wall-clock seconds since the epoch, spans of time seconds."""

    status: int
    reason: str
    headers: Headers
    body: bytes
    requested_at: float
    received_at: float
    lifetime: float
    """Its freshness lifetime (RFC 9111 section 4.2)."""
    initial_age: float
    """Its age on arrival."""
    vary: Selected = ()
    """The request's values of the fields that its Vary names: lower-case name and joined value (None: absent)."""
    from_origin_error: bool = False
    stale: StaleLimits = NEVER_STALE
    """How long beyond its lifetime it may be served."""
    retry_at: float = 0.0
    """Its origin has failed, and is asked again from then on."""
    tags: tuple[str, ...] = ()
    origin_tag: str | None = None
    """The ETag that the origin gave it, when the edge has changed the one in `headers`."""
    part: Part | None = None
    """Set when the body is not the whole one."""
    shelved: "Found | None" = None
    """Where it was found on disk. Where the body did not come along, `body` is empty and `is_here` false."""

    @property
    def is_here(self) -> bool:
        """Return whether `body` has the body."""
        return self.shelved is None or len(self.body) == self.shelved.length

    @property
    def length(self) -> int:
        """Return the bytes of the body, wherever it lies."""
        return len(self.body) if self.shelved is None else self.shelved.length

    @property
    def whole_length(self) -> int:
        """Return the bytes of the whole of which this is a part, or of this."""
        return self.length if self.part is None else self.part.total

    def outweighs(self, new: "Stored", now: float) -> bool:
        """Return whether it stays rather than `new`: it was made later, may be served, and is no part of less."""
        is_no_less = self.part is None or new.part is not None
        age = current_age(self.initial_age, self.received_at, now)
        return is_no_less and is_newer(self, new) and is_fresh(self.lifetime, age)

    def softened(self, at: float) -> "Stored":
        """Return it as one that became stale at `at`, if it was not before."""
        age = current_age(self.initial_age, self.received_at, at)
        return replace(self, lifetime=min(self.lifetime, age))


def is_newer(one: Stored, other: Stored) -> bool:
    """Return whether `one` was made after `other`, by what their ages tell; else whether it was asked for later."""
    return _made_at(one) > _made_at(other)


def _made_at(stored: Stored) -> tuple[float, float]:
    return (stored.received_at - stored.initial_age) // 1, stored.requested_at


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a store on disk: `stored` has everything but the body, whose `length` in bytes is known.

    `data` is the body where it came along. `number` names the entry for as long as the store exists.
    """

    key: str
    stored: Stored
    number: int
    length: int
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has hit: entries, and bytes of memory or disk."""

    entries: int
    size: int

    def __add__(self, other: "Purged") -> "Purged":
        return Purged(self.entries + other.entries, self.size + other.size)


NOTHING = Purged(0, 0)


@dataclass(frozen=True, slots=True)
class Order:
    """A purge that was ordered. `at` is in wall-clock seconds; a soft one lets entries be stale from then on."""

    epoch: int
    purge: Purge
    is_soft: bool
    at: float


class Ledger(Protocol):
    """Knows the purges of a location, by number.

    `epoch` is the number of the latest one. Whoever goes to fetch a response takes it along: what was purged since
    must not be kept.
    """

    @property
    def epoch(self) -> int:
        """Return the number of the latest purge. It costs next to nothing."""

    async def remove(self, key: str) -> None:
        """Let all variants of `key` be purged, and of the keys that extend it. Raises `StoreError`."""

    async def purge(self, purge: Purge, *, soft: bool, now: float) -> Purged:
        """Write the purge down; return what it hit where the ledger keeps entries itself. Raises `StoreError`."""

    def orders_since(self, epoch: int) -> Sequence[Order] | None:
        """Return the purges after that one; None when they are too many to know. Raises `StoreError`."""


class Swept(Protocol):
    """One purge on its way through a store in memory."""

    @property
    def hit(self) -> Purged:
        """Return what it has hit so far."""

    @property
    def is_over(self) -> bool:
        """Return whether that is all."""


class Store(Protocol):
    """Keeps the variants of each key; bounded in bytes. Nothing here waits."""

    @property
    def largest(self) -> int:
        """Return the most bytes of body that it may be given; it may still refuse one."""

    def get(self, key: str) -> Sequence[Stored]:
        """Return the variants stored under `key`, newest first; empty when there are none. That counts as a use."""

    def peek(self, key: str) -> Sequence[Stored]:
        """Return the same; it is no use."""

    def put(self, key: str, stored: Stored) -> None:
        """Add a variant, in place of one with the same `vary`. One that is too large changes nothing."""

    def drop(self, key: str, vary: Selected) -> None:
        """Drop one variant. Harmless when there is none."""

    def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it behind a CR. Harmless when there are none."""

    def purge(self, order: Order) -> "Swept":
        """Let nothing of what the purge hits be found any more, or only as stale; `sweep` clears it away."""

    def sweep(self) -> bool:
        """Clear away a little of what was purged; return whether there is more to do."""

    def clear(self) -> None:
        """Let nothing be found any more; `sweep` clears it away."""
