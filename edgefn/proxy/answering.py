"""Answers made of stored responses."""

from collections.abc import Sequence
from typing import Final

from edgefn.model.headers import Headers, Line
from edgefn.model.message import Body, BytesBody, Request, Response, no_body
from edgefn.proxy.shelved import Shelved
from edgefn.rules.age import age_value
from edgefn.rules.cache_status import FIELD
from edgefn.rules.conditions import is_not_modified, not_modified_headers
from edgefn.rules.ranges import Span, Unsatisfiable, asked_span, content_range, if_range_holds
from edgefn.rules.vary import matches
from edgefn.stores.base import Stored, is_newer

CONDITIONS: Final = frozenset({"if-none-match", "if-modified-since", "range"})
"""What may make the answer less than all that is stored."""


def chosen(variants: Sequence[Stored], request: Request) -> Stored | None:
    """Return the variant that answers `request`, of several the one made last (RFC 9111 section 4), fresh or not."""
    best: Stored | None = None
    for variant in variants:
        if (
            (not variant.vary or matches(variant.vary, request.headers))
            and (best is None or is_newer(variant, best))
            and (variant.part is None or _has_wanted_part(variant, request))
        ):
            best = variant
    return best


def matching(variants: Sequence[Stored], request: Request) -> list[Stored]:
    """Return all variants that `request` selects, the incomplete ones too."""
    return [variant for variant in variants if matches(variant.vary, request.headers)]


def can_answer(stored: Stored, request: Request) -> bool:
    """Return whether it has all the bytes that `request` is to be answered with."""
    return stored.part is None or _has_wanted_part(stored, request)


def _has_wanted_part(stored: Stored, request: Request) -> bool:
    """Return whether an incomplete response has all the bytes that are asked for (RFC 9111 section 3.3)."""
    part, asked = stored.part, request.headers
    if part is None or "range" not in asked or request.method != "GET":
        return False
    wanted = asked_span(asked, part.total)
    held = Span(part.first, part.first + stored.length - 1)
    return (
        isinstance(wanted, Span) and held.covers(wanted) and if_range_holds(asked, stored.headers, stored.received_at)
    )


def answer(request: Request, stored: Stored, age: float | None, now: float, cache_status: str = "") -> Response:
    """Return `stored` as the response to `request`, with its Age, and with what Cache-Status is to say.

    None is the age of what the origin itself has given or confirmed just now (RFC 9111 section 5.1).

    That is 304 when the viewer has it already, and 206 or 416 when it asks for a range that counts.
    """
    headers = stored.headers.adding(*hit_lines(age, cache_status))
    asked = request.headers
    asks = "if-none-match" in asked or "if-modified-since" in asked
    if asks and 200 <= stored.status < 300 and is_not_modified(asked, stored.headers, stored.received_at, now):
        return Response(304, "Not Modified", not_modified_headers(headers), no_body())
    if "range" in asked:
        ranged = _ranged(request, stored, headers)
        if ranged is not None:
            return ranged
    return Response(stored.status, stored.reason, headers, _whole(stored), stored.from_origin_error)


def hit_lines(age: float | None, cache_status: str) -> Sequence[Line]:
    """Return the lines that a hit adds to what is stored."""
    told = () if age is None else (("Age", age_value(age)),)
    return (*told, (FIELD, cache_status)) if cache_status else told


def _whole(stored: Stored) -> Body:
    if stored.shelved is None or stored.is_here:
        return BytesBody(stored.body)
    return Shelved(stored.shelved, 0, stored.length)


def _cut(stored: Stored, first: int, length: int) -> Body:
    if stored.shelved is None or stored.is_here:
        return BytesBody(stored.body[first : first + length])
    return Shelved(stored.shelved, first, length)


def _ranged(request: Request, stored: Stored, headers: Headers) -> Response | None:
    """Return the answer to Range, or None when the whole is the answer (RFC 9110 section 14.2)."""
    part, asked = stored.part, request.headers
    if request.method != "GET" or (part is None and stored.status != 200):
        return None
    if not if_range_holds(asked, stored.headers, stored.received_at):
        return None
    first, total = (0, stored.length) if part is None else (part.first, part.total)
    match asked_span(asked, total):
        case None:
            return None
        case Unsatisfiable():
            return Response(416, "Range Not Satisfiable", _unsatisfied(headers, total), no_body())
        case Span() as span:
            body = _cut(stored, span.first - first, span.length)
            of_part = headers.replacing("Content-Range", content_range(span, total))
            return Response(206, "Partial Content", of_part.without("content-length"), body)


def _unsatisfied(headers: Headers, total: int) -> Headers:
    """Return the fields of a 416 (RFC 9110 section 15.5.17)."""
    kept = not_modified_headers(headers).without("etag", "last-modified", "set-cookie")
    return kept.replacing("Content-Range", f"bytes */{total}")
