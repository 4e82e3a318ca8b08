"""How long beyond its lifetime a response may be served (RFC 9111 section 4.2.4, RFC 5861; AWS: stale content)."""

from edgefn.model.errors import OriginFailure
from edgefn.model.hot import hot_dataclass
from edgefn.model.settings import CachePolicy
from edgefn.rules.cache_control import CacheControl

_FORBIDDING = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})
_ERRORS = frozenset({500, 502, 503, 504})
_AN_ANSWER = frozenset({OriginFailure.INVALID_RESPONSE, OriginFailure.HEADER_TOO_BIG, OriginFailure.REFUSED})


@hot_dataclass(frozen=True, slots=True)
class StaleLimits:
    """Seconds beyond the lifetime; 0 is never.

    `while_revalidate`: while it is validated in the background. `if_error`: when the origin answers with an error.
    `if_disconnected`: when it does not answer. `on_request`: as long as the viewer says that it takes it.
    """

    while_revalidate: float = 0.0
    if_error: float = 0.0
    if_disconnected: float = 0.0
    on_request: bool = False


NEVER_STALE = StaleLimits()


def stale_limits(control: CacheControl, policy: CachePolicy) -> StaleLimits:
    """Return the limits that the directives in force and the route set.

    must-revalidate, proxy-revalidate, s-maxage and no-cache forbid all of it (RFC 9111 section 4.2.4). What the origin
    says in stale-if-error outweighs the route, and 0 there leaves nothing.
    """
    if control.forbids("no-cache") or not _FORBIDDING.isdisjoint(control.directives):
        return NEVER_STALE
    said = control.seconds("stale-if-error")
    if_error = policy.stale_if_error if said is None else float(said)
    if_disconnected = 0.0 if said == 0 else max(policy.serve_stale, if_error)
    most = policy.max_ttl
    while_revalidate = min(float(control.seconds("stale-while-revalidate") or 0), most)
    return StaleLimits(while_revalidate, min(if_error, most), min(if_disconnected, most), on_request=True)


def covers_status(limits: StaleLimits, status: int, staleness: float) -> bool:
    """Return whether a response that is `staleness` seconds stale may stand in for this one (RFC 5861 section 4)."""
    return is_error(status) and staleness < limits.if_error


def is_error(status: int) -> bool:
    """Return whether the origin says with `status` that it is in trouble (RFC 5861 section 4)."""
    return status in _ERRORS


def covers_failure(limits: StaleLimits, failure: OriginFailure, staleness: float) -> bool:
    """Return whether it may stand in for an answer that did not come."""
    return staleness < limit_for(limits, failure)


def limit_for(limits: StaleLimits, failure: OriginFailure) -> float:
    """Return for how long it may do so.

    A broken answer is an error of the origin; everything else that fails is a disconnection.
    """
    return limits.if_error if failure in _AN_ANSWER else limits.if_disconnected
