"""HTTP dates: the three formats, and nothing that only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.rules.http_date import imf_fixdate, parse

NOW = 1_780_000_000.0  # in May 2026
THEN = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "sUN, 06 nOV 1994 08:49:37 gmt",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "SUNDAY, 06-NOV-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
    ],
)
def test_each_format_in_any_case(text: str) -> None:
    assert parse(text, NOW) == THEN


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "-1", "784111777", "now",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT", "Sun,  06 Nov 1994 08:49:37 GMT", "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT", "Foo, 06 Nov 1994 08:49:37 GMT", "Sun, 06 November 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Tue, 29 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n", "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
    ],
)  # fmt: skip
def test_nothing_else_is_a_date(text: str) -> None:
    assert parse(text, NOW) is None


@pytest.mark.parametrize(
    ("today", "text", "meant"),
    [
        ("Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-76 00:00:00 GMT", "Wed, 01 Jan 2076 00:00:00 GMT"),
        ("Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-76 00:00:01 GMT", "Thu, 01 Jan 1976 00:00:01 GMT"),
        ("Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-77 00:00:00 GMT", "Sat, 01 Jan 1977 00:00:00 GMT"),
        ("Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-26 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("Sun, 01 Jan 2096 00:00:00 GMT", "Thursday, 01-Jan-05 00:00:00 GMT", "Thu, 01 Jan 2105 00:00:00 GMT"),
    ],
)
def test_a_year_of_two_digits_lies_at_most_fifty_years_ahead(today: str, text: str, meant: str) -> None:
    now = parse(today, NOW)
    assert now is not None
    assert parse(text, now) == parse(meant, now)


def test_a_leap_second_is_the_second_after() -> None:
    leap = parse("Sat, 31 Dec 2016 23:59:60 GMT", NOW)
    assert leap == parse("Sun, 01 Jan 2017 00:00:00 GMT", NOW)


def test_time_goes_on_after_2038() -> None:
    assert parse("Fri, 31 Dec 9999 23:59:59 GMT", NOW) == 253_402_300_799


@given(st.integers(min_value=-62_135_596_800, max_value=253_402_300_799))
def test_what_is_sent_is_read_back(seconds: int) -> None:
    assert parse(imf_fixdate(seconds), NOW) == seconds


@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2,8},? \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT\Z"))
def test_no_text_makes_it_fail(text: str) -> None:
    result = parse(text, NOW)
    assert result is None or isinstance(result, float)
