"""Cache-Status, tags, what else has changed, what can be compressed, and how long errors are kept."""

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.model.message import BytesBody, Request, Response, Viewer, no_body
from edgefn.model.settings import CachePolicy, ErrorPage
from edgefn.model.trail import Trail
from edgefn.rules.cache_status import appended, forwarded, hit
from edgefn.rules.changed import changed_targets
from edgefn.rules.compression import coding_for, compressed_headers, confirmed_headers, is_compressible, with_vary
from edgefn.rules.error_caching import with_error_pages
from edgefn.rules.lookup import Lookup
from edgefn.rules.structured_fields import Token, parse_dictionary
from edgefn.rules.tags import tags_of


def test_a_hit_tells_the_lifetime_that_is_left() -> None:
    assert hit(59.9) == "edgefn; hit; ttl=59"
    assert hit(-0.1, "stale-while-revalidate") == "edgefn; hit; ttl=-1; detail=stale-while-revalidate"


def test_a_request_that_was_passed_on_tells_why() -> None:
    assert forwarded(Lookup.URI_MISS, 200, "", stored=True) == "edgefn; fwd=uri-miss; fwd-status=200; stored"
    assert forwarded(Lookup.STALE, 304, "") == "edgefn; fwd=stale; fwd-status=304"
    assert forwarded(Lookup.BYPASS, 0, "upgrade") == "edgefn; fwd=bypass; detail=upgrade"
    assert forwarded(Lookup.VARY_MISS, 0, "", collapsed=True) == "edgefn; fwd=vary-miss; collapsed"


@pytest.mark.parametrize("lookup", Lookup)
def test_every_member_is_a_structured_field(lookup: Lookup) -> None:
    assert parse_dictionary(forwarded(lookup, 200, "no-store", stored=True, collapsed=True)) == {"edgefn": True}
    assert parse_dictionary(f"x={hit(-1, 'fresh').partition('detail=')[2]}") == {"x": Token("fresh")}


def test_the_member_stands_behind_those_that_are_there() -> None:
    there = Headers([("Cache-Status", "other; hit"), ("X", "1")])
    assert appended(there, hit(1)).get_all("cache-status") == ("other; hit", "edgefn; hit; ttl=1")


def test_tags_are_listed_once() -> None:
    headers = Headers([("Cache-Tag", "a, b ,,A"), ("cache-tag", "c,a"), ("X-Tags", "d")])
    assert tags_of(headers, ("cache-tag",)) == ("a", "b", "A", "c")
    assert tags_of(headers, ("cache-tag", "x-tags")) == ("a", "b", "A", "c", "d")
    assert tags_of(headers, ()) == ()
    assert len(tags_of(Headers([("T", ",".join(map(str, range(500))))]), ("t",))) == 100
    assert tags_of(Headers([("T", "x" * 1025)]), ("t",)) == ()


def posting(target: str, *, tls: bool = False, host: str = "Shop.test") -> Request:
    path, mark, query = target.partition("?")
    viewer = Viewer("127.0.0.1", 5, ("TLSv1.3", "x") if tls else None)
    lines = Headers([("Host", host)])
    return Request("POST", path, query if mark else None, lines, no_body(), viewer, "id", Trail())


@pytest.mark.parametrize(
    ("stated", "target"),
    [
        ("/b", ("/b", None)),
        ("/b?x=1#y", ("/b", "x=1")),
        ("c", ("/a/c", None)),
        ("?q", ("/a/b", "q")),
        ("../d", ("/d", None)),
        ("http://shop.test/e", ("/e", None)),
        ("http://SHOP.test:80/e", ("/e", None)),
        ("//shop.test", ("/", None)),
        ("https://shop.test/e", None),
        ("http://shop.test:8080/e", None),
        ("http://other.test/e", None),
        ("http://[/e", None),
        ("http://shop.test:x/e", None),
        ("mailto:x", None),
    ],
)
def test_what_else_has_changed_is_at_the_same_origin(stated: str, target: tuple[str, str | None] | None) -> None:
    found = list(changed_targets(posting("/a/b"), Headers([("Location", stated)])))
    assert found == ([] if target is None else [target])
    assert list(changed_targets(posting("/a/b"), Headers([("Content-Location", stated)]))) == found


def test_the_scheme_is_part_of_the_origin() -> None:
    answer = Headers([("Location", "https://shop.test:443/x")])
    assert list(changed_targets(posting("/", tls=True), answer)) == [("/x", None)]
    assert list(changed_targets(posting("/"), answer)) == []


def page(*lines: Line, status: int = 200, size: int = 1000) -> Response:
    return Response(status, "", Headers([("Content-Type", "text/html; charset=x"), *lines]), BytesBody(bytes(size)))


GZIP = CachePolicy(compress=True, encodings=("gzip",))


@pytest.mark.parametrize(
    ("response", "policy", "fits"),
    [
        (page(), GZIP, True),
        (page(), CachePolicy(encodings=("gzip",)), False),
        (page(status=404), GZIP, True),
        (page(status=500), GZIP, False),
        (page(size=999), GZIP, False),
        (page(size=10_000_001), GZIP, False),
        (page(("Content-Encoding", "identity")), GZIP, False),
        (page(("Cache-Control", "no-transform")), GZIP, False),
        (page(("CDN-Cache-Control", "max-age=9, no-transform")), GZIP, False),
        (page(("CDN-Cache-Control", "max-age=9"), ("Cache-Control", "no-transform")), GZIP, False),
        (Response(200, "", Headers([("Content-Type", "image/png")]), BytesBody(bytes(2000))), GZIP, False),
        (Response(200, "", Headers([("Content-Type", "IMAGE/SVG+xml")]), BytesBody(bytes(2000))), GZIP, True),
        (Response(200, "", Headers(), BytesBody(bytes(2000))), GZIP, False),
    ],
)
def test_what_the_edge_compresses(response: Response, policy: CachePolicy, fits: bool) -> None:
    assert is_compressible("GET", response, policy) is fits


@pytest.mark.parametrize(("length", "fits"), [("1000", True), ("999", False), ("x", False), (None, False)])
def test_an_answer_to_head_goes_by_the_length_that_the_body_would_have(length: str | None, fits: bool) -> None:
    lines = [] if length is None else [("Content-Length", length)]
    assert is_compressible("HEAD", page(*lines, size=0), GZIP) is fits


@pytest.mark.parametrize(
    ("asked", "tag", "told"),
    [
        (['W/"x"'], '"x"', 'W/"x"'),
        (['"a"', 'W/"x", "b"'], '"x"', 'W/"x"'),
        (['"x"'], '"x"', '"x"'),
        (['W/"x", "x"'], '"x"', '"x"'),
        (['W/"y"'], '"x"', '"x"'),
        (["*"], '"x"', '"x"'),
        ([], '"x"', '"x"'),
        (['W/"x"'], 'W/"x"', 'W/"x"'),
        (['W/"x"'], "x", "x"),
        (['W/"x"'], None, None),
    ],
)
def test_who_has_a_compressed_copy_is_told_its_own_tag(asked: list[str], tag: str | None, told: str | None) -> None:
    lines = [] if tag is None else [("ETag", tag)]
    headers = confirmed_headers(Headers([("If-None-Match", line) for line in asked]), Headers(lines))
    assert headers.get("etag") == told
    assert headers.get("vary") == ("Accept-Encoding" if told != tag else None)


ALL = ("gzip", "br", "zstd")


@pytest.mark.parametrize(
    ("accepted", "version", "enabled", "coding"),
    [
        ("gzip", "1.1", ("gzip",), "gzip"),
        ("br, GZIP", "1.1", ("gzip",), "gzip"),
        ("gzip;q=0", "1.1", ("gzip",), None),
        ("br", "1.1", ("gzip",), None),
        ("gzip", "1.0", ("gzip",), None),
        ("gzip, deflate, br, zstd", "1.1", ALL, "br"),
        ("gzip, zstd", "1.1", ALL, "zstd"),
        ("gzip, br;q=0", "1.1", ALL, "gzip"),
        ("br", "1.0", ALL, None),
        ("deflate", "1.1", ALL, None),
        ("gzip, br", "1.1", (), None),
    ],
)
def test_who_gets_it_compressed_and_how(accepted: str, version: str, enabled: tuple[str, ...], coding: str) -> None:
    lines = Headers([("Accept-Encoding", accepted)])
    request = Request("GET", "/", None, lines, no_body(), posting("/").viewer, "id", Trail(), version)
    assert coding_for(request, CachePolicy(compress=True, encodings=enabled)) == coding


@pytest.mark.parametrize(
    ("tag", "becomes"), [('"x"', 'W/"x"'), ('W/"x"', 'W/"x"'), ("x", None), ("w/x", None), (None, None)]
)
def test_a_compressed_response_has_a_weak_tag(tag: str | None, becomes: str | None) -> None:
    lines = [("Content-Length", "5"), ("Content-Digest", "x"), *([] if tag is None else [("ETag", tag)])]
    headers = compressed_headers(Headers(lines), "br")
    assert (headers.get("etag"), headers.get("content-encoding"), headers.get("vary")) == (
        becomes, "br", "Accept-Encoding",
    )  # fmt: skip
    assert [name for name in ("content-length", "content-digest") if name in headers] == []


@pytest.mark.parametrize(
    ("vary", "becomes"),
    [
        ([], ("Accept-Encoding",)), (["Cookie"], ("Cookie, Accept-Encoding",)),
        (["accept-encoding"], ("accept-encoding",)), (["a", "*"], ("a", "*")), (["a", "b"], ("a, b, Accept-Encoding",)),
    ],
)  # fmt: skip
def test_vary_names_accept_encoding_once(vary: list[str], becomes: tuple[str, ...]) -> None:
    assert with_vary(Headers([("Vary", value) for value in vary])).get_all("vary") == becomes


def test_error_pages_say_how_long_their_errors_are_kept() -> None:
    pages = {status: ErrorPage(status, "/x", ttl=5.0) for status in (403, 404, 503)}
    assert with_error_pages(CachePolicy(), pages).error_ttls == ((404, 5.0), (503, 5.0))
    own = CachePolicy(error_ttls=((404, 60.0),))
    assert with_error_pages(own, pages).error_ttls == ((404, 60.0), (503, 5.0))
    assert with_error_pages(CachePolicy(enabled=False), pages) == CachePolicy(enabled=False)
    assert with_error_pages(own, {}) is own
