"""When a viewer has already what is stored."""

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.rules.conditions import is_not_modified, not_modified_headers
from edgefn.rules.http_date import imf_fixdate

NOW = 1_780_000_000.0
LATER = NOW + 1000


def has_it(asked: list[Line], stored: list[Line]) -> bool:
    return is_not_modified(Headers(asked), Headers(stored), NOW, LATER)


@pytest.mark.parametrize(
    ("wanted", "tag", "met"),
    [
        ('"a"', '"a"', True),
        ('W/"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('w/"a"', '"a"', False),
        ('"b"', '"a"', False),
        ('"b", "a"', '"a"', True),
        ('"b","a"', '"a"', True),
        ('"b" , ,"a" ', '"a"', True),
        ('"b,c"', '"c"', False),
        ('"b, c"', '"b"', False),
        ('"b, c"', '"b, c"', True),
        ('"a", "b, c"', '"b, c"', True),
        ('"a, "b"', '"a, "', False),
        ('"a,b"', '"a,b"', True),
        ('"\xe9"', '"\xe9"', True),
        ('""', '""', True),
        ("*", '"a"', True),
        ("*", None, True),
        ('"a"', None, False),
        ("a", "a", False),
        ('x"a"', '"a"', False),
        ('"a', '"a"', False),
        ("", '"a"', False),
    ],
)
def test_if_none_match_compares_weakly(wanted: str, tag: str | None, met: bool) -> None:
    assert has_it([("If-None-Match", wanted)], [] if tag is None else [("ETag", tag)]) is met


@pytest.mark.parametrize(
    ("since", "stored", "met"),
    [
        (0, [("Last-Modified", imf_fixdate(NOW))], True),
        (1, [("Last-Modified", imf_fixdate(NOW))], True),
        (-1, [("Last-Modified", imf_fixdate(NOW))], False),
        (0, [("Date", imf_fixdate(NOW))], True),
        (-1, [("Date", imf_fixdate(NOW))], False),
        (0, [("Last-Modified", imf_fixdate(NOW - 9)), ("Date", imf_fixdate(NOW + 9))], True),
        (0, [], True),
        (-1, [], False),
        (0, [("Last-Modified", "x")], True),
    ],
)
def test_if_modified_since_compares_with_the_best_date_there_is(since: int, stored: list[Line], met: bool) -> None:
    assert has_it([("If-Modified-Since", imf_fixdate(NOW + since))], stored) is met


def test_a_date_that_is_none_is_no_condition() -> None:
    assert not has_it([("If-Modified-Since", "tomorrow")], [])
    assert not has_it([("If-Modified-Since", imf_fixdate(NOW))] * 2, [])


def test_if_none_match_alone_decides_when_it_is_there() -> None:
    since = ("If-Modified-Since", imf_fixdate(LATER))
    assert not has_it([("If-None-Match", '"b"'), since], [("ETag", '"a"')])


def test_a_304_leaves_out_the_fields_of_the_content() -> None:
    content = [("Content-Type", "x"), ("Content-Encoding", "gzip"), ("Last-Modified", "x")]
    kept = [
        ("ETag", '"a"'),
        ("Vary", "a"),
        ("Cache-Control", "max-age=1"),
        ("Date", "x"),
        ("Expires", "x"),
        ("Age", "1"),
    ]
    assert not_modified_headers(Headers([*content, *kept])) == Headers(kept)
    assert not_modified_headers(Headers(content)) == Headers([("Last-Modified", "x")])
