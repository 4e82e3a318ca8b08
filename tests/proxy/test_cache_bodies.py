"""A body streams to its viewer while it is collected, and is stored only when all of it came."""

import asyncio

import pytest

from edgefn.model.errors import OriginError
from edgefn.model.headers import Headers
from edgefn.model.message import BytesBody
from edgefn.model.trail import Result
from tests.proxy.cache_stage import BROKEN, FRESH, ArrivingBody, Stage, asking, saying, settled


def streaming(body: ArrivingBody) -> Stage:
    stage = Stage()
    stage.origin.says = lambda request: saying(body, FRESH)
    return stage


async def test_the_first_viewer_gets_each_part_as_it_comes() -> None:
    body = ArrivingBody()
    stage = streaming(body)
    response = await stage.cache.serve(asking(), stage.origin)
    body.arrives(b"he")
    assert await response.body.read() == b"he"
    assert len(stage.store) == 0
    body.arrives(b"llo", b"")
    assert [await response.body.read(), await response.body.read()] == [b"llo", b""]
    hit = await stage.get()
    assert (hit.text, hit.result, len(stage.flights)) == ("hello", Result.HIT, 0)


async def test_a_body_that_breaks_off_is_not_stored() -> None:
    body = ArrivingBody()
    stage = streaming(body)
    request = asking()
    response = await stage.cache.serve(request, stage.origin)
    body.arrives(b"he", BROKEN)
    assert await response.body.read() == b"he"
    with pytest.raises(OriginError):
        await response.body.read()
    assert (len(stage.store), len(stage.flights), request.trail.cache_reason) == (0, 0, "incomplete")


async def test_a_body_shorter_than_declared_is_not_stored() -> None:
    body = ArrivingBody(length=5)
    stage = streaming(body)
    body.arrives(b"he", b"")
    assert (await stage.get()).reason == "incomplete"
    assert (len(stage.store), len(stage.flights)) == (0, 0)


async def test_a_body_of_known_length_is_stored_before_its_viewer_has_the_last_of_it() -> None:
    body = ArrivingBody(length=5)
    stage = streaming(body)
    response = await stage.cache.serve(asking(), stage.origin)
    body.arrives(b"he", b"llo")
    assert [await response.body.read(), await response.body.read()] == [b"he", b"llo"]
    assert (await stage.get()).result is Result.HIT


async def test_when_the_viewer_leaves_the_fetch_stops_and_nothing_is_stored() -> None:
    body = ArrivingBody()
    stage = streaming(body)
    response = await stage.cache.serve(asking(), stage.origin)
    body.arrives(b"he")
    await response.body.read()
    response.body.close()
    response.body.close()
    assert (body.is_closed, len(stage.store), len(stage.flights)) == (True, 0, 0)


async def test_a_viewer_cancelled_while_it_reads_leaves_nothing_behind() -> None:
    body = ArrivingBody()
    stage = streaming(body)
    viewer = asyncio.ensure_future(stage.get())
    await settled()
    viewer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await viewer
    assert (len(stage.store), len(stage.flights)) == (0, 0)


async def test_a_body_that_grows_too_large_streams_on_and_is_not_stored() -> None:
    body = ArrivingBody()
    stage = Stage(capacity=8_000)
    stage.origin.says = lambda request: saying(body, FRESH)
    body.arrives(b"x" * 900, b"x" * 900, b"x" * 900, b"")
    told = await stage.get()
    assert (len(told.text), told.reason, len(stage.store), len(stage.flights)) == (2700, "too-large", 0, 0)


async def test_closing_after_the_end_undoes_nothing() -> None:
    body = ArrivingBody()
    stage = streaming(body)
    response = await stage.cache.serve(asking(), stage.origin)
    body.arrives(b"")
    assert await response.body.read() == b""
    response.body.close()
    assert (await stage.get()).result is Result.HIT


async def test_a_failed_fetch_leaves_nothing_behind() -> None:
    stage = Stage()

    async def failing(request: object) -> object:
        raise BROKEN

    with pytest.raises(OriginError):
        await stage.cache.serve(asking(), failing)
    assert len(stage.flights) == 0
    assert (await stage.get()).result is Result.MISS


async def test_trailers_reach_the_viewer_who_fetched_and_are_not_stored() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying(BytesBody(b"hello", Headers([("Sum", "1")])), FRESH)
    first = await stage.cache.serve(asking(), stage.origin)
    second = await stage.cache.serve(asking(), stage.origin)
    assert [list(response.body.trailers) for response in (first, second)] == [[("Sum", "1")], []]
    assert second.body.buffered() == b"hello"
