"""A viewer that keeps its connection, and sees the bytes that come."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.scenarios.edge import Edge

_ASKED = "{method} {path} HTTP/1.1\r\nHost: shop.test\r\n{lines}\r\n"


class Viewer:
    """A connection that is kept alive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: str, *lines: str, method: str = "GET") -> tuple[str, bytes]:
        self.say(path, *lines, method=method)
        return await self.hear(content=method != "HEAD")

    def say(self, path: str, *lines: str, method: str = "GET", times: int = 1) -> None:
        text = _ASKED.format(method=method, path=path, lines="".join(f"{line}\r\n" for line in lines))
        self.writer.write(text.encode() * times)

    async def hear(self, *, content: bool = True) -> tuple[str, bytes]:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"Content-Length: (\d+)", head)
            assert length is not None
            return head, await self.reader.readexactly(int(length[1]) if content else 0)

    def reset(self) -> None:
        """Hang up with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def connected(edge: Edge) -> AsyncIterator[Viewer]:
    host, port = edge.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Viewer(reader, writer)
    finally:
        writer.close()
