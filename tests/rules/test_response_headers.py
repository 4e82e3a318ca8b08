"""A response's headers, from the origin and to the viewer."""

import pytest

from edgefn.model.headers import Headers
from edgefn.model.trail import Result
from edgefn.rules.response_headers import Dressing, from_origin, generated

DRESSING = Dressing("abc.cloudfront.net", "FRA1-P1")
DATE = "Fri, 20 Nov 2026 10:00:00 GMT"
OURS = [
    ("X-Cache", "Hit from cloudfront"),
    ("Via", "1.1 abc.cloudfront.net (CloudFront)"),
    ("X-Amz-Cf-Pop", "FRA1-P1"),
    ("X-Amz-Cf-Id", "the-id"),
]


def dressed(lines, result=Result.HIT):
    return list(DRESSING.to_viewer(Headers(lines), result, "the-id", DATE))


@pytest.mark.parametrize(
    "gone",
    [
        ("Connection", "close"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "close"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("X-Cache", "Hit from cloudfront"),
        ("X-Amz-Cf-Id", "another's"),
        ("X-Amz-Cf-Pop", "another's"),
    ],
)
def test_what_is_of_the_origins_connection_or_of_an_earlier_edge_ends_here(gone):
    assert from_origin(Headers([gone, ("ETag", '"x"')])) == Headers([("ETag", '"x"')])


def test_what_connection_names_ends_here():
    lines = [("Connection", "close, X-Hop"), ("X-Hop", "1"), ("X-End", "2")]
    assert from_origin(Headers(lines)) == Headers([("X-End", "2")])


def test_all_else_stays_line_by_line():
    lines = [("Set-Cookie", "a=1"), ("X", "caf\xe9"), ("set-cookie", "b=2"), ("Age", "7"), ("Via", "1.1 x")]
    assert from_origin(Headers(lines)) == Headers(lines)


def test_no_cookie_comes_back_where_none_went():
    assert from_origin(Headers([("Set-Cookie", "a=1"), ("X", "1")]), cookies=False) == Headers([("X", "1")])


def test_a_101_keeps_what_it_switches_to():
    lines = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")]
    assert from_origin(Headers(lines), 101) == Headers([("Sec-WebSocket-Accept", "x"), ("Upgrade", "websocket")])


def test_a_response_is_dressed_and_its_own_date_stays():
    assert dressed([("Date", "yesterday"), ("ETag", "x")]) == [("Date", "yesterday"), ("ETag", "x"), *OURS]
    assert dressed([("ETag", "x")]) == [("ETag", "x"), ("Date", DATE), *OURS]


def test_the_age_that_the_origin_said_stays_as_well():
    assert dressed([("Date", "d"), ("age", "99")]) == [("Date", "d"), ("age", "99"), *OURS]


@pytest.mark.parametrize("result", list(Result))
def test_x_cache_is_the_result(result):
    assert ("X-Cache", f"{result.value} from cloudfront") in dressed([], result=result)


def test_via_stands_behind_the_hops_before():
    vias = [value for name, value in dressed([("Via", "1.1 origin-proxy")]) if name == "Via"]
    assert vias == ["1.1 origin-proxy", "1.1 abc.cloudfront.net (CloudFront)"]


def test_what_is_made_here_says_so_unless_a_function_said_otherwise():
    assert generated(Headers()) == Headers([("Server", "CloudFront")])
    assert generated(Headers([("server", "mine")])) == Headers([("server", "mine")])
