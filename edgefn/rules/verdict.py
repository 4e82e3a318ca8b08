"""Whether a stored response answers a request, and if not, why not (RFC 9111 section 4)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from edgefn.rules.freshness import is_fresh
from edgefn.rules.lookup import Lookup
from edgefn.rules.stale import StaleLimits
from edgefn.rules.wishes import Wishes


class Why(StrEnum):
    """Why a stored response may be served without asking the origin."""

    FRESH = "fresh"
    REVALIDATING = "stale-while-revalidate"
    RETRYING = "stale-until-retry"
    MAX_STALE = "max-stale"


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a stored response's time: its lifetime, its age now, and how stale it may become.

    `retry_at`: its origin failed, and is asked again from then on. `is_immutable`: it won't change while it is fresh
    (RFC 8246).
    """

    lifetime: float
    age: float
    limits: StaleLimits
    retry_at: float
    is_immutable: bool

    @property
    def staleness(self) -> float:
        """Return the seconds since its lifetime was over; negative ones are left."""
        return self.age - self.lifetime


@dataclass(frozen=True, slots=True)
class Serve:
    """It answers at once. `in_background`: and is validated after that."""

    why: Why
    in_background: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """The origin must be asked, for this reason."""

    lookup: Lookup


Verdict: TypeAlias = Serve | Ask


def verdict(held: Held, wishes: Wishes, now: float) -> Verdict:
    """Return whether it answers a viewer with these wishes at `now`."""
    if is_fresh(held.lifetime, held.age):
        return Serve(Why.FRESH) if _satisfies(held, wishes) else Ask(Lookup.REQUEST)
    if wishes.no_cache:
        return Ask(Lookup.REQUEST)
    if _is_taken_stale(held, wishes):
        return Serve(Why.MAX_STALE)
    if wishes.max_age is not None or wishes.min_fresh:
        return Ask(Lookup.STALE)
    if held.staleness < held.limits.while_revalidate:
        return Serve(Why.REVALIDATING, in_background=now >= held.retry_at)
    if now < held.retry_at and held.staleness < held.limits.if_disconnected:
        return Serve(Why.RETRYING)
    return Ask(Lookup.STALE)


def _satisfies(held: Held, wishes: Wishes) -> bool:
    """Return whether what is fresh is also as fresh as the viewer wants it (RFC 9111 section 5.2.1)."""
    if wishes.no_cache or -held.staleness < wishes.min_fresh:
        return False
    return held.is_immutable or _is_young_enough(held, wishes)


def _is_taken_stale(held: Held, wishes: Wishes) -> bool:
    """Return whether the viewer takes it as stale as it is (RFC 9111 section 5.2.1.2)."""
    taken = wishes.max_stale > 0 and held.staleness <= wishes.max_stale
    return taken and held.limits.on_request and _is_young_enough(held, wishes)


def _is_young_enough(held: Held, wishes: Wishes) -> bool:
    return wishes.max_age is None or held.age <= wishes.max_age
