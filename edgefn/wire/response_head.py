"""An origin's response head: its grammar, and what it says about the body behind it. Pure.

Our own grammar rather than llhttp's: that one hides folded lines and can't be told of HEAD, and one strict
pattern over the whole head costs about as much as its callbacks for each field.
"""

import re
from enum import Enum, auto
from typing import NamedTuple

from edgefn.model.errors import OriginFailure
from edgefn.model.headers import Headers, Line
from edgefn.rules.hop_by_hop import named_by_connection

# Possessive throughout: an origin must not be able to make us backtrack.
_STATUS_LINE = re.compile(r"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: ([^\r\n\0]*+))?\r\n")
_FIELD_LINE = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+:[ \t]*+([^\r\n\0]*+)\r\n", re.MULTILINE)
_LENGTH = re.compile(r"[0-9]{1,18}")


class BrokenResponseError(Exception):
    """The origin's bytes are no usable response. `failure` and `why` go into an `OriginError`."""

    def __init__(self, failure: OriginFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure
        self.why = why


def invalid(why: str) -> BrokenResponseError:
    """Return the error for a response that breaks the grammar or the framing."""
    return BrokenResponseError(OriginFailure.INVALID_RESPONSE, why)


class Delimiter(Enum):
    """How a body ends whose length isn't told ahead (RFC 9112 section 6.3)."""

    CHUNKED = auto()
    CLOSE = auto()


class ResponseHead(NamedTuple):
    """A status line and its fields. `minor` is the HTTP/1 minor version; fields include the framing ones."""

    minor: int
    status: int
    reason: str
    headers: Headers


def read_fields(text: str, start: int = 0) -> list[Line]:
    r"""Return the field lines of `text` behind `start`; each must end with CRLF.

    Raises `BrokenResponseError` for folded lines, bare LF or CR, NUL, or a name that is no token (RFC 9112
    section 5). Whitespace before the colon is removed, as a proxy must (section 5.1).
    """
    lines: list[Line] = _FIELD_LINE.findall(text, start)
    # Each match holds exactly one LF, at its end, and starts a line: equal counts leave nothing unmatched.
    if text.count("\n", start) != len(lines):
        raise invalid("a header line is malformed")
    if " \r" in text or ("\t" in text and "\t\r" in text):
        return [(name, value.rstrip(" \t")) for name, value in lines]
    return lines


def read_head(block: bytes) -> ResponseHead:
    """Return the head in `block`, which ends with the last field's CRLF. Raises `BrokenResponseError`."""
    text = block.decode("latin-1")
    first = _STATUS_LINE.match(text)
    if first is None:
        raise invalid(f"the status line is malformed: {text[:64]!r}")
    minor, status, reason = first.groups("")
    return ResponseHead(int(minor), int(status), reason, Headers(read_fields(text, first.end())))


def body_framing(head: ResponseHead, method: str) -> int | Delimiter:
    """Return the body's length, or what marks its end (RFC 9112 section 6.3).

    Raises `BrokenResponseError` where the framing is contradictory or is not understood: such a response could
    hide another one.
    """
    if method == "HEAD" or head.status in {204, 304}:
        return 0
    headers = head.headers
    lengths = headers.get_all("content-length")
    if "transfer-encoding" in headers:
        return _coded(head, headers.joined("transfer-encoding") or "", lengths)
    if not lengths:
        return Delimiter.CLOSE
    if len(lengths) > 1:
        raise invalid("Content-Length is given more than once")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise invalid(f"Content-Length is not a number: {lengths[0][:64]!r}")
    return int(lengths[0])


def _coded(head: ResponseHead, codings: str, lengths: tuple[str, ...]) -> Delimiter:
    if lengths:
        raise invalid("both Transfer-Encoding and Content-Length are given")
    if head.minor == 0:
        raise invalid("Transfer-Encoding is given by an HTTP/1.0 origin")
    if codings.strip(" \t").lower() != "chunked":
        raise invalid(f"the transfer coding is not chunked: {codings[:64]!r}")
    return Delimiter.CHUNKED


def keeps_alive(head: ResponseHead) -> bool:
    """Return whether the origin lets the connection live on (RFC 9112 section 9.3)."""
    named = named_by_connection(head.headers)
    return "close" not in named and (head.minor >= 1 or "keep-alive" in named)
