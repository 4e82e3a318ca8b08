"""Lifetimes, ages, and what a route's TTLs make of them."""

import pytest

from edgefn.model.headers import Headers
from edgefn.model.settings import CachePolicy
from edgefn.rules.age import Times, age_value, current_age, initial_age, received_age
from edgefn.rules.cache_control import CacheControl, parse
from edgefn.rules.freshness import (
    allows_heuristic,
    explicit_lifetime,
    granted_lifetime,
    heuristic_lifetime,
    is_fresh,
)
from edgefn.rules.http_date import imf_fixdate

NOW = 1_780_000_000.0


def date(offset: float) -> str:
    return imf_fixdate(NOW + offset)


def lifetime(*lines: tuple[str, str]) -> float | None:
    headers = Headers(lines)
    return explicit_lifetime(headers, parse(headers.joined("cache-control")), NOW)


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], None),
        ([("Cache-Control", "public")], None),
        ([("Cache-Control", "max-age=10, s-maxage=20"), ("Expires", date(30))], 20),
        ([("Cache-Control", "max-age=10"), ("Expires", date(30))], 10),
        ([("Cache-Control", "s-maxage=0, max-age=10")], 0),
        ([("Cache-Control", "s-maxage=x, max-age=10")], 0),
        ([("Cache-Control", "max-age=x"), ("Expires", date(30))], 0),
        ([("Expires", date(30)), ("Date", date(0))], 30),
        ([("Expires", date(30)), ("Date", date(-100))], 130),
        ([("Expires", date(-30)), ("Date", date(0))], 0),
        ([("Expires", date(30))], 30),
        ([("Expires", date(30)), ("Date", "long ago")], 30),
        ([("Expires", "0"), ("Date", date(0))], 0),
        ([("Expires", "")], 0),
        ([("Expires", date(30)), ("Expires", date(60))], 0),
        ([("Expires", date(30)), ("Expires", date(30)), ("Date", date(0))], 30),
    ],
)
def test_the_first_that_is_there_decides(lines: list[tuple[str, str]], seconds: float | None) -> None:
    assert lifetime(*lines) == seconds


@pytest.mark.parametrize(
    ("policy", "explicit", "granted"),
    [
        (CachePolicy(max_ttl=100), 50, 50),
        (CachePolicy(max_ttl=100), 500, 100),
        (CachePolicy(), None, None),
        (CachePolicy(), 0, 0),
        (CachePolicy(default_ttl=60), None, 60),
        (CachePolicy(default_ttl=60), 0, 0),
        (CachePolicy(min_ttl=10, max_ttl=100), 5, 10),
        (CachePolicy(min_ttl=10, max_ttl=100), 50, 50),
        (CachePolicy(min_ttl=10, max_ttl=100), 500, 100),
        (CachePolicy(min_ttl=10, default_ttl=60), None, 60),
        (CachePolicy(min_ttl=10), None, 10),
    ],
)
def test_the_table_of_ttls(policy: CachePolicy, explicit: float | None, granted: float | None) -> None:
    assert granted_lifetime(200, explicit, 0.0, policy, 0) == granted


def test_errors_have_neither_floor_nor_default() -> None:
    policy = CachePolicy(min_ttl=10, default_ttl=60, max_ttl=100)
    assert granted_lifetime(404, None, 0.0, policy, 0) is None
    assert granted_lifetime(500, 5, 0.0, policy, 0) == 5
    assert granted_lifetime(500, 500, 0.0, policy, 0) == 100


@pytest.mark.parametrize(
    ("status", "explicit", "heuristic", "granted"),
    [
        (404, None, 0.0, 10), (404, 0, 0.0, 10), (404, 5, 0.0, 10), (404, 50, 0.0, 50), (404, None, 30.0, 30),
        (503, None, 0.0, None), (503, 5, 0.0, 5), (200, None, 0.0, None), (200, 5, 0.0, 5),
    ],
)  # fmt: skip
def test_a_route_may_keep_errors_for_a_while(
    status: int, explicit: float | None, heuristic: float, granted: float | None
) -> None:
    assert granted_lifetime(status, explicit, heuristic, CachePolicy(error_ttls=((404, 10.0),)), 0) == granted


@pytest.mark.parametrize(
    ("policy", "granted"),
    [
        (CachePolicy(), 30),
        (CachePolicy(max_ttl=20), 20),
        (CachePolicy(default_ttl=10), 10),
        (CachePolicy(min_ttl=10), 10),
        (CachePolicy(default_ttl=60), 60),
    ],
)
def test_a_default_of_the_route_outweighs_the_heuristic(policy: CachePolicy, granted: float) -> None:
    assert granted_lifetime(200, None, 30.0, policy, 0) == granted


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([("Last-Modified", date(-1000)), ("Date", date(0))], 100),
        ([("Last-Modified", date(-1000)), ("Date", date(-500))], 50),
        ([("Last-Modified", date(-1000))], 100),
        ([("Last-Modified", date(-100_000)), ("Date", date(0))], 3600),
        ([("Last-Modified", date(1000)), ("Date", date(0))], 0),
        ([("Last-Modified", "once")], 0),
        ([], 0),
    ],
)
def test_what_has_not_changed_for_long_is_taken_to_last_a_tenth_of_that(
    lines: list[tuple[str, str]], seconds: float
) -> None:
    assert heuristic_lifetime(Headers(lines), NOW, 3600) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("status", "control", "allowed"),
    [(status, "", True) for status in (200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501)]
    + [(status, "", False) for status in (201, 302, 307, 400, 403, 500, 503, 599)]
    + [(302, "public", True), (599, "public", True), (302, "max-age", False)],
)
def test_some_statuses_need_no_lifetime_to_be_stored(status: int, control: str, allowed: bool) -> None:
    assert allows_heuristic(status, parse(control)) is allowed


def test_expires_is_none_beside_a_targeted_field() -> None:
    headers = Headers([("Expires", date(30)), ("Cache-Control", "max-age=20")])
    assert explicit_lifetime(headers, CacheControl({"public": None}, is_targeted=True), NOW) is None
    assert explicit_lifetime(headers, CacheControl({"max-age": "5"}, is_targeted=True), NOW) == 5


def test_a_floor_and_a_default_run_from_the_arrival() -> None:
    assert granted_lifetime(200, 5, 0.0, CachePolicy(min_ttl=10), 30) == 40
    assert granted_lifetime(200, None, 0.0, CachePolicy(default_ttl=60), 30) == 90
    assert granted_lifetime(404, None, 0.0, CachePolicy(error_ttls=((404, 10.0),)), 30) == 40


def test_as_much_age_as_lifetime_is_stale() -> None:
    assert is_fresh(10, 9.999)
    assert not is_fresh(10, 10)
    assert not is_fresh(0, 0)


@pytest.mark.parametrize(
    ("lines", "age"),
    [
        ([], 0), (["5"], 5), (["5, 7"], 5), (["5", "7"], 5), (["005"], 5), (["-5"], 0), (["5.5"], 0), (["x"], 0),
        ([""], 0), (["9" * 30], 2**31), (["x, 5"], 0), ([", ,5"], 5),
    ],
)  # fmt: skip
def test_the_first_age_counts_if_it_is_one(lines: list[str], age: int) -> None:
    assert received_age(Headers([("Age", line) for line in lines])) == age


def test_the_way_from_the_origin_counts() -> None:
    assert initial_age(Headers([("Age", "10")]), Times(NOW - 3, NOW)) == 13
    assert initial_age(Headers(), Times(NOW - 3, NOW)) == 3


def test_an_old_date_tells_an_age_that_nobody_said() -> None:
    assert initial_age(Headers([("Date", date(-100))]), Times(NOW, NOW)) == 100
    assert initial_age(Headers([("Date", date(-100)), ("Age", "200")]), Times(NOW, NOW)) == 200


@pytest.mark.parametrize("stated", [date(0), date(-1), date(100), "yesterday"])
def test_a_date_of_now_or_later_or_none_at_all_tells_nothing(stated: str) -> None:
    assert initial_age(Headers([("Date", stated)]), Times(NOW, NOW + 0.9)) == pytest.approx(0.9)


def test_a_clock_that_goes_back_makes_nothing_younger() -> None:
    assert initial_age(Headers(), Times(NOW, NOW - 50)) == 0
    assert current_age(7, NOW, NOW - 50) == 7
    assert current_age(7, NOW, NOW + 50) == 57


def test_an_age_is_told_in_whole_seconds_and_never_wraps() -> None:
    assert [age_value(age) for age in (0.0, 1.9, 2.0**40)] == ["0", "1", "2147483648"]
