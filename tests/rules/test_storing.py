"""What may be stored, and the reason when it may not."""

from dataclasses import dataclass

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.model.message import Request, Response, Viewer, no_body
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Trail
from edgefn.rules.age import Times
from edgefn.rules.cache_control import CacheControl, parse
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.storing import MayStore, Reason, Refuse, may_store, stored_headers

NOW = 1_780_000_000.0
FRESH = ("Cache-Control", "max-age=60")


@dataclass(frozen=True)
class Kept:
    """A verdict that says yes, without how stale it may become."""

    lifetime: float
    age: float


def asking(*headers: Line, method: str = "GET") -> Request:
    return Request(method, "/", None, Headers(headers), no_body(), Viewer("127.0.0.1", 5), "id", Trail())


def verdict(
    *headers: Line, status: int = 200, request: Request | None = None, policy: CachePolicy | None = None
) -> Kept | Refuse:
    response = Response(status, "", Headers(headers))
    found = may_store(request or asking(), response, policy or CachePolicy(), Times(NOW, NOW))
    return found if isinstance(found, Refuse) else Kept(found.lifetime, found.initial_age)


@pytest.mark.parametrize("status", [200, 203, 204, 299, 301, 302, 399, 400, 404, 410, 499, 500, 503, 599])
def test_any_final_status_is_stored_with_explicit_freshness(status: int) -> None:
    assert verdict(FRESH, status=status) == Kept(60, 0)


@pytest.mark.parametrize("status", [200, 301, 404, 500])
def test_none_is_stored_without(status: int) -> None:
    assert verdict(status=status) == Refuse(Reason.NO_FRESHNESS)
    assert verdict(("Cache-Control", "public"), status=status) == Refuse(Reason.NO_FRESHNESS)


DIRECTIVES = ("max-age=60", "no-store", "private", 'private="set-cookie"', "must-understand, max-age=9", "no-cache")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [200, 206, 304, 404, 416, 599])
@pytest.mark.parametrize("directives", DIRECTIVES)
def test_the_short_cut_past_the_rules_decides_as_they_do(
    method: str, status: int, directives: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ((), (("Authorization", "x"),), (("Cache-Control", "no-store"),), (("If-None-Match", "*"),))
    said = ((), (("Vary", "*"),), (("Vary", "Accept"),), (("Set-Cookie", "a=b"),), (("ETag", '"x"'),))
    cases = [(request, (("Cache-Control", directives), *more)) for request in asked for more in said]

    def verdicts() -> list[Kept | Refuse]:
        return [verdict(*told, status=status, request=asking(*wanted, method=method)) for wanted, told in cases]

    usual = verdicts()
    monkeypatch.setattr("edgefn.rules.storing._is_plain", lambda _: False)
    assert usual == verdicts()


@pytest.mark.parametrize("status", [304, 101])
def test_what_is_no_response_of_its_own_is_not_stored(status: int) -> None:
    assert verdict(FRESH, status=status) == Refuse(Reason.STATUS)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS", "get", "FROBNICATE"])
def test_only_the_response_to_a_get_is_stored(method: str) -> None:
    assert verdict(FRESH, request=asking(method=method)) == Refuse(Reason.METHOD)


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        ("no-store, max-age=60", Reason.NO_STORE),
        ("max-age=60, NO-STORE", Reason.NO_STORE),
        ("max-age=60, no-store=x", Reason.NO_STORE),
        ("private, max-age=60", Reason.PRIVATE),
        ('private="set-cookie", max-age=60', None),
        ("private=set-cookie, max-age=60", None),
        ('private="", max-age=60', Reason.PRIVATE),
        ('private=" , ", max-age=60', Reason.PRIVATE),
        ("no-cache, max-age=60", Reason.NO_CACHE),
        ('no-cache="x", max-age=60', None),
        ("max-age=0", Reason.STALE),
        ("s-maxage=0, max-age=60", Reason.STALE),
        ("max-age=-1", Reason.STALE),
        ("max-age=60, must-understand", None),
        ("max-age=60, no-store, must-understand", None),
        ("max-age=60, private, must-understand", Reason.PRIVATE),
        ('max-age=60, extension="no-store"', None),
        ("max-age=60, no-transform, proxy-revalidate, immutable, unknown=1", None),
    ],
)
def test_the_origin_decides_by_cache_control(control: str, reason: Reason | None) -> None:
    expected = Kept(60, 0) if reason is None else Refuse(reason)
    assert verdict(("Cache-Control", control)) == expected


def test_cache_control_may_come_in_many_lines() -> None:
    assert verdict(FRESH, ("cache-control", "no-store")) == Refuse(Reason.NO_STORE)


def test_a_status_that_must_be_understood_and_is_not_is_not_stored() -> None:
    control = ("Cache-Control", "max-age=60, must-understand, no-store")
    assert verdict(control, status=599) == Refuse(Reason.NOT_UNDERSTOOD)


def test_pragma_in_a_response_means_nothing() -> None:
    assert verdict(FRESH, ("Pragma", "no-cache")) == Kept(60, 0)


def test_a_cookie_does_not_forbid_storing() -> None:
    assert verdict(FRESH, ("Set-Cookie", "a=1"), request=asking(("Cookie", "a=1"))) == Kept(60, 0)


def test_a_viewer_may_ask_not_to_store() -> None:
    assert verdict(FRESH, request=asking(("Cache-Control", "no-store"))) == Refuse(Reason.REQUEST_NO_STORE)
    assert verdict(FRESH, request=asking(("Cache-Control", "no-cache"))) == Kept(60, 0)


@pytest.mark.parametrize(
    ("control", "is_stored"),
    [
        ("max-age=60", False),
        ("max-age=60, public", True),
        ("max-age=60, must-revalidate", True),
        ("s-maxage=60", True),
        ("max-age=60, proxy-revalidate", False),
    ],
)
def test_what_an_authorised_viewer_got_is_stored_only_when_it_is_said_to_be_for_all(
    control: str, is_stored: bool
) -> None:
    expected = Kept(60, 0) if is_stored else Refuse(Reason.AUTHORIZATION)
    assert verdict(("Cache-Control", control), request=asking(("Authorization", "x"))) == expected


def test_what_no_request_can_match_is_not_stored() -> None:
    assert verdict(FRESH, ("Vary", "Accept, *")) == Refuse(Reason.VARY_ANY)
    assert verdict(FRESH, ("Vary", "Accept")) == Kept(60, 0)


@pytest.mark.parametrize("status", [412, 416])
def test_a_failed_condition_answers_only_who_set_it(status: int) -> None:
    for condition in ("Range", "If-Match", "If-Unmodified-Since", "If-None-Match"):
        assert verdict(FRESH, status=status, request=asking((condition, "x"))) == Refuse(Reason.CONDITION)
    assert verdict(FRESH, status=status) == Kept(60, 0)


def test_a_whole_response_to_a_condition_or_a_range_is_stored() -> None:
    assert verdict(FRESH, request=asking(("Range", "bytes=0-1"), ("If-None-Match", '"x"'))) == Kept(60, 0)


def test_age_on_arrival_is_told_and_too_much_of_it_is_stale() -> None:
    assert verdict(FRESH, ("Age", "20")) == Kept(60, 20)
    assert verdict(FRESH, ("Age", "60")) == Refuse(Reason.STALE)
    expires = [("Expires", imf_fixdate(NOW + 10)), ("Date", imf_fixdate(NOW - 50))]
    assert verdict(*expires) == Kept(60, 50)
    assert verdict(*expires, ("Age", "60")) == Refuse(Reason.STALE)


@pytest.mark.parametrize("control", ["no-store", "private", "no-cache", "no-store, max-age=500", "max-age=5"])
def test_a_floor_outweighs_the_origin_as_with_aws(control: str) -> None:
    assert verdict(("Cache-Control", control), policy=CachePolicy(min_ttl=10, default_ttl=20)) == Kept(10, 0)


def test_a_floor_outweighs_neither_authorization_nor_vary_nor_errors() -> None:
    policy = CachePolicy(min_ttl=10)
    assert verdict(request=asking(("Authorization", "x")), policy=policy) == Refuse(Reason.AUTHORIZATION)
    assert verdict(("Vary", "*"), policy=policy) == Refuse(Reason.VARY_ANY)
    assert verdict(("Cache-Control", "no-store"), status=500, policy=policy) == Refuse(Reason.NO_STORE)
    assert verdict(status=500, policy=policy) == Refuse(Reason.NO_FRESHNESS)


def test_stored_fields_are_the_received_ones_but_for_those_of_this_hop() -> None:
    kept = [("ETag", '"\xe9"'), ("X", "1"), ("Set-Cookie", "a"), ("x", "2"), ("Set-Cookie", "b"), ("Date", "then")]
    dropped = [
        ("Age", "5"),
        ("Proxy-Authenticate", "x"),
        ("Proxy-Authentication-Info", "x"),
        ("Proxy-Authorization", "x"),
    ]
    assert stored_headers(Headers([*dropped, *kept]), NOW, CacheControl()) == Headers(kept)


def test_fields_that_are_private_or_need_validation_are_not_stored() -> None:
    control = parse('private="Set-Cookie, x-a", no-cache="x-b"')
    lines = [("Set-Cookie", "a"), ("X-A", "1"), ("X-B", "2"), ("X-C", "3"), ("Date", "then")]
    assert stored_headers(Headers(lines), NOW, control) == Headers([("X-C", "3"), ("Date", "then")])


def test_a_missing_date_is_the_time_of_receipt() -> None:
    assert stored_headers(Headers(), NOW + 0.9, CacheControl()).get("date") == imf_fixdate(NOW)


TAG = ("ETag", '"x"')


@pytest.mark.parametrize(
    "lines",
    [
        [("Cache-Control", "no-cache"), TAG],
        [("Cache-Control", "no-cache, max-age=60"), TAG],
        [("Cache-Control", "max-age=0"), TAG],
        [("Cache-Control", "max-age=0"), ("Last-Modified", "ever")],
        [("Expires", "0"), TAG],
        [TAG],
        [("Cache-Control", "max-age=0, stale-while-revalidate=60")],
        [("Cache-Control", "max-age=0, stale-if-error=60")],
    ],
)
def test_what_has_no_lifetime_is_stored_when_it_is_of_use_all_the_same(lines: list[Line]) -> None:
    assert verdict(*lines) == Kept(0, 0)


def test_without_lifetime_a_status_that_needs_one_is_not_stored() -> None:
    assert verdict(TAG, status=302) == Refuse(Reason.NO_FRESHNESS)
    assert verdict(TAG, ("Cache-Control", "public"), status=302) == Kept(0, 0)


def test_what_has_never_been_served_from_memory_does_not_stand_in_for_an_origin_that_is_gone() -> None:
    response = Response(200, "", Headers([TAG, ("Cache-Control", "max-age=0")]))
    found = may_store(asking(), response, CachePolicy(), Times(NOW, NOW))
    assert isinstance(found, MayStore)
    assert found.stale.if_disconnected == 0
    lasting = may_store(asking(), Response(200, "", Headers([FRESH])), CachePolicy(), Times(NOW, NOW))
    assert isinstance(lasting, MayStore)
    assert lasting.stale.if_disconnected == 86_400


PART = ("Content-Range", "bytes 0-4/10")


@pytest.mark.parametrize(
    ("lines", "asked", "stored"),
    [
        ([FRESH, PART], [("Range", "bytes=0-4")], True),
        ([PART], [("Range", "bytes=0-4")], False),
        ([FRESH, PART], [], False),
        ([FRESH], [("Range", "bytes=0-4")], False),
        ([FRESH, ("Content-Range", "bytes 0-4/*")], [("Range", "bytes=0-4")], False),
        ([FRESH, ("Content-Range", "bytes 5-4/10")], [("Range", "bytes=0-4")], False),
        ([FRESH, ("Content-Range", "bytes 5-10/10")], [("Range", "bytes=0-4")], False),
        ([FRESH, PART, PART], [("Range", "bytes=0-4")], False),
    ],
)
def test_a_part_is_stored_when_it_says_which_one_it_is(lines: list[Line], asked: list[Line], stored: bool) -> None:
    assert isinstance(verdict(*lines, status=206, request=asking(*asked)), Kept) is stored


def test_a_targeted_field_decides_alone() -> None:
    target = ("CDN-Cache-Control", "max-age=10")
    assert verdict(("Cache-Control", "no-store"), target) == Kept(10, 0)
    assert verdict(FRESH, ("CDN-Cache-Control", "no-store")) == Refuse(Reason.NO_STORE)
    assert verdict(FRESH, ("CDN-Cache-Control", "max-age=1;")) == Kept(60, 0)
    assert verdict(FRESH, target, ("Edgefn-Cache-Control", "max-age=20")) == Kept(20, 0)
    assert verdict(target, ("Age", "4"), ("Expires", "0")) == Kept(10, 4)
    assert verdict(FRESH, target, policy=CachePolicy(targeted=())) == Kept(60, 0)


def test_the_heuristic_is_used_only_when_nothing_is_said() -> None:
    changed = ("Last-Modified", imf_fixdate(NOW - 1000))
    assert verdict(changed) == Kept(100, 0)
    assert verdict(changed, FRESH) == Kept(60, 0)
    assert verdict(changed, ("Cache-Control", "max-age=x")) == Kept(0, 0)
    assert verdict(changed, status=500) == Refuse(Reason.NO_FRESHNESS)
    assert verdict(changed, policy=CachePolicy(heuristic_ttl=0)) == Kept(0, 0)
    assert verdict(changed, policy=CachePolicy(heuristic_ttl=30)) == Kept(30, 0)


COOKIE = ("Set-Cookie", "session=1")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([FRESH, COOKIE, TAG], Kept(60, 0)),
        ([COOKIE, TAG], Refuse(Reason.SET_COOKIE)),
        ([("Cache-Control", "no-cache"), COOKIE, TAG], Refuse(Reason.SET_COOKIE)),
        ([("Cache-Control", "max-age=0, stale-while-revalidate=9"), COOKIE], Refuse(Reason.SET_COOKIE)),
        ([("Last-Modified", imf_fixdate(NOW - 1000)), COOKIE], Refuse(Reason.SET_COOKIE)),
        ([("Last-Modified", imf_fixdate(NOW - 1000)), COOKIE, ("Cache-Control", "public")], Kept(100, 0)),
    ],
)
def test_a_cookie_is_replayed_only_where_the_origin_has_granted_a_lifetime(
    lines: list[Line], found: Kept | Refuse
) -> None:
    assert verdict(*lines) == found
