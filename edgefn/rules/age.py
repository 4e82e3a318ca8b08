"""How old a response is (RFC 9111 section 4.2.3). All times are wall-clock seconds since the epoch."""

from edgefn.model.headers import Headers
from edgefn.model.hot import hot_dataclass
from edgefn.rules.cache_control import MOST_SECONDS, delta_seconds
from edgefn.rules.http_date import parse

_GRAIN = 1  # Date counts whole seconds: a response can seem a second old at once


@hot_dataclass(frozen=True, slots=True)
class Times:
    """When a request was sent, and when the head of its response was here."""

    requested_at: float
    received_at: float


def received_age(headers: Headers) -> int:
    """Return the first member of Age, or 0 when it is absent or invalid (RFC 9111 section 5.1)."""
    text = headers.joined("age")
    return 0 if text is None else delta_seconds(text.lstrip(" \t,").partition(",")[0].rstrip(" \t")) or 0


def initial_age(headers: Headers, times: Times) -> float:
    """Return the age on arrival: what Age says and the way took, or what Date tells, whichever is more."""
    on_the_way = max(0.0, times.received_at - times.requested_at)
    return max(received_age(headers) + on_the_way, _apparent_age(headers, times.received_at))


def _apparent_age(headers: Headers, received_at: float) -> float:
    date = headers.get("date")
    made_at = None if date is None else parse(date, received_at)
    if made_at is None:
        return 0.0
    apparent = received_at // 1 - made_at
    return apparent if apparent > _GRAIN else 0.0


def current_age(initial: float, received_at: float, now: float) -> float:
    """Return the age at `now`. A clock that was set back adds nothing."""
    held = now - received_at
    return initial + held if held > 0 else initial


def age_value(age: float) -> str:
    """Return what the Age field says for this age."""
    return str(min(int(age), MOST_SECONDS))
