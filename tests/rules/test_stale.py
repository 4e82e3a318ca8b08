"""How stale a response may be served, by what its origin and its route say."""

import pytest

from edgefn.model.errors import OriginFailure
from edgefn.model.settings import CachePolicy
from edgefn.rules.cache_control import parse
from edgefn.rules.stale import NEVER_STALE, StaleLimits, covers_failure, covers_status, stale_limits


@pytest.mark.parametrize(
    "control",
    [
        "max-age=1, must-revalidate", "max-age=1, proxy-revalidate", "s-maxage=1", "no-cache", "NO-CACHE, max-age=1",
        "must-revalidate, stale-if-error=60, stale-while-revalidate=60", 'must-revalidate="x"',
    ],
)  # fmt: skip
def test_the_origin_may_forbid_it(control: str) -> None:
    assert stale_limits(parse(control), CachePolicy(stale_if_error=60)) == NEVER_STALE


@pytest.mark.parametrize(
    ("control", "policy", "limits"),
    [
        ("max-age=1", CachePolicy(), (0, 0, 86_400)),
        ("max-age=1", CachePolicy(serve_stale=0), (0, 0, 0)),
        ('no-cache="x"', CachePolicy(), (0, 0, 86_400)),
        ("stale-while-revalidate=30", CachePolicy(), (30, 0, 86_400)),
        ("stale-if-error=30", CachePolicy(), (0, 30, 86_400)),
        ("stale-if-error=30", CachePolicy(serve_stale=5), (0, 30, 30)),
        ("stale-if-error=0", CachePolicy(), (0, 0, 0)),
        ("stale-if-error=x", CachePolicy(), (0, 0, 0)),
        ("max-age=1", CachePolicy(stale_if_error=20), (0, 20, 86_400)),
        ("stale-if-error=10", CachePolicy(stale_if_error=20), (0, 10, 86_400)),
        ("stale-while-revalidate=30, stale-if-error=40", CachePolicy(max_ttl=20), (20, 20, 20)),
    ],
)
def test_what_is_not_forbidden_has_its_bounds(
    control: str, policy: CachePolicy, limits: tuple[float, float, float]
) -> None:
    assert stale_limits(parse(control), policy) == StaleLimits(*limits, on_request=True)


@pytest.mark.parametrize(
    ("status", "staleness", "covered"),
    [
        (500, 9.9, True), (502, 0, True), (503, 0, True), (504, 0, True), (500, 10, False), (501, 0, False),
        (404, 0, False), (200, 0, False),
    ],
)  # fmt: skip
def test_errors_of_the_origin_are_covered_for_a_while(status: int, staleness: float, covered: bool) -> None:
    assert covers_status(StaleLimits(if_error=10), status, staleness) is covered


@pytest.mark.parametrize("failure", OriginFailure)
def test_an_answer_that_is_broken_is_an_error_and_one_that_does_not_come_is_a_disconnection(
    failure: OriginFailure,
) -> None:
    answered = failure in {OriginFailure.INVALID_RESPONSE, OriginFailure.HEADER_TOO_BIG, OriginFailure.REFUSED}
    assert covers_failure(StaleLimits(if_error=10), failure, 5) is answered
    assert covers_failure(StaleLimits(if_disconnected=10), failure, 5) is not answered
    assert not covers_failure(NEVER_STALE, failure, 0)
