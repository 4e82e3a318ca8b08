"""Ranges: what is asked for, what came, and whether the viewer's parts are of what is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers, Line
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.ranges import (
    Span,
    Unsatisfiable,
    asked_span,
    content_range,
    if_range_holds,
    received_span,
    strong_tag,
)

NOW = 1_780_000_000.0


@pytest.mark.parametrize(
    ("text", "total", "span"),
    [
        ("bytes=0-4", 10, Span(0, 4)),
        ("bytes=0-0", 10, Span(0, 0)),
        ("bytes=5-", 10, Span(5, 9)),
        ("bytes=5-99", 10, Span(5, 9)),
        ("bytes=-3", 10, Span(7, 9)),
        ("bytes=-99", 10, Span(0, 9)),
        ("BYTES=0-4", 10, Span(0, 4)),
        ("bytes=, 0-4 ,", 10, Span(0, 4)),
        ("bytes=000-0004", 10, Span(0, 4)),
        ("bytes=0-" + "9" * 5000, 10, Span(0, 9)),
        ("bytes=10-", 10, Unsatisfiable()),
        ("bytes=" + "9" * 5000 + "-", 10, Unsatisfiable()),
        ("bytes=-0", 10, Unsatisfiable()),
        ("bytes=0-", 0, Unsatisfiable()),
        ("bytes=-5", 0, None),
        ("bytes=4-3", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=-", 10, None),
        ("bytes=", 10, None),
        ("bytes", 10, None),
        ("bytes = 0-1", 10, None),
        ("bytes=0 -1", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=\u0661-2", 10, None),
        ("items=0-4", 10, None),
        ("0-4", 10, None),
    ],
)
def test_one_range_counts_and_everything_else_does_not(text: str, total: int, span: Span | None) -> None:
    assert asked_span(Headers([("Range", text)]), total) == span


def test_two_lines_or_none_do_not_count() -> None:
    assert asked_span(Headers([("Range", "bytes=0-1")] * 2), 10) is None
    assert asked_span(Headers(), 10) is None


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_span_never_leaves_the_whole(first: int, last: int, total: int) -> None:
    for text in (f"bytes={first}-{last}", f"bytes={first}-", f"bytes=-{last}"):
        span = asked_span(Headers([("Range", text)]), total)
        assert not isinstance(span, Span) or Span(0, total - 1).covers(span)
        assert not isinstance(span, Span) or span.length > 0


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["bytes 0-4/10"], (Span(0, 4), 10)),
        (["Bytes 5-9/10"], (Span(5, 9), 10)),
        (["bytes 0-4/*"], None),
        (["bytes */10"], None),
        (["bytes 4-3/10"], None),
        (["bytes 0-10/10"], None),
        (["bytes 0-4/" + "9" * 19], None),
        (["items 0-4/10"], None),
        (["bytes=0-4/10"], None),
        (["bytes 0-4/10", "bytes 0-4/10"], None),
        ([], None),
    ],
)
def test_content_range_must_say_all_of_it(lines: list[str], found: tuple[Span, int] | None) -> None:
    assert received_span(Headers([("Content-Range", line) for line in lines])) == found


def test_content_range_is_written() -> None:
    assert content_range(Span(0, 4), 10) == "bytes 0-4/10"


CHANGED, MADE = ("Last-Modified", imf_fixdate(NOW - 100)), ("Date", imf_fixdate(NOW))


@pytest.mark.parametrize(
    ("asked", "stored", "holds"),
    [
        ([], [], True),
        (['"a"'], [("ETag", '"a"')], True),
        ([' "a" '], [("ETag", '"a"')], True),
        (['"b"'], [("ETag", '"a"')], False),
        (['W/"a"'], [("ETag", 'W/"a"')], False),
        (['"a"'], [("ETag", 'W/"a"')], False),
        (['"a"'], [], False),
        (['"a"', '"a"'], [("ETag", '"a"')], False),
        ([CHANGED[1]], [CHANGED, MADE], True),
        ([imf_fixdate(NOW - 99)], [CHANGED, MADE], False),
        ([imf_fixdate(NOW - 101)], [CHANGED, MADE], False),
        ([CHANGED[1]], [CHANGED], False),
        ([CHANGED[1]], [CHANGED, ("Date", CHANGED[1])], False),
        (["x"], [("Last-Modified", "x"), MADE], False),
        (["x"], [], False),
    ],
)
def test_if_range_is_compared_strongly(asked: list[str], stored: list[Line], holds: bool) -> None:
    assert if_range_holds(Headers([("If-Range", value) for value in asked]), Headers(stored), NOW) is holds


def test_a_tag_is_strong_or_weak() -> None:
    tags = ['"a"', 'W/"a"', "a"]
    assert [strong_tag(Headers([("ETag", tag)])) for tag in tags] == ['"a"', None, None]
    assert strong_tag(Headers()) is None
