"""What is stale is validated with the origin; what that confirms is as good as new (RFC 9111 section 4.3)."""

import asyncio

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result
from edgefn.rules.http_date import imf_fixdate
from tests.proxy.cache_stage import FRESH, NOW, ArrivingBody, Stage, Told, asking, controlled, saying, settled

TAG = ("ETag", '"x"')
CHANGED = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")


def holding(*lines: Line, answer: tuple[Line, ...] = (TAG,)) -> Stage:
    """Return a stage whose origin has one page, and says 304 to whoever has it."""
    stage = Stage()

    def says(request: Request) -> Response:
        if "if-none-match" in request.headers or "if-modified-since" in request.headers:
            return saying("", *answer, status=304)
        return saying("hello", *lines)

    stage.origin.says = says
    return stage


def last_asked(stage: Stage) -> Headers:
    return stage.origin.asked[-1].headers


def outcome(told: Told) -> tuple[int, str, Result, str]:
    return told.status, told.text, told.result, told.reason


async def test_what_the_origin_confirms_is_served_and_fresh_again() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    told = await stage.later(60)
    assert outcome(told) == (200, "hello", Result.REFRESH_HIT, "validated")
    assert (told.cache, told.cache_status) == ("stale", "edgefn; fwd=stale; fwd-status=304")
    assert last_asked(stage).get("if-none-match") == '"x"'
    assert (await stage.later(59)).result is Result.HIT
    assert (await stage.later(1)).result is Result.REFRESH_HIT
    assert len(stage.origin.asked) == 3


@pytest.mark.parametrize("tag", ['W/"x"', '"\xe9,"', '""'])
async def test_both_validators_are_sent_as_they_were_received(tag: str) -> None:
    stage = holding(FRESH, ("ETag", tag), CHANGED, answer=(("ETag", tag),))
    await stage.get()
    assert (await stage.later(60)).result is Result.REFRESH_HIT
    assert last_asked(stage).get_all("if-none-match") == (tag,)
    assert last_asked(stage).get_all("if-modified-since") == (CHANGED[1],)


@pytest.mark.parametrize(("said", "told"), [((), ()), ((("Age", "7"),), ("7",))])
async def test_what_the_origin_has_just_confirmed_or_given_is_as_old_as_it_says(
    said: tuple[Line, ...], told: tuple[str, ...]
) -> None:
    stage = holding(FRESH, TAG, answer=(TAG, *said))
    await stage.get()
    assert (await stage.later(60)).headers.get_all("age") == told
    assert (await stage.later(60, asking("/a", ("If-None-Match", '"x"')))).headers.get_all("age") == told
    stage.says("new", FRESH, ("ETag", '"y"'), *said)
    answered = await stage.later(60, asking("/a", ("If-None-Match", '"y"')))
    assert (answered.status, answered.headers.get_all("age")) == (304, told)
    assert len((await stage.get()).headers.get_all("age")) == 1


@pytest.mark.parametrize("control", ['max-age=60, no-cache="x-a"', 'max-age=60, private="x-b, X-A"'])
async def test_what_is_for_nobody_else_reaches_the_viewer_whose_own_request_brought_it(control: str) -> None:
    stage = holding(controlled("max-age=60"), TAG, answer=(TAG, controlled(control), ("X-A", "1"), ("X-A", "2")))
    await stage.get()
    assert [(await stage.later(60)).headers.get_all("x-a"), (await stage.get()).headers.get_all("x-a")] == [
        ("1", "2"), (),
    ]  # fmt: skip
    stage.says("new", TAG, controlled(control), ("X-A", "3"))
    condition = ("If-None-Match", '"y"')
    told = await stage.later(60, asking("/a", condition))
    assert (told.text, told.headers.get_all("x-a")) == ("new", ("3",))
    assert (await stage.get(asking("/a", condition))).headers.get_all("x-a") == ()


async def test_a_date_alone_is_a_validator() -> None:
    stage = holding(FRESH, CHANGED, answer=(CHANGED,))
    await stage.get()
    assert (await stage.later(60)).result is Result.REFRESH_HIT
    assert "if-none-match" not in last_asked(stage)


async def test_without_validator_it_is_fetched_anew() -> None:
    stage = holding(FRESH)
    await stage.get()
    told = await stage.later(60)
    assert outcome(told) == (200, "hello", Result.MISS, "stored")
    assert told.cache_status == "edgefn; fwd=stale; fwd-status=200; stored"
    assert "if-none-match" not in last_asked(stage)


async def test_the_new_fields_are_merged_into_what_is_served_now_and_later() -> None:
    answer = (TAG, controlled("max-age=10"), ("X-New", "n"), ("x-old", "changed"), ("Content-Length", "0"))
    stage = holding(FRESH, TAG, ("X-Old", "o"), ("X-Kept", "k"), ("Content-Type", "a/b"), answer=answer)
    await stage.get()
    for told in (await stage.later(60), await stage.later(5)):
        got = {name: told.headers.get_all(name) for name in ("x-new", "x-old", "x-kept", "content-type")}
        assert got == {"x-new": ("n",), "x-old": ("changed",), "x-kept": ("k",), "content-type": ("a/b",)}
        assert told.headers.get("content-length") is None
        assert told.headers.get("date") == imf_fixdate(NOW + 60)
    assert told.headers.get("age") == "5"
    assert (await stage.later(5)).result is Result.REFRESH_HIT


async def test_the_age_of_the_answer_counts() -> None:
    stage = holding(FRESH, TAG, answer=(TAG, ("Age", "50")))
    await stage.get()
    await stage.later(60)
    assert (await stage.later(9)).headers.get_all("age") == ("59",)
    assert (await stage.later(1)).result is Result.REFRESH_HIT


async def test_a_full_answer_takes_the_place_of_what_was_stored() -> None:
    stage = Stage()
    stage.says("old", FRESH, TAG)
    await stage.get()
    stage.says("new", FRESH, ("ETag", '"y"'))
    assert outcome(await stage.later(60)) == (200, "new", Result.MISS, "stored")
    assert outcome(await stage.get()) == (200, "new", Result.HIT, "fresh")


async def test_a_full_answer_that_can_not_be_stored_ends_what_was_stored() -> None:
    stage = Stage()
    stage.says("old", controlled("max-age=60, stale-while-revalidate=900"), TAG)
    await stage.get()
    stage.says("secret", controlled("private"))
    stage.clock.passes(1000)
    assert (await stage.get()).text == "secret"
    stage.fails()
    stage.clock.passes(-900)
    assert (await stage.get_or_error()) == "gone"


async def test_an_error_of_the_origin_leaves_what_was_stored() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    confirming = stage.origin.says
    stage.says("oh", status=500)
    assert outcome(await stage.later(60)) == (500, "oh", Result.ERROR, "no-explicit-freshness")
    stage.origin.says = confirming
    assert (await stage.get()).result is Result.REFRESH_HIT


async def test_the_conditions_of_the_viewer_are_evaluated_after_the_validation() -> None:
    stage = holding(FRESH, TAG, CHANGED)
    await stage.get()
    theirs = asking("/a", ("If-None-Match", '"y", W/"x"'), ("If-Modified-Since", "x"))
    told = await stage.later(60, theirs)
    assert outcome(told) == (304, "", Result.REFRESH_HIT, "validated")
    assert last_asked(stage).get_all("if-none-match") == ('"x"',)
    assert last_asked(stage).get_all("if-modified-since") == (CHANGED[1],)
    unmet = await stage.later(60, asking("/a", ("If-None-Match", '"y"')))
    assert outcome(unmet) == (200, "hello", Result.REFRESH_HIT, "validated")


async def test_the_conditions_of_the_viewer_are_evaluated_against_a_new_response_too() -> None:
    stage = Stage()
    stage.says("old", FRESH, TAG)
    await stage.get()
    stage.says("new", FRESH, ("ETag", '"y"'))
    told = await stage.later(60, asking("/a", ("If-None-Match", '"y"')))
    assert outcome(told) == (304, "", Result.MISS, "stored")


async def test_conditions_that_only_the_origin_can_evaluate_go_there() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    await stage.later(60, asking("/a", ("If-Match", '"m"')))
    assert (last_asked(stage).get("if-match"), last_asked(stage).get("if-none-match")) == ('"m"', '"x"')


async def test_a_304_about_something_else_is_no_answer_and_the_whole_is_fetched() -> None:
    stage = holding(FRESH, TAG, answer=(("ETag", '"other"'),))
    await stage.get()
    told = await stage.later(60, asking("/a", ("If-None-Match", '"z"'), ("Range", "bytes=0-1")))
    assert (told.text, told.result) == ("he", Result.MISS)
    assert [name for name in ("if-none-match", "if-modified-since", "range") if name in last_asked(stage)] == []
    assert len(stage.origin.asked) == 3


async def test_a_304_about_a_part_does_not_make_it_the_whole() -> None:
    stage = Stage()
    part = ("Content-Range", "bytes 0-1/5")
    stage.says("he", FRESH, part, ("ETag", '"p"'), status=206)
    await stage.get(asking("/a", ("Range", "bytes=0-1")))
    stage.says("hello", FRESH, TAG, ("Vary", "Lang"))
    await stage.get()

    def says(request: Request) -> Response:
        conditional = "if-none-match" in request.headers
        return saying("", ("ETag", '"p"'), status=304) if conditional else saying("anew", FRESH)

    stage.origin.says = says
    assert outcome(await stage.later(60)) == (200, "anew", Result.MISS, "stored")


async def test_a_304_to_the_viewers_own_condition_goes_back_to_it() -> None:
    stage = holding()
    told = await stage.get(asking("/a", ("If-None-Match", '"v"')))
    assert (told.status, told.reason) == (304, "status")
    assert last_asked(stage).get("if-none-match") == '"v"'


async def test_no_cache_is_stored_and_never_served_without_validation() -> None:
    stage = holding(controlled("no-cache, max-age=60"), TAG)
    assert (await stage.get()).reason == "stored"
    for _ in range(3):
        assert outcome(await stage.get()) == (200, "hello", Result.REFRESH_HIT, "validated")
    assert len(stage.origin.asked) == 4
    stage.fails()
    assert await stage.get_or_error() == "gone"


async def test_what_says_nothing_but_has_a_tag_is_validated_each_time() -> None:
    stage = holding(TAG)
    assert [(await stage.get()).result for _ in range(3)] == [Result.MISS, Result.REFRESH_HIT, Result.REFRESH_HIT]


async def test_a_304_may_end_the_storing() -> None:
    stage = holding(FRESH, TAG, answer=(TAG, controlled("no-store")))
    await stage.get()
    assert (await stage.later(60)).text == "hello"
    stage.says("new")
    stage.clock.passes(-60)
    assert (await stage.get()).text == "new"


async def test_a_viewer_who_wants_nothing_stored_changes_nothing() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    told = await stage.later(60, asking("/a", controlled("no-store")))
    assert told.result is Result.REFRESH_HIT
    assert (await stage.get()).result is Result.REFRESH_HIT
    assert (await stage.get()).result is Result.HIT


async def test_a_stored_error_is_validated_and_stays_one() -> None:
    stage = Stage()
    stage.says("no", FRESH, TAG, status=404)
    await stage.get()
    stage.says("", TAG, status=304)
    told = await stage.later(60)
    assert outcome(told) == (404, "no", Result.ERROR, "validated")
    assert outcome(await stage.get()) == (404, "no", Result.ERROR, "fresh")


async def test_only_the_variant_that_is_asked_for_is_confirmed() -> None:
    stage = Stage()
    vary = ("Vary", "Lang")
    stage.origin.says = lambda request: saying(
        language := request.headers.get("lang") or "", FRESH, vary, ("ETag", f'"{language}"')
    )
    french, german = asking("/a", ("Lang", "fr")), asking("/a", ("Lang", "de"))
    await stage.get(french)
    await stage.get(german)
    stage.says("", ("ETag", '"fr"'), vary, status=304)
    assert (await stage.later(60, french)).text == "fr"
    assert (last_asked(stage).get("lang"), last_asked(stage).get("if-none-match")) == ("fr", '"fr"')
    assert (await stage.get(french)).result is Result.HIT
    stage.says("", ("ETag", '"de"'), vary, status=304)
    assert (await stage.get(german)).result is Result.REFRESH_HIT


async def test_fifty_viewers_cost_one_validation() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    stage.clock.passes(60)
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        viewers = await stage.get_all(group, [asking() for _ in range(50)])
        assert len(stage.origin.asked) == 2
        stage.origin.opens()
    assert [viewer.result().result for viewer in viewers].count(Result.HIT) == 49
    assert viewers[-1].result().cache_status == "edgefn; fwd=stale; collapsed"


async def test_nobody_waits_for_the_validation_of_what_must_be_validated_for_each() -> None:
    stage = holding(controlled("no-cache"), TAG)
    await stage.get()
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        viewers = await stage.get_all(group, [asking() for _ in range(5)])
        assert len(stage.origin.asked) == 6
        stage.origin.opens()
    assert {viewer.result().result for viewer in viewers} == {Result.REFRESH_HIT}


async def test_what_is_changed_during_its_validation_is_not_stored_again() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    stage.clock.passes(60)
    stage.origin.closed = True
    async with asyncio.TaskGroup() as group:
        (reader,) = await stage.get_all(group, [asking()])
        stage.origin.closed = False
        await stage.get(asking(method="POST"))
        stage.origin.opens()
    assert reader.result().text == "hello"
    assert len(stage.store) == 0


async def test_a_slow_old_answer_does_not_cover_a_newer_one() -> None:
    slow, stage = ArrivingBody(), Stage(patience=0.001)
    stage.says("", FRESH)
    stage.origin.says = lambda request: saying(slow, FRESH)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(stage.get())
        await settled()
        stage.clock.passes(5)
        stage.says("new", FRESH)
        assert (await stage.get()).text == "new"
        slow.arrives(b"old", b"")
    assert (first.result().text, first.result().reason) == ("old", "superseded")
    assert (await stage.get()).text == "new"


async def test_an_answer_with_an_older_date_does_not_cover_a_newer_one() -> None:
    stage = Stage(CachePolicy(honour_request=True))
    stage.says("new", FRESH, ("Date", imf_fixdate(NOW)))
    await stage.get()
    stage.says("old", FRESH, ("Date", imf_fixdate(NOW - 30)))
    assert (await stage.get(asking("/a", controlled("no-cache")))).reason == "superseded"
    assert (await stage.get()).text == "new"
    assert (await stage.later(61)).text == "old"


async def test_head_is_answered_by_what_is_stored_or_asked_as_head() -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    assert (await stage.get(asking(method="HEAD"))).result is Result.HIT
    stage.says("", FRESH, TAG, ("Content-Length", "5"), ("X-New", "1"))
    told = await stage.later(60, asking(method="HEAD"))
    assert (told.result, stage.origin.asked[-1].method) == (Result.MISS, "HEAD")
    assert "if-none-match" not in last_asked(stage)
    hit = await stage.get()
    assert (hit.text, hit.result, hit.headers.get("x-new")) == ("hello", Result.HIT, "1")


@pytest.mark.parametrize("lines", [[("ETag", '"y"')], [TAG, ("Content-Length", "6")], [("Last-Modified", "now")]])
async def test_a_head_that_tells_of_another_response_ends_the_stored_one(lines: list[Line]) -> None:
    stage = holding(controlled("max-age=60, stale-while-revalidate=60"), TAG)
    await stage.get()
    confirming = stage.origin.says
    stage.says("", FRESH, *lines)
    stage.clock.passes(130)
    await stage.get(asking(method="HEAD"))
    stage.origin.says = confirming
    stage.clock.passes(-120)
    assert (await stage.get()).result is Result.REFRESH_HIT


async def test_a_304_that_names_more_to_vary_by_leaves_nothing_that_does_not() -> None:
    """Else the one without would still be there for those who ask otherwise, stale as it is."""
    stage = holding(controlled("max-age=60, stale-while-revalidate=600"), TAG)
    await stage.get(asking("/a", ("Lang", "fr")))
    stage.says("", TAG, ("Vary", "Lang"), FRESH, status=304)
    await stage.later(60, asking("/a", ("Lang", "fr")))
    await settled()
    stage.says("deutsch", ("Vary", "Lang"), FRESH)
    german = await stage.get(asking("/a", ("Lang", "de")))
    assert (german.text, german.cache) == ("deutsch", "vary-miss")
    assert (await stage.get(asking("/a", ("Lang", "fr")))).text == "hello"


@pytest.mark.parametrize(
    ("control", "cookie", "result"),
    [
        ((), "a=b", Result.HIT),  # RFC 9111 section 3.2: all fields of a 304 are merged
        ((controlled("max-age=60"),), "a=b", Result.HIT),
        ((controlled('max-age=60, private="set-cookie"'),), None, Result.HIT),
        ((controlled("private"),), None, Result.REFRESH_HIT),
        ((controlled("no-cache"),), None, Result.REFRESH_HIT),
    ],
)
async def test_the_cookie_of_a_304_goes_as_far_as_its_origin_lets_it(
    control: tuple[Line, ...], cookie: str | None, result: Result
) -> None:
    stage = holding(FRESH, TAG)
    await stage.get()
    stage.says("", TAG, ("Set-Cookie", "a=b"), *control, status=304)
    await stage.later(60)
    stage.says("", TAG, *control, status=304)
    told = await stage.get()
    assert (told.headers.get("set-cookie"), told.result) == (cookie, result)
