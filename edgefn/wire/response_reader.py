"""An origin's bytes, made into responses. No I/O: what is found goes to a `ResponseSink`."""

import re
from typing import NamedTuple, Protocol

from edgefn.model.errors import OriginFailure
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.wire.dechunking import Dechunker
from edgefn.wire.response_head import (
    BrokenResponseError,
    Delimiter,
    ResponseHead,
    body_framing,
    invalid,
    keeps_alive,
    read_head,
)

_MAX_INTERIMS = 100
_BARE_LF = re.compile(rb"(?<!\r)\n")


class ResponseSink(Protocol):
    """Takes what a `ResponseReader` finds. `reusable`: nothing speaks against another request on the connection."""

    def interim(self, head: ResponseHead) -> None:
        """Take a 1xx response other than 101."""

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Take a 101 response; `rest` is the first bytes of the new protocol. Nothing is read any more."""

    def whole(self, head: ResponseHead, content: bytes, *, reusable: bool) -> None:
        """Take a complete response, instead of the next three calls."""

    def began(self, head: ResponseHead, length: int | None) -> None:
        """Take a final response whose body is still arriving."""

    def came(self, content: bytes) -> None:
        """Take the next bytes of that body."""

    def ended(self, trailers: Headers, *, reusable: bool) -> None:
        """Take that body's end."""


class _Framed(NamedTuple):
    """A head, and what it says of the body behind it: as long as the next one is the same, nothing is read anew."""

    block: bytes
    method: str
    head: ResponseHead
    framing: int | Delimiter
    keeps_alive: bool


class ResponseReader:
    """Reads the responses of one connection, one request at a time."""

    __slots__ = ("_dechunker", "_held", "_interims", "_keeps_alive", "_last", "_left", "_limit", "_method", "_sink")

    def __init__(self, sink: ResponseSink, head_bound: int) -> None:
        self._sink = sink
        self._limit = head_bound
        self._method = ""
        self._held = bytearray()
        self._interims = 0
        self._keeps_alive = False
        self._last: _Framed | None = None
        self._left: int | Delimiter | None = None
        self._dechunker: Dechunker | None = None

    def expect(self, method: str) -> None:
        """Make ready for the response to a `method` request."""
        self._method = method
        self._interims = 0
        self._left = None
        self._dechunker = None

    @property
    def behind(self) -> bool:
        """Return whether more of what it was fed is to be decoded, by feeding it again: at best in the next turn."""
        return self._dechunker is not None and self._dechunker.behind

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises `BrokenResponseError`; after that, read no more."""
        if self._left is None:
            self._feed_head(data)
        else:
            self._feed_body(data)

    def end(self) -> None:
        """Take the end of the connection. Raises `BrokenResponseError` unless that is what ends the body."""
        if self._left is Delimiter.CLOSE:
            self._sink.ended(NO_HEADERS, reusable=False)
        elif self._left is None:
            raise BrokenResponseError(OriginFailure.CLOSED, "the connection was closed before a response came")
        else:
            raise BrokenResponseError(OriginFailure.CLOSED, "the connection was closed in the middle of the body")

    def _feed_head(self, data: bytes) -> None:
        scanned = len(self._held)
        if scanned:
            self._held += data
            data = bytes(self._held) if self._held.find(b"\r\n\r\n", max(0, scanned - 3)) >= 0 else b""
            if not data:
                self._check_unfinished(scanned)
                return
            self._held.clear()
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._held += data
                self._check_unfinished(0)
                return
            if end > self._limit:
                raise self._too_big()
            block, data = data[: end + 2], data[end + 4 :]
            last = self._last
            if last is not None and last.block == block and last.method == self._method:
                self._begin(last, data)
                return
            head = read_head(block)
            if head.status >= 200:
                self._last = _Framed(block, self._method, head, body_framing(head, self._method), keeps_alive(head))
                self._begin(self._last, data)
                return
            if head.status == 101:
                self._sink.switched(head, data)
                return
            self._take_interim(head)

    def _take_interim(self, head: ResponseHead) -> None:
        self._interims += 1
        if self._interims > _MAX_INTERIMS:
            raise invalid("there is no end of interim responses")
        self._sink.interim(head)

    def _check_unfinished(self, scanned: int) -> None:
        """Refuse early what can't become a head: otherwise garbage would look like a slow origin."""
        if not self._held.startswith(b"HTTP/1."[: len(self._held)]):
            raise invalid(f"this is not HTTP/1: {bytes(self._held[:64])!r}")
        if _BARE_LF.search(self._held, max(0, scanned - 1)):
            raise invalid("a header line is malformed")
        if len(self._held) > self._limit:
            raise self._too_big()

    def _too_big(self) -> BrokenResponseError:
        return BrokenResponseError(OriginFailure.HEADER_TOO_BIG, f"the header is longer than {self._limit} bytes")

    def _begin(self, framed: _Framed, rest: bytes) -> None:
        head, framing, self._keeps_alive = framed.head, framed.framing, framed.keeps_alive
        if isinstance(framing, int):
            spare = len(rest) - framing
            if spare >= 0:
                self._sink.whole(head, rest[:framing] if spare else rest, reusable=spare == 0 and self._keeps_alive)
                return
        elif framing is Delimiter.CHUNKED:
            self._begin_chunked(head, rest)
            return
        self._left = framing
        self._sink.began(head, framing if isinstance(framing, int) else None)
        if rest:
            self._feed_body(rest)

    def _begin_chunked(self, head: ResponseHead, rest: bytes) -> None:
        dechunker = Dechunker(self._limit)
        content = dechunker.feed(rest)
        if dechunker.done and not dechunker.trailers:
            self._sink.whole(head, content, reusable=self._keeps_alive and not dechunker.rest)
            return
        self._left = Delimiter.CHUNKED
        self._dechunker = dechunker
        self._sink.began(head, None)
        self._take_chunks(dechunker, content)

    def _feed_body(self, data: bytes) -> None:
        if self._dechunker is not None:
            self._take_chunks(self._dechunker, self._dechunker.feed(data))
        elif isinstance(self._left, int):
            self._take_counted(self._left, data)
        else:
            self._sink.came(data)

    def _take_chunks(self, dechunker: Dechunker, content: bytes) -> None:
        if content:
            self._sink.came(content)
        if dechunker.done:
            self._sink.ended(dechunker.trailers, reusable=self._keeps_alive and not dechunker.rest)

    def _take_counted(self, left: int, data: bytes) -> None:
        spare = len(data) - left
        self._sink.came(data[:left] if spare > 0 else data)
        self._left = max(0, -spare)
        if spare >= 0:
            self._sink.ended(NO_HEADERS, reusable=spare == 0 and self._keeps_alive)
