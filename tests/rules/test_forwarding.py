"""What the origin gets of a viewer's request."""

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Viewer, no_body
from edgefn.model.origin import Origin
from edgefn.model.settings import ALL, NONE, CachePolicy, Forwarding, RouteSettings, Selecting, Selection
from edgefn.model.trail import Trail
from edgefn.rules.forwarding import Forwarder, finish, union
from edgefn.rules.policies import origin_request_policy
from edgefn.rules.selecting import is_selected

ORIGIN = Origin("app", "app.internal", 9000)
PSEUDONYM = "0123456789abcdef0123456789abcdef.cloudfront.net"


def only(*names):
    return Selection(Selecting.ONLY, names)


def but(*names):
    return Selection(Selecting.EXCEPT, names)


def request(*lines, method="GET", query=None, version="1.1"):
    return Request(
        method=method,
        path="/a//b",
        query=query,
        headers=Headers([("Host", "www.example.com"), *lines]),
        body=no_body(),
        viewer=Viewer("192.0.2.7", 4000),
        id="the-id",
        trail=Trail(),
        version=version,
    )


def route(cache=None, **forwarding):
    return RouteSettings("*", "app", cache=cache or CachePolicy(), forwarding=Forwarding(**forwarding))


def to_origin(asked, by):
    return Forwarder(by, PSEUDONYM).to_origin(asked, ORIGIN)


def sent(asked, by=None):
    """Return the lines that go out, without those that every request gets."""
    headers = to_origin(asked, by or route()).headers
    return list(headers.without("host", "via", "x-forwarded-for", "x-amz-cf-id"))


def test_a_request_goes_on_with_the_marks_of_the_way_and_its_path_as_it_came():
    asked = request(("accept", "*/*"), ("X-Odd", "caf\xe9"), query="b=1&a=2")
    out = to_origin(asked, route())
    assert out.target == "/a//b?b=1&a=2"
    assert out.origin is ORIGIN
    assert list(out.headers) == [
        ("Host", "app.internal:9000"),
        ("accept", "*/*"),
        ("X-Odd", "caf\xe9"),
        ("X-Forwarded-For", "192.0.2.7"),
        ("Via", "1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)"),
        ("X-Amz-Cf-Id", "the-id"),
    ]


def test_the_marks_of_earlier_hops_stay_in_front():
    asked = request(
        ("X-Forwarded-For", "198.51.100.1"), ("x-forwarded-for", "198.51.100.2"), ("Via", "1.0 old"), version="1.0"
    )
    headers = to_origin(asked, route(headers=NONE)).headers
    assert headers.get_all("x-forwarded-for") == ("198.51.100.1, 198.51.100.2, 192.0.2.7",)
    assert headers.get_all("via") == (f"1.0 old, 1.0 {PSEUDONYM} (CloudFront)",)


@pytest.mark.parametrize(
    "line",
    [
        ("Connection", "close"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Proxy-Authenticate", "Basic"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("X-Forwarded-Proto", "https"),
        ("X-Real-IP", "198.51.100.1"),
        ("X-Edge-Anything", "x"),
        ("X-Amz-Cf-Pop", "x"),
        ("CloudFront-Viewer-Country", "DE"),
        ("Sec-WebSocket-Key", "x"),
    ],
)
def test_some_headers_never_go_on(line):
    assert sent(request(line)) == []


@pytest.mark.parametrize(
    "name",
    [
        "X_Forwarded_For",
        "x_forwarded-proto",
        "Content_Length",
        "Transfer_Encoding",
        "CloudFront_Viewer_Country",
        "X_Amz_Cf_Id",
    ],
)
def test_an_underscore_does_not_disguise_what_only_the_edge_may_say(name):
    assert sent(request((name, "1"), ("X_Other", "2"))) == [("X_Other", "2")]


@pytest.mark.parametrize("name", ["X-{}", "X-{}-" + "x" * 2_000])
def test_names_without_end_fill_no_memory_and_keep_nobody_elses_out(name, monkeypatch):
    by = Forwarder(route(headers=ALL), PSEUDONYM)
    tracemalloc.start()
    for number in range(6_000):
        by.to_origin(request((name.format(number), "")), ORIGIN)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1_000_000
    fate, judged = Forwarder._fate, []
    monkeypatch.setattr(Forwarder, "_fate", lambda self, name: judged.append(name) or fate(self, name))
    for _ in range(3):
        assert by.to_origin(request(("X-Mine", "1")), ORIGIN).headers.get("x-mine") == "1"
    assert judged.count("x-mine") == 1


def test_what_connection_names_ends_here():
    asked = request(
        ("Connection", "X-One, close"), ("X-One", "1"), ("connection", "x-two"), ("X-Two", "2"), ("X-3", "3")
    )
    assert sent(asked) == [("X-3", "3")]


def test_connection_can_not_talk_away_what_is_in_the_cache_key_nor_what_the_edge_says():
    by = route(CachePolicy(headers=("x-lang",)), added=("CloudFront-Viewer-Country",), viewer_host=True)
    asked = request(
        ("Connection", "X-Lang, CloudFront-Viewer-Country, Host"), ("X-Lang", "de"), ("CloudFront-Viewer-Country", "FR")
    )
    assert to_origin(asked, by).headers.get("host") == "www.example.com"
    assert sent(asked, by) == [("X-Lang", "de"), ("CloudFront-Viewer-Country", "FR")]


ASKED = (
    ("Accept", "text/html"),
    ("Accept-Language", "de"),
    ("Content-Type", "a/b"),
    ("If-None-Match", '"x"'),
    ("Referer", "r"),
    ("User-Agent", "Mozilla"),
    ("X-A", "1"),
)


@pytest.mark.parametrize(
    ("headers", "cache", "names"),
    [
        (ALL, (), {"accept", "accept-language", "content-type", "if-none-match", "referer", "user-agent", "x-a"}),
        (NONE, (), {"content-type", "if-none-match"}),
        (NONE, ("x-a",), {"content-type", "if-none-match", "x-a"}),
        (only("referer"), (), {"content-type", "if-none-match", "referer"}),
        (only("referer"), ("accept",), {"content-type", "if-none-match", "referer", "accept"}),
        (
            but("referer", "user-agent", "x-a"),
            ("x-a",),
            {"accept", "accept-language", "content-type", "if-none-match", "x-a"},
        ),
    ],
)
def test_headers_go_on_by_the_policy_the_key_and_by_nature(headers, cache, names):
    lines = dict(sent(request(*ASKED), route(CachePolicy(headers=cache), headers=headers)))
    if "user-agent" not in names:
        assert lines.pop("User-Agent") == "Amazon CloudFront"
    assert {name.lower() for name in lines} == names


@pytest.mark.parametrize(
    ("method", "headers", "cache", "goes_on"),
    [
        ("GET", ALL, (), True),
        ("GET", NONE, (), False),
        ("HEAD", but("authorization"), (), False),
        ("GET", NONE, ("authorization",), True),
        ("POST", NONE, (), True),
        ("DELETE", NONE, (), True),
    ],
)
def test_credentials_go_on_with_reading_only_when_the_policy_says_so(method, headers, cache, goes_on):
    asked = request(("Authorization", "Bearer x"), method=method)
    out = to_origin(asked, route(CachePolicy(headers=cache), headers=headers))
    assert ("authorization" in out.headers) is goes_on


@pytest.mark.parametrize(
    ("forwarded", "in_key", "cookies"),
    [
        (ALL, NONE, [("cookie", "a=1;b=2"), ("Cookie", "c=3")]),
        (NONE, ALL, [("cookie", "a=1;b=2"), ("Cookie", "c=3")]),
        (NONE, NONE, []),
        (only("b"), NONE, [("cookie", "b=2")]),
        (only("b"), only("c"), [("cookie", "b=2"), ("Cookie", "c=3")]),
        (but("a"), NONE, [("cookie", "b=2"), ("Cookie", "c=3")]),
        (but("a"), only("a"), [("cookie", "a=1;b=2"), ("Cookie", "c=3")]),
    ],
)
def test_cookies_go_on_by_name(forwarded, in_key, cookies):
    by = route(CachePolicy(cookies=in_key), cookies=forwarded)
    assert sent(request(("cookie", "a=1;b=2"), ("Cookie", "c=3")), by) == cookies
    assert Forwarder(by, PSEUDONYM).forwards_cookies is bool(cookies)


@pytest.mark.parametrize(
    ("query", "forwarded", "in_key", "expected"),
    [
        ("b=1&a=2&b=3", ALL, NONE, "b=1&a=2&b=3"),
        ("b=1&a=2&b=3", NONE, only("b"), "b=1&b=3"),
        ("b=1&a=2", only("a"), only("b"), "b=1&a=2"),
        ("a=1", NONE, NONE, None),
        ("", ALL, NONE, ""),
        (None, ALL, ALL, None),
        ("a=1&utm=x&c", but("utm"), NONE, "a=1&c"),
    ],
)
def test_parameters_go_on_by_name_in_their_order(query, forwarded, in_key, expected):
    by = route(CachePolicy(query=in_key), query=forwarded)
    assert to_origin(request(query=query), by).query == expected


NAMES = st.lists(st.sampled_from("abcd"), unique=True).map(tuple)
SELECTIONS = st.one_of(st.just(ALL), st.just(NONE), NAMES.map(lambda n: only(*n)), NAMES.map(lambda n: but(*n)))


@given(SELECTIONS, SELECTIONS, st.sampled_from("abcde"))
def test_a_union_selects_what_either_selects(first, second, name):
    either = is_selected(name, first) or is_selected(name, second)
    assert is_selected(name, union(first, second)) is either


@pytest.mark.parametrize(
    ("by", "host"),
    [
        (route(), "app.internal:9000"),
        (route(viewer_host=True), "www.example.com"),
        (route(CachePolicy(headers=("host",))), "www.example.com"),
        (replace(route(), forwarding=origin_request_policy("AllViewerExceptHostHeader")), "app.internal:9000"),
        (replace(route(), forwarding=origin_request_policy("AllViewer")), "www.example.com"),
    ],
)
def test_host_is_the_origins_unless_the_viewers_is_wanted(by, host):
    assert to_origin(request(), by).headers.get_all("host") == (host,)


def test_a_request_without_host_gets_the_origins():
    asked = replace(request(version="1.0"), headers=Headers())
    assert to_origin(asked, route(viewer_host=True)).headers.get("host") == "app.internal:9000"


@pytest.mark.parametrize(
    ("encodings", "offered", "goes_on"),
    [
        ((), "gzip;q=0.5, zstd", "gzip;q=0.5, zstd"),
        (("gzip", "br"), "gzip, deflate, br", "br,gzip"),
        (("gzip",), "gzip, br", "gzip"),
        (("gzip", "br"), "zstd", "identity"),
        (("gzip", "br"), "gzip;q=0, br;q=0.1", "br"),
    ],
)
def test_accept_encoding_is_normalised_for_the_codings_that_the_cache_tells_apart(encodings, offered, goes_on):
    assert sent(request(("Accept-Encoding", offered)), route(CachePolicy(encodings=encodings))) == [
        ("Accept-Encoding", goes_on)
    ]


def test_a_websocket_keeps_its_handshake():
    handshake = (("Upgrade", "WebSocket"), ("Connection", "keep-alive, Upgrade"), ("Sec-WebSocket-Key", "x"))
    assert sent(request(*handshake), route(headers=NONE, cookies=NONE)) == [
        ("Sec-WebSocket-Key", "x"),
        ("User-Agent", "Amazon CloudFront"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
    ]
    assert "upgrade" not in dict(sent(request(*handshake, method="POST")))
    assert sent(request(("Upgrade", "websocket"))) == []


def test_custom_headers_take_the_place_of_the_viewers_and_of_the_functions():
    origin = replace(ORIGIN, custom_headers=Headers([("X-Secret", "s"), ("User-Agent", "edge")]))
    asked = to_origin(request(("x-secret", "guess"), ("User-Agent", "Mozilla")), route())
    out = finish(asked, origin)
    assert out.origin is origin
    assert out.headers.get_all("x-secret") == ("s",)
    assert out.headers.get_all("user-agent") == ("edge",)


def test_host_stays_what_the_function_made_of_it_and_is_never_missing():
    moved = Origin("other", "other.example.com", 443, "https")
    asked = to_origin(request(), route())
    assert finish(asked, moved).headers.get("host") == "app.internal:9000"
    assert finish(replace(asked, headers=Headers()), moved).headers.get("host") == "other.example.com"


FORWARDERS = [Forwarder(route(), PSEUDONYM), Forwarder(route(headers=only("x-odd"), viewer_host=True), PSEUDONYM)]
ONE_AFTER_THE_OTHER = st.tuples(
    st.sampled_from(FORWARDERS),
    st.sampled_from(("GET", "HEAD", "POST")),
    st.sampled_from(("1.0", "1.1")),
    st.sampled_from(
        (Viewer("192.0.2.7", 4000), Viewer("192.0.2.8", 4000), Viewer("192.0.2.7", 4001, ("TLSv1.3", "x")))
    ),
    st.sampled_from((ORIGIN, replace(ORIGIN, port=80), replace(ORIGIN, id="", domain="other.example"))),
    st.sampled_from(("one", "two")),
)


@given(st.lists(ONE_AFTER_THE_OTHER, min_size=2, max_size=6))
def test_fields_that_come_again_are_made_what_they_would_be_anew(asked):
    first = request(
        ("Authorization", "Basic eA=="), ("X-Odd", "1"), ("Via", "1.0 other"), ("Connection", "Upgrade"),
        ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "k"), ("X-Forwarded-For", "198.51.100.1"),
    )  # fmt: skip
    for forwarder, method, version, viewer, origin, id_ in asked:
        again = replace(first, method=method, version=version, viewer=viewer, id=id_)
        anew = replace(again, headers=Headers(list(first.headers)))
        assert forwarder.to_origin(again, origin) == forwarder.to_origin(anew, origin)
