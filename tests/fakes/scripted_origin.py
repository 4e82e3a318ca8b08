"""An origin that does what the test says, byte by byte.

    async with ScriptedOrigin(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) as origin:
        ...  # connect to origin.address
    assert origin.requests[0].target == "/"

A script is a coroutine function that gets one connection. With several scripts the first serves the first
connection, and so on; the last one serves all the rest.
"""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

Script = Callable[["Conversation"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it arrived. `head` is its bytes up to the empty line; `body` is without any chunked coding."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    trailers: tuple[tuple[str, str], ...]
    head: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """Return the first value of `name`, in whatever case it came."""
        return next((value for field, value in self.headers if field.lower() == name.lower()), None)


class Conversation:
    """One connection, from the origin's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: "ScriptedOrigin") -> None:
        self.reader = reader
        self.writer = writer
        self.number = origin.connections
        self._origin = origin

    async def head(self) -> bytes | None:
        """Return the bytes of the next request's head, None when the other side has hung up."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def request(self) -> SeenRequest | None:
        """Return the next request with its body, None when the other side has hung up. It is recorded, too."""
        head = await self.head()
        if head is None:
            return None
        start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = start.split(" ")
        headers = _fields(lines)
        try:
            body, trailers = await self._body({name.lower(): value for name, value in headers})
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        seen = SeenRequest(method, target, headers, body, trailers, head, self.number)
        self._origin.requests.append(seen)
        return seen

    async def _body(self, headers: dict[str, str]) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return await self.reader.readexactly(int(headers.get("content-length", "0"))), ()
        content = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            content += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        trailers = []
        while line := (await self.reader.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n"):
            trailers.append(line)
        return content, _fields(trailers)

    async def send(self, *pieces: bytes) -> None:
        """Send each piece in its own segment."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def end(self) -> None:
        """Say that nothing more comes, and go on reading."""
        self.writer.write_eof()

    def close(self) -> None:
        """Hang up after what was sent."""
        self.writer.close()

    def reset(self) -> None:
        """Hang up with a TCP reset; what was sent just before may be lost."""
        found = self.writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def stall(self) -> None:
        """Do nothing until the other side hangs up; what it sends meanwhile is thrown away."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            return

    async def hold(self, event: asyncio.Event) -> bool:
        """Wait for the event; return False if the other side hangs up before."""
        stalling, waiting = asyncio.create_task(self.stall()), asyncio.create_task(event.wait())
        try:
            await asyncio.wait({stalling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done()
        finally:
            stalling.cancel()
            waiting.cancel()
            await asyncio.wait({stalling, waiting})


class ScriptedOrigin:
    """Listens on a loopback port. `requests` has every request read by `Conversation.request`, in order."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.open_connections = 0
        self.port = 0
        self._changed = asyncio.Condition()

    @property
    def address(self) -> str:
        """Return "host:port"."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._errors and failure[0] is None:
            raise self._errors[0]

    async def until_open(self, connections: int) -> None:
        """Wait until exactly so many connections are open."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.open_connections == connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        conversation = Conversation(reader, writer, self)
        await self._count(1)
        try:
            await script(conversation)
        except asyncio.CancelledError:
            pass  # the test is over
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side hung up: the test sees it there
        except Exception as error:  # noqa: BLE001 raised again when the origin closes
            self._errors.append(error)
        finally:
            writer.close()
            self._tasks.discard(task)
            await self._count(-1)

    async def _count(self, step: int) -> None:
        async with self._changed:
            self.open_connections += step
            self._changed.notify_all()


def answering(*answers: bytes) -> Script:
    """Return a script that answers the requests of a connection one by one; the last answer serves all the rest."""

    async def script(conversation: Conversation) -> None:
        served = 0
        while await conversation.request() is not None:
            await conversation.send(answers[min(served, len(answers) - 1)])
            served += 1

    return script


def answering_in_pieces(*pieces: bytes) -> Script:
    """Return a script that sends the pieces one by one as the answer to a request, then hangs up."""

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(*pieces)

    return script


def ok(content: bytes = b"hello", *lines: str) -> bytes:
    """Return a 200 response with the content, and with further header lines."""
    head = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines, f"Content-Length: {len(content)}"))
    return head.encode("latin-1") + b"\r\n" + content


def _fields(lines: list[str]) -> tuple[tuple[str, str], ...]:
    found = [re.fullmatch(r"([^:\s]+):[ \t]*(.*)", line) for line in lines]
    assert all(found), f"a header line is malformed: {lines}"
    return tuple((match.group(1), match.group(2)) for match in found if match is not None)
