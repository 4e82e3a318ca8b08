"""An upgraded connection: bytes both ways, until both sides have ended (RFC 9110 section 7.8)."""

import asyncio
from collections.abc import Callable

_HIGH_WATER = 65_536
_LOW_WATER = 16_384


class Tunnel(asyncio.Protocol):
    """The far side of a connection as a `Duplex`; takes over the transport of the protocol before it.

    One reader and one writer at a time. `on_gone` is called once, when the connection is over.
    """

    def __init__(self, transport: asyncio.Transport, received: bytes, on_gone: Callable[[], None]) -> None:
        self._transport = transport
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = [received] if received else []
        self._size = len(received)
        self._reading_paused = False
        self._far_side_ended = False
        self._ended = False
        self._gone = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._readable: asyncio.Future[None] | None = None
        self._moved_at = self._loop.time()
        transport.set_protocol(self)

    async def read(self) -> bytes:
        """Return the next bytes, `b""` once the far side has ended or the connection is lost."""
        while not self._chunks and not self._far_side_ended:
            self._readable = self._loop.create_future()
            try:
                await self._readable
            finally:
                self._readable = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting while the far side is slow. Raises `ConnectionResetError` when it is gone."""
        await self._writable.wait()
        if self._gone or self._ended:
            raise ConnectionResetError("the tunnel is closed")
        self._moved_at = self._loop.time()
        self._transport.write(data)

    def end(self) -> None:
        """Say that no more will be written; what the far side still sends can be read.

        TLS has no such half-close: there the far side learns it when the tunnel is closed.
        """
        if self._ended or self._gone:
            return
        self._ended = True
        if self._far_side_ended:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()

    def close(self) -> None:
        """Drop the connection. Harmless when repeated."""
        self._transport.abort()
        self._end_reading()

    def idle_for(self, now: float) -> float:
        """Return the seconds of loop time since the last byte in either direction."""
        return now - self._moved_at

    def data_received(self, data: bytes) -> None:
        """Take bytes of the far side, holding it back when nobody reads them."""
        self._moved_at = self._loop.time()
        self._chunks.append(data)
        self._size += len(data)
        if self._size >= _HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        """Note the far side's end; the connection lives on until ours, where the transport allows it."""
        self._end_reading()
        return not self._ended and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        del exc
        if self._gone:
            return
        self._gone = True
        self._end_reading()
        self._writable.set()
        self._on_gone()

    def pause_writing(self) -> None:
        """Let writers wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    def _end_reading(self) -> None:
        self._far_side_ended = True
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)

    def _resume_reading(self) -> None:
        if self._reading_paused and self._size <= _LOW_WATER and not self._gone:
            self._reading_paused = False
            self._transport.resume_reading()
