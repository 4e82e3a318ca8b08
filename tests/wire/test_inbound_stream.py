"""A streamed body, between the connection that feeds it and the one reader."""

import asyncio

import pytest

from edgefn.model.errors import EdgeError, ViewerGoneError
from edgefn.model.headers import Headers
from edgefn.wire.stream import HIGH_WATER, LOW_WATER, StreamBody, Tap


class Feeder:
    """Notes what the body says."""

    def __init__(self, length: int | None = None, stall_timeout: float | None = None) -> None:
        self.said: list[str] = []
        tap = Tap(
            lambda: self.said.append("pause"),
            lambda: self.said.append("resume"),
            lambda complete: self.said.append("all" if complete else "part"),
            lambda: self.said.append("wanted"),
        )
        self.body = StreamBody(length, tap, stall_timeout, lambda: ViewerGoneError("stalled"))


async def test_a_body_that_is_all_here_is_taken_at_once() -> None:
    feeder = Feeder(4)
    feeder.body.feed(b"ab")
    assert feeder.body.buffered() is None
    feeder.body.feed(b"cd")
    feeder.body.finish(Headers([("T", "u")]))
    assert feeder.body.buffered() == b"abcd"
    assert feeder.body.trailers == Headers([("T", "u")])
    assert await feeder.body.read() == b""
    assert feeder.body.buffered() == b""
    assert feeder.said == ["all"]


async def test_a_reader_waits_and_says_once_that_it_does() -> None:
    feeder = Feeder()
    for sent in (b"a", b"b"):
        reading = asyncio.create_task(feeder.body.read())
        await asyncio.sleep(0)
        feeder.body.feed(sent)
        assert await reading == sent
    reading = asyncio.create_task(feeder.body.read())
    await asyncio.sleep(0)
    feeder.body.finish()
    assert await reading == b""
    feeder.body.close()
    assert feeder.said == ["wanted", "all"]


async def test_the_feeder_is_held_between_the_marks() -> None:
    feeder = Feeder()
    feeder.body.feed(b"x" * (HIGH_WATER - 1))
    assert feeder.said == []
    feeder.body.feed(b"x")
    feeder.body.feed(b"x")
    assert feeder.said == ["pause"]
    assert len(await feeder.body.read()) == HIGH_WATER + 1 > LOW_WATER
    assert feeder.said == ["pause", "resume"]


async def test_what_came_before_a_failure_is_read_before_it() -> None:
    feeder = Feeder()
    feeder.body.feed(b"a")
    feeder.body.fail(ViewerGoneError("gone"))
    feeder.body.feed(b"too late")
    feeder.body.finish()
    assert feeder.body.buffered() is None
    assert await feeder.body.read() == b"a"
    for _ in range(2):
        with pytest.raises(ViewerGoneError, match="gone") if _ == 0 else pytest.raises(AssertionError):
            assert await feeder.body.read()
    assert feeder.said == ["part"]


async def test_a_waiting_reader_gets_the_failure() -> None:
    feeder = Feeder()
    reading = asyncio.create_task(feeder.body.read())
    await asyncio.sleep(0)
    feeder.body.fail(ViewerGoneError("gone"))
    with pytest.raises(EdgeError, match="gone"):
        await reading


async def test_a_sender_that_stalls_fails_only_while_somebody_waits() -> None:
    feeder = Feeder(stall_timeout=0.02)
    await asyncio.sleep(0.04)
    feeder.body.feed(b"a")
    assert await feeder.body.read() == b"a"
    with pytest.raises(ViewerGoneError, match="stalled"):
        await feeder.body.read()


async def test_closing_early_says_so_once_and_drops_the_rest() -> None:
    feeder = Feeder()
    feeder.body.feed(b"x" * HIGH_WATER)
    feeder.body.close()
    feeder.body.close()
    feeder.body.feed(b"more")
    assert await feeder.body.read() == b""
    assert feeder.said == ["pause", "part", "resume"]


async def test_closing_a_body_that_has_arrived_says_that_it_was_all() -> None:
    feeder = Feeder()
    feeder.body.feed(b"x" * HIGH_WATER)
    feeder.body.finish()
    feeder.body.close()
    assert feeder.said == ["pause", "all", "resume"]


async def test_a_cancelled_reader_leaves_the_body_usable() -> None:
    feeder = Feeder(stall_timeout=5)
    reading = asyncio.create_task(feeder.body.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already has a reader"):
        await feeder.body.read()
    reading.cancel()
    await asyncio.wait([reading])
    feeder.body.feed(b"a")
    assert await feeder.body.read() == b"a"
