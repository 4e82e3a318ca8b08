"""The way to a viewer: counts what goes out, waits while it is slow, and gives up when it stands still."""

import asyncio
import contextlib
import socket
import struct

from edgefn.model.errors import ViewerGoneError

_JOINED = 16_384  # to copy that little costs less than to hand over two pieces
_RESET = struct.pack("ii", 1, 0)


class Outgoing:
    """Wraps the transport of one viewer connection. One waiter at a time.

    Without progress for `stall_timeout` seconds while the transport's buffer is full, or after `close`, the
    connection is aborted.
    """

    __slots__ = ("_left", "_loop", "_timer", "_transport", "_waiter", "is_lost", "paused", "stall_timeout", "written")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, stall_timeout: float) -> None:
        self._transport = transport
        self._loop = loop
        self.stall_timeout = stall_timeout
        self.written = 0
        self.paused = False
        self.is_lost = False
        self._left = 0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes | memoryview) -> None:
        """Hand `data` to the transport."""
        self.written += len(data)
        self._transport.write(data)

    def write_whole(self, head: bytes, body: bytes) -> None:
        """Hand a whole answer to the transport."""
        if len(body) <= _JOINED:
            self.write(head + body)
        else:
            self.write_all([head, body])

    def write_all(self, pieces: list[bytes | memoryview]) -> None:
        """Hand several pieces to the transport, without joining them."""
        self.written += sum(map(len, pieces))
        self._transport.writelines(pieces)

    async def drained(self) -> None:
        """Wait until the transport takes more. Raises `ViewerGoneError`."""
        if self.paused:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def pause(self) -> None:
        """Take note that the transport's buffer is full."""
        self.paused = True
        self._watch()

    def resume(self) -> None:
        """Take note that the transport's buffer has room."""
        self.paused = False
        if not self._transport.is_closing():
            self._unwatch()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def lost(self) -> None:
        """Take note that the connection is no more: its transport may not even be written to."""
        self.is_lost = True
        self._unwatch()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ViewerGoneError("the viewer is gone"))

    def end(self) -> bool:
        """Say that no more will be written; return False where the transport can't say that (TLS)."""
        if not self._transport.can_write_eof():
            return False
        if not self._transport.is_closing():
            self._transport.write_eof()
        return True

    def close(self) -> None:
        """Close when all that was written has gone out."""
        self._transport.close()
        self._watch()

    def abort(self) -> None:
        """Drop the connection so that the viewer can't take what it got for a whole message."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # it may be closed already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _watch(self) -> None:
        self._unwatch()
        self._left = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self.stall_timeout, self._check)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._transport.get_write_buffer_size() >= self._left:
            self.abort()
        else:
            self._watch()
