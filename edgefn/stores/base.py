"""The promise of every store of cached responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edgefn.model.headers import Headers
from edgefn.rules.stale import NEVER_STALE, StaleLimits


@dataclass(frozen=True, slots=True)
class Part:
    """Where the body of an incomplete response begins, and how many bytes there are in all."""

    first: int
    total: int


@dataclass(frozen=True, slots=True)
class Stored:
    """One response as it was stored. Times are wall-clock seconds since the epoch.

    `vary` are the request's values of the fields that its Vary names, lower-case name and joined value (None: absent).
    `lifetime` is its freshness lifetime in seconds and `initial_age` its age on arrival (RFC 9111 section 4.2); `stale`
    is how long beyond that it may be served. After its origin failed, it is asked again from `retry_at` on.
    `origin_tag` is the ETag that the origin gave it, when the edge has changed the one in `headers`.
    `part` is set when the body is not the whole one.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    requested_at: float
    received_at: float
    lifetime: float
    initial_age: float
    vary: tuple[tuple[str, str | None], ...] = ()
    from_origin_error: bool = False
    stale: StaleLimits = NEVER_STALE
    retry_at: float = 0.0
    tags: tuple[str, ...] = ()
    origin_tag: str | None = None
    part: Part | None = None


class Store(Protocol):
    """Keeps the variants of each key; bounded in bytes. Lookups never wait."""

    @property
    def largest(self) -> int:
        """Return the most bytes of body that it may be given; it may still refuse one."""

    def get(self, key: str) -> Sequence[Stored]:
        """Return the variants stored under `key`, newest first; empty when there are none."""

    def put(self, key: str, stored: Stored) -> None:
        """Add a variant, in place of one with the same `vary`. One that is too large changes nothing."""

    def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it behind a CR. Harmless when there are none."""
