"""A message body on its way through: fed by a connection, read by whoever answers, bounded in between."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edgefn.model.errors import EdgeError
from edgefn.model.headers import NO_HEADERS, Headers

HIGH_WATER = 65_536
LOW_WATER = 16_384
"""Bytes that wait to be read: from so many on the sender is held back, until there are no more than so few."""


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Tap:
    """How a body speaks to the connection that feeds it; none of these may raise.

    `pause` and `resume` stop and restart the feeding. `on_close` is called once, when nobody will read any more;
    it gets whether the whole message had arrived. `on_wanted` is called once, when a reader first has to wait.
    """

    pause: Callable[[], None]
    resume: Callable[[], None]
    on_close: Callable[[bool], None]
    on_wanted: Callable[[], None] = _nothing


class StreamBody:
    """A `Body` that arrives while it is read. One reader at a time.

    `length` is what the sender declared (None: not known). A reader that gets no byte for `stall_timeout` seconds
    (None: no bound) fails with the error that `stalled` makes. Bytes fed before a failure are still read first.
    """

    __slots__ = (
        "_chunks", "_closed", "_error", "_finished", "_paused", "_size", "_stall_timeout", "_stalled", "_tap",
        "_trailers", "_waiter", "_wanted", "length",
    )  # fmt: skip

    def __init__(
        self, length: int | None, tap: Tap, stall_timeout: float | None, stalled: Callable[[], EdgeError]
    ) -> None:
        self.length = length
        self._tap = tap
        self._stall_timeout = stall_timeout
        self._stalled = stalled
        self._chunks: list[bytes] = []
        self._size = 0
        self._paused = False
        self._finished = False
        self._closed = False
        self._wanted = False
        self._error: EdgeError | None = None
        self._trailers = NO_HEADERS
        self._waiter: asyncio.Future[None] | None = None

    @property
    def trailers(self) -> Headers:
        """Return the trailer fields, none before the end has arrived."""
        return self._trailers

    @property
    def finished(self) -> bool:
        """Return whether the whole message has arrived."""
        return self._finished

    @property
    def failed(self) -> bool:
        """Return whether the rest of the message will never come."""
        return self._error is not None

    @property
    def closed(self) -> bool:
        """Return whether nobody reads any more."""
        return self._closed

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the connection; dropped when nobody reads any more."""
        if self._closed or self._error is not None or not data:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size >= HIGH_WATER and not self._paused:
            self._paused = True
            self._tap.pause()
        self._wake()

    def finish(self, trailers: Headers = NO_HEADERS) -> None:
        """Say that the message has ended well."""
        if self._error is None:
            self._finished = True
            self._trailers = trailers
            self._wake()

    def fail(self, error: EdgeError) -> None:
        """Say that the rest will never come: readers get `error`. Harmless after the end."""
        if not self._finished and self._error is None:
            self._error = error
            self._wake()

    def buffered(self) -> bytes | None:
        """Take what is left when all of it has arrived, else None."""
        return self._take_all() if self._finished else None

    async def read(self) -> bytes:
        """Return what has arrived, waiting for at least one byte; `b""` at the end or once closed.

        Raises the error that the connection failed with, or the one for a stalled sender.
        """
        if self._waiter is not None:
            raise RuntimeError("the body already has a reader")
        while not (self._chunks or self._finished or self._closed):
            if self._error is not None:
                self._close_as(complete=False)
                raise self._error
            await self._wait()
        return self._take_all()

    def close(self) -> None:
        """Give up the rest. Harmless after the end and when repeated."""
        self._chunks.clear()
        self._size = 0
        self._close_as(complete=self._finished)
        self._unpause()
        self._wake()

    def _take_all(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._finished and not data:
            self._close_as(complete=True)
        elif self._finished and self._paused:
            self._paused = False  # the end is here, so the connection is no longer ours to hold back
            self._tap.resume()
        else:
            self._unpause()
        return data

    def _unpause(self) -> None:
        if self._paused and self._size <= LOW_WATER:
            self._paused = False
            self._tap.resume()

    def _close_as(self, *, complete: bool) -> None:
        if not self._closed:
            self._closed = True
            self._tap.on_close(complete)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None
        if self._stall_timeout is not None:
            timer = loop.call_later(self._stall_timeout, self._give_up)
        try:
            if not self._wanted:
                self._wanted = True
                self._tap.on_wanted()
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _give_up(self) -> None:
        self.fail(self._stalled())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
