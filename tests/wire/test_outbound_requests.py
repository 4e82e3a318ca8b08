"""What goes out to an origin, byte by byte."""

import asyncio

import pytest

from edgefn.model.errors import EdgeError, OriginFailure, ViewerGoneError
from edgefn.model.headers import Headers
from edgefn.model.message import BytesBody
from edgefn.wire.request_head import UnsendableRequestError, last_chunk, request_head
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, answering, ok
from tests.waiting import until
from tests.wire.asking import Dripping, asker, asking, content


async def test_a_request_keeps_its_lines_their_order_their_case_and_their_bytes() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin, path="/base") as app:
        lines = (("x-lower", "1"), ("X-UPPER", "2"), ("x-lower", "3"), ("X-Bytes", "\xe4\xff"))
        await app.send(asking("GET", "/a b".replace(" ", "%20"), *lines, query="q=1&q=2"))
    assert origin.requests[0].head == (
        b"GET /base/a%20b?q=1&q=2 HTTP/1.1\r\nHost: app.example\r\n"
        b"x-lower: 1\r\nX-UPPER: 2\r\nx-lower: 3\r\nX-Bytes: \xe4\xff\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "length", "framing"),
    [
        ("GET", 0, b""),
        ("DELETE", 0, b""),
        ("BREW", 0, b""),
        ("POST", 0, b"Content-Length: 0\r\n"),
        ("PUT", 0, b"Content-Length: 0\r\n"),
        ("PATCH", 0, b"Content-Length: 0\r\n"),
        ("POST", 5, b"Content-Length: 5\r\n"),
        ("GET", 5, b"Content-Length: 5\r\n"),
        ("POST", None, b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_the_framing_follows_from_the_body(method: str, length: int | None, framing: bytes) -> None:
    claims = (
        ("content-length", "99"),
        ("Transfer-Encoding", "gzip"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
    )
    head = request_head(asking(method, "/", *claims, body=Dripping(length=length)), "")
    assert head == method.encode() + b" / HTTP/1.1\r\nHost: app.example\r\n" + framing + b"\r\n"


def test_an_upgrade_is_asked_for_with_its_connection_option() -> None:
    head = request_head(asking("GET", "/", ("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade")), "")
    assert head.endswith(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("GET", "/a b", ("A", "1")),
        ("GET", "/a\r\nX: 1", ("A", "1")),
        ("GET", "/\x00", ("A", "1")),
        ("GE T", "/", ("A", "1")),
        ("", "/", ("A", "1")),
        ("GET", "/", ("A", "1\r\nB: 2")),
        ("GET", "/", ("A", "1\nB: 2")),
        ("GET", "/", ("A", "1\x00")),
        ("GET", "/", ("A:", "1")),
        ("GET", "/", ("A\r\n\r\nB", "1")),
        ("GET", "/", ("", "1")),
        ("GET", "/", ("A", "\N{SNOWMAN}")),
    ],
)
def test_nothing_that_would_break_the_framing_leaves(method: str, path: str, line: tuple[str, str]) -> None:
    with pytest.raises(UnsendableRequestError):
        request_head(asking(method, path, line), "")


def test_trailers_that_would_break_the_framing_are_left_out() -> None:
    trailers = Headers([("X-Sum", "1"), ("X-Bad", "1\r\n\r\nGET / HTTP/1.1")])
    assert last_chunk(trailers) == b"0\r\nX-Sum: 1\r\n\r\n"


async def test_a_body_that_is_here_goes_out_with_its_length() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        assert (await app.send(asking("POST", body=BytesBody(b"hello")))).status == 200
    assert origin.requests[0].body == b"hello"
    assert origin.requests[0].header("content-length") == "5"


async def test_a_body_goes_out_while_it_arrives() -> None:
    second = asyncio.Event()
    heard = []

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        heard.append(await conversation.reader.readexactly(10))
        second.set()
        heard.append(await conversation.reader.readexactly(3))
        await conversation.send(ok())

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        request = asking("POST", body=Dripping(b"01234", b"56789", second, b"end", length=13))
        assert (await app.send(request)).status == 200
        assert heard == [b"0123456789", b"end"]


async def test_a_body_of_unknown_length_goes_out_in_chunks_with_its_trailers() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        trailers = Headers([("X-Sum", "1"), ("X-Sum", "2")])
        await app.send(asking("PUT", body=Dripping(b"hel", b"lo", trailers=trailers)))
        assert app.connections == (0, 1)
    assert origin.requests[0].body == b"hello"
    assert origin.requests[0].header("transfer-encoding") == "chunked"
    assert origin.requests[0].trailers == (("X-Sum", "1"), ("X-Sum", "2"))


async def test_a_large_body_waits_for_a_slow_origin() -> None:
    go_on = asyncio.Event()
    sent = 0

    class Counting(Dripping):
        async def read(self) -> bytes:
            nonlocal sent
            sent += 1
            return await super().read()

    async def script(conversation: Conversation) -> None:
        conversation.writer.transport.pause_reading()
        await go_on.wait()
        conversation.writer.transport.resume_reading()
        await conversation.request()
        await conversation.send(ok())

    pieces = [b"x" * 65_536] * 400
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        sending = asyncio.create_task(app.send(asking("POST", body=Counting(*pieces, length=65_536 * 400))))
        await until(lambda: sent > 1)
        while (before := sent) >= 0:  # until it stands still
            await asyncio.sleep(0.05)
            if sent == before:
                break
        assert sent < 300
        go_on.set()
        assert (await sending).status == 200
    assert len(origin.requests[0].body) == 65_536 * 400


async def test_a_viewer_that_breaks_off_ends_the_origins_connection_too() -> None:
    heard = []

    async def script(conversation: Conversation) -> None:
        await conversation.head()
        heard.append(await conversation.reader.read())

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        body = Dripping(b"hel", length=5, error=ViewerGoneError("the viewer hung up"))
        with pytest.raises(ViewerGoneError):
            await app.send(asking("POST", body=body))
        await origin.until_open(0)
        assert heard in ([b"hel"], [])  # a reset may overtake the bytes
        assert app.connections == (0, 0)


@pytest.mark.parametrize(("pieces", "why"), [((b"hello!",), "longer"), ((b"hell",), "shorter")])
async def test_a_body_must_be_as_long_as_it_said(pieces: tuple[bytes, ...], why: str) -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        with pytest.raises(EdgeError, match=why):
            await app.send(asking("POST", body=Dripping(*pieces, length=5)))
        await origin.until_open(0)
    assert origin.requests == []


async def test_a_body_that_is_here_must_be_as_long_as_it_said() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        body = BytesBody(b"hello")
        await body.read()
        with pytest.raises(EdgeError, match="not as long"):
            await app.send(asking("POST", body=body))
        assert app.connections == (0, 0)
    assert origin.requests == []


async def test_an_early_answer_stops_the_upload_and_the_connection_is_not_used_again() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 413 Too much\r\nContent-Length: 4\r\n\r\nstop")
        await conversation.stall()

    never = asyncio.Event()
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        body = Dripping(b"hel", never, length=5)
        response = await app.send(asking("POST", body=body))
        assert (response.status, await content(response)) == (413, b"stop")
        assert body.closed
        await origin.until_open(0)
        assert app.connections == (0, 0)


async def test_a_response_may_stream_while_the_request_does() -> None:
    second = asyncio.Event()

    async def echo(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(2):
            await conversation.send(await conversation.reader.readexactly(3))
        await conversation.stall()

    async with ScriptedOrigin(echo) as origin, asker(origin) as app:
        response = await app.send(asking("POST", body=Dripping(b"one", second, b"two", length=6)))
        assert await response.body.read() == b"one"
        second.set()
        assert await content(response) == b"two"
        assert app.connections == (0, 1)


async def test_an_origin_that_hangs_up_during_the_upload_is_to_blame_for_that() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.head()

    never = asyncio.Event()
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        failure, why = await app.failure(asking("POST", body=Dripping(b"hel", never, length=5)))
        assert failure is OriginFailure.WRITE
        assert "not sent wholly" in why
        assert app.outcomes == ["OriginWriteError"]
