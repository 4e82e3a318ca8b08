"""What reaches the application is what stood on the wire."""

import asyncio

import pytest

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response
from edgefn.model.settings import ViewerLimits
from tests.fakes.front import FakeApplication, echo, said, serving


async def asked(sent: str) -> Request:
    """Return the one request that `sent` makes."""
    async with serving() as front, front.viewer() as viewer:
        await viewer.send(sent)
        assert (await viewer.reply(to_head=sent.startswith("HEAD"))).status == 200
        (request,) = front.application.asked
        return request


async def test_lines_keep_their_order_case_and_bytes() -> None:
    request = await asked(
        "GET / HTTP/1.1\r\nX-b: 1\r\nHost: h\r\nx-A:\r\nX-B: \t caf\xe9 ; a  b \t \r\ncookie:c\r\n\r\n"
    )
    assert request.headers == Headers(
        [("X-b", "1"), ("Host", "h"), ("x-A", ""), ("X-B", "caf\xe9 ; a  b"), ("cookie", "c")]
    )
    assert (request.version, request.id, request.body.length) == ("1.1", "id-1", 0)
    assert (request.viewer.ip, request.viewer.tls) == ("127.0.0.1", None)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", None),
        ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("//a/../b", "//a/../b", None),
        ("/%zz%", "/%zz%", None),
        ("/\xff\x80?\xe9", "/\xff\x80", "\xe9"),
        ('/a|b\\"<>^`{}', '/a|b\\"<>^`{}', None),
    ],
)
async def test_the_target_is_kept_raw(target: str, path: str, query: str | None) -> None:
    request = await asked(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (request.path, request.query, request.target) == (path, query, target)


@pytest.mark.parametrize(
    ("method", "target", "path", "query", "host"),
    [
        ("GET", "http://other:81/a?b", "/a", "b", "other:81"),
        ("GET", "HTTPS://other", "/", None, "other"),
        ("GET", "http://[::1]:80?q", "/", "q", "[::1]:80"),
        ("OPTIONS", "http://other", "*", None, "other"),
        ("OPTIONS", "http://other?q", "/", "q", "other"),
    ],
)
async def test_an_absolute_target_replaces_the_host(
    method: str, target: str, path: str, query: str | None, host: str
) -> None:
    request = await asked(f"{method} {target} HTTP/1.1\r\nX: a\r\nHost: h\r\nY: b\r\n\r\n")
    assert (request.path, request.query) == (path, query)
    assert list(request.headers) == [("X", "a"), ("host", host), ("Y", "b")] or request.headers.get("host") == host
    assert len(request.headers.get_all("host")) == 1


@pytest.mark.parametrize("host", ["h", "h:8080", "h:", "[::1]", "[2001:db8::1]:443", "a_b.c", "xn--bcher-kva.example"])
async def test_these_hosts_are_hosts(host: str) -> None:
    assert (await asked(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).headers.get("host") == host


@pytest.mark.parametrize("method", ["GET", "HEAD", "PURGE", "PROPFIND", "FROB!NICATE", "get", "X" * 200])
async def test_any_method_passes(method: str) -> None:
    assert (await asked(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n")).method == method


async def test_http_1_0_needs_no_host() -> None:
    request = await asked("GET /a HTTP/1.0\r\n\r\n")
    assert (request.version, request.path, request.headers) == ("1.0", "/a", Headers())


async def test_a_body_that_is_all_here_needs_no_waiting() -> None:
    def at_once(request: Request) -> Response | None:
        assert request.body.length == 5
        return said(f"{request.body.buffered()!r}")

    async with serving(FakeApplication(at_once=at_once)) as front, front.viewer() as viewer:
        await viewer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 00005\r\n\r\nhello")
        assert (await viewer.reply()).body == b"b'hello'"


async def test_bodies_arrive_whole_and_the_next_request_behind_them() -> None:
    big = "x" * 300_000
    async with serving(FakeApplication(answering=echo)) as front, front.viewer(1 << 20) as viewer:
        await viewer.send(f"PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: {len(big)}\r\n\r\n{big}")
        chunks = f"{len(big):x};a=b\r\n{big}\r\n0\r\nT: u\r\n\r\n"
        await viewer.send(f"PUT /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
        await viewer.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await viewer.reply()).body == f"PUT /1 {big} []".encode()
        assert (await viewer.reply()).body == f"PUT /2 {big} [('T', 'u')]".encode()
        assert (await viewer.reply()).body == b"GET /3  []"
        assert [request.body.length for request in front.application.asked] == [300_000, None, 0]


async def test_100_continue_comes_when_the_body_is_wanted_and_not_before() -> None:
    wanted = asyncio.Event()

    async def answer(request: Request) -> Response:
        request.interim(103, Headers([("Link", "<a>")]))
        await wanted.wait()
        return await echo(request)

    application = FakeApplication(answering=answer)
    async with serving(application) as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert (await viewer.head()).status == 103
        wanted.set()
        assert (await viewer.head()).head == "HTTP/1.1 100 Continue\r\n\r\n"
        await viewer.send("hi")
        reply = await viewer.reply()
        assert (reply.body, reply.field("connection")) == (b"PUT / hi []", None)


async def test_no_100_to_who_did_not_wait_for_it_nor_to_http_1_0() -> None:
    async with serving(FakeApplication(answering=echo)) as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nh")
        await front.application.until_asked()
        await viewer.send("i")
        assert (await viewer.reply()).body == b"PUT / hi []"
        await viewer.send("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        await front.application.until_asked(2)
        await viewer.send("hi")
        assert (await viewer.reply()).status == 200


async def test_who_waits_for_100_and_gets_an_answer_instead_is_told_that_the_connection_ends() -> None:
    async with serving() as front, front.viewer() as viewer:
        await viewer.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        reply = await viewer.reply()
        assert (reply.status, reply.field("connection")) == (200, "close")
        assert await viewer.rest() == b""


async def test_a_short_body_that_nobody_wants_is_skipped() -> None:
    async with serving() as front, front.viewer() as viewer:
        await viewer.send("PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\nx")
        assert (await viewer.reply()).body == b"PUT /1"
        await viewer.send("x" * 59_999 + "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await viewer.reply()).body == b"GET /2"


async def test_a_long_body_that_nobody_wants_ends_the_connection_but_not_the_answer() -> None:
    async with serving() as front, front.viewer() as viewer:
        await viewer.send("PUT /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await viewer.reply()).body == b"PUT /1"
        await viewer.send("20000\r\n" + "x" * 0x20000)
        assert await viewer.rest() == b""
        await viewer.send("PUT /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert len(front.application.asked) == 1


LIMITS = ViewerLimits(headers_size=600, headers_count=5, url_size=100, body_size=10)


def sized(size: int) -> str:
    start = "GET / HTTP/1.1\r\nHost: h\r\nX: "
    return start + "x" * (size - len(start) - 4) + "\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (200, sized(600)),
        (494, sized(601)),
        (494, sized(100_000)),
        (200, "GET /" + "u" * 99 + " HTTP/1.1\r\nHost: h\r\n\r\n"),
        (414, "GET /" + "u" * 100 + " HTTP/1.1\r\nHost: h\r\n\r\n"),
        (414, "GET /" + "u" * 1_000 + " HTTP/1.1\r\nHost: h\r\n\r\n"),
        (414, "GET /" + "u" * 100_000),
        (494, "G" * 1_000),
        (200, "GET / HTTP/1.1\r\nHost: h\r\n" + "X: y\r\n" * 4 + "\r\n"),
        (494, "GET / HTTP/1.1\r\nHost: h\r\n" + "X: y\r\n" * 5 + "\r\n"),
        (200, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789"),
        (413, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n0123456789a"),
        (413, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: " + "9" * 400 + "\r\n\r\n"),
        (200, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"),
        (413, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n567890\r\n0\r\n\r\n"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_each_limit_holds_to_the_byte(status: int, sent: str) -> None:
    async with serving(FakeApplication(answering=echo), LIMITS) as front, front.viewer() as viewer:
        await viewer.send(sent)
        reply = await viewer.reply()
        assert reply.status == status
        if status != 200:
            assert await viewer.rest() == b""


async def test_a_viewer_past_the_limit_is_turned_away() -> None:
    async with serving(limits=ViewerLimits(connections=1)) as front, front.viewer() as first, front.viewer() as second:
        await first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await first.reply()).status == 200
        assert (await second.reply()).status == 503
        assert await second.rest() == b""
        await first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await first.reply()).status == 200
