"""What a viewer asks of the cache. All of it is advisory (RFC 9111 section 5.2.1)."""

from dataclasses import dataclass

from edgefn.model.headers import Headers
from edgefn.rules.cache_control import MOST_SECONDS, parse


@dataclass(frozen=True, slots=True)
class Wishes:
    """The most age, the least lifetime left, and the most staleness that the viewer takes, in seconds.

    `no_cache`: nothing that was not validated. `only_if_cached`: nothing from the origin.
    """

    max_age: float | None = None
    min_fresh: float = 0.0
    max_stale: float = 0.0
    no_cache: bool = False
    only_if_cached: bool = False


NO_WISHES = Wishes()


def has_wishes(asked: Headers) -> bool:
    """Return whether `wishes` may find any."""
    return "cache-control" in asked or "pragma" in asked


def wishes(asked: Headers) -> Wishes:
    """Return what Cache-Control says; Pragma counts only without it (RFC 9111 section 5.4)."""
    text = asked.joined("cache-control")
    if text is None:
        return Wishes(no_cache="no-cache" in parse(asked.joined("pragma")))
    control = parse(text)
    max_age = control.seconds("max-age")
    any_staleness = "max-stale" in control and control.directives["max-stale"] is None
    return Wishes(
        max_age=None if max_age is None else float(max_age),
        min_fresh=float(control.seconds("min-fresh") or 0),
        max_stale=float(MOST_SECONDS if any_staleness else control.seconds("max-stale") or 0),
        no_cache="no-cache" in control,
        only_if_cached="only-if-cached" in control,
    )
