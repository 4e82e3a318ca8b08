"""The query string, between its text and what CloudFront Functions see (AWS: event structure).

Names and values are shown as they stand in the request, not decoded, so that nothing is lost on the way back.
"""

import re

from edgefn.rules import cff_values
from edgefn.rules.cff_values import Field, Item, Piece, Shown
from edgefn.rules.cff_violation import QUERY
from edgefn.rules.event import as_text, as_wire

_UNSAFE = re.compile(r"[\x00-\x20\x7f#&]|[^\x00-\x7f]")
_UNSAFE_IN_NAME = re.compile(r"[\x00-\x20\x7f#&=]|[^\x00-\x7f]")


def shown_query(query: str | None) -> Shown:
    """Return the `querystring` of an event."""
    return cff_values.shown((name, {"value": _value(piece)}) for name, piece in _pieces(query))


def query_of(sent: str | None, result: object) -> str | None:
    """Return the query that the `querystring` object of a result makes of `sent`. Raises `ViolatedError`.

    Parameters that are unchanged keep their text and place; in new ones, what can't stand there is percent-encoded.
    """
    pieces = _pieces(sent)
    found = cff_values.changes(_QUERY, shown_query(sent), pieces, result)
    if not found:
        return sent
    return "&".join(cff_values.replaced(pieces, found)) or None


def _pieces(query: str | None) -> list[Piece]:
    return [(as_text(piece.partition("=")[0]), piece) for piece in (query or "").split("&") if piece]


def _value(piece: str) -> str:
    return as_text(piece.partition("=")[2])


def _text(name: str, item: Item) -> str:
    return f"{_UNSAFE_IN_NAME.sub(_encoded, name)}={_UNSAFE.sub(_encoded, item['value'])}"


def _encoded(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in as_wire(match[0]).encode("latin-1"))


_QUERY = Field("querystring", QUERY, _text)
