"""How long a response stays fresh (RFC 9111 section 4.2.1), and what a route's TTLs make of it."""

from edgefn.model.headers import Headers
from edgefn.model.settings import CachePolicy
from edgefn.rules.cache_control import CacheControl
from edgefn.rules.http_date import parse


def explicit_lifetime(headers: Headers, control: CacheControl, received_at: float) -> float | None:
    """Return the seconds that s-maxage, else max-age, else Expires grants; None when there is none of them.

    The first that is there decides, invalid or not (RFC 9111 section 4.2.1).
    """
    for name in ("s-maxage", "max-age"):
        seconds = control.seconds(name)
        if seconds is not None:
            return float(seconds)
    return _expires_lifetime(headers, received_at) if "expires" in headers else None


def _expires_lifetime(headers: Headers, received_at: float) -> float:
    """Return Expires less Date, at least 0. Invalid or contradictory lies in the past (RFC 9111 section 5.3)."""
    values = set(headers.get_all("expires"))
    ends_at = parse(values.pop(), received_at) if len(values) == 1 else None
    if ends_at is None:
        return 0.0
    date = headers.get("date")
    made_at = None if date is None else parse(date, received_at)
    return max(0.0, ends_at - (received_at if made_at is None else made_at))


def has_floor(status: int, policy: CachePolicy) -> bool:
    """Return whether the route keeps this response for its `min_ttl` whatever the origin says (AWS: MinTTL above 0).

    Errors have no floor: keeping them is for their origin to ask for.
    """
    return policy.min_ttl > 0 and status < 400


def granted_lifetime(status: int, explicit: float | None, policy: CachePolicy, age: float) -> float | None:
    """Return the seconds that the route's TTLs make of the explicit lifetime, or None: no lifetime (AWS: TTL table).

    `age` is the one on arrival: a floor and a default say how long the response stays here, so they run from then.
    """
    if explicit is not None:
        capped = min(explicit, policy.max_ttl)
        return max(capped, age + policy.min_ttl) if has_floor(status, policy) else capped
    ttl = max(policy.min_ttl, policy.default_ttl)
    return age + ttl if ttl > 0 and status < 400 else None


def is_fresh(lifetime: float, age: float) -> bool:
    """Return whether there is lifetime left: as much age as lifetime is stale (RFC 9111 section 4.2)."""
    return lifetime > age
