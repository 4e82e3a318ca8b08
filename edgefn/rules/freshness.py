"""How long a response stays fresh (RFC 9111 section 4.2.1), and what a route's TTLs make of it."""

from edgefn.model.headers import Headers
from edgefn.model.settings import CachePolicy
from edgefn.rules.cache_control import CacheControl
from edgefn.rules.http_date import parse

_HEURISTIC_SHARE = 0.1
_HEURISTICALLY_CACHEABLE = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})


def explicit_lifetime(headers: Headers, control: CacheControl, received_at: float) -> float | None:
    """Return the seconds that s-maxage, else max-age, else Expires grants; None when there is none of them.

    The first that is there decides, invalid or not (RFC 9111 section 4.2.1). Expires is none beside directives of a
    targeted field (RFC 9213 section 2.2).
    """
    for name in ("s-maxage", "max-age"):
        seconds = control.seconds(name)
        if seconds is not None:
            return float(seconds)
    expires = "expires" in headers and not control.is_targeted
    return _expires_lifetime(headers, received_at) if expires else None


def _expires_lifetime(headers: Headers, received_at: float) -> float:
    """Return Expires less Date, at least 0. Invalid or contradictory lies in the past (RFC 9111 section 5.3)."""
    values = set(headers.get_all("expires"))
    ends_at = parse(values.pop(), received_at) if len(values) == 1 else None
    if ends_at is None:
        return 0.0
    return max(0.0, ends_at - _made_at(headers, received_at))


def _made_at(headers: Headers, received_at: float) -> float:
    """Return what Date says, or the time of receipt."""
    date = headers.get("date")
    made_at = None if date is None else parse(date, received_at)
    return received_at if made_at is None else made_at


def allows_heuristic(status: int, control: CacheControl) -> bool:
    """Return whether a response without explicit lifetime may be stored at all (RFC 9111 sections 3 and 4.2.2)."""
    return status in _HEURISTICALLY_CACHEABLE or "public" in control


def heuristic_lifetime(headers: Headers, received_at: float, most: float) -> float:
    """Return a tenth of the time since Last-Modified, at most `most`; 0 without one (RFC 9111 section 4.2.2)."""
    stated = headers.get("last-modified")
    changed_at = None if stated is None else parse(stated, received_at)
    if changed_at is None:
        return 0.0
    unchanged_for = _made_at(headers, received_at) - changed_at
    return min(max(0.0, unchanged_for * _HEURISTIC_SHARE), most)


def has_floor(status: int, policy: CachePolicy) -> bool:
    """Return whether the route keeps this response for its `min_ttl` whatever the origin says (AWS: MinTTL above 0).

    Errors have no floor: keeping them is for their origin to ask for.
    """
    return policy.min_ttl > 0 and status < 400


def error_ttl(status: int, policy: CachePolicy) -> float:
    """Return the least time that the route keeps an error with this status (AWS: ErrorCachingMinTTL)."""
    if not policy.error_ttls:
        return 0.0
    return next((ttl for listed, ttl in policy.error_ttls if listed == status), 0.0)


def granted_lifetime(
    status: int, explicit: float | None, heuristic: float, policy: CachePolicy, age: float
) -> float | None:
    """Return the seconds that the route's TTLs make of the lifetime, or None: there is none (AWS: TTL table).

    `age` is the one on arrival: a floor and a default say how long the response stays here, so they run from then.
    """
    default = max(policy.min_ttl, policy.default_ttl) if status < 400 else 0.0
    if explicit is not None:
        lifetime, floor = explicit, policy.min_ttl if status < 400 else 0.0
    else:
        lifetime, floor = 0.0 if default > 0 else heuristic, default
    floor = max(floor, error_ttl(status, policy))
    if explicit is None and lifetime <= 0 and floor <= 0:
        return None
    lifetime = min(lifetime, policy.max_ttl)
    return max(lifetime, age + floor) if floor > 0 else lifetime


def is_fresh(lifetime: float, age: float) -> bool:
    """Return whether there is lifetime left: as much age as lifetime is stale (RFC 9111 section 4.2)."""
    return lifetime > age
