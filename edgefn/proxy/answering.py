"""Answers made of stored responses."""

from collections.abc import Sequence

from edgefn.model.message import BytesBody, Request, Response, no_body
from edgefn.rules.age import age_value
from edgefn.rules.conditions import is_not_modified, not_modified_headers
from edgefn.rules.vary import matches
from edgefn.stores.base import Stored


def chosen(variants: Sequence[Stored], request: Request) -> Stored | None:
    """Return the variant that answers `request`, of several the one made last (RFC 9111 section 4), fresh or not."""
    best: Stored | None = None
    for variant in variants:
        if (not variant.vary or matches(variant.vary, request.headers)) and (best is None or _is_newer(variant, best)):
            best = variant
    return best


def _is_newer(one: Stored, other: Stored) -> bool:
    return one.received_at - one.initial_age > other.received_at - other.initial_age


def answer(request: Request, stored: Stored, age: float, now: float) -> Response:
    """Return `stored` as the response to `request`, with its Age; 304 when the viewer has it already."""
    headers = stored.headers.adding(("Age", age_value(age)))
    asked = request.headers
    asks = "if-none-match" in asked or "if-modified-since" in asked
    if asks and 200 <= stored.status < 300 and is_not_modified(asked, stored.headers, stored.received_at, now):
        return Response(304, "Not Modified", not_modified_headers(headers), no_body())
    return Response(stored.status, stored.reason, headers, BytesBody(stored.body), stored.from_origin_error)
