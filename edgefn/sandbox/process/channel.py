"""Our end of a worker's control socket: one question at a time, one answer or the reason why there is none."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from edgefn.sandbox.process.frames import Frame, FrameError, FrameReader, OversizeError, encoded


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker did what no worker may. `oversize`: it announced a result beyond the limit."""

    reason: str
    oversize: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker's end of the socket is closed."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The time for the answer is over."""


Answer: TypeAlias = Frame | Broken | Lost | Expired

LOST = Lost()
EXPIRED = Expired()
_UNASKED = Broken("it spoke unasked")


class Channel(asyncio.Protocol):
    """`on_broken` is called once, when the worker breaks the protocol or closes the socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_broken: Callable[[Broken | Lost], None]) -> None:
        self._loop = loop
        self._on_broken = on_broken
        self._reader = FrameReader()
        self._waiter: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._end: Broken | Lost | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class only looks like one

    def data_received(self, data: bytes) -> None:
        """Give the frame to who asked; anything else breaks the channel."""
        if self._waiter is None:
            self._break(_UNASKED)
            return
        try:
            frame = self._reader.feed(data)
        except FrameError as error:
            self._break(Broken(str(error), isinstance(error, OversizeError)))
            return
        if frame is not None:
            self._deliver(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who asked, and the worker's owner."""
        del exc
        self._break(LOST)

    def expect(self, patience: float) -> "asyncio.Future[Answer]":
        """Return a future for what the worker says next, `EXPIRED` after `patience` seconds. One at a time."""
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        if self._end is not None:
            waiter.set_result(self._end)
            return waiter
        self._waiter = waiter
        self._timer = self._loop.call_later(patience, self._deliver, EXPIRED)
        return waiter

    def ask(self, header: bytes, body: bytes, patience: float) -> "asyncio.Future[Answer]":
        """Send one frame, and expect the answer."""
        waiter = self.expect(patience)
        if self._transport is not None and self._end is None:
            self._transport.write(encoded(header, body))
        return waiter

    def close(self) -> None:
        """Drop the connection. Harmless when repeated."""
        if self._transport is not None:
            self._transport.abort()

    def _break(self, end: Broken | Lost) -> None:
        if self._end is not None:
            return
        self._end = end
        self._deliver(end)
        self.close()
        self._on_broken(end)

    def _deliver(self, answer: Answer) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)
