"""What Cache-Status says of an answer (RFC 9211)."""

from functools import lru_cache
from math import floor

from edgefn.model.headers import Headers
from edgefn.rules.lookup import Lookup

FIELD = "Cache-Status"
_CACHE = "edgefn"


def hit(ttl: float, why: str = "") -> str:
    """Return the member for an answer that was stored, with `ttl` seconds of its lifetime left; negative: stale."""
    return f"{_CACHE}; hit; ttl={floor(ttl)}; detail={why}" if why else f"{_CACHE}; hit; ttl={floor(ttl)}"


@lru_cache(512)
def forwarded(lookup: Lookup, status: int, why: str, *, stored: bool = False, collapsed: bool = False) -> str:
    """Return the member for an answer that the origin was asked for.

    `status` is its own (0: no origin answered); `why` says why it was not stored, "" for no more to say.
    """
    parts = [_CACHE, f"fwd={lookup}"]
    if status:
        parts.append(f"fwd-status={status}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if why:
        parts.append(f"detail={why}")
    return "; ".join(parts)


def appended(headers: Headers, member: str) -> Headers:
    """Return `headers` with the member behind those that are there (RFC 9211 section 2)."""
    return headers.adding((FIELD, member))
