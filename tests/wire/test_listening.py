"""Opening, changing and closing the sockets that viewers come to."""

import asyncio

import pytest

from edgefn.model.errors import SettingsError
from edgefn.model.message import Request, Response
from edgefn.model.settings import Certificate, Listen, ViewerLimits
from edgefn.wire.listening import Listening
from tests.fakes.front import FakeApplication, said, serving

GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def saying(text: str) -> FakeApplication:
    return FakeApplication(at_once=lambda _: said(text))


class Gate:
    """An application's answer that waits until it is let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        await self.open.wait()
        return said("late")


async def test_several_addresses_are_served_and_told() -> None:
    listening = Listening(saying("hi"), ViewerLimits())
    await listening.start((Listen("127.0.0.1", 0), Listen("127.0.0.1", 0)))
    assert len({port for _, port in listening.addresses}) == 2
    for host, port in listening.addresses:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(GET.encode())
        assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")
        writer.close()
    await listening.drain(1)
    assert listening.addresses == ()


async def test_an_address_that_is_taken_is_named_and_none_is_left_open() -> None:
    async with serving() as front:
        host, port = front.listening.addresses[0]
        listening = Listening(saying("hi"), ViewerLimits())
        with pytest.raises(SettingsError, match=f"{host}:{port}"):
            await listening.start((Listen(host, 0), Listen(host, port)))
        assert listening.addresses == ()
        await listening.drain(0)


async def test_workers_share_a_port() -> None:
    first, second = Listening(saying("1"), ViewerLimits()), Listening(saying("2"), ViewerLimits())
    await first.start((Listen("127.0.0.1", 0),), reuse_port=True)
    port = first.addresses[0][1]
    await second.start((Listen("127.0.0.1", port),), reuse_port=True)
    assert second.addresses == first.addresses
    await first.drain(0)
    await second.drain(0)


async def test_new_settings_hold_for_the_next_request_on_the_same_connection() -> None:
    gate = Gate()
    async with serving(FakeApplication(answering=gate.answer)) as front, front.viewer() as busy, front.viewer() as idle:
        await busy.send(GET)
        await front.application.until_asked()
        after = saying("new")
        front.listening.swap(after, ViewerLimits(url_size=1))
        gate.open.set()
        assert (await busy.reply()).body == b"late"
        assert len(front.application.told) == 1
        await busy.send(GET)
        assert (await busy.reply()).body == b"new"
        await idle.send("GET /long HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await idle.reply()).status == 414
        async with front.viewer() as later:
            await later.send(GET)
            assert (await later.reply()).body == b"new"


async def test_draining_closes_the_idle_and_lets_the_busy_finish() -> None:
    gate = Gate()
    async with (
        serving(FakeApplication(answering=gate.answer)) as front,
        front.viewer() as busy,
        front.viewer() as halfway,
        front.viewer() as idle,
    ):
        await busy.send(GET)
        await halfway.send("GET / HTT")
        await front.application.until_asked()
        host, port = front.listening.addresses[0]
        draining = asyncio.create_task(front.listening.drain(5))
        assert await idle.rest() == b""
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection(host, port)
        await halfway.send("P/1.1\r\nHost: h\r\n\r\n")
        await front.application.until_asked(2)
        assert not draining.done()
        gate.open.set()
        for viewer in (busy, halfway):
            reply = await viewer.reply()
            assert (reply.body, reply.field("connection")) == (b"late", "close")
            assert await viewer.rest() == b""
        await asyncio.wait_for(draining, 1)


async def test_draining_aborts_what_is_left_at_the_timeout() -> None:
    gate = Gate()
    async with serving(FakeApplication(answering=gate.answer)) as front, front.viewer() as viewer:
        await viewer.send(GET)
        await front.application.until_asked()
        await asyncio.wait_for(front.listening.drain(0.05), 1)
        assert front.application.cancelled == 1
        assert [told.complete for told in front.application.told] == [False]
        assert await viewer.is_reset()


async def test_plain_listeners_have_no_certificates_to_reload() -> None:
    async with serving() as front:
        front.listening.use_certificates(front.listening.load_certificates())
        assert front.listening.addresses


async def test_a_listener_without_its_certificate_does_not_start() -> None:
    listening = Listening(saying("hi"), ViewerLimits())
    with pytest.raises(SettingsError, match=r"/nowhere/a\.pem: can't be read"):
        await listening.start((Listen("127.0.0.1", 0, (Certificate("/nowhere/a.pem", "/nowhere/a.key"),)),))
    assert listening.addresses == ()
