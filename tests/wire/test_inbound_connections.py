"""What a connection lives through: pipelining, half-closes, viewers that leave, that are slow, that say nothing."""

import asyncio
import socket
import struct
import time

import pytest

from edgefn.model.errors import BadRequestError, EdgeError, ViewerGoneError
from edgefn.model.headers import NO_HEADERS
from edgefn.model.message import BytesBody, Request, Response
from edgefn.model.settings import ViewerLimits
from edgefn.wire.connections import Connections
from edgefn.wire.inbound import Inbound
from tests.fakes.front import FakeApplication, FakeTransport, FakeViewer, echo, said, serving


def get(target: str) -> str:
    return f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"


def reset(viewer: FakeViewer) -> None:
    """Leave as a viewer that crashed: with a reset."""
    sock = viewer.writer.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    viewer.vanish()


async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    under_way = 0

    async def answer(request: Request) -> Response:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(0 if request.path == "/1" else 0.001)
        under_way -= 1
        return said(request.path)

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        await viewer.send("".join(get(f"/{n}") for n in range(50)))
        assert [(await viewer.reply()).body.decode() for _ in range(50)] == [f"/{n}" for n in range(50)]


async def test_a_flood_of_pipelined_requests_does_not_starve_the_other_viewers() -> None:
    application = FakeApplication(at_once=lambda request: said(request.path))
    async with serving(application) as front, front.viewer() as flooder, front.viewer() as other:
        await flooder.send(get("/flood") * 2_000)
        await other.send(get("/other"))
        assert (await other.reply()).body == b"/other"
        assert application.opened < 2_001
        for _ in range(2_000):
            assert (await flooder.reply()).body == b"/flood"


async def test_no_more_is_read_than_a_bound_while_an_answer_is_under_way() -> None:
    go = asyncio.Event()

    async def answer(request: Request) -> Response:
        await go.wait()
        return said(request.path)

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        many = 400_000
        viewer.writer.write((get("/a") * many).encode())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(viewer.writer.drain(), 0.1)
        assert viewer.writer.transport.get_write_buffer_size() > 1_000_000
        go.set()
        assert (await viewer.reply()).body == b"/a"
        assert (await viewer.reply()).body == b"/a"


async def test_after_a_half_close_all_requests_are_still_answered() -> None:
    go = asyncio.Event()

    async def answer(request: Request) -> Response:
        await go.wait()
        return said(request.path)

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        await viewer.send(get("/1") + get("/2") + "GET /unfinished HTTP/1.1\r\n")
        viewer.end()
        await front.application.until_asked()
        await asyncio.sleep(0.01)
        go.set()
        assert (await viewer.reply()).body == b"/1"
        assert (await viewer.reply()).body == b"/2"
        assert await viewer.rest() == b""
        assert (front.application.cancelled, len(front.application.told)) == (0, 2)


async def test_a_viewer_that_ended_does_not_get_for_ever_to_be_answered() -> None:
    async def answer(request: Request) -> Response:
        await asyncio.Event().wait()
        return said(request.path)

    limits = ViewerLimits(half_close_timeout=0.05)
    async with serving(FakeApplication(answering=answer), limits) as front, front.viewer() as viewer:
        await viewer.send(get("/1"))
        await front.application.until_asked()
        viewer.end()
        assert await viewer.is_reset()
        assert front.application.cancelled == 1


async def test_a_half_close_within_a_body_fails_the_body() -> None:
    errors: list[EdgeError] = []

    async def answer(request: Request) -> Response:
        try:
            await request.body.read()
            await request.body.read()
        except EdgeError as error:
            errors.append(error)
        return said("a pity")

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
        await front.application.until_asked()
        viewer.end()
        assert (await viewer.reply()).body == b"a pity"
        assert await viewer.rest() == b""
        assert [type(error) for error in errors] == [ViewerGoneError]


async def test_the_work_for_a_viewer_that_left_is_cancelled() -> None:
    async def answer(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    application = FakeApplication(answering=answer)
    async with serving(application) as front, front.viewer() as viewer:
        await viewer.send(get("/"))
        await application.until_asked()
        reset(viewer)
        (told,) = await application.until_told()
        assert (told.status, told.size, told.complete) == (0, 0, False)
        assert application.cancelled == 1


async def test_a_body_fails_when_its_viewer_leaves() -> None:
    failed: asyncio.Future[EdgeError] = asyncio.get_running_loop().create_future()

    async def read_aside(request: Request) -> None:
        try:
            while True:
                assert await request.body.read()
        except EdgeError as error:
            failed.set_result(error)

    async def answer(request: Request) -> Response:
        reader = asyncio.create_task(read_aside(request))
        await asyncio.shield(reader)
        return said("")

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
        await front.application.until_asked()
        reset(viewer)
        assert isinstance(await asyncio.wait_for(failed, 5), ViewerGoneError)


async def test_a_viewer_that_leaves_in_the_middle_of_its_answer_is_noticed() -> None:
    big = Response(200, "OK", NO_HEADERS, BytesBody(b"x" * 50_000_000))
    application = FakeApplication(at_once=lambda _: big)
    async with serving(application) as front, front.viewer() as viewer:
        await viewer.send(get("/"))
        await viewer.head()
        reset(viewer)
        (told,) = await application.until_told()
        assert (told.status, told.complete) == (200, False)
        assert 0 < told.size < 50_000_000


async def test_a_task_that_was_cancelled_before_it_began_is_told_of_too() -> None:
    application = FakeApplication()
    inbound = Inbound(application, ViewerLimits(), Connections())
    inbound.connection_made(FakeTransport())
    inbound.data_received(get("/").encode())
    inbound.connection_lost(None)
    await asyncio.sleep(0)
    assert [(told.status, told.complete) for told in application.told] == [(0, False)]


FAST = ViewerLimits(headers_timeout=0.05, keepalive_timeout=0.1, stall_timeout=0.05)


async def test_a_viewer_that_says_nothing_is_dropped_silently() -> None:
    async with serving(limits=FAST) as front, front.viewer() as viewer:
        assert await viewer.rest() == b""
        assert front.application.opened == 0


async def test_an_idle_connection_is_dropped_silently_but_later() -> None:
    async with serving(limits=FAST) as front, front.viewer() as viewer:
        await viewer.send(get("/"))
        await viewer.reply()
        since = time.monotonic()
        assert await viewer.rest() == b""
        assert 0.09 < time.monotonic() - since < 1.0
        assert front.application.refused == []


@pytest.mark.parametrize("before", ["", get("/") + "\r\n"])
async def test_a_head_that_does_not_end_gets_408_however_it_trickles(before: str) -> None:
    async with serving(limits=FAST) as front, front.viewer() as viewer:
        if before:
            await viewer.send(before)
            await viewer.reply()
        await viewer.send("GET / HTTP/1.1\r\n")
        since = time.monotonic()
        while not front.application.refused and time.monotonic() - since < 2:
            await viewer.send("X")
            await asyncio.sleep(0.01)
        assert (await viewer.reply()).status == 408
        assert await viewer.rest() == b""


async def test_a_body_that_stops_coming_fails_for_its_reader() -> None:
    async with serving(FakeApplication(answering=echo), FAST) as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        reply = await viewer.reply()
        assert reply.status == 408
        assert await viewer.rest() == b""


async def test_a_long_answer_is_not_bound_by_the_timeouts_for_requests() -> None:
    async def answer(request: Request) -> Response:
        await asyncio.sleep(0.2)
        return said("at last")

    async with serving(FakeApplication(answering=answer), FAST) as front, front.viewer() as viewer:
        await viewer.send(get("/"))
        assert (await viewer.reply()).body == b"at last"


async def test_a_reader_that_is_slow_holds_its_viewer_back() -> None:
    go = asyncio.Event()

    async def answer(request: Request) -> Response:
        await request.body.read()
        await go.wait()
        return await echo(request)

    async with serving(FakeApplication(answering=answer)) as front, front.viewer(1 << 25) as viewer:
        size = 20_000_000
        viewer.writer.write(f"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(viewer.writer.drain(), 0.1)
        assert viewer.writer.transport.get_write_buffer_size() > 1_000_000
        go.set()
        reply = await viewer.reply()
        assert len(reply.body) > size - 1_000_000


async def test_an_application_that_breaks_its_promise_costs_its_connection_and_is_reported() -> None:
    reports: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    async def answer(request: Request) -> Response:
        raise ZeroDivisionError

    async with serving(FakeApplication(answering=answer)) as front, front.viewer() as viewer:
        await viewer.send(get("/"))
        assert await viewer.is_reset()
        assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
        assert [told.complete for told in front.application.told] == [False]


async def test_a_refusal_reaches_a_viewer_that_is_still_sending() -> None:
    async with serving(limits=ViewerLimits(body_size=10)) as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n")
        await front.application.until_told()
        await viewer.send(b"x" * 300_000)
        assert (await viewer.reply()).status == 413
        assert await viewer.rest() == b""
        assert [error.status for error in front.application.refused if isinstance(error, BadRequestError)] == [413]


async def test_to_a_viewer_that_has_left_nothing_more_is_said() -> None:
    """A turn of the loop passes before whoever works for it hears of that, and an origin may speak in it."""
    raised: list[Exception] = []

    async def answer(request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                request.interim(103, NO_HEADERS)
            except Exception as error:  # noqa: BLE001  # any is one too many
                raised.append(error)
            raise
        return said("never")

    application = FakeApplication(answering=answer)
    async with serving(application) as front, front.viewer() as viewer:
        await viewer.send(get("/"))
        await application.until_asked()
        reset(viewer)
        await application.until_told()
        assert (application.cancelled, raised) == (1, [])
