"""One viewer connection: bytes in, requests up, answers down, in order, one at a time (RFC 9112).

READ FIRST: `_advance` takes steps while it can; `_over` decides what becomes of the connection after an answer.
A request that the application answers at once goes from `data_received` to `transport.write` without a task.
"""

import asyncio
from typing import cast

from edgefn.model.errors import BadRequestError, EdgeError, ViewerGoneError
from edgefn.model.message import Body, BytesBody, Duplex, Request, Response, no_body
from edgefn.model.settings import ViewerLimits
from edgefn.wire.answer_head import UnsendableAnswerError
from edgefn.wire.application import Application, Pending, Ready
from edgefn.wire.attendant import Attendant
from edgefn.wire.connections import Connections, State, viewer_of
from edgefn.wire.deadline import Deadline
from edgefn.wire.exchange import NEVER_ANSWERED, Exchange, refuse
from edgefn.wire.incoming_body import IncomingBody, too_slow
from edgefn.wire.next_turn import NextTurn
from edgefn.wire.outgoing import Outgoing
from edgefn.wire.reading import Reading
from edgefn.wire.stream import StreamBody, Tap
from edgefn.wire.upgraded import pump, viewer_bytes
from edgefn.wire.viewer_head import HeadReader, ViewerHead, check_unfinished, past_empty_lines

_BURST = 32  # steps in one turn of the loop: pipelined requests must not starve the other viewers
_PIPELINED = 65_536  # bytes that are read ahead while an answer is under way
_DRAIN_TIME = 2.0  # seconds for the rest of a body that nobody wants
_LINGER_TIME = 1.0  # seconds
_TURNED_AWAY = 64  # connections beyond the limit that get an answer


class Inbound(asyncio.Protocol):
    """A viewer connection, in the care of `connections`."""

    def __init__(self, application: Application, limits: ViewerLimits, connections: Connections) -> None:
        self._application, self._limits = application, limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._expire)
        self._state = State.OPEN
        self._buffer, self._heads = b"", HeadReader()
        self._checked, self._in_head = 0, False
        self._exchange: Exchange | None = None
        self._incoming: IncomingBody | None = None
        self._tunnel: StreamBody | None = None
        self._pending: Pending | None = None
        self._attendant = Attendant(connections.run)
        self._next_turn = NextTurn(self._loop, self._continue)
        self._held, self._ended, self._last = False, False, False

    # What the transport tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from asyncio's
        self._outgoing = Outgoing(self._transport, self._loop, self._limits.stall_timeout)
        self._reading = Reading(self._transport)
        self._viewer = viewer_of(self._transport)
        self._connections.add(self)
        excess = len(self._connections) - self._limits.connections
        if excess > _TURNED_AWAY:
            self.abort()
        elif excess > 0:
            self._refuse(BadRequestError(503, "too many connections"))
        elif self._state is State.OPEN:
            self._deadline.set(self._limits.headers_timeout)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self._tunnel is not None:
            self._tunnel.feed(data)
        elif self._state is State.OPEN:
            self._buffer = self._buffer + data if self._buffer else data
            self._advance()

    def eof_received(self) -> bool:
        """Take note that the viewer sends no more; it may still wait for its answers."""
        self._ended = True
        if self._tunnel is not None:
            self._tunnel.finish()
        elif self._state is State.LINGERING:
            self._close()
        else:
            while self._incoming is not None and self._incoming.behind:
                self._take_body(self._incoming)
            if self._incoming is not None:
                self._incoming.stream.fail(ViewerGoneError("the viewer ended before its request did"))
            if self._exchange is not None:
                self._await_answer()
            self._settle()
        return self._viewer.tls is None

    def pause_writing(self) -> None:
        """Take note that the viewer is slow."""
        self._outgoing.pause()

    def resume_writing(self) -> None:
        """Go on with what the viewer was too slow for."""
        self._outgoing.resume()
        self._advance()

    def connection_lost(self, _: Exception | None) -> None:
        """Stop everything that was done for this viewer."""
        self._state = State.CLOSED
        self._deadline.stop()
        self._outgoing.lost()
        self._next_turn.stop()
        gone = ViewerGoneError("the viewer is gone")
        if self._tunnel is not None:
            self._tunnel.fail(gone)
        if self._incoming is not None:
            self._incoming.stream.fail(gone)
        self._attendant.dismiss()
        if self._pending is not None:
            self._pending.abandon()
        if self._exchange is not None and not self._exchange.answering:
            self._exchange.tell(complete=False)  # its answer was never begun
        self._connections.remove(self)

    # What the registry tells us

    def adopt(self, application: Application, limits: ViewerLimits) -> None:
        """Use these from the next request on."""
        self._application, self._limits = application, limits
        self._outgoing.stall_timeout = limits.stall_timeout

    def shut_down(self) -> None:
        """Close at once when idle, else after the answer that is under way."""
        self._last = True
        if self._state is State.OPEN and self._exchange is None and not (self._buffer or self._incoming):
            self._close()

    def abort(self) -> None:
        """Drop the connection, whatever it is doing."""
        self._state = State.CLOSED
        self._deadline.stop()
        self._outgoing.abort()

    # From bytes to requests

    def _advance(self) -> None:
        """Serve what the buffer holds, for a bounded number of steps."""
        steps = 0
        while self._buffer and not self._next_turn.is_due and self._step():
            if (steps := steps + 1) == _BURST:
                self._next_turn.ask()
        if self._buffer or self._ended or self._next_turn.is_due or not self._reading.is_on:
            self._settle()

    def _continue(self) -> None:
        if self._incoming is not None and self._state is State.OPEN:
            self._take_body(self._incoming)  # which may have more of it than the buffer has
        self._advance()

    def _step(self) -> bool:
        """Take one step; return whether another may follow at once."""
        if self._state is not State.OPEN:
            return False
        if self._incoming is not None:
            return self._take_body(self._incoming)
        if self._exchange is not None or self._outgoing.paused:
            return False
        return self._take_head()

    def _settle(self) -> None:
        """Read on or not, and close when the viewer has ended and nothing is left to answer."""
        if self._state is not State.OPEN:
            return
        self._steer()
        still_to_serve = self._buffer and self._outgoing.paused
        if self._ended and self._exchange is None and not self._next_turn.is_due and not still_to_serve:
            self._close()

    def _steer(self) -> None:
        waiting = self._exchange is not None or self._outgoing.paused
        hold = (
            self._held
            or self._next_turn.is_due
            or (waiting and len(self._buffer) > _PIPELINED)
            or (self._exchange is not None and self._incoming is not None and self._incoming.hopeless)
        )
        if not self._ended:
            self._reading.turn(on=not hold)

    def _take_head(self) -> bool:
        if self._buffer[0] == 0x0D:
            self._buffer, self._checked = past_empty_lines(self._buffer), 0
            if not self._buffer:
                return False
        end = self._buffer.find(b"\r\n\r\n", max(0, self._checked - 3))
        try:
            if end < 0:
                self._await_rest_of_head()
            else:
                block, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
                self._checked, self._in_head = 0, False
                if not self._served_again(block):
                    self._serve(self._heads.read(block, self._limits), block)
        except BadRequestError as error:
            self._refuse(error)
            return False
        return end >= 0

    def _await_rest_of_head(self) -> None:
        check_unfinished(self._buffer, self._checked, self._limits)
        self._checked = len(self._buffer)
        if self._buffer and not self._in_head:
            self._in_head = True
            self._deadline.set(self._limits.headers_timeout)

    def _take_body(self, incoming: IncomingBody) -> bool:
        if incoming.broken:
            self._buffer = b""
            return False
        if self._exchange is not None:
            self._exchange.expecting = False
        self._buffer = incoming.feed(self._buffer)
        if incoming.done:
            self._incoming = None
            if self._exchange is None:
                self._await_next()
            return True
        if self._exchange is None and incoming.hopeless:
            self._linger()
        elif incoming.behind:
            self._next_turn.ask()
        return False

    # From requests to answers

    def _served_again(self, block: bytes) -> bool:
        again = self._application.answer_again
        found = None if self._last or self._ended else again(block, self._viewer, self._arrived)
        if isinstance(found, tuple):
            self._outgoing.write_whole(*found)
            self._await_next()
        elif found is not None:
            self._exchange, self._pending = Exchange(self._application, self._outgoing), found
            found.interim = self._exchange.interim
            self._await_answer()
        return found is not None

    def _serve(self, head: ViewerHead, block: bytes) -> None:
        application = self._application
        exchange = self._exchange = Exchange(application, self._outgoing)
        request = exchange.asked(block, head, self._body(head, exchange), self._viewer)
        found = application.answer_now(request, self._arrived)
        if isinstance(found, Response) and self._sent_now(exchange, found):
            return
        self._await_answer()
        if found is None or isinstance(found, Response | Request):
            self._attendant.do(self._answer(exchange, request, found), found if isinstance(found, Response) else None)
        else:
            self._pending = found

    def _arrived(self, found: Response | Ready | None) -> None:
        """Take an answer that was pending."""
        pending, exchange, self._pending = self._pending, self._exchange, None
        if self._state is State.CLOSED or exchange is None or pending is None:
            return (found or NEVER_ANSWERED).close()
        if isinstance(found, Ready):
            exchange.send_ready(found, last=self._last)
            self._over(exchange, complete=True)
        else:
            exchange.be_about(pending.request)
            if found is None or not self._sent_now(exchange, found):
                return self._attendant.do(self._answer(exchange, pending.request, found), found)
            pending.sent(exchange.head)
        return self._advance()

    def _await_answer(self) -> None:
        """Give an answer all the time it takes; but one who has ended may well have hung up: a FIN says no more."""
        self._deadline.set(self._limits.half_close_timeout) if self._ended else self._deadline.clear()

    def _body(self, head: ViewerHead, exchange: Exchange) -> Body:
        length = head.length
        if length == 0:
            return no_body()
        if length is not None and len(self._buffer) >= length:
            data, self._buffer = self._buffer[:length], self._buffer[length:]
            return BytesBody(data)
        tap = Tap(self._hold, self._release, self._release, exchange.proceed)
        stream = StreamBody(length, tap, self._limits.stall_timeout, too_slow)
        exchange.expecting = head.expects_continue
        self._incoming = IncomingBody(length, self._limits.body_size, stream)
        if self._buffer:  # at once, for a whole body may be here, so that nobody has to wait for it
            self._take_body(self._incoming)
        return stream

    def _sent_now(self, exchange: Exchange, response: Response) -> bool:
        self._weigh(exchange)
        try:
            if not exchange.send_now(response):
                return False
        except UnsendableAnswerError:
            self._over(exchange, complete=False)
        else:
            self._over(exchange, complete=True)
        return True

    async def _answer(self, exchange: Exchange, request: Request, found: Response | Request | None) -> None:
        exchange.answering = True
        complete = False
        try:
            if not isinstance(found, Response):
                found = await exchange.application.answer(request, found)
            complete = await self._send(exchange, found)
        except EdgeError:
            pass  # the head is out, so the only way to tell the viewer is to break off
        finally:
            self._over(exchange, complete=complete)
            self._advance()

    async def _send(self, exchange: Exchange, response: Response) -> bool:
        """Return whether all of the answer was sent. Raises `EdgeError`."""
        far = response.tunnel
        if far is not None or response.status < 200:
            if far is not None and response.status == 101 and exchange.version == "1.1" and self._incoming is None:
                return await self._switch(exchange, response, far)
            response.close()
            return False
        self._weigh(exchange)
        return exchange.send_now(response) or await exchange.send(response)

    async def _switch(self, exchange: Exchange, response: Response, far: Duplex) -> bool:
        exchange.switch(response)
        begun, self._buffer = self._buffer, b""
        self._tunnel = viewer_bytes(Tap(self._hold, self._release, self._release), begun, ended=self._ended)
        self._steer()
        return await pump(self._tunnel, self._outgoing, far)

    def _weigh(self, exchange: Exchange) -> None:
        """Decide whether the connection may live on, as far as it can be told in the answer's head."""
        incoming = self._incoming
        if self._last or (incoming is not None and (exchange.expecting or incoming.hopeless)):
            exchange.keeps = False

    def _over(self, exchange: Exchange, *, complete: bool) -> None:
        """Decide what becomes of the connection after an answer."""
        incoming = self._incoming
        if incoming is not None:
            incoming.stream.close()
        self._exchange = None
        if self._state is State.OPEN:
            if not complete:
                self.abort()
            elif exchange.keeps and not self._last and (incoming is None or not incoming.hopeless):
                self._await_next()
            elif incoming is not None or self._buffer:
                self._linger()
            else:
                self._close()
        exchange.tell(complete=complete)

    def _refuse(self, error: BadRequestError) -> None:
        """Answer what is no request, and close."""
        self._linger() if refuse(self._application, self._outgoing, error) else self.abort()

    # Waiting and ending

    def _await_next(self) -> None:
        """Wait for the next request, or for the rest of a body that nobody wants."""
        self._deadline.set(_DRAIN_TIME if self._incoming is not None else self._limits.keepalive_timeout)

    def _expire(self) -> None:
        if self._ended and self._exchange is not None:
            if not self._exchange.begun:
                self.abort()
        elif self._state is State.OPEN and self._incoming is not None:
            self._linger()
        elif self._state is State.OPEN and self._in_head:
            self._refuse(BadRequestError(408, f"no complete request within {self._limits.headers_timeout:g} s"))
        else:
            self._close()

    def _linger(self) -> None:
        """End our side and read on for a moment, for a reset would take the answer from the viewer."""
        self._buffer = b""
        if self._ended or not self._outgoing.end():
            self._close()
            return
        self._state = State.LINGERING
        self._deadline.set(_LINGER_TIME)
        self._reading.turn(on=True)

    def _close(self) -> None:
        self._state = State.CLOSED
        self._deadline.stop()
        self._outgoing.close()

    def _hold(self) -> None:
        self._held = True
        self._settle()

    def _release(self, _complete: bool = False) -> None:  # noqa: FBT001  # also the body's word that it closed
        self._held = False
        self._settle()
