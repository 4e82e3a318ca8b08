"""One connection to an origin: a request goes out, its response comes back, then the next one may follow."""

import asyncio
import select
from abc import ABC, abstractmethod
from functools import partial
from typing import Protocol, TypeAlias, cast

from edgefn.model.errors import EdgeError, OriginError, OriginFailure
from edgefn.model.headers import Headers
from edgefn.model.message import Body, BytesBody, Interim, Request, Response
from edgefn.model.origin import Origin
from edgefn.rules.hop_by_hop import HOP_BY_HOP, named_by_connection
from edgefn.rules.trailers import fit_for_trailers
from edgefn.wire.connecting import origin_failed
from edgefn.wire.next_turn import NextTurn
from edgefn.wire.patience import Patience
from edgefn.wire.request_head import asks_for_upgrade
from edgefn.wire.response_head import BrokenResponseError, ResponseHead, invalid
from edgefn.wire.response_reader import ResponseReader
from edgefn.wire.stream import StreamBody, Tap
from edgefn.wire.tunnel import Tunnel
from edgefn.wire.upload import Upload


class Owner(Protocol):
    """Who owns a connection, and hears what becomes of it. Each call comes from the event loop."""

    head_bound: int
    tunnel_idle: float

    def freed(self, connection: "OriginConnection", *, keepalive: float) -> None:
        """Take back a connection that may serve another request, within `keepalive` seconds."""

    def gone(self, connection: "OriginConnection") -> None:
        """Forget a connection. Called once."""

    def uploading(self, task: asyncio.Task[None]) -> None:
        """Own the task that sends a request body: await it before the loop ends."""


class Asked(Protocol):
    """What a connection must know of a request while it waits for the response."""

    @property
    def method(self) -> str:
        """Return its method."""

    @property
    def headers(self) -> Headers:
        """Return its headers."""

    @property
    def interim(self) -> Interim:
        """Return what passes a 1xx response on."""


class Taker(ABC):
    """What takes a response at once, in the place of a future. It gets one of them, or one exception."""

    __slots__ = ()

    @abstractmethod
    def done(self) -> bool:
        """Return whether it has got what it gets."""

    @abstractmethod
    def take(self, head: ResponseHead, content: bytes) -> None:
        """Take a response that is here as a whole."""

    @abstractmethod
    def set_result(self, result: Response) -> None:
        """Take a response whose body is still arriving."""

    @abstractmethod
    def set_exception(self, exception: EdgeError) -> None:
        """Take what went wrong instead."""


Answer: TypeAlias = asyncio.Future[Response] | Taker


class UnheardError(OriginError):
    """A connection used before was closed before the first byte of a response came.

    The origin most likely hung up while idle: an idempotent request may be sent again (RFC 9112 section 9.3.1).
    """


class OriginConnection(asyncio.Protocol):
    """Implements `ResponseSink`. What `ask` returns stands for the exchange until the response is complete."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._patience = Patience()
        self._reader = ResponseReader(self, owner.head_bound)
        self._answer: Answer | None = None
        self._body: StreamBody | None = None
        self._upload: Upload | None = None
        self._tunnel: Tunnel | None = None
        self._reading_paused = False
        self._body_is_full = False
        self._next_turn = NextTurn(self._loop, self._read_on)
        self._heard = False
        self._unsent = 0
        self._incoming = select.poll()
        self.alive = False
        self.served = 0

    # What the pool calls.

    def ask(self, request: Request, origin: Origin, head: bytes, content: bytes | None) -> "asyncio.Future[Response]":
        """Send a request; return what will be its response, or fail with an `EdgeError`.

        `content` is the whole body as it goes out; None: `request.body` is read and sent along the way.
        """
        answer: asyncio.Future[Response] = self._loop.create_future()
        self.begin(request, origin, head, content or b"", answer)
        if content is None:
            self._begin_upload(request.body)
        return answer

    def begin(self, asked: Asked, origin: Origin, head: bytes, content: bytes, answer: Answer) -> None:
        """Send a request that is all here; `answer` is what will be its response."""
        self._answer = answer
        self._asked = asked
        self._origin = origin
        self._heard = False
        self._reader.expect(asked.method)
        self._patience.begin(self._loop.time(), origin.response_timeout, origin.completion_timeout)
        self._transport.write(head + content if content else head)

    def abandon(self, answer: Answer) -> None:
        """Drop the connection if it is still busy with `answer`; nobody awaits that any more."""
        if answer is self._answer:
            self.drop()

    def is_quiet(self) -> bool:
        """Return whether nothing has come since the last response, nor an end, though the loop may not know of it yet.

        What an origin has said unasked would be taken for the response to whatever is asked next, and then each
        response for the one to the request after it (RFC 9112 section 9.2).
        """
        return not self._incoming.poll(0)

    def drop(self) -> None:
        """Close at once; whoever waits for a response gets an error."""
        if self._answer is not None:
            self._fail(self._error(OriginFailure.CLOSED, "the connection was dropped by us"))
        self._close()

    def check(self, now: float) -> None:
        """Let the origin fail if it has taken too long. `now` is loop time."""
        if self._tunnel is not None:
            if self._tunnel.idle_for(now) >= self._owner.tunnel_idle:
                self._tunnel.close()
        elif self._answer is not None:
            self._check_unsent(now)
            why = self._patience.verdict(now)
            if why is not None:
                self._fail(self._error(OriginFailure.READ_TIMEOUT, why))

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be alive."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._incoming.register(sock.fileno(), select.POLLIN)
        self.alive = True

    def data_received(self, data: bytes) -> None:
        """Read on, or hang up on an origin that speaks unasked (RFC 9112 section 9.2)."""
        if self._answer is None:
            self._close()
            return
        self._heard = True
        self._patience.heard(self._loop.time())
        self._read(data)

    def eof_received(self) -> None:
        """Take the end of the connection, which may be the end of the body."""
        while self._answer is not None and self._reader.behind:
            self._read(b"")
        self._finish_reading(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection."""
        self._finish_reading(exc)
        if self._upload is not None:
            self._upload.resume()
        self._next_turn.stop()
        del self._reader  # it holds us, and nothing comes any more

    def pause_writing(self) -> None:
        """Let the upload wait for the origin."""
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        """Let the upload go on."""
        if self._upload is not None:
            self._upload.resume()

    # What the reader calls.

    def interim(self, head: ResponseHead) -> None:
        """Pass a 1xx on. A 100 is an answer to `Expect`, which we never send (RFC 9110 section 15.2.1)."""
        if head.status != 100:
            gone = HOP_BY_HOP | named_by_connection(head.headers)
            self._asked.interim(head.status, head.headers.less(gone))

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """Hand the connection over to a tunnel. Raises `BrokenResponseError` if nobody asked for one."""
        if not asks_for_upgrade(self._asked.headers):
            raise invalid("101 came, but no upgrade was asked for")
        answer = self._answer
        self._stop_upload()
        self._tunnel = Tunnel(self._transport, rest, self._forget)
        if answer is not None and not answer.done():
            answer.set_result(Response(101, head.reason, head.headers, tunnel=self._tunnel))

    def whole(self, head: ResponseHead, content: bytes, *, reusable: bool) -> None:
        """Be free, and deliver a complete response."""
        answer = self._answer
        self._finish(reusable=reusable)
        if isinstance(answer, Taker):
            answer.take(head, content)
        else:
            _deliver(answer, head, BytesBody(content))

    def began(self, head: ResponseHead, length: int | None) -> None:
        """Deliver a response whose body is still arriving."""
        answer = self._answer
        tap = Tap(self._pause, partial(self._resume, answer), partial(self._body_closed, answer))
        self._body = StreamBody(length, tap, None, self._never_stalled)
        _deliver(answer, head, self._body)

    def came(self, content: bytes) -> None:
        """Feed the body."""
        if self._body is not None:
            self._body.feed(content)

    def ended(self, trailers: Headers, *, reusable: bool) -> None:
        """End the body, and be free."""
        body = self._body
        self._finish(reusable=reusable)
        if body is not None:
            body.finish(fit_for_trailers(trailers))

    # Within.

    def _read(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except BrokenResponseError as broken:
            self._fail(self._error(broken.failure, broken.why))
        except EdgeError as error:  # from passing an interim response on
            self._fail(error)
        else:
            if self._answer is not None and self._reader.behind:
                self._next_turn.ask()
                self._steer()

    def _read_on(self) -> None:
        if self._answer is not None and self._reader.behind:
            self._read(b"")
        if self.alive:
            self._steer()

    def _finish(self, *, reusable: bool) -> None:
        """End the exchange. A request that is not out yet will never be (RFC 9112 section 9.3)."""
        sent = (self._upload is None or self._upload.done) and not self._transport.get_write_buffer_size()
        self._stop_upload()
        self._answer = None
        self._body = None
        self.served += 1
        self._body_is_full = False
        self._next_turn.cancel()
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if reusable and sent and self.alive:
            self._owner.freed(self, keepalive=self._origin.keepalive_timeout)
        else:
            self._close()

    def _finish_reading(self, exc: Exception | None) -> None:
        if self._answer is not None:
            try:
                if exc is not None:
                    raise BrokenResponseError(OriginFailure.CLOSED, f"the connection was lost: {exc}")
                self._reader.end()
            except BrokenResponseError as broken:
                self._fail(self._lost(broken))
        self._close()

    def _lost(self, broken: BrokenResponseError) -> OriginError:
        if self._upload is not None and not self._upload.done:
            return self._error(OriginFailure.WRITE, f"{broken.why}; the request was not sent wholly")
        error = self._error(broken.failure, broken.why)
        return error if self._heard or not self.served else UnheardError(error.failure, str(error))

    def _error(self, failure: OriginFailure, why: str) -> OriginError:
        return origin_failed(failure, self._origin, why)

    def _fail(self, error: EdgeError) -> None:
        """End the exchange with `error`, wherever it stands, and the connection with it."""
        answer, body = self._answer, self._body
        self._answer = self._body = None
        self._stop_upload()
        self._close()
        if answer is not None and not answer.done():
            answer.set_exception(error)
        elif body is not None:
            body.fail(error)

    def _close(self) -> None:
        if self.alive:
            self._transport.abort()
        self._forget()

    def _forget(self) -> None:
        if self.alive:
            self.alive = False
            self._owner.gone(self)

    def _begin_upload(self, body: Body) -> None:
        self._upload = Upload(self._transport, body, self._patience, self._fail)
        self._owner.uploading(self._upload.start())

    def _stop_upload(self) -> None:
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None

    def _check_unsent(self, now: float) -> None:
        """An origin that takes the request slowly is at least not silent."""
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent = unsent
            self._patience.heard(now)

    def _pause(self) -> None:
        self._body_is_full = True
        self._steer()

    def _resume(self, answer: Answer | None) -> None:
        if answer is self._answer:
            self._body_is_full = False
            self._steer()

    def _steer(self) -> None:
        """Read on or not. While we do not, the silence is not the origin's doing."""
        pause = self._body_is_full or self._next_turn.is_due
        if pause and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
            self._patience.hold(self._loop.time())
        elif self._reading_paused and not pause:
            self._reading_paused = False
            self._transport.resume_reading()
            self._patience.release(self._loop.time())

    def _body_closed(self, answer: Answer | None, complete: bool) -> None:  # noqa: FBT001 the tap's shape
        if not complete and answer is not None and answer is self._answer:
            self.drop()

    def _never_stalled(self) -> OriginError:
        return self._error(OriginFailure.READ_TIMEOUT, "nothing came")


def response_of(head: ResponseHead, body: Body) -> Response:
    """Return the response of an origin."""
    _, status, reason, headers = head
    if "transfer-encoding" in headers:
        headers = headers.without("transfer-encoding")
    return Response(status, reason, headers, body, status >= 400, status)


def _deliver(answer: Answer | None, head: ResponseHead, body: Body) -> None:
    if answer is not None and not answer.done():
        answer.set_result(response_of(head, body))
