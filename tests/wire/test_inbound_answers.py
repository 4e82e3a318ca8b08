"""How answers go out: framing, interim responses, slow viewers, and bodies that break."""

import asyncio
from collections.abc import Iterable

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import BytesBody, Request, Response
from edgefn.model.settings import ViewerLimits
from tests.fakes.front import FakeApplication, Front, Reply, said, serving

GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class SlowBody:
    """Yields its pieces one by one; an exception among them is raised."""

    def __init__(
        self, pieces: Iterable[bytes | Exception], length: int | None = None, trailers: Headers = NO_HEADERS
    ) -> None:
        self.pieces = iter(pieces)
        self.length = length
        self.trailers = trailers
        self.taken = 0
        self.closed = False

    def buffered(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        piece = next(self.pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        self.taken += len(piece)
        return piece

    def close(self) -> None:
        self.closed = True


def answering(response: Response, *, at_once: bool = False) -> FakeApplication:
    async def answer(request: Request) -> Response:
        return response

    return FakeApplication(answering=answer, at_once=(lambda _: response) if at_once else None)


async def replied(response: Response, sent: str = GET, *, at_once: bool = False) -> Reply:
    """Return the reply to `sent`, having seen that the connection is sound after it."""
    async with serving(answering(response, at_once=at_once)) as front, front.viewer() as viewer:
        await viewer.send(sent)
        reply = await viewer.reply(to_head=sent.startswith("HEAD"))
        if "1.0" in sent or reply.field("connection") == "close":
            assert await viewer.rest() == b""
        else:
            await front.application.until_told()
            front.application.answering, front.application.at_once = None, None
            await viewer.send(GET)
            assert (await viewer.reply()).body == b"GET /"
        return reply


OURS = Headers([("content-length", "7"), ("Transfer-Encoding", "chunked"), ("Connection", "x"), ("Keep-Alive", "1")])


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_framing_is_ours_and_not_that_of_the_fields(at_once: bool) -> None:
    response = said("hello", headers=OURS.adding(("X-a", "1"), ("x-A", "\xe9")))
    reply = await replied(response, at_once=at_once)
    assert reply.head == "HTTP/1.1 200 OK\r\nX-a: 1\r\nx-A: \xe9\r\nContent-Length: 5\r\n\r\n"


async def test_an_unknown_length_goes_in_chunks_with_trailers() -> None:
    body = SlowBody([b"a", b"bc" * 20], trailers=Headers([("X-Sum", "1"), ("Content-Length", "9")]))
    reply = await replied(Response(200, "", OURS, body))
    assert reply.head == "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (reply.body, reply.trailers) == (b"a" + b"bc" * 20, "X-Sum: 1\r\n")
    assert body.closed


async def test_an_unknown_length_ends_with_the_connection_for_http_1_0() -> None:
    body = SlowBody([b"a", b"bc"])
    reply = await replied(Response(200, "OK", OURS, body), "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (reply.head, reply.body) == ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"abc")


async def test_http_1_0_is_kept_alive_only_when_asked() -> None:
    assert (await replied(said("a"), "GET / HTTP/1.0\r\n\r\n")).field("connection") == "close"
    async with serving() as front, front.viewer() as viewer:
        await viewer.send("GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        assert (await viewer.reply()).field("connection") == "keep-alive"
        await viewer.send("GET /2 HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n")
        assert (await viewer.reply()).field("connection") == "close"


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("status", "method", "told", "length"),
    [
        (204, "GET", "7", None),
        (304, "GET", "7", "7"),
        (304, "GET", None, None),
        (200, "HEAD", "7", "7"),
        (200, "HEAD", None, "5"),
    ],
)
async def test_no_body_where_there_must_be_none(
    at_once: bool, status: int, method: str, told: str | None, length: str | None
) -> None:
    headers = Headers([("Content-Length", told)] if told else [])
    response = Response(status, "", headers, BytesBody(b"hello"))
    reply = await replied(response, f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n", at_once=at_once)
    assert (reply.status, reply.field("content-length"), reply.field("transfer-encoding")) == (status, length, None)


async def test_a_head_of_unknown_length_says_nothing_of_it() -> None:
    body = SlowBody([b"a"])
    reply = await replied(Response(200, "OK", NO_HEADERS, body), "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert reply.head == "HTTP/1.1 200 OK\r\n\r\n"
    assert body.closed


@pytest.mark.parametrize("status", [205, 299, 451, 599])
async def test_any_final_status_and_reason_passes(status: int) -> None:
    reply = await replied(Response(status, "Caf\xe9 au lait", NO_HEADERS, BytesBody(b"x")))
    assert reply.head.startswith(f"HTTP/1.1 {status} Caf\xe9 au lait\r\n")


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 5_000_000])
@pytest.mark.parametrize("at_once", [True, False])
async def test_bodies_of_any_size_arrive_whole(size: int, at_once: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    reply = await replied(Response(200, "OK", NO_HEADERS, BytesBody(body)), at_once=at_once)
    assert reply.body == body


def lost() -> OriginError:
    return OriginError(OriginFailure.CLOSED, "gone")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (SlowBody([b"abc", lost()], 6), GET),
        (SlowBody([b"abc", lost()]), GET),
        (SlowBody([b"abc", lost()]), "GET / HTTP/1.0\r\n\r\n"),
        (SlowBody([b"abc"], 6), GET),
        (SlowBody([b"abc", b"defg"], 6), GET),
    ],
    ids=["a known length", "chunks", "to the close", "too short", "too long"],
)
async def test_a_broken_body_never_ends_well(body: SlowBody, sent: str) -> None:
    async with serving(answering(Response(200, "OK", NO_HEADERS, body))) as front, front.viewer() as viewer:
        await viewer.send(sent)
        assert await viewer.is_reset()
        (told,) = front.application.told
        assert (told.complete, told.status) == (False, 200)
        assert body.closed


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    "response",
    [
        said("", headers=Headers([("X", "a\r\nSet-Cookie: b")])),
        said("", headers=Headers([("X", "a\nb")])),
        said("", headers=Headers([("X\r", "a")])),
        said("", headers=Headers([("X", "\0")])),
        said("", headers=Headers([("X", "\u20ac")])),
        Response(200, "OK\r\nX: y", NO_HEADERS),
        Response(101, "Switching", NO_HEADERS),
        Response(103, "Early", NO_HEADERS),
    ],
)
async def test_what_is_no_answer_never_leaves(response: Response, at_once: bool) -> None:
    async with serving(answering(response, at_once=at_once)) as front, front.viewer() as viewer:
        await viewer.send(GET)
        assert await viewer.is_reset()
        assert [told.complete for told in front.application.told] == [False]


async def test_interim_responses_go_out_at_once_and_in_order() -> None:
    async def answer(request: Request) -> Response:
        request.interim(103, Headers([("Link", "</a>"), ("Content-Length", "3")]))
        request.interim(199, NO_HEADERS)
        for status in (100, 101, 200):
            request.interim(status, NO_HEADERS)
        request.interim(103, Headers([("X", "a\r\nb")]))
        return said("done")

    application = FakeApplication(answering=answer)
    async with serving(application) as front, front.viewer() as viewer:
        await viewer.send(GET)
        assert (await viewer.head()).head == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert (await viewer.head()).status == 199
        assert (await viewer.reply()).body == b"done"
        (told,) = await application.until_told()
        asked = application.asked[0]
        asked.interim(103, NO_HEADERS)  # too late, and it must not disturb the next answer
        await viewer.send("GET / HTTP/1.0\r\n\r\n")
        assert (await viewer.reply()).status == 200
        assert told.complete


async def read_slowly(front: Front, body: SlowBody) -> int:
    """Return how much of `body` was taken while the viewer reads nothing."""
    async with front.viewer(1_024) as viewer:
        await viewer.send(GET)
        await viewer.head()
        (told,) = await front.application.until_told()
        assert not told.complete
        return body.taken


@pytest.mark.parametrize("length", [None, 100 * 65_536 * 16])
async def test_a_viewer_that_stops_reading_is_dropped_and_little_is_buffered_for_it(length: int | None) -> None:
    body = SlowBody([b"x" * 65_536] * 1_600, length)
    limits = ViewerLimits(stall_timeout=0.2)
    async with serving(answering(Response(200, "OK", NO_HEADERS, body)), limits) as front:
        assert await read_slowly(front, body) < 16_000_000  # the kernel's buffers, and a little of ours
        assert body.closed


async def test_what_was_sent_is_told_to_the_byte() -> None:
    async with serving(answering(said("hello"))) as front, front.viewer() as viewer:
        await viewer.send(GET)
        reply = await viewer.reply()
        (told,) = await front.application.until_told()
        assert (told.status, told.complete, told.id) == (200, True, "id-1")
        assert told.request is front.application.asked[0]
        assert told.size == len(reply.head) + 5
