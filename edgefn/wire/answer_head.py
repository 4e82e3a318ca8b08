"""The head of an answer to a viewer, and how its body is framed. Pure."""

from enum import Enum, auto

from edgefn.model.errors import EdgeError
from edgefn.model.headers import Headers
from edgefn.model.message import Response

_FRAMING = frozenset({"connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding"})
_INTERIM_REASONS = {100: "Continue", 102: "Processing", 103: "Early Hints", 104: "Upload Resumption Supported"}


class Framing(Enum):
    """How the end of a body is told (RFC 9112 section 6.3)."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


class UnsendableAnswerError(EdgeError):
    """The answer can't be written as HTTP/1.1: a floor above let something through."""


def framing_of(method: str, version: str, status: int, length: int | None) -> Framing:
    """Return how a body of `length` bytes (None: not known) goes out."""
    if method == "HEAD" or status < 200 or status in {204, 304}:
        return Framing.NONE
    if length is not None:
        return Framing.LENGTH
    return Framing.CHUNKED if version == "1.1" else Framing.CLOSE


def answer_head(response: Response, framing: Framing, length: int | None, option: str) -> bytes:
    """Return status line, fields, framing and `Connection: option` ("" for none).

    Where the framing allows no body, the length stays as the answer's own fields give it (RFC 9110 section 8.6).
    Raises `UnsendableAnswerError` rather than let a line break through.
    """
    fields, number = response.headers.written(_FRAMING)
    framed = _framed(response, framing, length)
    if option:
        framed.append(f"Connection: {option}\r\n")
    text = "".join((f"HTTP/1.1 {response.status} {response.reason}\r\n", fields, *framed))
    return _encoded(text, 1 + number + len(framed))


def _framed(response: Response, framing: Framing, length: int | None) -> list[str]:
    match framing:
        case Framing.LENGTH:
            return [f"Content-Length: {length}\r\n"]
        case Framing.CHUNKED:
            return ["Transfer-Encoding: chunked\r\n"]
        case Framing.NONE:
            return _told_length(response, length)
        case Framing.CLOSE:
            return []


def closing(head: bytes) -> bytes:
    """Return the same head for a connection that ends with it."""
    return head[:-2] + b"Connection: close\r\n\r\n"


def interim_head(status: int, headers: Headers) -> bytes:
    """Return a whole 1xx response. Raises `UnsendableAnswerError`."""
    fields, number = headers.written(_FRAMING)
    return _encoded(f"HTTP/1.1 {status} {_INTERIM_REASONS.get(status, 'Interim')}\r\n{fields}", 1 + number)


def chunk_size(size: int) -> bytes:
    """Return the line in front of a chunk of `size` bytes, which is not 0."""
    return b"%x\r\n" % size


def last_chunk(trailers: Headers) -> bytes:
    """Return the end of a chunked body. Raises `UnsendableAnswerError`."""
    if not trailers:
        return b"0\r\n\r\n"
    fields, number = trailers.written(_FRAMING)
    return _encoded(f"0\r\n{fields}", 1 + number)


def _told_length(response: Response, length: int | None) -> list[str]:
    if response.status < 200 or response.status == 204:
        return []
    told = response.headers.get("content-length")
    if told is not None:
        return [f"Content-Length: {told}\r\n"]
    # A HEAD that was answered with the GET's own body; an empty one tells nothing about the GET.
    return [f"Content-Length: {length}\r\n"] if length and response.status != 304 else []


def _encoded(text: str, lines: int) -> bytes:
    # One line break per line is all that the far side may see.
    if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
        raise UnsendableAnswerError("the answer's head has characters that HTTP/1.1 can't carry")
    try:
        return text.encode("latin-1") + b"\r\n"
    except UnicodeEncodeError as error:
        raise UnsendableAnswerError("the answer's head has characters beyond latin-1") from error
