"""What a viewer changes at the origin is not served from memory any more (RFC 9111 section 4.4)."""

import asyncio
from dataclasses import replace

import pytest

from edgefn.model.errors import FunctionError, FunctionFault
from edgefn.model.message import Request, Response
from edgefn.model.settings import ALL, CachePolicy
from edgefn.model.trail import Result
from edgefn.proxy.keeping import Keeping
from tests.proxy.cache_stage import FRESH, ArrivingBody, Stage, asking, saying, settled


def answering(status: int) -> Stage:
    stage = Stage()
    stage.origin.says = lambda request: saying("ok", FRESH, status=status if request.method != "GET" else 200)
    return stage


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"])
@pytest.mark.parametrize("status", [200, 204, 303])
async def test_after_success_nothing_of_the_target_is_left(method: str, status: int) -> None:
    stage = answering(status)
    await stage.get()
    told = await stage.get(asking(method=method, body=saying("x").body))
    assert (told.status, told.result, told.cache, told.reason) == (status, Result.MISS, "method", "method")
    assert (await stage.get()).result is Result.MISS


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_after_failure_everything_is(status: int) -> None:
    stage = answering(status)
    await stage.get()
    await stage.get(asking(method="POST"))
    assert (await stage.get()).result is Result.HIT


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "HEAD"])
async def test_safe_methods_change_nothing(method: str) -> None:
    stage = answering(200)
    await stage.get()
    await stage.get(asking(method=method))
    assert (await stage.get()).result is Result.HIT


async def test_the_answer_to_another_method_never_comes_from_memory() -> None:
    stage = answering(200)
    await stage.get()
    assert stage.cache.serve_now(asking(method="POST")) is None
    await stage.get(asking(method="POST"))
    await stage.get(asking(method="POST"))
    assert [request.method for request in stage.origin.asked] == ["GET", "POST", "POST"]


async def test_other_uris_stay() -> None:
    stage = answering(200)
    await stage.get(asking("/a?x"))
    await stage.get(asking("/a", method="POST"))
    assert (await stage.get(asking("/a?x"))).result is Result.HIT


async def test_all_variants_go_also_those_with_another_key() -> None:
    stage = Stage(CachePolicy(headers=("x-country",), cookies=ALL))
    stage.origin.says = lambda request: saying("ok", FRESH, ("Vary", "Lang"))
    everybody = [
        asking("/a", ("X-Country", "FR"), ("Lang", "fr")), asking("/a", ("X-Country", "FR"), ("Lang", "de")),
        asking("/a", ("Cookie", "a=1")), asking("/a"),
    ]  # fmt: skip
    for request in everybody:
        await stage.get(request)
        assert (await stage.get(request)).result is Result.HIT
    await stage.get(asking("/a", ("Cookie", "b=2"), method="POST"))
    assert {(await stage.get(request)).result for request in everybody} == {Result.MISS}


@pytest.mark.parametrize("field", ["Location", "Content-Location"])
async def test_what_the_answer_names_as_changed_goes_too(field: str) -> None:
    stage = answering(200)
    for target in ("/b", "/c?x"):
        await stage.get(asking(target))
    stage.origin.says = lambda request: saying("ok", FRESH, (field, "http://shop.test/b"), status=201)
    await stage.get(asking("/a", method="POST"))
    assert (await stage.get(asking("/b"))).result is Result.MISS
    assert (await stage.get(asking("/c?x"))).result is Result.HIT


async def test_what_it_names_of_another_origin_stays() -> None:
    stage = answering(200)
    await stage.get(asking("/b"))
    await stage.get(asking("/b", host="other.test"))
    stage.origin.says = lambda request: saying("ok", FRESH, ("Location", "http://other.test/b"), status=201)
    await stage.get(asking("/a", method="POST"))
    assert (await stage.get(asking("/b"))).result is Result.HIT
    assert (await stage.get(asking("/b", host="other.test"))).result is Result.HIT


async def test_what_a_failure_names_stays() -> None:
    stage = answering(200)
    await stage.get(asking("/b"))
    stage.origin.says = lambda request: saying("no", ("Location", "/b"), status=400)
    await stage.get(asking("/a", method="POST"))
    assert (await stage.get(asking("/b"))).result is Result.HIT


async def test_stored_parts_go_too() -> None:
    stage = Stage()
    part = asking("/a", ("Range", "bytes=0-1"))
    stage.says("he", FRESH, ("Content-Range", "bytes 0-1/5"), status=206)
    await stage.get(part)
    assert (await stage.get(part)).result is Result.HIT
    await stage.get(asking(method="DELETE"))
    assert (await stage.get(part)).result is Result.MISS


async def test_a_get_begun_before_is_not_stored_after() -> None:
    stage = Stage()
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        (reader,) = await stage.get_all(group, [asking()])
        writer = group.create_task(stage.get(asking(method="POST")))
        await settled()
        stage.origin.says = lambda request: saying("after", FRESH)
        old = stage.origin._waiting.pop(0)
        stage.origin.answers_next()  # the POST
        await writer
        stage.origin.says = lambda request: saying("before", FRESH)
        old.set_result(None)
        stage.origin.closed = False
    assert (reader.result().text, reader.result().reason) == ("before", "invalidated-meanwhile")
    assert len(stage.store) == 0


async def test_a_body_that_was_on_its_way_is_not_stored_after() -> None:
    body = ArrivingBody()
    stage = Stage()
    stage.origin.says = lambda request: saying(body if request.method == "GET" else "ok", FRESH)
    async with asyncio.TaskGroup() as group:
        (reader,) = await stage.get_all(group, [asking()])
        body.arrives(b"ol")
        await settled()
        await stage.get(asking(method="POST"))
        body.arrives(b"d", b"")
    assert (reader.result().text, len(stage.store), len(stage.flights)) == ("old", 0, 0)


async def test_who_waited_for_the_old_one_gets_a_new_one() -> None:
    body = ArrivingBody()
    stage = Stage()

    def says(request: Request) -> object:
        gets = sum(asked.method == "GET" for asked in stage.origin.asked)
        return saying("new" if gets > 1 else body, FRESH) if request.method == "GET" else saying("ok")

    stage.origin.says = says
    async with asyncio.TaskGroup() as group:
        first, *others = await stage.get_all(group, [asking() for _ in range(3)])
        body.arrives(b"ol")
        await stage.get(asking(method="POST"))
        await settled()
        assert [viewer.result().text for viewer in others] == ["new", "new"]
        body.arrives(b"d", b"")
    assert first.result().text == "old"
    assert ((await stage.get()).text, len(stage.flights)) == ("new", 0)


@pytest.mark.parametrize(
    ("answered", "result"), [(200, Result.MISS), (303, Result.MISS), (0, Result.HIT), (404, Result.HIT)]
)
async def test_a_function_that_fails_behind_the_origin_does_not_undo_what_was_changed(
    answered: int, result: Result
) -> None:
    stage = answering(200)
    await stage.get()

    def fails(request: Request) -> Response:
        error = FunctionError(FunctionFault.EXECUTION, "mark:1", "it broke")
        error.origin_status = answered
        raise error

    says, stage.origin.says = stage.origin.says, fails
    with pytest.raises(FunctionError):
        await stage.get(asking(method="POST"))
    stage.origin.says = says
    assert (await stage.get()).result is result


async def test_what_a_function_makes_of_the_origins_status_does_not_undo_it_either() -> None:
    stage = answering(200)
    await stage.get()
    says = stage.origin.says
    stage.origin.says = lambda request: replace(saying("oh", status=500), origin_status=201)
    await stage.get(asking(method="POST"))
    stage.origin.says = says
    assert (await stage.get()).result is Result.MISS


async def for_ever(*_: object) -> None:
    await asyncio.Event().wait()


async def test_who_leaves_while_the_disk_forgets_leaves_no_answer_open(monkeypatch: pytest.MonkeyPatch) -> None:
    body, stage = ArrivingBody(), Stage()
    stage.origin.says = lambda request: saying(body)
    monkeypatch.setattr(stage.stock, "remove", for_ever)
    viewer = asyncio.create_task(stage.get(asking(method="POST")))
    await settled()
    assert (len(stage.origin.asked), body.is_closed) == (1, False)
    viewer.cancel()
    await settled()
    assert body.is_closed


async def test_who_leaves_while_the_disk_learns_that_all_is_over_leaves_no_answer_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body, stage = ArrivingBody(), Stage()
    stage.says("old", FRESH, ("ETag", '"1"'))
    await stage.get()
    stage.says(body, ("Cache-Control", "no-store"))
    monkeypatch.setattr(Keeping, "outdate", for_ever)
    stage.clock.passes(100)
    viewer = asyncio.create_task(stage.get())
    await settled()
    assert (len(stage.origin.asked), body.is_closed) == (2, False)
    viewer.cancel()
    await settled()
    assert (body.is_closed, len(stage.flights)) == (True, 0)
