"""Parts of a response, put together (RFC 9111 section 3.4)."""

from dataclasses import replace

from edgefn.rules.ranges import received_span, strong_tag
from edgefn.rules.validating import updated
from edgefn.stores.base import Part, Stored


def as_part(stored: Stored) -> Stored | None:
    """Return a stored 206 with the place of its bytes; None when it does not have those that it announces."""
    found = received_span(stored.headers)
    return None if found is None or found[0].length != len(stored.body) else placed(stored)


def placed(stored: Stored) -> Stored:
    """Return a 206 with the place of the bytes that it announces."""
    found = received_span(stored.headers)
    if found is None:
        return stored
    span, total = found
    headers = stored.headers.without("content-range", "content-length")
    return _complete(replace(stored, headers=headers, part=Part(span.first, total)), span.length)


def combined(held: Stored, new: Stored, most: int) -> Stored:
    """Return both as one, with the fields of the `new` one outweighing; only `new` where that may not be.

    It may be when they are of the same representation by a strong validator, there is no gap between them, and they
    are at most `most` bytes.
    """
    part = new.part
    here = held.part or Part(0, len(held.body))
    if part is None or not held.is_here or held.status not in {200, 206} or here.total != part.total:
        return new
    tag = strong_tag(new.headers)
    if tag is None or tag != strong_tag(held.headers) or held.origin_tag is not None:
        return new
    here_end, new_end = here.first + len(held.body), part.first + len(new.body)
    first, end = min(here.first, part.first), max(here_end, new_end)
    if here_end < part.first or new_end < here.first or end - first > most:
        return new
    before = held.body[: max(0, part.first - here.first)]
    after = held.body[max(0, new_end - here.first) :]
    headers = updated(held.headers, new.headers, new.received_at)
    joined = replace(
        new,
        headers=headers,
        body=before + new.body + after,
        part=Part(first, part.total),
        tags=tuple(dict.fromkeys((*held.tags, *new.tags))),
    )
    return _complete(joined, len(joined.body))


def _complete(stored: Stored, length: int) -> Stored:
    """Return what has all its bytes as the 200 that it is then (RFC 9110 section 15.3.7.3)."""
    part = stored.part
    if part is None or length != part.total:
        return stored
    return replace(stored, status=200, reason="OK", part=None)
