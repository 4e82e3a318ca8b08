"""An application behind a real listener, and viewers that speak raw bytes to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edgefn.model.errors import BadRequestError
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import BytesBody, Request, Response, Viewer
from edgefn.model.settings import Listen, ViewerLimits
from edgefn.model.trail import Trail
from edgefn.wire.application import Deliver
from edgefn.wire.listening import Listening

PATIENCE = 5.0


def said(text: str, status: int = 200, headers: Headers = NO_HEADERS) -> Response:
    """Return a small buffered answer."""
    return Response(status, "OK" if status == 200 else "Status", headers, BytesBody(text.encode()))


async def echo(request: Request) -> Response:
    """Answer with what was read, or with the error that the reading failed with."""
    read = b""
    try:
        while data := await request.body.read():
            read += data
    except BadRequestError as error:
        return said(str(error), error.status)
    return said(f"{request.method} {request.target} {read.decode('latin-1')} {list(request.body.trailers)}")


@dataclass(frozen=True)
class Sent:
    """What the application was told at the end of one exchange."""

    request: Request | None
    id: str
    status: int
    size: int
    complete: bool


Answer = Callable[[Request], Awaitable[Response]]


@dataclass
class FakeApplication:
    """Answers by `answering`, or at once by `at_once`; remembers everything it was asked and told."""

    answering: Answer | None = None
    at_once: Callable[[Request], Response | None] | None = None
    asked: list[Request] = field(default_factory=list)
    refused: list[BadRequestError] = field(default_factory=list)
    told: list[Sent] = field(default_factory=list)
    opened: int = 0
    cancelled: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> tuple[str, Trail]:
        self.opened += 1
        return f"id-{self.opened}", Trail()

    def answer_now(self, request: Request, deliver: Deliver) -> Response | Request | None:
        del deliver
        self.asked.append(request)
        self.news.set()
        return self.at_once(request) if self.at_once is not None else None

    def answer_again(self, block: bytes, viewer: Viewer, deliver: Deliver) -> tuple[bytes, bytes] | None:
        del block, viewer, deliver
        return None

    def remember(self, block: bytes, request: Request, head: bytes, response: Response) -> None:
        """Remember nothing."""

    async def answer(self, request: Request, asked: Request | None = None) -> Response:
        assert asked is None
        try:
            if self.answering is not None:
                return await self.answering(request)
            return said(f"{request.method} {request.target}")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def refuse(self, error: BadRequestError, request_id: str, trail: Trail) -> Response:
        self.refused.append(error)
        return said(str(error), error.status)

    def sent(
        self, request: Request | None, request_id: str, trail: Trail, response: Response, size: int, complete: bool
    ) -> None:
        self.told.append(Sent(request, request_id, response.status, size, complete))
        self.news.set()

    async def until_told(self, count: int = 1) -> list[Sent]:
        """Wait until so many exchanges are over."""
        await self._until(lambda: len(self.told) >= count)
        return self.told

    async def until_asked(self, count: int = 1) -> None:
        """Wait until so many requests have come in."""
        await self._until(lambda: len(self.asked) >= count)

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                self.news.clear()
                await self.news.wait()


@dataclass
class Reply:
    """One response as it stood on the wire, its framing taken off."""

    status: int
    head: str
    body: bytes = b""
    trailers: str = ""

    def field(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None


@dataclass
class FakeViewer:
    """A raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: str | bytes) -> None:
        self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)
        await self.writer.drain()

    async def trickle(self, data: str | bytes) -> None:
        """Send byte by byte, each in a packet of its own."""
        for byte in data.encode("latin-1") if isinstance(data, str) else data:
            self.writer.write(bytes([byte]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def rest(self) -> bytes:
        """Return all that comes until the end."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def is_reset(self) -> bool:
        """Return whether the connection breaks off rather than ends."""
        try:
            await self.rest()
        except ConnectionError:
            return True
        return False

    async def head(self) -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        return Reply(int(head.split(" ")[1]), head)

    async def reply(self, *, to_head: bool = False) -> Reply:
        """Return the next response."""
        reply = await self.head()
        async with asyncio.timeout(PATIENCE):
            if to_head or reply.status < 200 or reply.status in {204, 304}:
                return reply
            if reply.field("transfer-encoding") == "chunked":
                await self._chunks(reply)
            elif (length := reply.field("content-length")) is not None:
                reply.body = await self.reader.readexactly(int(length))
            else:
                reply.body = await self.reader.read()
        return reply

    async def _chunks(self, reply: Reply) -> None:
        while size := int(await self.reader.readline(), 16):
            reply.body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        while (line := await self.reader.readline()) != b"\r\n":
            reply.trailers += line.decode("latin-1")

    def end(self) -> None:
        self.writer.write_eof()

    def vanish(self) -> None:
        self.writer.transport.abort()


class FakeTransport(asyncio.Transport):
    """Keeps what is written; for what must not depend on the network's timing."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@dataclass
class Front:
    """A listener with its application."""

    listening: Listening
    application: FakeApplication

    @asynccontextmanager
    async def viewer(self, limit: int = 65_536) -> AsyncIterator[FakeViewer]:
        host, port = self.listening.addresses[0]
        reader, writer = await asyncio.open_connection(host, port, limit=limit)
        try:
            yield FakeViewer(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(
    application: FakeApplication | None = None, limits: ViewerLimits | None = None
) -> AsyncIterator[Front]:
    """Listen on a free port until the end of the block."""
    application = application or FakeApplication()
    listening = Listening(application, limits or ViewerLimits())
    await listening.start((Listen("127.0.0.1", 0),))
    try:
        yield Front(listening, application)
    finally:
        await listening.drain(0)
