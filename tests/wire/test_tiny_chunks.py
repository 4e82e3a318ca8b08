"""Floods of tiny chunks: whole in the end, and never more than a little of them in one turn of the loop."""

from edgefn.model.message import Body, Request, Response
from edgefn.wire.dechunking import Dechunker
from tests.fakes.front import FakeApplication, said, serving
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin
from tests.wire.asking import asker

CHUNKS = 10_000
FLOOD = b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n"
A_LITTLE = 512
POST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


async def pieces(body: Body) -> list[int]:
    """Return the sizes of what could be read at a time: a reader gets all that came since its last turn."""
    sizes = []
    while data := await body.read():
        sizes.append(len(data))
    return sizes


async def test_a_viewer_s_flood_leaves_the_others_their_turns() -> None:
    sizes: list[int] = []

    async def answering(request: Request) -> Response:
        sizes.extend(await pieces(request.body))
        return said("read")

    async with serving(FakeApplication(answering)) as front, front.viewer() as viewer:
        await viewer.send(POST + FLOOD + b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await viewer.reply()).body == b"read"
        assert sum(sizes) == CHUNKS
        assert max(sizes) <= A_LITTLE
        assert (await viewer.reply()).status == 200
        assert [request.path for request in front.application.asked] == ["/", "/next"]


async def test_a_viewer_that_ends_behind_its_flood_is_answered() -> None:
    async def answering(request: Request) -> Response:
        return said(str(sum(await pieces(request.body))))

    async with serving(FakeApplication(answering)) as front, front.viewer() as viewer:
        await viewer.send(POST + FLOOD)
        viewer.end()
        assert (await viewer.reply()).body == str(CHUNKS).encode()


async def test_an_origin_s_flood_leaves_the_others_their_turns() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + FLOOD)
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        sizes = await pieces(response.body)
        assert sum(sizes) == CHUNKS
        assert max(sizes) <= A_LITTLE
        assert app.connections == (0, 1)
        assert (await app.send()).body.buffered() == b"hi"


async def test_an_origin_that_closes_behind_its_flood_has_sent_all_of_it() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + FLOOD)

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        assert sum(await pieces((await app.send()).body)) == CHUNKS


def test_what_is_fed_is_decoded_a_little_at_a_time() -> None:
    dechunker = Dechunker(100)
    content = [dechunker.feed(FLOOD[:50_000]), dechunker.feed(FLOOD[50_000:] + b"rest")]
    while dechunker.behind:
        content.append(dechunker.feed(b""))
    assert b"".join(content) == b"x" * CHUNKS
    assert max(map(len, content)) <= A_LITTLE
    assert (dechunker.done, dechunker.rest) == (True, b"rest")
