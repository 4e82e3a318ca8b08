"""Which requests may be answered from what is stored, and which may wait for another one's fetch."""

from enum import StrEnum

from edgefn.model.message import Request
from edgefn.model.settings import CachePolicy
from edgefn.rules.cache_control import parse
from edgefn.rules.hop_by_hop import asks_for_websocket

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
_CONDITIONS = frozenset({"range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range"})


class Lookup(StrEnum):
    """What the cache found, in the words of Cache-Status (RFC 9211 sections 2.1 and 2.2)."""

    HIT = "hit"
    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    STALE = "stale"
    REQUEST = "request"
    PARTIAL = "partial"


class Bypass(StrEnum):
    """Why a request goes to the origin without a look at what is stored."""

    POLICY = "policy-disabled"
    METHOD = "method"
    BODY = "request-body"
    UPGRADE = "upgrade"


def bypass(request: Request, policy: CachePolicy) -> Bypass | None:
    """Return why nothing stored may answer `request`, or None when it may be looked up.

    A GET's body is in no key, so what an origin makes of it must neither be stored nor be replaced by what is. A wish
    to upgrade that is not passed on is ignored (RFC 9110 section 7.8).
    """
    if not policy.enabled:
        return Bypass.POLICY
    if request.method not in {"GET", "HEAD"}:
        return Bypass.METHOD
    if request.body.length != 0:
        return Bypass.BODY
    headers = request.headers
    return Bypass.UPGRADE if "upgrade" in headers and asks_for_websocket(request.method, headers) else None


def is_safe(method: str) -> bool:
    """Return whether `method` changes nothing at the origin; unknown ones may (RFC 9110 section 9.2.1)."""
    return method in _SAFE


def is_conditional(request: Request) -> bool:
    """Return whether the answer may be about the request's conditions or range rather than about its target."""
    return not request.headers.names().isdisjoint(_CONDITIONS)


def asks_not_to_store(request: Request) -> bool:
    """Return whether the viewer said `no-store` (RFC 9111 section 5.2.1.5)."""
    said = request.headers.joined("cache-control")
    return said is not None and "no-store" in parse(said)


def may_collapse(request: Request) -> bool:
    """Return whether the answer to `request` is likely of use to others that ask for the same."""
    return not ("authorization" in request.headers or is_conditional(request) or asks_not_to_store(request))
