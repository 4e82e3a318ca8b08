"""When a location asks for fresh credentials: at half of their life, then ever more often until it gets some."""

from typing import Final

_PARTS: Final = 20  # so many tries in the time that is left, if nothing else holds
_OFTEN, _SELDOM = 5.0, 600.0  # seconds between two tries
_AFTERWARDS: Final = 60.0  # once they have run out


def is_due(issued: float, expires: float, now: float) -> bool:
    """Return whether half of the life of the credentials is over. All times in seconds."""
    return now >= issued + (expires - issued) / 2


def pause(issued: float, expires: float, now: float) -> float:
    """Return the seconds until the next try, after one that failed.

    It is a part of what is left, so that an hour without a control plane costs a few tries and the last moments have
    many; never more often than each five seconds, but for credentials that are short-lived altogether.
    """
    part = (expires - issued) / _PARTS
    if now >= expires:
        return min(_AFTERWARDS, part)
    return min(max((expires - now) / _PARTS, min(_OFTEN, part)), _SELDOM)
