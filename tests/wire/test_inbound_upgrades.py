"""After 101 the connection is a pipe, both ways, each side ending on its own."""

import asyncio

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response
from edgefn.wire import upgraded
from tests.fakes.front import FakeApplication, said, serving

UPGRADE = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"


class FakeFar:
    """The far side: what it says is put into `says`, what it hears is in `heard`."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.closed = asyncio.Event()

    async def read(self) -> bytes:
        said = await self.says.get()
        if isinstance(said, Exception):
            raise said
        return said

    async def write(self, data: bytes) -> None:
        await self.may_write.wait()
        self.heard.put_nowait(data)

    def end(self) -> None:
        self.heard.put_nowait(b"")

    def close(self) -> None:
        self.closed.set()


def upgrading(far: FakeFar) -> FakeApplication:
    async def answer(request: Request) -> Response:
        return Response(101, "Switching Protocols", Headers([("Upgrade", "chat"), ("X", "y")]), tunnel=far)

    return FakeApplication(answering=answer)


async def test_bytes_go_both_ways_until_both_sides_have_ended() -> None:
    far = FakeFar()
    async with serving(upgrading(far)) as front, front.viewer() as viewer:
        await viewer.send(UPGRADE + "too early?")
        reply = await viewer.head()
        assert reply.head == (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nX: y\r\nConnection: Upgrade\r\n\r\n"
        )
        assert await far.heard.get() == b"too early?"
        far.says.put_nowait(b"no")
        assert await viewer.reader.readexactly(2) == b"no"
        viewer.end()
        assert await far.heard.get() == b""
        far.says.put_nowait(b"goodbye")
        far.says.put_nowait(b"")
        assert await viewer.rest() == b"goodbye"
        (told,) = await front.application.until_told()
        assert (told.status, told.complete, told.size) == (101, True, len(reply.head) + 9)
        assert far.closed.is_set()


async def test_the_far_side_may_end_first() -> None:
    far = FakeFar()
    async with serving(upgrading(far)) as front, front.viewer() as viewer:
        await viewer.send(UPGRADE)
        await viewer.head()
        far.says.put_nowait(b"")
        assert await viewer.rest() == b""
        await viewer.send("still here")
        assert await far.heard.get() == b"still here"
        viewer.end()
        assert (await front.application.until_told())[0].complete


@pytest.mark.parametrize("error", [OriginError(OriginFailure.CLOSED, "gone"), ConnectionResetError()])
async def test_a_far_side_that_breaks_breaks_the_viewer(error: Exception) -> None:
    far = FakeFar()
    async with serving(upgrading(far)) as front, front.viewer() as viewer:
        await viewer.send(UPGRADE)
        await viewer.head()
        far.says.put_nowait(error)
        assert await viewer.is_reset()
        assert not (await front.application.until_told())[0].complete
        assert far.closed.is_set()


async def test_a_viewer_that_vanishes_closes_the_far_side() -> None:
    far = FakeFar()
    async with serving(upgrading(far)) as front:
        async with front.viewer() as viewer:
            await viewer.send(UPGRADE)
            await viewer.head()
        await asyncio.sleep(0.01)
        far.says.put_nowait(b"anybody there?")
        far.says.put_nowait(b"")
        await asyncio.wait_for(far.closed.wait(), 5)
        assert len(await front.application.until_told()) == 1


async def test_a_slow_far_side_holds_the_viewer_back() -> None:
    far = FakeFar()
    far.may_write.clear()
    async with serving(upgrading(far)) as front, front.viewer() as viewer:
        await viewer.send(UPGRADE)
        await viewer.head()
        viewer.writer.write(b"x" * 20_000_000)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(viewer.writer.drain(), 0.1)
        assert viewer.writer.transport.get_write_buffer_size() > 1_000_000
        far.may_write.set()
        heard = 0
        while heard < 20_000_000:
            heard += len(await asyncio.wait_for(far.heard.get(), 5))
        assert heard == 20_000_000


async def test_a_silent_tunnel_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgraded, "IDLE_TIMEOUT", 0.5)  # long beside the gaps below, on a busy machine too
    far, loop = FakeFar(), asyncio.get_running_loop()
    async with serving(upgrading(far)) as front, front.viewer() as viewer:
        await viewer.send(UPGRADE)
        await viewer.head()
        until = loop.time() + 0.7
        while loop.time() < until:
            await viewer.send("x")
            await asyncio.sleep(0.02)
        assert not far.closed.is_set()
        assert await viewer.is_reset()
        assert far.closed.is_set()


async def test_without_101_what_came_behind_is_the_next_request() -> None:
    async with serving() as front, front.viewer() as viewer:
        await viewer.send(UPGRADE + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await viewer.reply()).body == b"GET /chat"
        assert (await viewer.reply()).body == b"GET /next"


@pytest.mark.parametrize(
    "sent",
    [
        "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nUpgrade: chat\r\nContent-Length: 5\r\n\r\n",
    ],
    ids=["HTTP/1.0", "a body is still coming"],
)
async def test_no_101_where_it_is_impossible(sent: str) -> None:
    far = FakeFar()
    async with serving(upgrading(far)) as front, front.viewer() as viewer:
        await viewer.send(sent)
        assert await viewer.is_reset()
        assert far.closed.is_set()


async def test_no_tunnel_without_101() -> None:
    far = FakeFar()

    async def answer(request: Request) -> Response:
        plain = said("no")
        return Response(plain.status, plain.reason, plain.headers, plain.body, tunnel=far)

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        await viewer.send(UPGRADE)
        assert await viewer.is_reset()
        assert far.closed.is_set()
