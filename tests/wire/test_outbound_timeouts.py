"""How long an origin may take, and what does not count against it."""

import asyncio

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.wire.patience import Patience
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, answering, ok
from tests.wire.asking import Dripping, asker, asking, content


async def silent(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.stall()


async def stalls_in_the_body(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    await conversation.stall()


async def drips(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while not conversation.writer.is_closing():
        await conversation.send(b"x")
        await asyncio.sleep(0.02)


async def test_an_origin_that_says_nothing_fails() -> None:
    async with ScriptedOrigin(silent) as origin, asker(origin) as app:
        failure, why = await app.failure(response_timeout=0.1)
        assert failure is OriginFailure.READ_TIMEOUT
        assert why == f"origin app at 127.0.0.1:{origin.port}: nothing came for 0.1 s"
        assert app.outcomes == ["OriginReadTimeout"]
        await origin.until_open(0)


async def test_a_timed_out_request_is_not_sent_again() -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(ok())
        await silent(conversation)

    async with ScriptedOrigin(once) as origin, asker(origin) as app:
        await app.get()
        failure, _ = await app.failure(response_timeout=0.1)
        assert failure is OriginFailure.READ_TIMEOUT
    assert len(origin.requests) == 2


async def test_an_origin_that_stalls_in_the_body_fails_it() -> None:
    async with ScriptedOrigin(stalls_in_the_body) as origin, asker(origin) as app:
        response = await app.send(response_timeout=0.1)
        assert await response.body.read() == b"hello"
        with pytest.raises(OriginError, match="nothing came") as caught:
            await response.body.read()
        assert caught.value.failure is OriginFailure.READ_TIMEOUT


async def test_each_byte_starts_the_wait_anew_but_the_whole_has_its_own_bound() -> None:
    async with ScriptedOrigin(drips) as origin, asker(origin) as app:
        response = await app.send(response_timeout=0.3, completion_timeout=0.6)
        with pytest.raises(OriginError, match=r"not complete after 0\.6 s") as caught:
            await content(response)
        assert caught.value.failure is OriginFailure.READ_TIMEOUT


async def test_a_slow_upload_is_not_the_origins_silence() -> None:
    late = asyncio.Event()
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        asyncio.get_running_loop().call_later(0.4, late.set)
        response = await app.send(asking("POST", body=Dripping(b"hel", late, b"lo", length=5)), response_timeout=0.1)
        assert response.status == 200


async def test_an_origin_that_does_not_take_the_request_fails() -> None:
    async def deaf(conversation: Conversation) -> None:
        conversation.writer.transport.pause_reading()
        await asyncio.sleep(30)

    async with ScriptedOrigin(deaf) as origin, asker(origin) as app:
        body = Dripping(*[b"x" * 65_536] * 400, length=400 * 65_536)
        failure, why = await app.failure(asking("POST", body=body), response_timeout=0.2)
        assert failure is OriginFailure.READ_TIMEOUT
        assert "nothing came" in why


def test_the_clock_stands_still_while_held_however_often() -> None:
    patience = Patience()
    patience.begin(100.0, 5.0, 20.0)
    patience.hold(102.0)
    patience.hold(103.0)
    assert patience.verdict(1000.0) is None
    patience.release(1000.0)
    assert patience.verdict(2000.0) is None
    patience.release(2000.0)
    assert patience.verdict(2004.9) is None
    assert patience.verdict(2005.0) == "nothing came for 5 s"
    patience.heard(2017.0)
    assert patience.verdict(2017.9) is None
    assert patience.verdict(2018.0) == "the response was not complete after 20 s"


def test_without_a_bound_on_the_whole_only_silence_counts() -> None:
    patience = Patience()
    patience.begin(0.0, 5.0, None)
    patience.heard(1e9)
    assert patience.verdict(1e9 + 1) is None
