"""What is fresh in memory is served from there, with its age; everything else goes to the origin."""

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result
from edgefn.rules.http_date import imf_fixdate
from tests.proxy.cache_stage import FRESH, NOW, Stage, asking, saying


async def test_the_second_viewer_is_served_from_memory() -> None:
    stage = Stage()
    first, second = await stage.get(), await stage.get()
    assert (first.text, first.result, first.cache, first.reason) == ("hello", Result.MISS, "uri-miss", "stored")
    assert (second.text, second.result, second.cache, second.reason) == ("hello", Result.HIT, "hit", "fresh")
    assert len(stage.origin.asked) == 1


async def test_a_hit_needs_no_waiting() -> None:
    stage = Stage()
    request = asking()
    assert stage.cache.serve_now(request) is None
    assert (request.trail.result, request.trail.cache) == (Result.MISS, "")
    await stage.get()
    response = stage.cache.serve_now(request)
    assert response is not None
    assert (response.status, response.body.buffered(), request.trail.result) == (200, b"hello", Result.HIT)


async def test_a_response_is_fresh_until_its_lifetime_is_over() -> None:
    stage = Stage()
    await stage.get()
    stage.clock.passes(59.9)
    assert (await stage.get()).result is Result.HIT
    stage.clock.passes(0.1)
    expired = await stage.get()
    assert (expired.result, expired.cache) == (Result.MISS, "stale")
    assert (await stage.get()).result is Result.HIT


async def test_a_hit_tells_its_age_in_place_of_the_received_one() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("hello", FRESH, ("Age", "10"))
    assert (await stage.get()).headers.get_all("age") == ("10",)
    stage.clock.passes(7.5)
    assert (await stage.get()).headers.get_all("age") == ("17",)


async def test_the_time_to_fetch_counts_as_age() -> None:
    stage = Stage()

    async def slowly(request: object) -> object:
        stage.clock.passes(5)
        return saying("hello", FRESH)

    await stage.cache.serve(asking(), slowly)
    assert (await stage.get()).headers.get("age") == "5"


async def test_a_clock_that_is_set_back_makes_no_negative_age() -> None:
    stage = Stage()
    await stage.get()
    stage.clock.passes(-1000)
    hit = await stage.get()
    assert (hit.result, hit.headers.get("age")) == (Result.HIT, "0")


async def test_a_hit_has_the_fields_of_the_first_answer() -> None:
    stage = Stage()
    lines = [
        ("ETag", '"x"'),
        FRESH,
        ("Date", imf_fixdate(NOW)),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
        ("X-\xe9", "\xff"),
    ]
    stage.origin.says = lambda request: saying("hello", *lines)
    told = ("Cache-Status", "edgefn; fwd=uri-miss; fwd-status=200; stored")
    assert (await stage.get()).headers == Headers([*lines, told])
    assert (await stage.get()).headers == Headers([*lines, ("Age", "0"), ("Cache-Status", "edgefn; hit; ttl=60")])


async def test_without_freshness_each_viewer_gets_an_answer_of_the_origin() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("hello")
    told = [await stage.get() for _ in range(3)]
    assert {(one.result, one.reason) for one in told} == {(Result.MISS, "no-explicit-freshness")}
    assert len(stage.origin.asked) == 3


async def test_another_query_or_host_is_another_thing() -> None:
    stage = Stage()
    for request in (asking("/a"), asking("/a?x"), asking("/a?"), asking("/a", host="b.test"), asking("/A")):
        assert (await stage.get(request)).result is Result.MISS


async def test_head_is_answered_by_what_a_get_brought() -> None:
    stage = Stage()
    await stage.get()
    request = asking(method="HEAD")
    response = stage.cache.serve_now(request)
    assert response is not None
    assert (response.status, response.body.length, request.trail.result) == (200, 5, Result.HIT)


async def test_head_alone_is_passed_on_and_brings_nothing_to_store() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("", FRESH, ("Content-Length", "5"))
    told = await stage.get(asking(method="HEAD"))
    assert (told.result, told.reason, stage.origin.asked[0].method) == (Result.MISS, "method", "HEAD")
    assert (await stage.get()).result is Result.MISS


async def test_errors_with_freshness_are_kept_and_stay_errors() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("gone", FRESH, status=503, from_origin_error=True)
    first, second = await stage.get(), await stage.get()
    assert (first.result, first.reason) == (Result.ERROR, "stored")
    assert (second.result, second.cache, second.status) == (Result.ERROR, "hit", 503)
    again = stage.cache.serve_now(asking())
    assert again is not None
    assert again.from_origin_error


async def test_variants_lie_side_by_side() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying(request.headers.get("lang") or "none", FRESH, ("Vary", "Lang"))
    french, german, none = asking("/a", ("Lang", "fr")), asking("/a", ("Lang", "de")), asking("/a")
    misses = [
        (told.result, told.cache) for told in [await stage.get(french), await stage.get(german), await stage.get(none)]
    ]
    assert misses == [(Result.MISS, "uri-miss"), (Result.MISS, "vary-miss"), (Result.MISS, "vary-miss")]
    hits = [
        (told.result, told.text) for told in [await stage.get(none), await stage.get(french), await stage.get(german)]
    ]
    assert hits == [(Result.HIT, "none"), (Result.HIT, "fr"), (Result.HIT, "de")]


async def test_a_response_made_earlier_does_not_cover_a_later_one() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("varied", FRESH, ("Vary", "Lang"))
    await stage.get(asking("/a", ("Lang", "fr")))
    stage.origin.says = lambda request: saying("for all, but older", FRESH, ("Age", "30"))
    await stage.get(asking("/a", ("Lang", "de")))
    assert (await stage.get(asking("/a", ("Lang", "fr")))).text == "varied"
    assert (await stage.get(asking("/a", ("Lang", "it")))).text == "for all, but older"


async def test_a_newer_response_that_can_not_be_stored_leaves_the_older_one() -> None:
    stage = Stage()
    await stage.get()
    stage.origin.says = lambda request: saying("secret", ("Cache-Control", "no-store"))
    await stage.get(asking("/a", ("Cache-Control", "no-store")))
    assert (await stage.get()).text == "hello"


async def test_a_viewer_with_credentials_is_served_what_is_for_all_but_shares_nothing_of_its_own() -> None:
    stage = Stage()
    signed = asking("/a", ("Authorization", "me"))
    assert (await stage.get(signed)).reason == "authorization"
    assert (await stage.get()).result is Result.MISS
    assert (await stage.get(signed)).result is Result.HIT


async def test_a_condition_is_met_by_what_is_stored() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("hello", FRESH, ("ETag", '"x"'), ("Content-Type", "a/b"))
    await stage.get()
    met, unmet = asking("/a", ("If-None-Match", 'W/"x"')), asking("/a", ("If-None-Match", '"y"'))
    told = await stage.get(met)
    assert (told.status, told.text, told.result, told.headers.get("age")) == (304, "", Result.HIT, "0")
    assert told.headers.get("etag") == '"x"'
    assert "content-type" not in told.headers
    assert (await stage.get(unmet)).status == 200


async def test_a_condition_is_not_held_against_a_stored_error() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("no", FRESH, ("ETag", '"x"'), status=404, from_origin_error=True)
    await stage.get()
    assert (await stage.get(asking("/a", ("If-None-Match", "*")))).status == 404


async def test_with_nothing_stored_conditions_go_to_the_origin_untouched() -> None:
    stage = Stage()
    stage.origin.says = lambda request: saying("", FRESH, status=304)
    request = asking("/a", ("If-None-Match", '"x"'))
    told = await stage.get(request)
    assert (told.status, told.reason, stage.origin.asked) == (304, "status", [request])
    assert (await stage.get(request)).result is Result.MISS


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asking(body=saying("x").body), "request-body"),
        (asking("/a", ("Connection", "Upgrade"), ("Upgrade", "websocket")), "upgrade"),
    ],
)
async def test_what_no_key_holds_neither_takes_from_the_cache_nor_gives(request_: object, reason: str) -> None:
    stage = Stage()
    first = await stage.get(request_)
    assert (first.cache, first.reason) == ("bypass", reason)
    assert (await stage.get()).result is Result.MISS
    assert (await stage.get(request_)).result is Result.MISS


@pytest.mark.parametrize(
    "headers",
    [
        (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")),
        (("Connection", "Upgrade"), ("Upgrade", "TLS/1.0")),
        (("Upgrade", "websocket"),),
    ],
)
async def test_a_wish_to_upgrade_that_is_not_passed_on_is_ignored(headers: tuple[Line, ...]) -> None:
    stage = Stage()
    stage.says("hello", FRESH)
    assert (await stage.get(asking("/a", *headers))).reason == "stored"
    assert (await stage.get(asking("/a", *headers))).reason == "fresh"
    assert (await stage.get(asking("/a"))).reason == "fresh"


async def test_a_disabled_policy_stores_nothing() -> None:
    stage = Stage(CachePolicy(enabled=False))
    told = [await stage.get(), await stage.get()]
    assert {(one.result, one.cache, one.reason) for one in told} == {(Result.MISS, "bypass", "policy-disabled")}
    assert stage.cache.serve_now(asking()) is None


async def test_a_normalised_accept_encoding_is_what_the_key_and_the_origin_see() -> None:
    stage = Stage(CachePolicy(encodings=("gzip", "br")))
    stage.origin.says = lambda request: saying(
        request.headers.get("accept-encoding"), FRESH, ("Vary", "Accept-Encoding")
    )
    assert (await stage.get(asking("/a", ("Accept-Encoding", "gzip, deflate, br")))).text == "br,gzip"
    hit = await stage.get(asking("/a", ("Accept-Encoding", "br;q=0.9, gzip, zstd")))
    assert (hit.text, hit.result) == ("br,gzip", Result.HIT)
    assert (await stage.get()).text == "identity"


async def test_a_response_too_large_for_the_store_goes_through_all_the_same() -> None:
    stage = Stage(capacity=8_000)
    stage.origin.says = lambda request: saying("x" * 1001, FRESH)
    told = await stage.get()
    assert (len(told.text), told.reason, len(stage.store)) == (1001, "too-large", 0)
