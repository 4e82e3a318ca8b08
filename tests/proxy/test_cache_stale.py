"""What is past its lifetime, and when it is served all the same (RFC 9111 section 4.2.4, RFC 5861)."""

import asyncio

import pytest

from edgefn.model.errors import FunctionError, FunctionFault, OriginFailure
from edgefn.model.headers import Line
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result
from tests.proxy.cache_stage import FRESH, ArrivingBody, Stage, asking, controlled, saying, settled

TAG = ("ETag", '"x"')
BEHIND = controlled("max-age=60, stale-while-revalidate=30")
ON_ERROR = controlled("max-age=60, stale-if-error=30")
DISCONNECTIONS = [
    OriginFailure.DNS, OriginFailure.CONNECT, OriginFailure.TLS, OriginFailure.CONNECT_TIMEOUT,
    OriginFailure.READ_TIMEOUT, OriginFailure.CLOSED, OriginFailure.WRITE,
]  # fmt: skip


async def holding(*lines: tuple[str, str], policy: CachePolicy | None = None) -> Stage:
    """Return a stage on which "old" has been stored."""
    stage = Stage(policy)
    stage.says("old", *lines)
    await stage.get()
    return stage


@pytest.mark.parametrize("failure", DISCONNECTIONS)
async def test_when_the_origin_is_out_of_reach_the_stale_response_stands_in(failure: OriginFailure) -> None:
    stage = await holding(FRESH, TAG)
    stage.fails(failure)
    told = await stage.later(70)
    assert (told.status, told.text, told.result, told.reason) == (200, "old", Result.HIT, "stale-disconnected")
    assert (told.headers.get("age"), told.cache_status) == ("70", "edgefn; fwd=stale; detail=stale-disconnected")
    assert "warning" not in told.headers


@pytest.mark.parametrize("control", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"])
async def test_where_the_origin_forbids_it_the_failure_is_the_answer(control: str) -> None:
    stage = await holding(controlled(f"max-age=60, stale-if-error=60, {control}"), TAG)
    stage.fails()
    stage.clock.passes(70)
    assert await stage.get_or_error() == "gone"
    stage.says("oh", status=503)
    assert (await stage.get()).status == 503


async def test_a_broken_answer_is_no_disconnection() -> None:
    stage = await holding(FRESH, TAG)
    stage.fails(OriginFailure.INVALID_RESPONSE)
    stage.clock.passes(70)
    assert await stage.get_or_error() == "gone"


async def test_it_stands_in_for_as_long_as_the_route_says() -> None:
    stage = await holding(FRESH, policy=CachePolicy(serve_stale=100, stale_retry=0))
    stage.fails()
    assert (await stage.later(159)).text == "old"
    stage.clock.passes(1)
    assert await stage.get_or_error() == "gone"


async def test_with_nothing_stored_the_failure_is_the_answer() -> None:
    stage = Stage()
    stage.fails()
    assert await stage.get_or_error() == "gone"


async def test_a_failing_function_is_not_covered_up() -> None:
    stage = await holding(ON_ERROR)

    def broken(request: Request) -> Response:
        raise FunctionError(FunctionFault.EXECUTION, "f:1", "broke")

    stage.origin.says = broken
    stage.clock.passes(60)
    with pytest.raises(FunctionError):
        await stage.get()


async def test_after_a_failure_the_origin_is_left_alone_for_a_moment() -> None:
    stage = await holding(FRESH, TAG, policy=CachePolicy(stale_retry=10))
    stage.fails()
    await stage.later(60)
    asked = len(stage.origin.asked)
    for _ in range(3):
        told = await stage.later(3)
        assert (told.text, told.cache, told.reason) == ("old", "hit", "stale-until-retry")
    assert told.cache_status == "edgefn; hit; ttl=-9; detail=stale-until-retry"
    assert len(stage.origin.asked) == asked
    stage.says("", TAG, status=304)
    assert (await stage.later(1)).result is Result.REFRESH_HIT
    assert (await stage.get()).reason == "fresh"


async def test_who_waited_for_a_fetch_that_failed_gets_the_stale_response_too() -> None:
    stage = await holding(FRESH)
    stage.fails()
    stage.clock.passes(60)
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        viewers = await stage.get_all(group, [asking() for _ in range(20)])
        stage.origin.opens()
    assert {viewer.result().text for viewer in viewers} == {"old"}
    assert len(stage.origin.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_errors_of_the_origin_are_covered_where_it_says_so(status: int) -> None:
    stage = await holding(ON_ERROR)
    stage.says("oh", FRESH, status=status)
    told = await stage.later(89)
    assert (told.status, told.text, told.result, told.reason) == (200, "old", Result.HIT, "stale-if-error")
    assert told.cache_status == f"edgefn; fwd=stale; fwd-status={status}; detail=stale-if-error"
    assert (await stage.later(1)).status == status


@pytest.mark.parametrize("status", [404, 400, 501, 200])
async def test_other_answers_are_not(status: int) -> None:
    stage = await holding(ON_ERROR)
    stage.says("new", status=status)
    assert (await stage.later(60)).text == "new"


async def test_an_error_is_no_disconnection() -> None:
    stage = await holding(FRESH)
    stage.says("oh", status=503)
    assert (await stage.later(60)).status == 503


async def test_a_route_may_cover_errors_by_itself() -> None:
    stage = await holding(FRESH, policy=CachePolicy(stale_if_error=30))
    stage.says("oh", status=503)
    assert (await stage.later(60)).text == "old"
    assert (await stage.later(30)).status == 503


async def test_the_origin_may_turn_that_off() -> None:
    stage = await holding(controlled("max-age=60, stale-if-error=0"), policy=CachePolicy(stale_if_error=30))
    stage.says("oh", status=503)
    assert (await stage.later(60)).status == 503
    stage.fails()
    assert await stage.get_or_error() == "gone"


async def test_the_body_of_a_covered_error_is_closed() -> None:
    stage = await holding(ON_ERROR)
    body = ArrivingBody()
    stage.origin.says = lambda request: saying(body, status=503)
    assert (await stage.later(60)).text == "old"
    assert body.is_closed


async def test_a_head_is_covered_too() -> None:
    stage = await holding(ON_ERROR)
    stage.says("", status=503)
    assert (await stage.later(60, asking(method="HEAD"))).status == 200


async def test_while_it_is_validated_behind_their_backs_viewers_get_the_stale_response_at_once() -> None:
    stage = await holding(BEHIND, TAG)
    stage.says("new", BEHIND)
    stage.origin.closed = True
    stage.clock.passes(61)
    for _ in range(5):
        told = await stage.get()
        assert (told.text, told.result, told.reason) == ("old", Result.HIT, "stale-while-revalidate")
    assert told.cache_status == "edgefn; hit; ttl=-1; detail=stale-while-revalidate"
    await settled()
    assert (len(stage.origin.asked), len(stage.background)) == (2, 1)
    assert stage.origin.asked[1].headers.get("if-none-match") == '"x"'
    stage.origin.opens()
    await settled()
    assert ((await stage.get()).text, len(stage.background), len(stage.flights)) == ("new", 0, 0)


async def test_a_confirmation_behind_their_backs_makes_it_fresh() -> None:
    stage = await holding(BEHIND, TAG)
    stage.says("", TAG, status=304)
    await stage.later(61)
    await settled()
    assert ((await stage.get()).reason, len(stage.origin.asked)) == ("fresh", 2)


async def test_after_that_time_they_wait() -> None:
    stage = await holding(BEHIND)
    stage.says("new", BEHIND)
    assert (await stage.later(90)).text == "new"


async def test_each_variant_is_validated_by_itself() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying(request.headers.get("lang"), BEHIND, ("Vary", "Lang"))
    french, german = asking("/a", ("Lang", "fr")), asking("/a", ("Lang", "de"))
    await stage.get(french)
    await stage.get(german)
    stage.origin.closed = True
    stage.clock.passes(61)
    await stage.get(french)
    await stage.get(german)
    await stage.get(french)
    await settled()
    assert [request.headers.get("lang") for request in stage.origin.asked[2:]] == ["fr", "de"]
    stage.origin.opens()
    await settled()


async def test_the_request_behind_their_backs_has_nothing_of_the_viewers_but_its_choice() -> None:
    stage = await holding(BEHIND, TAG)
    viewer = asking("/a", ("Range", "bytes=0-1"), ("If-None-Match", '"v"'), ("X-A", "1"), method="HEAD")
    await stage.later(61, viewer)
    await settled()
    asked = stage.origin.asked[1]
    assert (asked.method, asked.headers.get("x-a"), asked.headers.get("if-none-match")) == ("GET", "1", '"x"')
    assert "range" not in asked.headers
    assert asked.trail is not viewer.trail
    assert viewer.trail.cache_reason == "stale-while-revalidate"


async def test_what_may_not_be_stored_any_more_ends_it() -> None:
    stage = await holding(BEHIND, TAG)
    stage.says("secret", controlled("no-store"))
    assert (await stage.later(61)).text == "old"
    await settled()
    assert (await stage.get()).text == "secret"


async def test_a_failure_behind_their_backs_goes_unnoticed_until_the_time_is_over() -> None:
    stage = await holding(controlled("max-age=60, stale-while-revalidate=30, stale-if-error=0"))
    stage.fails()
    assert (await stage.later(61)).text == "old"
    await settled()
    assert ((await stage.get()).text, len(stage.background)) == ("old", 0)
    assert ((await stage.later(1)).text, len(stage.background)) == ("old", 1)
    await settled()
    stage.clock.passes(28)
    assert await stage.get_or_error() == "gone"


async def test_an_error_behind_their_backs_is_not_asked_for_again_at_once() -> None:
    stage = await holding(BEHIND, TAG, policy=CachePolicy(stale_retry=10))
    stage.says("oh", status=503)
    stage.clock.passes(60)
    for asked in (2, 2, 3):
        assert (await stage.get()).reason == "stale-while-revalidate"
        await settled()
        assert len(stage.origin.asked) == asked
        stage.clock.passes(9)
    stage.clock.passes(3)  # the pause ends with the time in which viewers get the old one
    assert (await stage.get()).status == 503


async def test_what_is_changed_meanwhile_is_not_stored() -> None:
    stage = await holding(BEHIND, TAG)
    stage.says("new", BEHIND)
    stage.origin.closed = True
    await stage.later(61)
    await settled()
    stage.origin.closed = False
    await stage.get(asking(method="POST"))
    stage.origin.opens()
    await settled()
    assert len(stage.store) == 0


async def test_a_large_answer_behind_their_backs_is_read_to_its_end() -> None:
    stage = await holding(BEHIND)
    body = ArrivingBody()
    stage.origin.says = lambda request: saying(body, BEHIND)
    await stage.later(61)
    await settled()
    body.arrives(b"ne", b"w", b"")
    await settled()
    assert (await stage.get()).text == "new"


@pytest.mark.parametrize("control", [BEHIND, controlled("no-store")])
async def test_an_answer_behind_their_backs_that_is_not_kept_is_not_read_to_its_end(control: tuple[str, str]) -> None:
    stage = Stage(capacity=20_000)
    stage.says("old", BEHIND)
    await stage.get()
    body = ArrivingBody()
    stage.origin.says = lambda request: saying(body, control)
    await stage.later(61)
    body.arrives(bytes(5_000), bytes(5_000))
    await settled()
    assert (body.is_closed, len(stage.background), len(stage.flights)) == (True, 0, 0)


@pytest.mark.parametrize("control", ["no-store", "private", "no-cache"])
async def test_without_a_validator_too_what_may_not_be_stored_ends_what_was(control: str) -> None:
    """The stale one would be served to its window's end, though the origin has said something else behind it."""
    stage = await holding(BEHIND)
    stage.says("new", controlled(control))
    assert (await stage.later(70)).text == "old"
    await settled()
    assert (await stage.get()).text == "new"


@pytest.mark.parametrize(("status", "header"), [(304, "If-None-Match"), (206, "Range"), (416, "Range"), (500, "X-Any")])
async def test_an_answer_about_the_viewers_own_copy_or_an_error_ends_nothing(status: int, header: str) -> None:
    stage = await holding(ON_ERROR)
    stage.says("", controlled("no-store"), status=status)
    assert (await stage.later(70, asking("/a", (header, "bytes=7-,9-")))).status == (200 if status == 500 else status)
    stage.fails()
    assert (await stage.get()).text == "old"


PART = (BEHIND, ("Content-Range", "bytes 0-2/6"))
FIRST = ("Range", "bytes=0-2")


async def test_a_part_is_validated_in_the_background_too() -> None:
    stage = Stage()
    stage.says("abc", *PART, TAG, status=206)
    await stage.get(asking("/a", FIRST))
    stage.says("", TAG, FRESH, status=304)
    told = await stage.later(70, asking("/a", FIRST))
    assert (told.status, told.text, told.reason) == (206, "abc", "stale-while-revalidate")
    await settled()
    asked = stage.origin.asked[-1].headers
    assert ("range" in asked, asked.get("if-none-match"), len(stage.origin.asked)) == (False, '"x"', 2)
    assert (await stage.get(asking("/a", FIRST))).reason == "fresh"


@pytest.mark.parametrize("control", [BEHIND, controlled("no-store")])
async def test_a_part_without_a_validator_is_fetched_anew_in_the_background(control: Line) -> None:
    stage = Stage()
    stage.says("abc", *PART, status=206)
    await stage.get(asking("/a", FIRST))
    stage.says("new", control, PART[1], status=206)
    assert (await stage.later(70, asking("/a", FIRST))).text == "abc"
    await settled()
    assert stage.origin.asked[-1].headers.get("range") == FIRST[1]
    assert (await stage.get(asking("/a", FIRST))).text == "new"
