"""What comes back from an origin, over real sockets."""

import asyncio
from dataclasses import replace

import pytest

from edgefn.model.errors import OriginError, OriginFailure, ViewerGoneError
from edgefn.model.headers import Headers
from edgefn.wire.berth import PoolLimits
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, answering, answering_in_pieces, ok
from tests.waiting import until
from tests.wire.asking import asker, asking, content


async def test_a_response_keeps_its_lines_their_order_their_case_and_their_bytes() -> None:
    lines = ("set-cookie: a", "X-UPPER: 2", "Set-Cookie: b", "X-Bytes: \xe4\xff")
    async with ScriptedOrigin(answering(ok(b"hi", *lines))) as origin, asker(origin) as app:
        response = await app.send()
        assert (response.status, response.reason, response.from_origin_error) == (200, "OK", False)
        assert list(response.headers) == [
            ("set-cookie", "a"),
            ("X-UPPER", "2"),
            ("Set-Cookie", "b"),
            ("X-Bytes", "\xe4\xff"),
            ("Content-Length", "2"),
        ]
        assert response.body.length == 2
        assert response.body.buffered() == b"hi"


@pytest.mark.parametrize("status", [200, 226, 299, 307, 418, 499, 503, 599])
async def test_any_final_status_passes_with_its_reason(status: int) -> None:
    answer = b"HTTP/1.1 %d So be it\r\nContent-Length: 0\r\n\r\n" % status
    async with ScriptedOrigin(answering(answer)) as origin, asker(origin) as app:
        response = await app.send()
        assert (response.status, response.reason) == (status, "So be it")
        assert response.from_origin_error is (status >= 400)
        assert app.outcomes == [str(status)]


async def test_interim_responses_arrive_before_the_final_one_but_100_stays_here() -> None:
    go_on = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
            b"Connection: x-hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nLink: </a.css>\r\n\r\n"
        )
        await go_on.wait()
        await conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n", ok())

    seen: list[tuple[int, Headers]] = []

    def interim(status: int, headers: Headers) -> None:
        seen.append((status, headers))
        go_on.set()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send(replace(asking(), interim=interim))
        assert response.status == 200
        assert seen == [(103, Headers([("Link", "</a.css>")])), (102, Headers())]
        assert "link" not in response.headers


async def test_an_interim_response_that_finds_no_viewer_ends_the_exchange() -> None:
    def gone(status: int, headers: Headers) -> None:
        raise ViewerGoneError("the viewer hung up")

    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    async with ScriptedOrigin(answering(hints)) as origin, asker(origin) as app:
        with pytest.raises(ViewerGoneError):
            await app.send(replace(asking(), interim=gone))
        assert app.connections == (0, 0)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 None\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 500\r\n\r\n"),
    ],
)
async def test_where_no_body_may_follow_the_connection_serves_on_at_once(method: str, answer: bytes) -> None:
    async with ScriptedOrigin(answering(answer)) as origin, asker(origin) as app:
        for _ in range(2):
            response = await app.send(asking(method))
            assert response.body.length == 0
            assert await content(response) == b""
            assert response.headers.get("content-length") in {None, "500"}
            assert "transfer-encoding" not in response.headers
    assert origin.connections == 1


async def test_chunks_are_taken_off_and_trailers_kept_apart() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 42\r\n\r\n"
    )
    async with ScriptedOrigin(answering(answer)) as origin, asker(origin) as app:
        response = await app.send()
        assert list(response.headers) == [("Trailer", "X-Sum")]
        assert response.body.length is None
        assert await content(response) == b"hello"
        assert response.body.trailers == Headers([("X-Sum", "42")])
        assert app.connections == (0, 1)


async def test_each_chunk_can_be_read_when_it_arrives() -> None:
    turns = [asyncio.Event() for _ in range(3)]

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for number, turn in enumerate(turns):
            await turn.wait()
            await conversation.send(b"9\r\ndata: %d\n\n\r\n" % number)
        await conversation.send(b"0\r\n\r\n")
        await conversation.stall()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        for number, turn in enumerate(turns):
            turn.set()
            assert await response.body.read() == b"data: %d\n\n" % number
        assert await response.body.read() == b""
        assert app.connections == (0, 1)


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    script = answering_in_pieces(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        assert response.body.length is None
        assert await content(response) == b"hello"
        assert app.connections == (0, 0)


async def test_an_http_1_0_origin_works_one_connection_each() -> None:
    script = answering_in_pieces(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        assert await app.get() == b"hi"
        assert await app.get() == b"hi"
    assert origin.connections == 2


async def test_an_http_1_0_origin_may_keep_its_connection() -> None:
    answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
    async with ScriptedOrigin(answering(answer)) as origin, asker(origin) as app:
        assert await app.get() == await app.get() == b"hi"
    assert origin.connections == 1


async def test_bytes_beyond_the_length_are_no_response_to_anybody() -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    async with ScriptedOrigin(answering(ok(b"good") + poison)) as origin, asker(origin) as app:
        for _ in range(3):
            assert await app.get() == b"good"
    assert origin.connections == 3


async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    speak = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(ok())
        await speak.wait()
        await conversation.send(ok(b"poison"))
        await conversation.stall()

    async with ScriptedOrigin(script, answering(ok(b"good"))) as origin, asker(origin) as app:
        await app.get()
        assert app.connections == (0, 1)
        speak.set()
        await until(lambda: app.connections == (0, 0))
        assert await app.get() == b"good"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"<html>hello</html>", OriginFailure.INVALID_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", OriginFailure.INVALID_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", OriginFailure.INVALID_RESPONSE),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", OriginFailure.INVALID_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, OriginFailure.HEADER_TOO_BIG),
        (b"", OriginFailure.CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-Le", OriginFailure.CLOSED),
    ],
)
async def test_what_is_no_response_is_an_error_that_names_the_origin(answer: bytes, failure: OriginFailure) -> None:
    async with ScriptedOrigin(answering_in_pieces(answer)) as origin, asker(origin) as app:
        found, why = await app.failure()
        assert found is failure
        assert why.startswith(f"origin app at 127.0.0.1:{origin.port}: ")
        assert app.outcomes == [failure.value]
        assert app.connections == (0, 0)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", OriginFailure.CLOSED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", OriginFailure.CLOSED),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", OriginFailure.INVALID_RESPONSE),
    ],
)
async def test_a_body_cut_short_is_never_taken_for_a_whole_one(answer: bytes, failure: OriginFailure) -> None:
    head, _, rest = answer.partition(b"\r\n\r\n")
    script = answering_in_pieces(head + b"\r\n\r\n" + rest[:1], rest[1:])
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        with pytest.raises(OriginError) as caught:
            await content(await app.send())
        assert caught.value.failure is failure
        assert app.connections == (0, 0)


async def test_a_reset_in_the_middle_of_a_body_is_an_error() -> None:
    reset = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await reset.wait()
        conversation.reset()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        assert await response.body.read() == b"hello"
        reset.set()
        with pytest.raises(OriginError) as caught:
            await content(response)
        assert caught.value.failure is OriginFailure.CLOSED


async def test_a_body_closed_early_costs_the_connection() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        await conversation.stall()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        response.body.close()
        assert app.connections == (0, 0)
        await origin.until_open(0)


async def test_a_body_closed_early_costs_nothing_when_the_rest_is_here() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", b"you!")
        await conversation.stall()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        await until(lambda: app.connections == (0, 1))
        response.body.close()
        assert app.connections == (0, 1)


async def test_a_slow_reader_holds_the_origin_back() -> None:
    sent = 0

    async def script(conversation: Conversation) -> None:
        nonlocal sent
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (240 * 65_536))
        for _ in range(240):
            await conversation.send(b"x" * 65_536)
            sent += 1
        await conversation.stall()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send(response_timeout=0.2, completion_timeout=1.5)
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.9)  # twice: longer than both timeouts, which must not count against the origin
        assert sent < 200  # what the kernel's own buffers hold is up to it
        assert len(await content(response)) == 240 * 65_536
        assert app.connections == (0, 1)


async def test_a_response_held_back_at_its_very_end_leaves_a_connection_that_reads_on() -> None:
    big = b"x" * 200_000
    async with ScriptedOrigin(answering(ok(big), ok())) as origin, asker(origin) as app:
        response = await app.send()
        assert len(await content(response)) == 200_000
        assert await app.get() == b"hello"
    assert origin.connections == 1


async def test_the_bound_of_a_head_can_be_set() -> None:
    script = answering(ok(b"hi", "X: " + "x" * 500))
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(head_bound=400)) as app:
        assert (await app.failure())[0] is OriginFailure.HEADER_TOO_BIG
