"""Path patterns as CloudFront's, and the viewer protocol."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Viewer, no_body
from edgefn.model.settings import RouteSettings, ViewerProtocol
from edgefn.model.trail import Trail
from edgefn.rules.routing import (
    ALLOWED,
    Forbidden,
    Redirected,
    Routes,
    admission,
    normalised,
    pattern,
    with_default_root,
)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a//b///c", "/a/b/c"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a//../b", "/b"),
        ("/../../a", "/a"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/.hidden", "/a/.hidden"),
        ("/a/..b", "/a/..b"),
        ("/%61%2D%7e", "/a-~"),
        ("/a/%2e%2E/b", "/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%", "/a%"),
        ("/a%2561", "/a%2561"),
        ("*", "*"),
    ],
)
def test_the_path_is_brought_into_its_normal_form(path, normal):
    assert normalised(path) == normal


@pytest.mark.parametrize(
    ("written", "path", "fits"),
    [
        ("*", "/", True),
        ("/*", "/a/b", True),
        ("*.jpg", "/a/b.jpg", True),
        ("*.jpg", "/a/b.jpg.txt", False),
        ("images/*", "/images/", True),
        ("/images/*", "/images", False),
        ("/images*", "/images", True),
        ("/a?c", "/abc", True),
        ("/a?c", "/a/c", True),
        ("/a?c", "/ac", False),
        ("/A", "/a", False),
        ("/a.b", "/axb", False),
        ("/a*b*c", "/a--b--c", True),
        ("/a*b*c", "/a--c--b", False),
        ("/a*bc*bcd", "/abcbcbcd", True),
        ("/a*/b", "/a/x/y/b", True),
        ("/%61b", "/ab", True),
        ("/a\nb", "/a\nb", True),
        ("/a*", "/a\n", True),
    ],
)
def test_a_pattern_fits_or_does_not(written, path, fits):
    assert (pattern(written).fullmatch(path) is not None) is fits


def naive(written, path):
    """Match by the definition: `*` takes nothing, or one character and then again."""
    if not written:
        return not path
    if written[0] == "*":
        return naive(written[1:], path) or (path != "" and naive(written, path[1:]))
    return path != "" and written[0] in {"?", path[0]} and naive(written[1:], path[1:])


@given(st.text("ab/*?", max_size=8), st.text("ab/", max_size=10))
def test_the_matcher_agrees_with_the_definition(written, path):
    assert (pattern(written).fullmatch("/" + path) is not None) is naive("/" + written.removeprefix("/"), "/" + path)


@given(st.text("/.a%2eE", max_size=20))
def test_the_normal_form_is_a_path_without_dots_and_stays_as_it_is(tail):
    normal = normalised("/" + tail)
    assert normal.startswith("/")
    assert not {".", ".."}.intersection(normal.split("/"))
    assert "//" not in normal
    assert normalised(normal) == normal


def test_no_path_makes_matching_slow():
    hard = pattern("*a*a*a*a*a*a*b")
    started = time.perf_counter()
    assert hard.fullmatch("/" + "a" * 8000) is None
    assert time.perf_counter() - started < 0.5


def test_the_first_route_that_fits_wins():
    routes = Routes([RouteSettings(path, path) for path in ("/api/v1/*", "/api/*", "*.png", "*")])
    assert [routes.match(path).origin for path in ("/api/v1/x", "/api//v2", "/api/x.png", "/x.png", "/")] == [
        "/api/v1/*",
        "/api/*",
        "/api/*",
        "*.png",
        "*",
    ]
    assert [routes.position(path) for path in ("/api/v1/x", "/api/v1/../x", "/elsewhere", "*")] == [0, 1, 3, 3]


READ_IN_TWO_WAYS = [
    "/public/..%2fprivate/x",
    "/public/..%5Cprivate/x",
    "/public\\..\\private/x",
    "/private%2Fx",
    "/%2fprivate/x",
    "/private//../x",
    "/private/%2e//../x",
    "/a//../private/x",
]


@pytest.mark.parametrize("path", READ_IN_TWO_WAYS)
def test_a_path_that_origins_could_read_as_one_of_another_route_is_told(path):
    routes = Routes([RouteSettings(each, each) for each in ("/private/*", "/public/*", "*")])
    assert routes.is_ambiguous(path)
    assert not Routes([RouteSettings("*", "o")]).is_ambiguous(path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "*",
        "/private/x",
        "/private/a%2Fb",
        "//private//x",
        "/public/../private/x",
        "/a%2Fb",
        "/private/..%2fprivate/x",
    ],
)
def test_a_path_with_one_meaning_is_not(path):
    routes = Routes([RouteSettings(each, each) for each in ("/private/*", "/public/*", "*")])
    assert not routes.is_ambiguous(path)


@pytest.mark.parametrize("paths", [[], ["/a"], ["*", "/a"]])
def test_routes_without_a_last_one_for_all_are_refused(paths):
    with pytest.raises(ValueError, match="all paths"):
        Routes([RouteSettings(path, "o") for path in paths])


@pytest.mark.parametrize(
    ("path", "default", "meant"),
    [
        ("/", "index.html", "/index.html"),
        ("/", "", "/"),
        ("/a/", "index.html", "/a/"),
        ("//", "index.html", "//"),
    ],
)
def test_the_default_root_object_is_for_the_root_alone(path, default, meant):
    assert with_default_root(path, default) == meant


def request(method, *, host="www.example.com", version="1.1", tls=None):
    return Request(
        method=method,
        path="/a",
        query="b=1",
        headers=Headers([("Host", host)] if host else []),
        body=no_body(),
        viewer=Viewer("192.0.2.1", 5, tls),
        id="id",
        trail=Trail(),
        version=version,
    )


TO_HTTPS = ViewerProtocol.REDIRECT_TO_HTTPS


@pytest.mark.parametrize(
    ("policy", "asked", "verdict"),
    [
        (ViewerProtocol.ALLOW_ALL, request("GET"), ALLOWED),
        (ViewerProtocol.HTTPS_ONLY, request("GET"), Forbidden("only HTTPS is served here")),
        (ViewerProtocol.HTTPS_ONLY, request("GET", tls=("TLSv1.3", "x")), ALLOWED),
        (TO_HTTPS, request("GET", tls=("TLSv1.3", "x")), ALLOWED),
        (TO_HTTPS, request("GET"), Redirected(301, "https://www.example.com/a?b=1")),
        (TO_HTTPS, request("HEAD", version="1.0"), Redirected(301, "https://www.example.com/a?b=1")),
        (TO_HTTPS, request("GET", host="www.example.com:8080"), Redirected(301, "https://www.example.com/a?b=1")),
        (TO_HTTPS, request("GET", host="[::1]:80"), Redirected(301, "https://[::1]/a?b=1")),
        (TO_HTTPS, request("GET", host="[::1]"), Redirected(301, "https://[::1]/a?b=1")),
        (TO_HTTPS, request("POST"), Redirected(307, "https://www.example.com/a?b=1")),
        (TO_HTTPS, request("POST", version="1.0"), Forbidden("this request can't be redirected to HTTPS")),
        (TO_HTTPS, request("BREW"), Forbidden("this request can't be redirected to HTTPS")),
        (TO_HTTPS, request("GET", host=""), Forbidden("there is no Host to redirect to")),
    ],
)
def test_plain_http_is_let_in_sent_away_or_refused(policy, asked, verdict):
    assert admission(policy, asked) == verdict
