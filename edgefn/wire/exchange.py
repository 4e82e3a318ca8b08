"""One request of a viewer, and the way its answer goes out."""

from edgefn.model.errors import BadRequestError
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import Body, Request, Response, Viewer
from edgefn.model.trail import Trail
from edgefn.wire.answer_head import (
    Framing,
    UnsendableAnswerError,
    answer_head,
    chunk_size,
    closing,
    framing_of,
    interim_head,
    last_chunk,
)
from edgefn.wire.application import Application, Ready
from edgefn.wire.outgoing import Outgoing
from edgefn.wire.viewer_head import ViewerHead

_AT_ONCE = 262_144  # bytes of a body that may go out without waiting
_SLICE = 262_144  # bytes that are handed over before we look whether the viewer is slow
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_OPTIONS = {("1.1", True): "", ("1.1", False): "close", ("1.0", True): "keep-alive", ("1.0", False): "close"}

_NO_TRAIL = Trail()  # of what nobody logs

NEVER_ANSWERED = Response(0, "", NO_HEADERS)
"""Stands for the answer when the viewer left before there was one."""


class Exchange:
    """A request, and its answer on the way out.

    `keeps` is whether the connection may serve another request after it. `expecting`: the viewer waits for a
    100 before it sends its body. `answering`: a task has taken it on, and will tell of its end. `head` is the answer's
    as it was sent, `block` the request's as it came.
    """

    __slots__ = (
        "_outgoing", "_since", "answering", "application", "begun", "block", "expecting", "head", "id", "keeps",
        "method", "over", "request", "response", "trail", "version",
    )  # fmt: skip

    def __init__(self, application: Application, outgoing: Outgoing) -> None:
        self.application = application
        self.id, self.trail = "", _NO_TRAIL
        self._outgoing = outgoing
        self._since = outgoing.written
        self.method = ""
        self.version = "1.1"
        self.keeps = True
        self.expecting = False
        self.answering = False
        self.begun = False
        self.block = self.head = b""
        self.over = False
        self.request: Request | None = None
        self.response = NEVER_ANSWERED

    def open(self) -> None:
        """Begin the story of a request."""
        self.id, self.trail = self.application.open()

    def asked(self, block: bytes, head: ViewerHead, body: Body, viewer: Viewer) -> Request:
        """Return the request that this is about."""
        self.block = block
        self.open()
        self.keeps = head.keep_alive
        request = Request(
            head.method, head.path, head.query, head.headers, body, viewer,
            self.id, self.trail, head.version, None, self.interim,
        )  # fmt: skip
        self.be_about(request)
        return request

    def be_about(self, request: Request) -> None:
        """Take the request that this is about."""
        self.request, self.method, self.version = request, request.method, request.version
        self.id, self.trail = request.id, request.trail

    def interim(self, status: int, headers: Headers) -> None:
        """Send one 1xx response at once.

        Dropped when the final answer has begun, for HTTP/1.0, while the viewer is slow or when it has left, and when it
        can't be written.
        100 is ours alone to send, and 101 is final (RFC 9110 section 15.2).
        """
        if self._may_say_more() and 102 <= status <= 199:
            try:
                self._outgoing.write(interim_head(status, headers))
            except UnsendableAnswerError:
                return

    def proceed(self) -> None:
        """Tell a viewer that waits for it to send its body (RFC 9110 section 10.1.1)."""
        if self.expecting and self._may_say_more():
            self.expecting = False
            self._outgoing.write(_CONTINUE)

    def send_now(self, response: Response) -> bool:
        """Send a small answer that is all here. False: it needs waiting, and nothing was sent or taken.

        Raises `UnsendableAnswerError`, and the body is closed then.
        """
        body = response.body
        length = body.length
        if length is None or length > _AT_ONCE or response.status < 200:
            return False
        framing = framing_of(self.method, self.version, response.status, length)
        data = b"" if framing is Framing.NONE else body.buffered()
        if data is None:
            return False
        try:
            head = self._begin(response, framing, length)
            if framing is Framing.LENGTH and len(data) != length:
                raise UnsendableAnswerError("the answer's body is not as long as it announced")
        except UnsendableAnswerError:
            body.close()
            raise
        if framing is Framing.NONE:
            body.close()
        self._outgoing.write_whole(head, data)
        return True

    def send_ready(self, ready: Ready, *, last: bool) -> None:
        """Send an answer that is written already; the connection ends with it if that is to be the `last`."""
        self.begun = True
        self.keeps = self.keeps and not last
        self.head, self.response = ready.head, ready.shown
        self._outgoing.write_whole(ready.head if self.keeps else closing(ready.head), ready.body)

    async def send(self, response: Response) -> bool:
        """Send any answer but a tunnel; return whether all of it was sent. Closes its body in any case.

        Raises `EdgeError` when its body fails, when it can't be written, and when the viewer is gone.
        """
        body = response.body
        try:
            framing = framing_of(self.method, self.version, response.status, body.length)
            self._outgoing.write(self._begin(response, framing, body.length))
            if framing is Framing.NONE:
                return True
            if framing is Framing.CHUNKED:
                await self._send_chunks(body)
                return True
            return await self._send_bare(body, body.length)
        finally:
            body.close()

    def switch(self, response: Response) -> None:
        """Send the head of a 101. Raises `UnsendableAnswerError`, and the tunnel is closed then."""
        self.keeps = False
        self.begun = True
        self.response = response
        try:
            self._outgoing.write(answer_head(response, Framing.NONE, None, "Upgrade"))
        except UnsendableAnswerError:
            response.close()
            raise

    def tell(self, *, complete: bool) -> None:
        """Tell the application that this exchange is over."""
        self.over = True
        # Both may hold `interim`, and so us: a ring that only the GC would find.
        request, self.request = self.request, None
        response, self.response = self.response, NEVER_ANSWERED
        size = self._outgoing.written - self._since
        self.application.sent(request, self.id, self.trail, response, size, complete)
        if request is not None and complete and self.keeps and self.head and not self.answering:
            self.application.remember(self.block, request, self.head, response)

    def _may_say_more(self) -> bool:
        outgoing = self._outgoing
        return not (self.begun or self.over or outgoing.paused or outgoing.is_lost) and self.version == "1.1"

    def _begin(self, response: Response, framing: Framing, length: int | None) -> bytes:
        if framing is Framing.CLOSE:
            self.keeps = False
        head = self.head = answer_head(response, framing, length, _OPTIONS[self.version, self.keeps])
        self.begun = True
        self.response = response
        return head

    async def _send_bare(self, body: Body, length: int | None) -> bool:
        """Send a body of `length` bytes, or to the close; return whether it was neither shorter nor longer."""
        left = length
        while data := await body.read():
            if left is not None:
                left -= len(data)
                if left < 0:
                    return False
            view = memoryview(data)
            for start in range(0, len(data), _SLICE):
                self._outgoing.write(view[start : start + _SLICE])
                await self._outgoing.drained()
        return not left

    async def _send_chunks(self, body: Body) -> None:
        while data := await body.read():
            self._outgoing.write_all([chunk_size(len(data)), data, b"\r\n"])
            await self._outgoing.drained()
        self._outgoing.write(last_chunk(body.trailers))


def refuse(application: Application, outgoing: Outgoing, error: BadRequestError) -> bool:
    """Answer what is no request; return whether all of the answer was sent."""
    exchange = Exchange(application, outgoing)
    exchange.open()
    exchange.keeps = False
    response = application.refuse(error, exchange.id, exchange.trail)
    try:
        complete = exchange.send_now(response)
    except UnsendableAnswerError:
        complete = False
    exchange.tell(complete=complete)
    return complete
