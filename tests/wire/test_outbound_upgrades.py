"""101: the connection becomes a tunnel."""

import asyncio

import pytest

from edgefn.model.errors import OriginFailure
from edgefn.model.message import Duplex
from edgefn.wire.berth import PoolLimits
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, answering, ok
from tests.waiting import until
from tests.wire.asking import Asker, asker, asking

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = ("Upgrade", "echo")


async def echoing(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.send(SWITCH + b"first")
    while data := await conversation.reader.read(65_536):
        await conversation.send(data)


async def switched(app: Asker) -> Duplex:
    response = await app.send(asking("GET", "/", UPGRADE))
    assert (response.status, response.reason) == (101, "Switching Protocols")
    assert response.headers.get("upgrade") == "echo"
    assert response.tunnel is not None
    return response.tunnel


async def test_bytes_go_both_ways_and_those_behind_the_head_come_first() -> None:
    async with ScriptedOrigin(echoing) as origin, asker(origin) as app:
        tunnel = await switched(app)
        assert await tunnel.read() == b"first"
        await tunnel.write(b"second")
        assert await tunnel.read() == b"second"
        assert app.connections == (1, 0)
        tunnel.end()
        assert await tunnel.read() == b""
        await until(lambda: app.connections == (0, 0))
    assert origin.requests[0].header("connection") == "Upgrade"


async def test_what_the_origin_still_says_after_our_end_can_be_read() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(SWITCH)
        assert await conversation.reader.read() == b"bye"
        await conversation.send(b"farewell")

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        tunnel = await switched(app)
        await tunnel.write(b"bye")
        tunnel.end()
        assert await tunnel.read() == b"farewell"
        assert await tunnel.read() == b""


async def test_what_we_still_say_after_the_origins_end_arrives() -> None:
    heard = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(SWITCH)
        conversation.end()
        assert await conversation.reader.read() == b"still here"
        heard.set()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        tunnel = await switched(app)
        assert await tunnel.read() == b""
        await tunnel.write(b"still here")
        tunnel.end()
        async with asyncio.timeout(5):
            await heard.wait()
        await until(lambda: app.connections == (0, 0))


async def test_a_slow_reader_holds_the_far_side_back() -> None:
    sent = 0

    async def script(conversation: Conversation) -> None:
        nonlocal sent
        await conversation.request()
        await conversation.send(SWITCH)
        for _ in range(500):
            await conversation.send(b"x" * 65_536)
            sent += 1

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        tunnel = await switched(app)
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 400
        got = 0
        while data := await tunnel.read():
            got += len(data)
        assert got == 500 * 65_536


async def flood(tunnel: Duplex, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            await tunnel.write(b"x" * 65_536)


async def test_a_slow_far_side_holds_the_writer_back() -> None:
    go_on = asyncio.Event()
    got = 0

    async def script(conversation: Conversation) -> None:
        nonlocal got
        await conversation.request()
        await conversation.send(SWITCH)
        conversation.writer.transport.pause_reading()
        await go_on.wait()
        conversation.writer.transport.resume_reading()
        while data := await conversation.reader.read(2**20):
            got += len(data)

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        tunnel = await switched(app)
        with pytest.raises(TimeoutError):
            await flood(tunnel, 0.3)
        go_on.set()
        await tunnel.write(b"the end")
        tunnel.end()
        assert await tunnel.read() == b""
        assert got % 65_536 == len(b"the end")


async def test_closing_drops_the_connection_and_ends_both_ways() -> None:
    async with ScriptedOrigin(echoing) as origin, asker(origin) as app:
        tunnel = await switched(app)
        await tunnel.read()
        reading = asyncio.create_task(tunnel.read())
        await asyncio.sleep(0)
        tunnel.close()
        tunnel.close()
        assert await reading == b""
        await until(lambda: app.connections == (0, 0))
        with pytest.raises(ConnectionResetError):
            await tunnel.write(b"too late")
        tunnel.end()
        await origin.until_open(0)


async def test_a_tunnel_without_traffic_ends() -> None:
    async with ScriptedOrigin(echoing) as origin, asker(origin, PoolLimits(tunnel_idle=0.1)) as app:
        tunnel = await switched(app)
        assert await tunnel.read() == b"first"
        async with asyncio.timeout(5):
            assert await tunnel.read() == b""
        assert app.connections == (0, 0)


async def test_the_pool_takes_its_tunnels_along() -> None:
    async with ScriptedOrigin(echoing) as origin, asker(origin) as app:
        tunnel = await switched(app)
        await app.pool.close()
        assert await tunnel.read() in {b"first", b""}
        await origin.until_open(0)


async def test_a_101_that_nobody_asked_for_is_refused() -> None:
    async with ScriptedOrigin(answering(SWITCH)) as origin, asker(origin) as app:
        failure, why = await app.failure()
        assert failure is OriginFailure.INVALID_RESPONSE
        assert "no upgrade was asked for" in why


async def test_an_origin_need_not_switch() -> None:
    async with ScriptedOrigin(answering(ok(b"plain"))) as origin, asker(origin) as app:
        response = await app.send(asking("GET", "/", UPGRADE))
        assert (response.status, response.tunnel, response.body.buffered()) == (200, None, b"plain")
        assert app.connections == (0, 1)
