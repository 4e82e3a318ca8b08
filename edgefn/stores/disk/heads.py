"""Everything of a stored response but its body, as bytes and back."""

from dataclasses import fields
from typing import TypeAlias, cast

import orjson

from edgefn.model.headers import Headers
from edgefn.rules.stale import StaleLimits
from edgefn.stores.base import Part, Stored

FORMAT = ",".join(field.name for cls in (Stored, StaleLimits, Part) for field in fields(cls))
"""Changes with the fields there are. What was written in another format is not read."""

_Lines: TypeAlias = list[tuple[str, str]]
_Vary: TypeAlias = list[tuple[str, str | None]]
_Times: TypeAlias = tuple[float, float, float, float, float]
_Stale: TypeAlias = tuple[float, float, float, bool]
_Row: TypeAlias = tuple[
    int, int, str, _Lines, _Times, _Vary, bool, _Stale, list[str], str | None, tuple[int, int] | None
]


def packed(stored: Stored, length: int) -> bytes:
    """Return the head of a response with a body of so many bytes."""
    stale, part = stored.stale, stored.part
    row: _Row = (
        length,
        stored.status,
        stored.reason,
        list(stored.headers),
        (stored.requested_at, stored.received_at, stored.lifetime, stored.initial_age, stored.retry_at),
        list(stored.vary),
        stored.from_origin_error,
        (stale.while_revalidate, stale.if_error, stale.if_disconnected, stale.on_request),
        list(stored.tags),
        stored.origin_tag,
        None if part is None else (part.first, part.total),
    )
    return orjson.dumps(row)


def unpacked(head: bytes) -> tuple[Stored, int]:
    """Return the response, less its body, and the body's length. `head` must be what `packed` returned."""
    row = cast("_Row", orjson.loads(head))  # its seal was looked at
    length, status, reason, lines, times, vary, from_origin_error, stale, tags, origin_tag, part = row
    requested_at, received_at, lifetime, initial_age, retry_at = times
    stored = Stored(
        status,
        reason,
        Headers((name, value) for name, value in lines),
        b"",
        requested_at,
        received_at,
        lifetime,
        initial_age,
        tuple((name, value) for name, value in vary),
        from_origin_error,
        StaleLimits(*stale),
        retry_at,
        tuple(tags),
        origin_tag,
        None if part is None else Part(*part),
    )
    return stored, length
