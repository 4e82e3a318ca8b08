"""Whether a stored response answers at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers, Line
from edgefn.rules.lookup import Lookup
from edgefn.rules.stale import NEVER_STALE, StaleLimits
from edgefn.rules.verdict import Ask, Held, Serve, Verdict, Why, verdict
from edgefn.rules.wishes import NO_WISHES, Wishes, has_wishes, wishes

FRESH, STALE, REQUEST = Serve(Why.FRESH), Ask(Lookup.STALE), Ask(Lookup.REQUEST)
BEHIND = Serve(Why.REVALIDATING, in_background=True)
ANY = StaleLimits(on_request=True)


def held(
    age: float,
    limits: StaleLimits = NEVER_STALE,
    *,
    retry_at: float = 0.0,
    immutable: bool = False,
    lifetime: float = 60,
) -> Held:
    return Held(lifetime, age, limits, retry_at, immutable)


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (held(0), FRESH),
        (held(59.9), FRESH),
        (held(60), STALE),
        (held(0, lifetime=0), STALE),
        (held(60, StaleLimits(while_revalidate=10)), BEHIND),
        (held(69.9, StaleLimits(while_revalidate=10)), BEHIND),
        (held(70, StaleLimits(while_revalidate=10)), STALE),
        (held(65, StaleLimits(while_revalidate=10), retry_at=101), Serve(Why.REVALIDATING)),
        (held(65, StaleLimits(if_disconnected=10)), STALE),
        (held(65, StaleLimits(if_disconnected=10), retry_at=101), Serve(Why.RETRYING)),
        (held(65, StaleLimits(if_disconnected=10), retry_at=100), STALE),
        (held(70, StaleLimits(if_disconnected=10), retry_at=101), STALE),
        (held(65, StaleLimits(if_error=10)), STALE),
    ],
)
def test_by_what_the_origin_said(response: Held, found: Verdict) -> None:
    assert verdict(response, NO_WISHES, now=100) == found


@pytest.mark.parametrize(
    ("response", "asked", "found"),
    [
        (held(10), Wishes(max_age=10), FRESH),
        (held(10.1), Wishes(max_age=10), REQUEST),
        (held(10.1, immutable=True), Wishes(max_age=0), FRESH),
        (held(10), Wishes(min_fresh=50), FRESH),
        (held(10.1), Wishes(min_fresh=50), REQUEST),
        (held(0), Wishes(no_cache=True), REQUEST),
        (held(0, immutable=True), Wishes(no_cache=True), REQUEST),
        (held(70), Wishes(no_cache=True), REQUEST),
        (held(70, ANY), Wishes(max_stale=10), Serve(Why.MAX_STALE)),
        (held(70.1, ANY), Wishes(max_stale=10), STALE),
        (held(70, NEVER_STALE), Wishes(max_stale=10), STALE),
        (held(70, ANY), Wishes(max_stale=10, max_age=69), STALE),
        (held(70, ANY), Wishes(max_stale=10, max_age=70), Serve(Why.MAX_STALE)),
        (held(60, ANY), NO_WISHES, STALE),
        (held(65, StaleLimits(while_revalidate=10)), Wishes(max_age=5), STALE),
        (held(65, StaleLimits(while_revalidate=10)), Wishes(min_fresh=5), STALE),
    ],
)
def test_by_what_the_viewer_wants(response: Held, asked: Wishes, found: Verdict) -> None:
    assert verdict(response, asked, now=100) == found


@given(age=st.floats(0, 1e9), lifetime=st.floats(0, 1e9), now=st.floats(0, 1e10), retry=st.floats(0, 1e10))
def test_what_may_never_be_stale_is_served_only_fresh(age: float, lifetime: float, now: float, retry: float) -> None:
    found = verdict(held(age, retry_at=retry, lifetime=lifetime), Wishes(max_stale=2**31), now)
    assert found == (FRESH if age < lifetime else STALE)


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        ([], NO_WISHES),
        ([("Cache-Control", "max-age=5, min-fresh=6")], Wishes(max_age=5, min_fresh=6)),
        ([("Cache-Control", "max-stale")], Wishes(max_stale=2**31)),
        ([("Cache-Control", "max-stale=7")], Wishes(max_stale=7)),
        ([("Cache-Control", "max-stale=x")], NO_WISHES),
        ([("Cache-Control", "no-cache, only-if-cached")], Wishes(no_cache=True, only_if_cached=True)),
        ([("Cache-Control", "max-age=x")], Wishes(max_age=0)),
        ([("Cache-Control", "a"), ("Cache-Control", "no-cache")], Wishes(no_cache=True)),
        ([("Pragma", "no-cache")], Wishes(no_cache=True)),
        ([("Pragma", "x, No-Cache")], Wishes(no_cache=True)),
        ([("Pragma", "no-cache"), ("Cache-Control", "max-age=5")], Wishes(max_age=5)),
        ([("Pragma", "max-age=5")], NO_WISHES),
    ],
)
def test_wishes_are_read(lines: list[Line], asked: Wishes) -> None:
    assert wishes(Headers(lines)) == asked
    assert has_wishes(Headers(lines)) or asked == NO_WISHES
