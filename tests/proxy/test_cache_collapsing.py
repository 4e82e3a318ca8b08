"""Many viewers that miss the same thing at once cost the origin one request; those it can't help don't queue."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from edgefn.model.errors import OriginError
from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result
from edgefn.proxy.flights import Duty
from edgefn.proxy.spool import Keeper, Spool
from edgefn.rules.cache_key import uri_key
from edgefn.stores.base import Stored
from edgefn.stores.disk.base import Writer
from tests.proxy.cache_stage import BROKEN, FRESH, NOW, ArrivingBody, Stage, asking, saying, settled


def waiting(policy: CachePolicy | None = None) -> Stage:
    stage = Stage(policy)
    stage.origin.closed = True
    return stage


async def test_fifty_viewers_cost_one_request() -> None:
    stage = waiting()
    async with asyncio.TaskGroup() as group:
        viewers = await stage.get_all(group, [asking() for _ in range(50)])
        assert len(stage.origin.asked) == 1
        stage.origin.opens()
    told = [viewer.result() for viewer in viewers]
    assert {one.text for one in told} == {"hello"}
    assert [one.result for one in told].count(Result.HIT) == 49
    assert {one.reason for one in told} == {"stored", "collapsed"}
    assert (len(stage.origin.asked), len(stage.flights)) == (1, 0)


async def test_the_waiters_wait_for_the_whole_body() -> None:
    body = ArrivingBody()
    stage = Stage()
    stage.origin.says = lambda request: saying(body, FRESH)
    async with asyncio.TaskGroup() as group:
        first, second = await stage.get_all(group, [asking(), asking()])
        body.arrives(b"hello")
        await settled()
        assert not first.done()
        assert not second.done()
        body.arrives(b"")
    assert (second.result().text, second.result().result, len(stage.origin.asked)) == ("hello", Result.HIT, 1)


@pytest.mark.parametrize("capacity", [2**20, 8_000])
async def test_who_waits_already_when_a_long_body_begins_gets_it_as_it_comes(capacity: int) -> None:
    body = ArrivingBody()
    stage = Stage(capacity=capacity)
    stage.origin.says = lambda request: saying(body, FRESH)
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(stage.cache.serve(asking(), stage.origin)) for _ in range(2))
        await settled()
        stage.origin.opens()
        await settled()
        late = group.create_task(stage.cache.serve(asking(), stage.origin))
    body.arrives(b"hello")
    bodies = [viewer.result().body for viewer in (first, second, late)]
    assert [await each.read() for each in bodies] == [b"hello"] * 3
    body.arrives(bytes(2_000), b"")
    assert [[len(await each.read()) for _ in range(2)] for each in bodies] == [[2_000, 0]] * 3
    assert late.result().headers.get("cache-status") == "edgefn; fwd=uri-miss; collapsed"
    assert (len(stage.origin.asked), len(stage.flights), len(stage.store)) == (1, 0, 1 if capacity > 8_000 else 0)


async def test_what_can_not_be_stored_is_never_queued_for() -> None:
    body = ArrivingBody()
    stage = waiting()
    stage.origin.says = lambda request: saying(body if len(stage.origin.asked) == 1 else "mine")
    async with asyncio.TaskGroup() as group:
        first, *others = await stage.get_all(group, [asking() for _ in range(50)])
        stage.origin.answers_next()
        await settled()
        assert len(stage.origin.asked) == 50  # on the head alone: its body has not come yet
        stage.origin.says = lambda request: saying("mine")
        stage.origin.opens()
        await settled()
        assert all(viewer.done() for viewer in others)
        assert not first.done()
        body.arrives(b"first", b"")
    assert {viewer.result().text for viewer in others} == {"mine"}


async def test_after_that_nobody_waits_any_more_until_it_can_be_stored() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("mine")
    await stage.get()
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking() for _ in range(5)])
        assert len(stage.origin.asked) == 6
        stage.origin.says = lambda request: saying("ours", ("Cache-Control", "max-age=1"))
        stage.origin.opens()
    stage.clock.passes(10)
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking() for _ in range(5)])
        assert len(stage.origin.asked) == 7
        stage.origin.opens()


async def test_a_body_that_grows_too_large_lets_the_waiters_go_at_once() -> None:
    body = ArrivingBody()
    stage = Stage(capacity=8_000)
    stage.origin.says = lambda request: saying(body if request.headers.get("first") else "mine", FRESH)
    async with asyncio.TaskGroup() as group:
        _, second = await stage.get_all(group, [asking("/a", ("First", "1")), asking()])
        body.arrives(b"x" * 2000)
        await settled()
        assert second.result().text == "mine"
        body.arrives(b"")


async def test_a_waiter_for_whom_the_answer_is_not_goes_on_its_own() -> None:
    stage = waiting()
    stage.origin.says = lambda request: saying(request.headers.get("lang"), FRESH, ("Vary", "Lang"))
    async with asyncio.TaskGroup() as group:
        languages = ["fr", "fr", "de", "it", "de"]
        viewers = await stage.get_all(group, [asking("/a", ("Lang", language)) for language in languages])
        stage.origin.answers_next()
        await settled()
        asked = [request.headers.get("lang") for request in stage.origin.asked]
        assert asked == ["fr", "de", "it"]  # side by side, and one for each variant
        stage.origin.opens()
    assert [viewer.result().text for viewer in viewers] == languages
    assert len(stage.origin.asked) == 3


async def test_variants_that_are_known_do_not_wait_for_each_other() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying(request.headers.get("lang"), FRESH, ("Vary", "Lang"))
    await stage.get(asking("/a", ("Lang", "fr")))
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking("/a", ("Lang", language)) for language in ("de", "it", "de")])
        assert len(stage.origin.asked) == 3
        stage.origin.opens()


async def test_a_response_stale_on_arrival_makes_no_queue() -> None:
    stage = waiting()
    stage.origin.says = lambda request: saying("old", ("Cache-Control", "max-age=0"))
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking() for _ in range(5)])
        stage.origin.answers_next()
        await settled()
        assert len(stage.origin.asked) == 5
        stage.origin.opens()


async def test_when_the_first_viewer_leaves_one_of_the_others_fetches() -> None:
    stage = waiting()
    async with asyncio.TaskGroup() as group:
        first, *others = await stage.get_all(group, [asking() for _ in range(5)])
        first.cancel()
        await settled()
        assert len(stage.origin.asked) == 2
        stage.origin.opens()
    assert {viewer.result().text for viewer in others} == {"hello"}
    assert (len(stage.origin.asked), len(stage.flights)) == (2, 0)


async def test_when_the_first_viewer_leaves_in_the_middle_of_the_body_one_of_the_others_fetches() -> None:
    body = ArrivingBody()
    stage = Stage()
    stage.origin.says = lambda request: saying(body if request.headers.get("first") else "anew", FRESH)
    async with asyncio.TaskGroup() as group:
        first, *others = await stage.get_all(group, [asking("/a", ("First", "1")), asking(), asking()])
        body.arrives(b"half")
        await settled()
        first.cancel()
    assert [viewer.result().text for viewer in others] == ["anew", "anew"]
    assert len(stage.origin.asked) == 2


async def test_when_the_fetch_fails_its_viewer_alone_sees_it_and_another_tries() -> None:
    stage = waiting()
    first, second, third = (asyncio.ensure_future(stage.get()) for _ in range(3))
    await settled()
    stage.origin.answers_next(BROKEN)
    await settled()
    with pytest.raises(OriginError):
        first.result()
    assert len(stage.origin.asked) == 2
    stage.origin.opens()
    assert [told.text for told in await asyncio.gather(second, third)] == ["hello", "hello"]
    assert len(stage.origin.asked) == 2


async def test_an_heir_that_leaves_at_that_moment_passes_the_duty_on() -> None:
    stage = waiting()
    async with asyncio.TaskGroup() as group:
        first, second, third = await stage.get_all(group, [asking() for _ in range(3)])
        first.cancel()
        await asyncio.sleep(0)  # the duty is on its way to the second, which does not know yet
        second.cancel()
        await settled()
        assert len(stage.origin.asked) == 2
        stage.origin.opens()
    assert third.result().text == "hello"
    assert len(stage.flights) == 0


async def test_a_viewer_out_of_patience_goes_on_its_own() -> None:
    stage = Stage(patience=0.01)
    body = ArrivingBody()
    stage.origin.says = lambda request: saying(body if request.headers.get("first") else "mine", FRESH)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(stage.get(asking("/a", ("First", "1"))))
        await settled()
        told = await stage.get()
        assert (told.text, told.result, first.done()) == ("mine", Result.MISS, False)
        body.arrives(b"")


@pytest.mark.parametrize(
    "header",
    [("Range", "bytes=0-1"), ("If-None-Match", '"x"'), ("Authorization", "me"), ("Cache-Control", "no-store")],
)
async def test_whose_answer_is_its_own_neither_waits_nor_lets_wait(header: tuple[str, str]) -> None:
    stage = waiting()
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking("/a", header), asking("/a", header), asking(), asking()])
        assert len(stage.origin.asked) == 3
        stage.origin.opens()


async def test_answers_to_credentials_do_not_keep_others_from_collapsing() -> None:
    stage = Stage()
    await stage.get(asking("/a", ("Authorization", "me")))
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking() for _ in range(5)])
        assert len(stage.origin.asked) == 2
        stage.origin.opens()


async def test_a_head_waits_for_a_get_but_nobody_waits_for_a_head() -> None:
    stage = waiting()
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking(method="HEAD"), asking(method="HEAD"), asking(), asking(method="HEAD")])
        assert [request.method for request in stage.origin.asked] == ["HEAD", "HEAD", "GET"]
        stage.origin.opens()


async def test_a_head_that_inherits_the_duty_leaves_it_to_a_get() -> None:
    stage = waiting()
    async with asyncio.TaskGroup() as group:
        first, *_ = await stage.get_all(group, [asking(), asking(method="HEAD"), asking(), asking()])
        first.cancel()
        await settled()
        assert [request.method for request in stage.origin.asked] == ["GET", "HEAD", "GET"]
        stage.origin.opens()
    assert len(stage.flights) == 0


async def test_a_disabled_policy_collapses_nothing() -> None:
    stage = waiting(CachePolicy(enabled=False))
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking() for _ in range(5)])
        assert len(stage.origin.asked) == 5
        stage.origin.opens()


async def test_an_error_of_the_origin_reaches_all_who_waited() -> None:
    stage = waiting()

    def failing(request: Request) -> Response:
        return saying("down", FRESH, status=503, from_origin_error=True)

    stage.origin.says = failing
    async with asyncio.TaskGroup() as group:
        viewers = await stage.get_all(group, [asking() for _ in range(5)])
        stage.origin.opens()
    assert {(viewer.result().status, viewer.result().result) for viewer in viewers} == {(503, Result.ERROR)}
    assert len(stage.origin.asked) == 1


async def test_what_went_stale_on_its_way_makes_no_second_queue() -> None:
    body = ArrivingBody()
    stage = Stage()
    stage.origin.says = lambda request: saying(body, ("Cache-Control", "max-age=1"))
    async with asyncio.TaskGroup() as group:
        await stage.get_all(group, [asking() for _ in range(5)])
        stage.origin.closed = True
        stage.origin.says = lambda request: saying("mine")
        stage.clock.passes(2)
        body.arrives(b"")
        await settled()
        assert len(stage.origin.asked) == 5
        stage.origin.opens()


async def test_a_body_declared_too_large_is_not_waited_for() -> None:
    body = ArrivingBody(length=2000)
    stage = Stage(capacity=8_000)
    stage.origin.says = lambda request: saying(body if request.headers.get("first") else "mine", FRESH)
    async with asyncio.TaskGroup() as group:
        first, second = await stage.get_all(group, [asking("/a", ("First", "1")), asking()])
        assert (second.result().text, first.done()) == ("mine", False)
        body.arrives(b"")
    assert first.result().reason == "too-large"


def showing(stage: Stage, body: ArrivingBody) -> tuple[Duty, Spool]:
    """Return the fetch of another viewer, and its body on the way."""
    duty = stage.flights.board_nowait(uri_key(asking()))
    assert duty is not None
    head = Stored(200, "", Headers([FRESH]), b"", NOW, NOW, 60.0, 0.0)
    keeper = Keeper(
        key=duty.name, head=head, since=0, length=None, most_in_memory=100, writing=_nowhere, kept=duty.landed,
        keep=lambda data: stage.stock.put(duty.name, replace(head, body=data), 0), refused=lambda reason: None,
        superseded=_never,
    )  # fmt: skip
    return duty, Spool(body, keeper, stage.background.carry)


async def _never() -> bool:
    raise AssertionError("that is for the disk")


def _nowhere() -> AbstractAsyncContextManager[Writer]:
    raise AssertionError("it is small")


async def test_a_waiter_that_is_told_of_a_body_just_when_it_ends_looks_into_the_store() -> None:
    stage, body = Stage(), ArrivingBody()
    async with asyncio.TaskGroup() as group:
        duty, spool = showing(stage, body)
        (viewer,) = await stage.get_all(group, [asking()])
        body.arrives(b"whole", b"")
        reader = spool.reader()
        while await reader.read():
            pass
        duty.shows(spool)
        duty.landed()
        reader.close()  # all before the waiter has its turn
    assert (viewer.result().text, viewer.result().reason, stage.origin.asked) == ("whole", "collapsed", [])


async def test_a_waiter_that_is_told_of_a_body_just_when_it_is_given_up_fetches_on_its_own() -> None:
    stage, body = Stage(), ArrivingBody()
    async with asyncio.TaskGroup() as group:
        duty, spool = showing(stage, body)
        (viewer,) = await stage.get_all(group, [asking()])
        duty.shows(spool)
        spool.reader().close()
        duty.hand_on()
    assert (viewer.result().text, len(stage.origin.asked), len(stage.flights)) == ("hello", 1, 0)
