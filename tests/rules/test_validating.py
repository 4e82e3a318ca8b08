"""Asking whether something stored still holds, and what the answer changes."""

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.validating import (
    agrees,
    asking_about,
    confirmed,
    confirms,
    has_validator,
    updated,
    without_conditions,
)

NOW = 1_780_000_000.0
CHANGED = "Sun, 06 Nov 1994 08:49:37 GMT"


def test_the_conditions_of_the_cache_take_the_place_of_the_viewers() -> None:
    own = [("Accept", "a/b"), ("If-Match", '"m"')]
    viewers = [("If-None-Match", '"v"'), ("If-Modified-Since", "x"), ("Range", "bytes=0-1"), ("If-Range", '"v"')]
    stored = Headers([("ETag", 'W/"\xe9"'), ("Last-Modified", CHANGED)])
    cache = [("If-None-Match", 'W/"\xe9"'), ("If-Modified-Since", CHANGED)]
    assert asking_about(Headers([*own, *viewers]), stored, 2**20) == Headers([*own, *cache])
    assert asking_about(Headers([*own, *viewers]), stored, 2**20 + 1) == Headers([*own, *viewers[2:], *cache])


def test_only_the_validators_that_there_are_are_sent() -> None:
    assert asking_about(Headers(), Headers([("ETag", '"a"')]), 5) == Headers([("If-None-Match", '"a"')])
    assert asking_about(Headers(), Headers([("Last-Modified", "x")]), 5) == Headers([("If-Modified-Since", "x")])
    assert [has_validator(Headers([line])) for line in [("ETag", "a"), ("Last-Modified", "x"), ("Date", "x")]] == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "tag", "where", "holds"),
    [
        (304, None, None, True),
        (304, '"y"', None, True),
        (200, '"x"', None, False),
        (206, '"x"', "bytes 2-4/10", True),
        (206, '"x"', "bytes 2-4/11", False),
        (206, '"x"', "bytes 2-4/*", False),
        (206, '"x"', None, False),
        (206, '"y"', "bytes 2-4/10", False),
        (206, 'W/"x"', "bytes 2-4/10", False),
        (206, None, "bytes 2-4/10", False),
    ],
)
def test_a_304_or_a_part_of_the_very_same_says_that_it_holds(
    status: int, tag: str | None, where: str | None, holds: bool
) -> None:
    told = [(name, value) for name, value in (("ETag", tag), ("Content-Range", where)) if value is not None]
    assert confirms(status, Headers(told), Headers([("ETag", '"x"')]), 10) is holds
    assert confirms(status, Headers(told), Headers(), 10) is (status == 304)


def test_a_request_without_conditions_asks_for_the_whole() -> None:
    names = ("If-None-Match", "If-Modified-Since", "Range", "If-Range", "If-Match", "If-Unmodified-Since")
    assert without_conditions(Headers([("A", "b"), *((name, "x") for name in names)])) == Headers([("A", "b")])


def tag(value: str) -> Headers:
    return Headers([("ETag", value)])


@pytest.mark.parametrize(
    ("answer", "stored", "found"),
    [
        (tag('"a"'), [tag('"a"')], [0]),
        (tag('"a"'), [tag('"b"'), tag('"a"'), tag('"a"')], [1, 2]),
        (tag('"a"'), [tag('W/"a"')], []),
        (tag('"a"'), [tag('"b"')], []),
        (tag('"a"'), [Headers([("Last-Modified", "x")])], []),
        (tag('W/"a"'), [tag('"b"'), tag('"a"'), tag('W/"a"')], [1]),
        (tag('W/"a"'), [tag('"b"')], []),
        (Headers([("Last-Modified", "x")]), [Headers([("Last-Modified", "x")])], [0]),
        (Headers([("Last-Modified", "x")]), [Headers([("Last-Modified", "y")])], []),
        (Headers(), [tag('"a"'), tag('"b"')], [0]),
    ],
)
def test_a_304_is_about_what_has_its_validator(answer: Headers, stored: list[Headers], found: list[int]) -> None:
    assert confirmed(answer, stored) == found


def test_fields_are_updated_but_for_those_of_the_content() -> None:
    stored = [
        ("ETag", '"a"'), ("Content-Type", "a/b"), ("Content-Length", "5"), ("Content-Encoding", "gzip"),
        ("X-Old", "1"), ("X-Both", "1"), ("X-Both", "2"), ("Date", "then"),
    ]  # fmt: skip
    answer = [
        ("Content-Type", "c/d"), ("Content-Length", "0"), ("Content-Encoding", "br"), ("Content-Range", "x"),
        ("x-both", "3"), ("X-New", "4"), ("Date", "now"),
    ]  # fmt: skip
    assert updated(Headers(stored), Headers(answer), NOW) == Headers(
        [*stored[:5], ("x-both", "3"), ("X-New", "4"), ("Date", "now")]
    )


def test_an_answer_without_date_is_of_now() -> None:
    assert updated(Headers([("Date", "then")]), Headers(), NOW).get_all("date") == (imf_fixdate(NOW),)


@pytest.mark.parametrize(
    ("answer", "stored", "fits"),
    [
        ([("ETag", '"a"'), ("Content-Length", "5")], [("ETag", '"a"')], True),
        ([("ETag", '"b"'), ("Content-Length", "5")], [("ETag", '"a"')], False),
        ([("ETag", '"a"')], [], False),
        ([("Content-Length", "6")], [("ETag", '"a"')], False),
        ([("Content-Length", "05")], [], True),
        ([("Last-Modified", "x")], [("Last-Modified", "y")], False),
        ([], [("ETag", '"a"')], True),
    ],
)
def test_an_answer_to_head_fits_or_not(answer: list[Line], stored: list[Line], fits: bool) -> None:
    assert agrees(Headers(answer), Headers(stored), 5) is fits


def test_an_unknown_size_tells_nothing() -> None:
    assert agrees(Headers([("Content-Length", "5")]), Headers(), None)
    assert agrees(Headers([("Content-Length", "0")]), Headers(), 0)
