"""What a route may set: targeted fields, heuristics, errors that are kept, Cache-Status, tags, compression."""

import asyncio
import gzip

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import Line
from edgefn.model.message import BytesBody, Request
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result
from edgefn.proxy.compressed import Compressed
from edgefn.rules.http_date import imf_fixdate
from tests.proxy.cache_stage import FRESH, NOW, ArrivingBody, Stage, asking, controlled, saying

PAGE = "<p>hello</p>" * 100
HTML: tuple[Line, ...] = (("Content-Type", "text/html"), FRESH)
TO_WEBSOCKET: tuple[Line, ...] = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
GZIP = CachePolicy(compress=True, encodings=("gzip",))


def accepting(coding: str, *lines: Line) -> Request:
    return asking("/a", ("Accept-Encoding", coding), *lines)


async def test_a_targeted_field_outweighs_cache_control_and_is_passed_on() -> None:
    stage = Stage()
    stage.says("hello", controlled("no-store"), ("CDN-Cache-Control", "max-age=60"), ("Expires", "0"))
    await stage.get()
    told = await stage.later(59)
    assert (told.result, told.headers.get("cdn-cache-control")) == (Result.HIT, "max-age=60")
    assert told.headers.get("cache-control") == "no-store"
    assert (await stage.later(1)).result is Result.MISS


async def test_a_targeted_field_may_forbid_what_cache_control_allows() -> None:
    stage = Stage()
    stage.says("hello", FRESH, ("Edgefn-Cache-Control", "private"), ("CDN-Cache-Control", "max-age=60"))
    assert (await stage.get()).reason == "private"


async def test_what_has_not_changed_for_long_is_kept_for_a_while() -> None:
    stage = Stage()
    stage.says("hello", ("Last-Modified", imf_fixdate(NOW - 1000)))
    await stage.get()
    assert (await stage.later(99)).result is Result.HIT
    assert (await stage.later(1)).result is Result.MISS


async def test_fields_that_are_for_one_viewer_are_not_stored_with_the_rest() -> None:
    stage = Stage()
    stage.says("hello", controlled('max-age=60, private="Set-Cookie"'), ("Set-Cookie", "mine"))
    assert (await stage.get()).headers.get("set-cookie") == "mine"
    told = await stage.get()
    assert told.result is Result.HIT
    assert "set-cookie" not in told.headers


async def test_an_error_is_kept_for_as_long_as_the_route_says_at_least() -> None:
    stage = Stage(CachePolicy(error_ttls=((404, 10.0),)))
    stage.says("no", status=404)
    await stage.get()
    assert ((await stage.later(9)).cache, (await stage.later(1)).cache) == ("hit", "stale")
    stage.says("no", controlled("no-store"), status=404)
    assert (await stage.get(asking("/b"))).reason == "no-store"


@pytest.mark.parametrize(("failure", "status"), [(OriginFailure.CONNECT, 502), (OriginFailure.READ_TIMEOUT, 504)])
async def test_a_failure_is_remembered_for_as_long(failure: OriginFailure, status: int) -> None:
    stage = Stage(CachePolicy(error_ttls=((status, 10.0),)))
    stage.fails(failure)
    assert await stage.get_or_error() == "gone"
    stage.says("back", FRESH)
    stage.clock.passes(9)
    assert await stage.get_or_error() == "gone (a moment ago)"
    assert await stage.get_or_error(asking("/b")) != "gone (a moment ago)"
    assert len(stage.origin.asked) == 2
    assert (await stage.later(1)).text == "back"


async def test_a_failure_is_remembered_only_where_the_route_says_so() -> None:
    stage = Stage(CachePolicy(error_ttls=((504, 10.0),)))
    stage.fails(OriginFailure.CONNECT)
    await stage.get_or_error()
    stage.says("back")
    assert (await stage.get()).text == "back"


async def test_a_remembered_failure_is_covered_by_what_is_stale() -> None:
    stage = Stage(CachePolicy(error_ttls=((502, 10.0),), stale_retry=0))
    stage.says("old", FRESH)
    await stage.get()
    stage.fails()
    assert (await stage.later(60)).text == "old"
    assert (await stage.later(5)).reason == "stale-disconnected"
    assert len(stage.origin.asked) == 2


async def test_who_waited_for_a_fetch_that_failed_does_not_try_again() -> None:
    stage = Stage(CachePolicy(error_ttls=((502, 10.0),)))
    stage.fails()
    stage.origin.closed = True
    viewers = [asyncio.ensure_future(stage.get_or_error()) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stage.origin.opens()
    assert {told for told in await asyncio.gather(*viewers) if isinstance(told, str)} == {
        "gone", "gone (a moment ago)",
    }  # fmt: skip
    assert len(stage.origin.asked) == 1


async def test_every_answer_says_how_it_came_about() -> None:
    stage = Stage()
    stage.says("hello", FRESH, ("Cache-Status", "inner; hit"))
    assert (await stage.get()).cache_status == "inner; hit, edgefn; fwd=uri-miss; fwd-status=200; stored"
    assert (await stage.get()).cache_status == "inner; hit, edgefn; hit; ttl=60"
    posted = await stage.get(asking(method="POST"))
    assert posted.cache_status == "inner; hit, edgefn; fwd=method; fwd-status=200"
    stage.says("mine", controlled("private"))
    assert (await stage.get()).cache_status == "edgefn; fwd=uri-miss; fwd-status=200; detail=private"
    upgrade = await stage.get(asking("/a", *TO_WEBSOCKET))
    assert upgrade.cache_status == "edgefn; fwd=bypass; fwd-status=200; detail=upgrade"


async def test_a_304_from_memory_says_it_too() -> None:
    stage = Stage()
    stage.says("hello", FRESH, ("ETag", '"x"'))
    await stage.get()
    assert (await stage.get(asking("/a", ("If-None-Match", '"x"')))).cache_status == "edgefn; hit; ttl=60"


async def test_a_route_may_keep_that_to_itself() -> None:
    stage = Stage(CachePolicy(cache_status=False))
    stage.says("hello", FRESH, ("ETag", '"x"'))
    told = [await stage.get(), await stage.get(), await stage.get(asking(method="POST"))]
    await stage.get()
    stage.says("", ("ETag", '"x"'), status=304)
    told += [await stage.later(60), await stage.get(asking("/b", *TO_WEBSOCKET))]
    assert {one.cache_status for one in told} == {""}


async def test_tags_are_kept_with_what_is_stored() -> None:
    stage = Stage()
    stage.says("hello", FRESH, ("Cache-Tag", "a, b"), ("ETag", '"x"'))
    await stage.get()
    (stored,) = stage.store.get("http\nshop.test\n/a")
    assert stored.tags == ("a", "b")
    stage.says("", ("Cache-Tag", "c"), ("ETag", '"x"'), status=304)
    await stage.later(60)
    (stored,) = stage.store.get("http\nshop.test\n/a")
    assert stored.tags == ("c",)


async def test_what_the_origin_did_not_compress_is_compressed_and_stored_so() -> None:
    stage = Stage(GZIP)
    stage.says(PAGE, *HTML, ("ETag", '"x"'), ("Content-Length", "1200"))
    for result in (Result.MISS, Result.HIT):
        request = accepting("gzip, br")
        response = await stage.cache.serve(request, stage.origin)
        data = await response.body.read()
        assert gzip.decompress(data) == PAGE.encode()
        headers = response.headers
        assert (request.trail.result, headers.get("content-encoding"), headers.get("etag")) == (result, "gzip", 'W/"x"')
        assert (headers.get("vary"), headers.get("content-length")) == ("Accept-Encoding", None)


async def test_who_can_not_read_that_gets_it_as_it_is() -> None:
    stage = Stage(GZIP)
    stage.says(PAGE, *HTML, ("ETag", '"x"'))
    await stage.cache.serve(accepting("gzip"), stage.origin)
    for result in (Result.MISS, Result.HIT):
        told = await stage.get(accepting("br"))
        assert (told.text, told.result, told.headers.get("vary")) == (PAGE, result, "Accept-Encoding")
        assert told.headers.get("etag") == '"x"'


async def test_a_compressed_response_is_validated_by_the_tag_that_its_origin_knows() -> None:
    stage = Stage(GZIP)
    stage.says(PAGE, *HTML, ("ETag", '"x"'))
    await stage.cache.serve(accepting("gzip"), stage.origin)
    stage.says("", ("ETag", '"x"'), ("X-New", "1"), status=304)
    stage.clock.passes(60)
    for result in (Result.REFRESH_HIT, Result.HIT):
        request = accepting("gzip")
        response = await stage.cache.serve(request, stage.origin)
        assert gzip.decompress(await response.body.read()) == PAGE.encode()
        assert request.trail.result is result
        told = {name: response.headers.get(name) for name in ("etag", "content-encoding", "x-new")}
        assert told == {"etag": 'W/"x"', "content-encoding": "gzip", "x-new": "1"}
    assert stage.origin.asked[-1].headers.get("if-none-match") == '"x"'
    told = await stage.get(accepting("gzip", ("If-None-Match", 'W/"x"')))
    assert told.status == 304


async def test_an_answer_to_head_tells_what_get_would_get() -> None:
    stage = Stage(GZIP)
    stage.says("", *HTML, ("ETag", '"x"'), ("Content-Length", "1200"))
    for coding, told in (("gzip", ('W/"x"', "gzip", None)), ("br", ('"x"', None, "1200"))):
        request = asking("/a", ("Accept-Encoding", coding), method="HEAD")
        headers = (await stage.cache.serve(request, stage.origin)).headers
        assert tuple(headers.get(name) for name in ("etag", "content-encoding", "content-length")) == told
        assert headers.get("vary") == "Accept-Encoding"


async def test_who_has_it_compressed_is_told_that_it_still_holds_by_the_tag_of_that() -> None:
    stage = Stage(GZIP)
    stage.says("", FRESH, ("ETag", '"x"'), status=304)
    for tag, vary in (('W/"x"', "Accept-Encoding"), ('"x"', None)):
        told = await stage.get(accepting("gzip", ("If-None-Match", tag)))
        assert (told.status, told.headers.get("etag"), told.headers.get("vary")) == (304, tag, vary)


async def test_the_range_of_a_compressed_response_is_of_its_compressed_bytes() -> None:
    stage = Stage(GZIP)
    stage.says(PAGE, *HTML)
    first = await stage.cache.serve(accepting("gzip"), stage.origin)
    data = await first.body.read()
    response = await stage.cache.serve(accepting("gzip", ("Range", "bytes=0-9")), stage.origin)
    assert (response.status, await response.body.read()) == (206, data[:10])


async def test_a_large_body_is_compressed_as_it_comes() -> None:
    arriving = ArrivingBody(length=300_000)
    arriving.arrives(bytes(200_000), bytes(100_000), b"")
    body = Compressed(arriving, "gzip")
    assert (body.length, body.buffered()) == (None, None)
    parts = []
    while data := await body.read():
        parts.append(data)
    assert gzip.decompress(b"".join(parts)) == bytes(300_000)
    assert await body.read() == b""


async def test_a_body_that_is_all_here_but_large_is_compressed_in_slices() -> None:
    body = Compressed(BytesBody(bytes(200_000)), "gzip")
    assert body.buffered() is None
    parts = []
    while data := await body.read():
        parts.append(data)
    assert gzip.decompress(b"".join(parts)) == bytes(200_000)


async def test_closing_a_compressed_body_closes_what_is_behind_it() -> None:
    arriving = ArrivingBody(length=5)
    body = Compressed(arriving, "gzip")
    body.close()
    assert (arriving.is_closed, await body.read(), body.buffered()) == (True, b"", None)


async def test_a_body_that_is_too_short_does_not_end_well() -> None:
    arriving = ArrivingBody(length=5)
    arriving.arrives(b"1234", b"")
    body = Compressed(arriving, "gzip")
    assert await body.read()  # what stands at the head of every gzip stream
    with pytest.raises(OriginError):
        await body.read()


async def test_a_broken_body_is_not_stored_compressed() -> None:
    stage = Stage(GZIP)
    body = ArrivingBody(length=2000)
    stage.origin.says = lambda request: saying(body, *HTML)
    response = await stage.cache.serve(accepting("gzip"), stage.origin)
    response.body.close()
    assert len(stage.store) == 0
