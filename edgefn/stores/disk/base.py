"""The promise of a store whose bodies are not in memory. Whoever calls waits; nothing here blocks the event loop.

A `StoreError` is never a viewer's problem: what could not be found is a miss, what could not be kept is not kept.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

from edgefn.model.message import Body
from edgefn.rules.purges import Purge
from edgefn.stores.base import Found, Order, Purged, Stored, StoreError


class LostError(StoreError):
    """This entry can't be read any more: its bytes are not those that were written."""


class GoneError(LostError):
    """The entry was dropped after it was found."""


class TooLargeError(StoreError):
    """The body is larger than the store takes."""


class Outcome(StrEnum):
    """What became of a response that was to be kept."""

    STORED = "stored"
    SUPERSEDED = "superseded"  # one that was made later, and was fresh when this one came, is there
    PURGED = "purged"  # it was hit by a purge since its fetch began, or by one too many to know


class Writer(Protocol):
    """Takes a body in pieces. Nobody sees it before it is committed, and nobody ever if it is not.

    Where it is followed, what is on disk of it can be read already, and also after the end, until it is released.
    """

    @property
    def flushed(self) -> int:
        """Return how many of its first bytes can be read."""

    async def read(self, first: int) -> bytes:
        """Return some of the flushed bytes from `first` on. Raises `StoreError`."""

    def release(self) -> None:
        """Read no more. Harmless when repeated."""

    async def write(self, data: bytes) -> None:
        """Add to the body. Raises `StoreError`; no more may be written then."""

    async def commit(self) -> Outcome:
        """Let the entry be found, in place of one with the same `vary`, unless that is newer. Raises `StoreError`."""


class BodyStore(Protocol):
    """Keeps the variants of each key, their bodies on disk; bounded in bytes; shared between processes.

    `epoch` counts the purges. Whoever goes to fetch a response takes it along, and gives it back as `since` with the
    response: what was purged in the meantime is not kept.
    """

    @property
    def largest(self) -> int:
        """Return the most bytes of body that it may be given."""

    @property
    def epoch(self) -> int:
        """Return the number of the latest purge. It costs next to nothing: a read of shared memory."""

    def may_have(self, key: str) -> bool:
        """Return whether there may be something under `key`. It costs a microsecond.

        What another process has just stored may not be known of yet.
        """

    async def get(self, key: str) -> Sequence[Found]:
        """Return the variants stored under `key`, newest first. Raises `StoreError`."""

    async def open(self, found: Found, first: int = 0, length: int | None = None) -> Body:
        """Return `length` bytes of the body from `first` on, or all from there. Raises `StoreError`.

        So does reading it: bytes that are not those that were written are never returned.
        """

    def writing(
        self, key: str, stored: Stored, since: int, *, followed: bool = False
    ) -> AbstractAsyncContextManager[Writer]:
        """Return a writer of the response's body; the `body` of `stored` is not looked at.

        One that is `followed` must be released.
        """

    async def renew(self, found: Found, stored: Stored, since: int) -> bool:
        """Put `stored` in the place of what was found, with the same body. Return whether it was still there.

        Raises `StoreError`.
        """

    async def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it, also those under way. Raises `StoreError`."""

    async def purge(self, purge: Purge, *, soft: bool, now: float) -> Purged:
        """Drop what it hits, or let it be stale from `now` on. Once it returns, no process serves it any more.

        Raises `StoreError`: then it is not known what is purged, and the purge should be repeated.
        """

    def orders_since(self, epoch: int) -> Sequence[Order] | None:
        """Return the purges after that one; None when they are too many to know. Raises `StoreError`.

        A store in memory that has seen fewer purges than `epoch` tells asks for them, and does the same.
        """
