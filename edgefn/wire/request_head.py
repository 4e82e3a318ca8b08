"""A request's head as it goes to an origin. Pure."""

import re

from edgefn.model.errors import EdgeError
from edgefn.model.headers import Headers
from edgefn.model.message import Request

# The last guard against a function or viewer that smuggles a line break: what doesn't match never leaves.
_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_HEAD = re.compile(rf"{_NAME} [^\x00-\x20\x7f]++ HTTP/1\.1\r\n(?:{_NAME}: [^\r\n\0]*+\r\n)*+\r\n")
_TRAILER = re.compile(rf"{_NAME}: [^\r\n\0]*+\r\n")
_FRAMING = frozenset({"connection", "content-length", "expect", "keep-alive", "transfer-encoding"})
_WITH_CONTENT = frozenset({"PATCH", "POST", "PUT"})


class UnsendableRequestError(EdgeError):
    """The request can't be written as HTTP/1.1: a floor above let something through."""


def asks_for_upgrade(headers: Headers) -> bool:
    """Return whether a 101 would be an answer to a request with these (RFC 9110 section 7.8)."""
    return "upgrade" in headers


def request_head(request: Request, origin_path: str) -> bytes:
    """Return request line, fields and framing. Raises `UnsendableRequestError`.

    A body of known length is announced by Content-Length, an unknown one goes in chunks (RFC 9112 section 6.2).
    """
    fields, number = request.headers.written(_FRAMING)
    framing = _framing(request)
    text = f"{request.method} {origin_path}{request.target} HTTP/1.1\r\n{fields}{framing}\r\n"
    expected = 2 + number + framing.count("\n")  # else a value holds lines of its own
    if _HEAD.fullmatch(text) is None or text.count("\n") != expected:
        raise UnsendableRequestError("the request has characters that HTTP/1.1 can't carry")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise UnsendableRequestError("the request has characters beyond latin-1") from error


def _framing(request: Request) -> str:
    length = request.body.length
    upgrade = "Connection: Upgrade\r\n" if asks_for_upgrade(request.headers) else ""
    if length is None:
        return f"{upgrade}Transfer-Encoding: chunked\r\n"
    if length or request.method in _WITH_CONTENT:
        return f"{upgrade}Content-Length: {length}\r\n"
    return upgrade


def chunk(data: bytes) -> bytes:
    """Return `data`, which is not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers) -> bytes:
    """Return the end of a chunked body. Trailer fields that can't be sent are left out."""
    lines = [f"{name}: {value}\r\n" for name, value in trailers]
    sendable = "".join(line for line in lines if _TRAILER.fullmatch(line))
    return b"0\r\n%b\r\n" % sendable.encode("latin-1", "replace")
