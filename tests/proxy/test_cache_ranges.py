"""Parts: served from the whole, stored, put together, and never taken for the whole (RFC 9110 section 14)."""

import pytest

from edgefn.model.headers import Line
from edgefn.model.message import Request, Response
from edgefn.model.trail import Result
from edgefn.rules.ranges import Span, asked_span
from tests.proxy.cache_stage import FRESH, ArrivingBody, Stage, Told, asking, saying

TAG = ("ETag", '"x"')
WHOLE = "0123456789"


def wanting(span: str, *lines: Line, method: str = "GET") -> Request:
    return asking("/a", ("Range", f"bytes={span}"), *lines, method=method)


def part(first: int, last: int, *lines: Line, whole: str = WHOLE) -> Response:
    where = ("Content-Range", f"bytes {first}-{last}/{len(whole)}")
    return saying(whole[first : last + 1], FRESH, where, *lines, status=206)


def serving_parts(*lines: Line) -> Stage:
    """Return a stage whose origin knows of ranges."""
    stage = Stage()

    def says(request: Request) -> Response:
        span = asked_span(request.headers, len(WHOLE))
        return part(span.first, span.last, *lines) if isinstance(span, Span) else saying(WHOLE, FRESH, *lines)

    stage.origin.says = says
    return stage


def got(told: Told) -> tuple[int, str, str | None, Result]:
    return told.status, told.text, told.headers.get("content-range"), told.result


@pytest.mark.parametrize(
    ("span", "text", "where"),
    [("0-3", "0123", "0-3"), ("4-", "456789", "4-9"), ("-2", "89", "8-9"), ("8-99", "89", "8-9"), ("0-", WHOLE, "0-9")],
)
async def test_the_whole_answers_for_its_parts(span: str, text: str, where: str) -> None:
    stage = serving_parts(TAG, ("Content-Length", "10"), ("Content-Type", "a/b"))
    await stage.get()
    told = await stage.get(wanting(span))
    assert got(told) == (206, text, f"bytes {where}/10", Result.HIT)
    assert (told.headers.get("etag"), told.headers.get("content-type"), told.headers.get("age")) == ('"x"', "a/b", "0")
    assert "content-length" not in told.headers
    assert stage.cache.serve_now(wanting(span)) is not None


@pytest.mark.parametrize("span", ["3-1", "0-1,3-4", "x", "0-1, 2-3"])
async def test_a_range_that_does_not_count_gets_the_whole(span: str) -> None:
    stage = serving_parts()
    await stage.get()
    assert got(await stage.get(wanting(span))) == (200, WHOLE, None, Result.HIT)
    assert got(await stage.get(asking("/a", ("Range", "lines=0-1")))) == (200, WHOLE, None, Result.HIT)


async def test_a_range_behind_the_end_is_unsatisfiable() -> None:
    stage = serving_parts(TAG, ("Content-Type", "a/b"), ("Set-Cookie", "a"))
    await stage.get()
    told = await stage.get(wanting("10-"))
    assert got(told) == (416, "", "bytes */10", Result.HIT)
    assert [name for name in ("content-type", "etag", "set-cookie") if name in told.headers] == []
    assert told.cache_status == "edgefn; hit; ttl=60"


@pytest.mark.parametrize(("tag", "status"), [('"x"', 206), ('"y"', 200), ('W/"x"', 200)])
async def test_a_part_of_something_else_is_not_continued(tag: str, status: int) -> None:
    stage = serving_parts(TAG)
    await stage.get()
    assert (await stage.get(wanting("0-1", ("If-Range", tag)))).status == status


async def test_conditions_come_before_the_range() -> None:
    stage = serving_parts(TAG)
    await stage.get()
    assert (await stage.get(wanting("0-1", ("If-None-Match", '"x"')))).status == 304
    assert (await stage.get(wanting("99-", ("If-None-Match", '"x"')))).status == 304
    assert (await stage.get(wanting("0-1", ("If-None-Match", '"y"')))).status == 206


async def test_head_and_errors_have_no_parts() -> None:
    stage = serving_parts()
    await stage.get()
    response = stage.cache.serve_now(wanting("0-1", method="HEAD"))
    assert response is not None
    assert (response.status, response.body.length) == (200, 10)
    stage.says("not here", FRESH, status=404)
    await stage.get(asking("/b"))
    assert (await stage.get(asking("/b", ("Range", "bytes=0-1")))).status == 404


async def test_a_part_is_passed_on_and_kept_for_those_who_want_it_or_less() -> None:
    stage = serving_parts(TAG)
    told = await stage.get(wanting("2-6"))
    assert got(told) == (206, "23456", "bytes 2-6/10", Result.MISS)
    assert (told.reason, stage.origin.asked[0].headers.get("range")) == ("stored", "bytes=2-6")
    assert got(await stage.get(wanting("2-6"))) == (206, "23456", "bytes 2-6/10", Result.HIT)
    assert got(await stage.get(wanting("4-5"))) == (206, "45", "bytes 4-5/10", Result.HIT)
    assert len(stage.origin.asked) == 1


async def test_a_part_is_never_taken_for_the_whole_or_for_more() -> None:
    stage = serving_parts()
    for wanted in (asking(), asking(method="HEAD"), wanting("1-3"), wanting("5-"), wanting("-3"), wanting("0-1,3-4")):
        stage.store.remove("http\nshop.test\n/a")
        await stage.get(wanting("2-6"))
        told = await stage.get(wanted)
        assert (told.result, told.cache) == (Result.MISS, "partial")
    assert "partial" in told.cache_status


async def test_a_part_of_something_else_goes_to_the_origin() -> None:
    stage = serving_parts(TAG)
    await stage.get(wanting("2-6"))
    assert (await stage.get(wanting("2-3", ("If-Range", '"y"')))).result is Result.MISS
    assert stage.origin.asked[-1].headers.get("if-range") == '"y"'
    assert (await stage.get(wanting("2-3", ("If-Range", '"x"')))).result is Result.HIT


async def test_the_whole_takes_the_place_of_a_part() -> None:
    stage = serving_parts()
    await stage.get(wanting("2-6"))
    await stage.get()
    assert got(await stage.get(wanting("0-9"))) == (206, WHOLE, "bytes 0-9/10", Result.HIT)


@pytest.mark.parametrize("spans", [["0-4", "5-9"], ["5-9", "0-4"], ["3-6", "0-4", "6-9"], ["0-9"]])
async def test_parts_of_one_representation_become_the_whole(spans: list[str]) -> None:
    stage = serving_parts(TAG)
    for span in spans:
        await stage.get(wanting(span))
    told = await stage.get()
    assert (told.status, told.text, told.result) == (200, WHOLE, Result.HIT)
    assert "content-range" not in told.headers


async def test_parts_with_a_gap_are_not_put_together() -> None:
    stage = serving_parts(TAG)
    await stage.get(wanting("0-2"))
    await stage.get(wanting("4-6"))
    assert (await stage.get(wanting("4-6"))).result is Result.HIT
    assert (await stage.get(wanting("0-2"))).result is Result.MISS


@pytest.mark.parametrize("tags", [('"x"', '"y"'), ('W/"x"', 'W/"x"'), (None, None), ('"x"', None)])
async def test_only_a_strong_validator_puts_parts_together(tags: tuple[str | None, str | None]) -> None:
    stage = Stage()
    for tag, (first, last) in zip(tags, ((0, 4), (5, 9)), strict=True):
        lines = () if tag is None else (("ETag", tag),)
        stage.origin.says = lambda request, first=first, last=last, lines=lines: part(first, last, *lines)
        await stage.get(wanting(f"{first}-{last}"))
    stage.says("anew", FRESH)
    assert (await stage.get()).text == "anew"


async def test_parts_of_different_wholes_are_not_put_together() -> None:
    stage = Stage()
    stage.origin.says = lambda request: part(0, 4, TAG)
    await stage.get(wanting("0-4"))
    stage.origin.says = lambda request: part(5, 9, TAG, whole=WHOLE + "X")
    await stage.get(wanting("5-9"))
    stage.says("anew", FRESH)
    assert (await stage.get()).text == "anew"


async def test_the_newer_part_has_the_say_about_the_fields() -> None:
    stage = Stage()
    stage.origin.says = lambda request: part(0, 4, TAG, ("X-A", "1"), ("X-B", "1"))
    await stage.get(wanting("0-4"))
    stage.clock.passes(30)
    stage.origin.says = lambda request: part(5, 9, TAG, ("X-A", "2"))
    await stage.get(wanting("5-9"))
    told = await stage.later(59)
    assert (told.result, told.headers.get("x-a"), told.headers.get("x-b")) == (Result.HIT, "2", "1")


@pytest.mark.parametrize("text", ["0123", "012345"])
async def test_a_part_that_is_not_as_long_as_it_says_is_not_stored(text: str) -> None:
    stage = Stage()
    stage.says(text, FRESH, ("Content-Range", "bytes 0-4/10"), status=206)
    assert (await stage.get(wanting("0-4"))).reason == "incomplete"
    assert (await stage.get(wanting("0-1"))).result is Result.MISS


async def test_a_part_that_breaks_off_is_not_stored() -> None:
    stage = Stage()
    body = ArrivingBody(length=5)
    body.arrives(b"012", b"")
    stage.origin.says = lambda request: saying(body, FRESH, ("Content-Range", "bytes 0-4/10"), status=206)
    assert (await stage.get(wanting("0-4"))).reason == "incomplete"


async def test_a_stale_whole_is_validated_as_a_whole_and_answers_for_its_part() -> None:
    stage = serving_parts(TAG)
    await stage.get()
    stage.says("", TAG, status=304)
    told = await stage.later(60, wanting("0-3"))
    assert got(told) == (206, "0123", "bytes 0-3/10", Result.REFRESH_HIT)
    assert "range" not in stage.origin.asked[-1].headers


async def test_a_stale_part_is_validated_too() -> None:
    stage = serving_parts(TAG)
    await stage.get(wanting("2-6"))
    stage.says("", TAG, status=304)
    assert got(await stage.later(60, wanting("3-4"))) == (206, "34", "bytes 3-4/10", Result.REFRESH_HIT)
    assert got(await stage.get(wanting("2-6"))) == (206, "23456", "bytes 2-6/10", Result.HIT)
    stage.says("anew", FRESH)
    assert (await stage.get()).text == "anew"


async def test_a_new_whole_in_answer_to_that_is_cut_for_the_viewer() -> None:
    stage = serving_parts(TAG)
    await stage.get()
    stage.says("abcdefghij", FRESH, ("ETag", '"y"'))
    assert got(await stage.later(60, wanting("0-3"))) == (206, "abcd", "bytes 0-3/10", Result.MISS)


LARGE = "0123456789" * 110_000


async def holding_large() -> Stage:
    """Return a stage on which a large response has been stored, and became stale."""
    stage = Stage(capacity=2**25)
    stage.says(LARGE, FRESH, TAG)
    await stage.get()
    stage.clock.passes(60)
    return stage


async def test_of_what_is_new_in_the_place_of_a_large_one_its_viewer_gets_no_more_than_it_asked_for() -> None:
    stage = await holding_large()
    new = LARGE.replace("2", "x")
    stage.origin.says = lambda request: part(1, 2, ("ETag", '"y"'), whole=new)
    told = await stage.get(wanting("1-2", ("If-None-Match", '"mine"')))
    assert got(told) == (206, "1x", "bytes 1-2/1100000", Result.MISS)
    asked = stage.origin.asked[-1].headers
    assert (asked.get("range"), asked.get_all("if-none-match")) == ("bytes=1-2", ('"x"',))
    assert got(await stage.get(wanting("2-2"))) == (206, "x", "bytes 2-2/1100000", Result.HIT)
    stage.says(new, FRESH, ("ETag", '"y"'))
    assert ((await stage.get()).text == new, (await stage.get()).result) == (True, Result.HIT)


async def test_a_part_of_the_very_same_says_that_the_large_one_still_holds() -> None:
    stage = await holding_large()
    stage.origin.says = lambda request: part(1, 2, TAG, ("X-New", "1"), whole=LARGE)
    assert got(await stage.get(wanting("1-2"))) == (206, "12", "bytes 1-2/1100000", Result.REFRESH_HIT)
    whole = await stage.get()
    assert (whole.text == LARGE, whole.result, whole.headers.get("x-new")) == (True, Result.HIT, "1")
    assert "content-range" not in whole.headers


async def test_whoever_has_a_part_of_the_old_large_one_starts_again() -> None:
    stage = await holding_large()
    stage.says("new", FRESH, ("ETag", '"y"'))
    assert (await stage.get(wanting("1-2", ("If-Range", '"x"')))).text == "new"
    assert stage.origin.asked[-1].headers.get("if-range") == '"x"'


async def test_when_the_origin_sends_the_whole_it_is_stored_as_such() -> None:
    stage = Stage()
    stage.says(WHOLE, FRESH)
    assert (await stage.get(wanting("0-3"))).text == WHOLE
    assert got(await stage.get(wanting("0-3"))) == (206, "0123", "bytes 0-3/10", Result.HIT)


async def test_many_parts_in_one_are_passed_on_only() -> None:
    stage = Stage()
    stage.says("--x...", FRESH, ("Content-Type", "multipart/byteranges; boundary=x"), status=206)
    told = await stage.get(wanting("0-1,3-4"))
    assert (told.status, told.reason, len(stage.store)) == (206, "status", 0)


async def test_an_unsatisfiable_range_that_the_origin_refuses_is_not_stored() -> None:
    stage = Stage()
    stage.says("", FRESH, ("Content-Range", "bytes */10"), status=416)
    assert (await stage.get(wanting("99-"))).reason == "answers-a-condition"
    assert len(stage.store) == 0
