"""Nothing is held back that could go on, and nothing is taken in faster than it goes out."""

import asyncio
import base64
import hashlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.certificates import write_certificate
from tests.fakes.front import FakeViewer
from tests.fakes.scripted_origin import Conversation, Script, ScriptedOrigin, answering, ok
from tests.scenarios.edge import Edge

KB, MB = 1024, 1024 * 1024
PATIENCE = 10.0

CONFIGURATION = """
origins: {app: {url: "http://{origin}"}}
routes: [{path: "*", origin: app}]
"""

SECURE = (
    CONFIGURATION
    + """
listen: [{address: "127.0.0.1:0", certificates: [{certificate: edge.pem, key: edge.key}]}]
"""
)

HOOKED = """
origins: {app: {url: "http://{origin}"}}
functions:
  witness: {path: witness.js, runtime: nodejs20.x, handler: witness.handler}
routes:
  - path: /shown/*
    origin: app
    hooks: {viewer-request: {function: witness, include_body: true}}
  - path: "*"
    origin: app
    hooks: {viewer-request: witness, origin-request: witness, origin-response: witness, viewer-response: witness}
"""

WITNESS = """
exports.handler = async (event) => {
  const { config, request, response } = event.Records[0].cf;
  if (request.uri.endsWith('/refused')) return { status: '403', body: 'no' };
  if (request.uri.endsWith('/replaced') && response) return { ...response, body: 'short' };
  const message = response || request;
  message.headers[`x-${config.eventType}`] = [{ value: 'ran' }];
  return message;
};
"""

every_configuration = pytest.mark.parametrize("text", [CONFIGURATION, HOOKED], ids=["without hooks", "with hooks"])


class Stage:
    """A location in front of a scripted origin."""

    def __init__(self, origin: ScriptedOrigin, edge: Edge) -> None:
        self.origin = origin
        self.edge = edge

    @asynccontextmanager
    async def viewer(self) -> AsyncIterator[FakeViewer]:
        """Give a raw connection."""
        host, port = self.edge.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield FakeViewer(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def staged(script: Script, directory: Path, text: str = CONFIGURATION) -> AsyncIterator[Stage]:
    (directory / "witness.js").write_text(WITNESS)
    async with ScriptedOrigin(script) as origin, Edge(text, directory, origin=origin.address) as edge:
        yield Stage(origin, edge)


def hang_up(viewer: FakeViewer) -> None:
    """Leave so that the other side can't take it for the end of what the viewer had to say."""
    viewer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    viewer.vanish()


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def upcoming(viewer: FakeViewer, text: bytes) -> bytes:
    """Return what the viewer gets, up to `text`."""
    async with asyncio.timeout(PATIENCE):
        return await viewer.reader.readuntil(text)


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * KB


GET = "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: %b\r\n%b\r\n"

# Answers.


@every_configuration
@pytest.mark.parametrize("cache", [b"no-store", b"max-age=60"], ids=["not stored", "stored"])
@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b""], ids=["chunked", "to the close"])
async def test_an_event_is_sent_on_before_the_next_one_happens(
    tmp_path: Path, text: str, cache: bytes, framing: bytes
) -> None:
    happens = asyncio.Event()

    def framed(event: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(event), event) if framing else event

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(EVENTS % (cache, framing), framed(b"data: first\n\n"))
        await happens.wait()
        await conversation.send(framed(b"data: second\n\n"), b"0\r\n\r\n" if framing else b"")

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(GET)

        assert b"data: first\n\n" in await upcoming(viewer, b"first\n\n")
        happens.set()
        assert b"data: second\n\n" in await upcoming(viewer, b"second\n\n")
        assert await upcoming(viewer, b"0\r\n\r\n")


@every_configuration
async def test_a_part_of_a_body_of_known_length_is_sent_on_at_once(tmp_path: Path, text: str) -> None:
    goes_on = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await goes_on.wait()
        await conversation.send(b"later")

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(GET)

        await upcoming(viewer, b"\r\n\r\nfirst")
        goes_on.set()
        assert await upcoming(viewer, b"later") == b"later"


@every_configuration
async def test_early_hints_are_early(tmp_path: Path, text: str) -> None:
    goes_on = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        await goes_on.wait()
        await conversation.send(ok(b"hello"))

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(GET)

        hint = await viewer.reply()
        goes_on.set()
        answer = await viewer.reply()

    assert (hint.status, hint.field("Link")) == (103, "</style.css>; rel=preload")
    assert (answer.status, answer.body) == (200, b"hello")


async def test_http_1_0_hears_no_hints(tmp_path: Path) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    async with staged(answering(hint + ok(b"hello")), tmp_path) as stage, stage.viewer() as viewer:
        await viewer.send("GET / HTTP/1.0\r\n\r\n")

        assert (await viewer.rest()).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("framing", "half"),
    [(b"Content-Length: 10\r\n", b"half"), (b"Transfer-Encoding: chunked\r\n", b"4\r\nhalf\r\n")],
    ids=["of known length", "chunked"],
)
async def test_an_answer_that_breaks_off_does_not_look_whole_and_is_not_stored(
    tmp_path: Path, framing: bytes, half: bytes
) -> None:
    breaks_off = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n%b\r\n%b" % (framing, half))
        await breaks_off.wait()

    async with staged(script, tmp_path) as stage:
        for _ in range(2):
            async with stage.viewer() as viewer:
                breaks_off.clear()
                await viewer.send(GET)
                assert b"X-Cache: Miss from cloudfront\r\n" in await upcoming(viewer, b"half")
                breaks_off.set()
                assert await viewer.is_reset()
    assert len(stage.origin.requests) == 2


async def test_a_function_that_replaces_an_endless_answer_ends_it(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(EVENTS % (b"no-store", b""), b"data: first\n\n")
        await conversation.stall()
        gone.set()

    async with staged(script, tmp_path, HOOKED) as stage:
        answer = await stage.edge.get("/replaced")
        await soon(gone)

    assert (answer.text, answer["Content-Length"]) == ("short", "5")


# Requests.


@every_configuration
@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: 6"])
async def test_a_part_of_an_upload_is_sent_on_at_once(tmp_path: Path, text: str, framing: str) -> None:
    got_one = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.reader.readuntil(b"one")
        got_one.set()
        await conversation.reader.readuntil(b"two")
        await conversation.send(ok(b"thanks"))

    chunked = "chunked" in framing
    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(
            f"POST /page HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n" + ("3\r\none\r\n" if chunked else "one")
        )
        await soon(got_one)
        await viewer.send("3\r\ntwo\r\n0\r\n\r\n" if chunked else "two")

        assert (await viewer.reply()).body == b"thanks"


@pytest.mark.parametrize("path", ["/page", "/shown/page"], ids=["unseen", "shown to a function"])
async def test_a_viewer_that_waits_for_100_continue_gets_it(tmp_path: Path, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    async with staged(answering(ok(b"thanks")), tmp_path, HOOKED) as stage, stage.viewer() as viewer:
        await viewer.send(head)
        interim = await viewer.reply()
        await viewer.send("hello")
        answer = await viewer.reply()

        assert (interim.status, answer.status, answer.body) == (100, 200, b"thanks")
        assert stage.origin.requests[0].body == b"hello"
        assert stage.origin.requests[0].header("Expect") is None


async def test_a_viewer_whose_body_nobody_wants_is_not_asked_for_it(tmp_path: Path) -> None:
    async with staged(answering(ok()), tmp_path, HOOKED) as stage, stage.viewer() as viewer:
        await viewer.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        answer = await viewer.reply()

    assert (answer.status, answer.body, answer.field("Connection")) == (403, b"no", "close")


async def test_an_origin_that_answers_early_is_heard_early(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        await conversation.stall()

    async with staged(script, tmp_path) as stage, stage.viewer() as viewer:
        await viewer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")

        assert (await viewer.reply()).body == b"no"


# Leaving.


@every_configuration
@pytest.mark.parametrize("cache", [b"no-store", b"max-age=60"], ids=["not stored", "stored"])
async def test_a_viewer_that_leaves_takes_the_request_to_the_origin_along(
    tmp_path: Path, text: str, cache: bytes
) -> None:
    gone = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(EVENTS % (cache, b""), b"data: first\n\n")
        await conversation.stall()
        gone.set()

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(GET)
        await upcoming(viewer, b"first\n\n")
        hang_up(viewer)
        await soon(gone)
        await stage.origin.until_open(0)


@every_configuration
async def test_a_viewer_may_leave_before_there_is_an_answer(tmp_path: Path, text: str) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        asked.set()
        await conversation.stall()
        gone.set()

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(GET)
        await soon(asked)
        hang_up(viewer)
        await soon(gone)


async def test_a_viewer_on_tls_need_only_close(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(EVENTS % (b"no-store", b""), b"data: first\n\n")
        await conversation.stall()
        gone.set()

    write_certificate(tmp_path)
    async with staged(script, tmp_path, SECURE) as stage:
        async with stage.edge.session.get(stage.edge.base + "/page") as got:
            assert await got.content.readline() == b"data: first\n"
            got.close()
        await soon(gone)


async def test_a_viewer_that_left_without_a_word_is_missed_when_there_is_more_to_tell(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(EVENTS % (b"no-store", b""))
        listening = asyncio.create_task(conversation.stall())
        while not (await asyncio.wait({listening}, timeout=0.01))[0]:
            await conversation.send(b"data: tick\n\n")
        gone.set()

    async with staged(script, tmp_path) as stage:
        async with stage.viewer() as viewer:
            await viewer.send(GET)
            await upcoming(viewer, b"tick\n\n")
        await soon(gone)


async def test_an_upload_that_breaks_off_is_none_for_the_origin(tmp_path: Path) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        heard.put_nowait(await conversation.reader.readexactly(len(b"5\r\nhello\r\n")))
        heard.put_nowait(await conversation.reader.read())

    async with staged(script, tmp_path) as stage, asyncio.timeout(PATIENCE):
        async with stage.viewer() as viewer:
            await viewer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            assert await heard.get() == b"5\r\nhello\r\n"
        assert await heard.get() == b""


# Big bodies.


@every_configuration
async def test_a_download_of_50_mb_takes_little_memory(tmp_path: Path, text: str) -> None:
    piece = bytes(64 * KB)

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (50 * MB))
        for _ in range(50 * MB // len(piece)):
            conversation.writer.write(piece)
            await conversation.writer.drain()

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer, asyncio.timeout(PATIENCE):
        await viewer.send(GET)
        await viewer.head()
        before, most, left = resident(), 0, 50 * MB
        while left:
            left -= len(await viewer.reader.read(256 * KB))
            most = max(most, resident())

    assert most - before < 16 * MB


@pytest.mark.parametrize("path", ["/page", "/shown/page"], ids=["unseen", "shown to a function"])
async def test_an_upload_of_50_mb_takes_little_memory(tmp_path: Path, path: str) -> None:
    piece, most = bytes(64 * KB), 0

    async def script(conversation: Conversation) -> None:
        nonlocal most
        await conversation.head()
        left = 50 * MB
        while left:
            left -= len(await conversation.reader.read(256 * KB))
            most = max(most, resident())
        await conversation.send(ok(b"thanks"))

    async with staged(script, tmp_path, HOOKED) as stage, stage.viewer() as viewer, asyncio.timeout(PATIENCE):
        before = resident()
        await viewer.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {50 * MB}\r\n\r\n")
        for _ in range(50 * MB // len(piece)):
            await viewer.send(piece)
        answer = await viewer.reply()

    assert answer.body == b"thanks"
    assert most - before < 16 * MB


async def written(writer: asyncio.StreamWriter, size: int) -> int:
    """Write up to `size` bytes; return how many were taken before the other side took no more."""
    sent = 0
    while sent < size:
        writer.write(bytes(64 * KB))
        sent += 64 * KB
        try:
            async with asyncio.timeout(0.2):
                await writer.drain()
        except TimeoutError:
            break
    return sent


@every_configuration
async def test_a_viewer_that_does_not_read_holds_the_origin_back(tmp_path: Path, text: str) -> None:
    stuck = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MB))
        sent = await written(conversation.writer, 100 * MB)
        stuck.set()
        await conversation.send(bytes(100 * MB - sent))

    async with staged(script, tmp_path, text) as stage, stage.viewer() as viewer, asyncio.timeout(PATIENCE):
        before = resident()
        await viewer.send(GET)
        await stuck.wait()
        assert resident() - before < 16 * MB  # what else was sent is with the kernel
        answer = await viewer.reply()

    assert len(answer.body) == 100 * MB


async def test_an_origin_that_does_not_read_holds_the_viewer_back(tmp_path: Path) -> None:
    reads = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await reads.wait()
        await conversation.reader.readexactly(100 * MB)
        await conversation.send(ok(b"thanks"))

    async with staged(script, tmp_path) as stage, stage.viewer() as viewer, asyncio.timeout(PATIENCE):
        before = resident()
        await viewer.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {100 * MB}\r\n\r\n")
        sent = await written(viewer.writer, 100 * MB)
        assert resident() - before < 16 * MB  # what else was sent is with the kernel
        reads.set()
        await viewer.send(bytes(100 * MB - sent))

        assert (await viewer.reply()).body == b"thanks"


async def test_a_viewer_that_never_reads_is_given_up(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        try:
            await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MB))
            for _ in range(200 * MB // (64 * KB)):
                await conversation.send(bytes(64 * KB))
        finally:
            gone.set()

    impatient = CONFIGURATION + "viewer: {stall_timeout: 200ms}\n"
    async with staged(script, tmp_path, impatient) as stage, stage.viewer() as viewer:
        await viewer.send(GET)
        await soon(gone)
        await stage.origin.until_open(0)


# WebSockets.


def handshake(path: str, key: str) -> str:
    return (
        f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )


def accepting(key: str) -> str:
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode(), usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


async def echoing(conversation: Conversation) -> None:
    """Accept a WebSocket, send back what comes, and end when the other side does."""
    seen = await conversation.request()
    assert seen is not None
    accepted = accepting(seen.header("Sec-WebSocket-Key") or "")
    assert (seen.header("Connection"), seen.header("Upgrade")) == ("Upgrade", "websocket")
    await conversation.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: %b\r\n\r\nhello" % accepted.encode()
    )
    while data := await conversation.reader.read(64 * KB):
        await conversation.send(data)
    conversation.end()


KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@every_configuration
async def test_a_web_socket_is_carried_both_ways(tmp_path: Path, text: str) -> None:
    async with staged(echoing, tmp_path, text) as stage, stage.viewer() as viewer:
        await viewer.send(handshake("/socket", KEY))
        accepted = await viewer.head()

        assert accepted.status == 101
        assert accepted.field("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert accepted.field("Sec-WebSocket-Protocol") == "chat"
        assert (accepted.field("Connection"), accepted.field("Upgrade")) == ("Upgrade", "websocket")
        assert await upcoming(viewer, b"hello") == b"hello"
        for frame in (b"\x81\x85\x01\x02\x03\x04ignn`", b"\x8a\x00", bytes(300 * KB) + b"!"):
            await viewer.send(frame)
            assert await viewer.reader.readexactly(len(frame)) == frame
        viewer.end()
        assert await viewer.rest() == b""


async def test_the_request_functions_see_a_web_socket_and_the_response_functions_do_not(tmp_path: Path) -> None:
    async with staged(echoing, tmp_path, HOOKED) as stage, stage.viewer() as viewer:
        await viewer.send(handshake("/socket", KEY))
        accepted = await viewer.head()
        hang_up(viewer)
        line = await stage.edge.log_line(accepted.field("X-Amz-Cf-Id") or "")

    assert stage.origin.requests[0].header("X-Origin-Request") == "ran"
    assert accepted.field("X-Viewer-Response") is None
    assert "viewer-request=" in line
    assert "origin-response=" not in line


async def test_a_viewer_that_leaves_ends_the_web_socket_at_the_origin(tmp_path: Path) -> None:
    async with staged(echoing, tmp_path) as stage:
        async with stage.viewer() as viewer:
            await viewer.send(handshake("/socket", KEY))
            await upcoming(viewer, b"hello")
            viewer.vanish()
        await stage.origin.until_open(0)


async def test_an_origin_that_leaves_ends_the_web_socket_at_the_viewer(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye"
        )

    async with staged(script, tmp_path) as stage, stage.viewer() as viewer:
        await viewer.send(handshake("/socket", KEY))
        await viewer.head()

        assert await upcoming(viewer, b"bye") == b"bye"
        assert await viewer.rest() == b""


async def test_an_origin_may_refuse_a_web_socket(tmp_path: Path) -> None:
    refusing = answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    async with staged(refusing, tmp_path) as stage, stage.viewer() as viewer:
        await viewer.send(handshake("/socket", KEY))
        refused = await viewer.reply()

    assert (refused.status, refused.body) == (403, b"no")


async def test_a_function_may_refuse_a_web_socket(tmp_path: Path) -> None:
    async with staged(echoing, tmp_path, HOOKED) as stage, stage.viewer() as viewer:
        await viewer.send(handshake("/refused", KEY))
        refused = await viewer.reply()

        assert (refused.status, refused.body) == (403, b"no")
        assert not stage.origin.requests


async def test_no_other_protocol_is_switched_to(tmp_path: Path) -> None:
    async with staged(answering(ok(b"plain")), tmp_path) as stage, stage.viewer() as viewer:
        await viewer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

        assert (await viewer.reply()).body == b"plain"
        assert stage.origin.requests[0].header("Upgrade") is None
