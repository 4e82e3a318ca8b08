"""A viewer's request head: its grammar, its limits, and what it says about the body behind it. Pure.

One strict grammar of our own instead of llhttp's: llhttp knows a fixed list of methods and refuses all others
(RFC 9110 section 9.1 lets unknown ones pass), refuses bytes above 0x7F in a target, and would still need a scan in
front of it. Two possessive patterns over the whole head cost less than llhttp and that scan together, and can't
backtrack. What doesn't match never gets any further.
"""

import re
from typing import NamedTuple

from edgefn.model.errors import BadRequestError
from edgefn.model.headers import Headers, Line
from edgefn.model.settings import ViewerLimits
from edgefn.rules.hop_by_hop import named_by_connection, without_named
from edgefn.rules.trailers import fit_for_trailers

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
FIELDS = rf"(?:{_NAME}:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
"""A pattern for all field lines of a head (RFC 9112 section 5): no folds, no controls, no blanks before the colon."""

_REQUEST_LINE = re.compile(rf"({_NAME}) ([\x21-\x7e\x80-\xff]++) HTTP/1\.([01])\r\n")
_FIELD_LINES = re.compile(FIELDS)
_FIELD = re.compile(r"([^:\r]++):[ \t]*+([^\r]*+)\r\n")
_OTHER_VERSION = re.compile(rf"{_NAME} [\x21-\x7e\x80-\xff]++ HTTP/[0-9]\.[0-9]\r\n")
_EMPTY_LINES = re.compile(rb"(?:\r\n){0,16}+")
_NEVER_IN_A_HEAD = re.compile(rb"(?<!\r)\n|\r[^\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_ABSOLUTE = re.compile(r"https?://([^/?]*+)([^?]*+)(?:\?(.*+))?+", re.IGNORECASE)
# No comma, though RFC 3986 has it in names: two Host lines joined by somebody before us would look like one.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-._~%!$&'()*+;=]++)(?::[0-9]{0,5})?+")
_LENGTH = re.compile(r"[0-9]++")
_REMEMBERED = 2_048  # the most characters of fields that a connection keeps while it waits
_TELLING = frozenset({"connection", "content-length", "expect", "transfer-encoding"})
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})


class ViewerHead(NamedTuple):
    """A request line and its fields. `length` is the body's, None when it comes in chunks."""

    method: str
    path: str
    query: str | None
    headers: Headers
    version: str
    length: int | None
    keep_alive: bool
    expects_continue: bool


def past_empty_lines(data: bytes) -> bytes:
    """Return what is behind a few empty lines: in front of a request they are nothing (RFC 9112 section 2.2)."""
    lines = _EMPTY_LINES.match(data)
    return data if lines is None else data[lines.end() :]


def check_unfinished(data: bytes, since: int, limits: ViewerLimits) -> None:
    """Refuse the beginning of a head that can't become a good one; `since` bytes were checked before.

    Raises `BadRequestError`.
    """
    if _NEVER_IN_A_HEAD.search(data, max(0, since - 1)) is not None:
        raise BadRequestError(400, "bare CR, bare LF or a control character in the request's head")
    if len(data) > limits.headers_size:
        raise _too_big(data, limits)


class _Fields(NamedTuple):
    """The fields of a request, and what they say of its body and its connection."""

    headers: Headers
    length: int | None
    keep_alive: bool
    expects_continue: bool


class HeadReader:
    """Reads the heads of one connection.

    Viewers repeat their fields from one request to the next. When they come again to the letter, what was read and
    checked the last time is the answer again.
    """

    __slots__ = ("_asked", "_block", "_head", "_last")

    def __init__(self) -> None:
        self._asked: tuple[str, str, ViewerLimits] | None = None
        self._last: _Fields | None = None
        self._block = b""
        self._head: tuple[ViewerLimits, ViewerHead] | None = None

    def read(self, block: bytes, limits: ViewerLimits) -> ViewerHead:
        """Return the head in `block`, which ends with the empty line. Raises `BadRequestError`."""
        if self._head is not None and block == self._block and self._head[0] is limits:
            return self._head[1]
        head = self._read(block, limits)
        if len(block) <= _REMEMBERED:
            self._block, self._head = block, (limits, head)
        return head

    def _read(self, block: bytes, limits: ViewerLimits) -> ViewerHead:
        if len(block) > limits.headers_size:
            raise _too_big(block, limits)
        text = block.decode("latin-1")
        match = _REQUEST_LINE.match(text)
        if match is None:
            raise _malformed(text)
        method, target, minor = match.groups()
        if len(target) > limits.url_size:
            raise BadRequestError(414, f"the URL is longer than {limits.url_size} bytes")
        version = "1.1" if minor == "1" else "1.0"
        path, query, authority = _split_target(method, target)
        headers, length, keep_alive, expects = self._fields(text[match.end() : -2], version, limits)
        if authority is not None:
            headers = headers.replacing("host", authority)
        return ViewerHead(method, path, query, headers, version, length, keep_alive, expects)

    def _fields(self, text: str, version: str, limits: ViewerLimits) -> _Fields:
        asked = (text, version, limits)
        if self._last is not None and self._asked == asked:
            return self._last
        fields = _read_fields(text, version, limits)
        if len(text) <= _REMEMBERED:
            self._asked, self._last = asked, fields
        return fields


def _read_fields(text: str, version: str, limits: ViewerLimits) -> _Fields:
    """Return the fields in `text`, checked. Raises `BadRequestError`."""
    if _FIELD_LINES.fullmatch(text) is None:
        raise BadRequestError(400, "a header line is malformed")
    headers = Headers(_lines(text, limits))
    _check_host(headers, version)
    if _TELLING.isdisjoint(headers.names()):
        return _Fields(headers, 0, version == "1.1", expects_continue=False)
    length = _body_length(headers, version, limits)
    keep_alive = _keeps_alive(headers, version)
    return _Fields(without_named(headers), length, keep_alive, _expects_continue(headers, version))


def read_trailers(lines: Headers) -> Headers:
    """Return the trailer fields that go on, checked.

    Raises `BadRequestError` for bad bytes, framing and routing fields.
    """
    if _FIELD_LINES.fullmatch("".join(f"{name}:{value}\r\n" for name, value in lines)) is None:
        raise BadRequestError(400, "a trailer field is malformed")
    if any(name in lines for name in ("transfer-encoding", "content-length", "host", "connection")):
        raise BadRequestError(400, "a trailer field that belongs into the head (RFC 9110 section 6.5.1)")
    return fit_for_trailers(lines)


def _lines(fields: str, limits: ViewerLimits) -> list[Line]:
    lines: list[Line] = _FIELD.findall(fields)
    if len(lines) > limits.headers_count:
        raise BadRequestError(494, f"more than {limits.headers_count} header lines")
    if " \r" in fields or "\t\r" in fields:
        return [(name, value.rstrip(" \t")) for name, value in lines]
    return lines


def _too_big(data: bytes, limits: ViewerLimits) -> BadRequestError:
    words = data.split(b"\r\n", 1)[0].split(b" ")
    if len(words) > 1 and len(words[1]) > limits.url_size:
        return BadRequestError(414, f"the URL is longer than {limits.url_size} bytes")
    return BadRequestError(494, f"request line and headers are longer than {limits.headers_size} bytes")


def _malformed(text: str) -> BadRequestError:
    if _OTHER_VERSION.match(text) is None:
        return BadRequestError(400, "the request line is malformed")
    version = text[: text.index("\r\n")].rpartition("/")[2]
    return BadRequestError(505, f"HTTP/{version} is not spoken here")


def _split_target(method: str, target: str) -> tuple[str, str | None, str | None]:
    """Return path, query, and the authority of an absolute-form (RFC 9112 section 3.2)."""
    if method == "CONNECT":
        raise BadRequestError(501, "CONNECT is not served here")
    if "#" in target:
        raise BadRequestError(400, "a fragment in the request target")
    if target[0] == "/":
        path, mark, query = target.partition("?")
        return path, query if mark else None, None
    if target == "*" and method == "OPTIONS":
        return target, None, None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or _HOST.fullmatch(absolute[1]) is None:
        raise BadRequestError(400, "the request target is in none of the forms of RFC 9112 section 3.2")
    empty = "*" if method == "OPTIONS" and absolute[3] is None else "/"
    return absolute[2] or empty, absolute[3], absolute[1]


def _check_host(headers: Headers, version: str) -> None:
    """RFC 9112 section 3.2: exactly one valid Host; HTTP/1.0 may do without."""
    hosts = headers.get_all("host")
    if len(hosts) > 1:
        raise BadRequestError(400, "Host is given more than once")
    if not hosts:
        if version == "1.1":
            raise BadRequestError(400, "Host is missing")
    elif _HOST.fullmatch(hosts[0]) is None:
        raise BadRequestError(400, "Host is no host")


def _body_length(headers: Headers, version: str, limits: ViewerLimits) -> int | None:
    """RFC 9112 section 6.3, with every contradiction refused."""
    if "transfer-encoding" in headers:
        _check_codings(headers, version)
        return None
    lengths = headers.get_all("content-length")
    if not lengths:
        return 0
    if len(lengths) > 1:
        raise BadRequestError(400, "Content-Length is given more than once")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise BadRequestError(400, "Content-Length is not a number")
    digits = lengths[0].lstrip("0") or "0"
    if len(digits) > 18 or int(digits) > limits.body_size:
        raise BadRequestError(413, f"the body is longer than {limits.body_size} bytes")
    return int(digits)


def _check_codings(headers: Headers, version: str) -> None:
    """RFC 9112 section 6.1: only `chunked`, only once, only alone, only in HTTP/1.1."""
    if version == "1.0":
        raise BadRequestError(400, "Transfer-Encoding in HTTP/1.0")
    if "content-length" in headers:
        raise BadRequestError(400, "both Transfer-Encoding and Content-Length are given")
    values = headers.get_all("transfer-encoding")
    if len(values) == 1 and values[0].lower() == "chunked":
        return
    *before, last = [coding.strip(" \t").lower() for coding in ",".join(values).split(",")]
    if before and last == "chunked" and _CODINGS.issuperset(before):
        raise BadRequestError(501, "transfer codings other than chunked are not served here")
    raise BadRequestError(400, "Transfer-Encoding is not chunked")


def _keeps_alive(headers: Headers, version: str) -> bool:
    """RFC 9112 section 9.3."""
    named = named_by_connection(headers)
    return "close" not in named and (version == "1.1" or "keep-alive" in named)


def _expects_continue(headers: Headers, version: str) -> bool:
    """RFC 9110 section 10.1.1."""
    expected = headers.joined("expect")
    if expected is None:
        return False
    if expected.lower() != "100-continue":
        raise BadRequestError(417, "an expectation other than 100-continue")
    return version == "1.1"
