"""HTTP caching through the front door, byte by byte: a story for each thing that the RFCs demand of a shared cache."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from edgefn.node import world
from edgefn.rules.http_date import imf_fixdate
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest
from tests.scenarios.edge import Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
origins:
  app: {url: "http://{app}", response_timeout: 5s}
functions:
  echo: {path: echo.js, runtime: nodejs20.x, handler: echo.handler}
  mark: {path: mark.js, runtime: nodejs20.x, handler: mark.handler}
  broken: {path: broken.js, runtime: nodejs20.x, handler: broken.handler}
routes:
  - path: /marked/*
    origin: app
    hooks: {viewer-request: mark, origin-request: mark, origin-response: mark, viewer-response: mark}
  - {path: /broken/*, origin: app, hooks: {origin-response: broken}}
  - path: /hooked/*
    origin: app
    hooks: {viewer-request: echo, origin-request: echo, origin-response: echo, viewer-response: echo}
  - {path: /wishes/*, origin: app, cache: {honour_request: true}}
  - {path: /packed/*, origin: app, cache: {compress: true}}
  - {path: /resting/*, origin: app, cache: {stale_retry: 10s}}
  - {path: "*", origin: app}
"""
ECHO = "exports.handler = async (event) => event.Records[0].cf.response || event.Records[0].cf.request;"
BROKEN = """
exports.handler = async (event) => {
  const { request, response } = event.Records[0].cf;
  if (request.method !== 'GET') throw new Error('not of a page');
  return response;
};
"""
MARK = """
exports.handler = async (event) => {
  const { config, request, response } = event.Records[0].cf;
  const message = response || request;
  (message.headers[`x-${config.eventType}`] ||= []).push({ value: response ? response.status : 'asked' });
  return message;
};
"""

PLAIN = 'origins: {app: {url: "http://{app}"}}\nroutes: [{path: "*", origin: app}]\n'

FRESH, STALE = "Cache-Control: max-age=60", "Cache-Control: max-age=0"
TAG = 'ETag: "x"'

Answer = bytes | Callable[[Conversation, SeenRequest], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Got:
    """One answer as its viewer read it off the wire, and the interim ones before it."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    interim: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    @property
    def x_cache(self) -> str:
        return self["X-Cache"].removesuffix(" from cloudfront")

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def less(self, *names: str) -> list[tuple[str, str]]:
        return [line for line in self.headers if line[0].lower() not in {name.lower() for name in names}]


class Clock:
    """The steady clock of the location; more of it passes when told to."""

    def __init__(self, true: Callable[[], float]) -> None:
        self._true = true
        self._ahead = 0.0

    def __call__(self) -> float:
        return self._true() + self._ahead

    def passes(self, seconds: float) -> None:
        self._ahead += seconds

    def date(self, offset: float = 0) -> str:
        return imf_fixdate(self() + offset)


@dataclass
class Stage:
    edge: Edge
    origin: ScriptedOrigin
    clock: Clock
    says: dict[str, list[Answer]]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def page(self, *answers: Answer, under: str = "") -> str:
        """Return a new path; each answer serves one request for it, the last one all the rest."""
        path = f"{under}/{next(self._numbers)}"
        self.says[path] = [*answers]
        return path

    def asked(self, path: str) -> list[SeenRequest]:
        return [seen for seen in self.origin.requests if seen.target == path]

    async def ask(self, path: str, *lines: str, method: str = "GET", body: bytes = b"", host: str = "shop.test") -> Got:
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "Connection: close"]
        if body:
            head.append(f"Content-Length: {len(body)}")
        return parsed(await self.edge.raw("\r\n".join((*head, "", "")).encode("latin-1") + body))

    async def outcome(self, path: str, *lines: str) -> str:
        """Ask twice, and return how the second answer came about."""
        await self.ask(path, *lines)
        return (await self.ask(path, *lines)).x_cache


def parsed(data: bytes) -> Got:
    interim = []
    while True:
        head, _, data = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        if not line.startswith("HTTP/1.1 1"):
            break
        interim.append("\n".join((line, *fields)))
    headers = tuple((name, value) for name, _, value in (field.partition(": ") for field in fields))
    return Got(line, headers, data, tuple(interim))


def saying(content: str = "hello", *lines: str, status: str = "200 OK") -> bytes:
    body = content.encode("latin-1")
    head = (f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(head).encode("latin-1") + body


def confirming(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 304 Not Modified", *lines, "", "")).encode("latin-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["0", "64MB"], ids=["memory", "disk"])
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("audit")
    (directory / "echo.js").write_text(ECHO)
    (directory / "mark.js").write_text(MARK)
    (directory / "broken.js").write_text(BROKEN)
    says: dict[str, list[Answer]] = {}

    async def serve(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            answers = says[seen.target]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, bytes):
                head, end, content = answer.partition(b"\r\n\r\n")
                await conversation.send(head + end + (b"" if seen.method == "HEAD" else content))
            else:
                await answer(conversation, seen)

    clock = Clock(world.steady)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "steady", clock)
        text = f"{CONFIGURATION}cache: {{memory: 16MB, disk: {request.param}}}\n"
        async with ScriptedOrigin(serve) as origin, Edge(text, directory, app=origin.address) as edge:
            yield Stage(edge, origin, clock, says)


# Messages on the wire

ODD = (
    "X-Odd: one", "x-odd: two", "X-Other: between", "X-ODD: three, four", "X-Bytes: caf\xe9 \xff\x80", "X-Empty: ",
    "Set-Cookie: a=1; Expires=Wed, 21 Oct 2115 07:28:00 GMT", "Set-Cookie: b=2", "Content-Encoding: x-unheard-of",
    "Pragma: no-cache", "Cache-Control: max-age=60", 'Cache-Control: x-unknown="a, b"', "Server: mine/1 (a)",
    "Date: Tue, 01 Oct 2024 00:00:00 PST", 'Warning: 299 - "x"', 'ETag: "\xe9,x"',
)  # fmt: skip
OURS = ("via", "x-cache", "x-amz-cf-id", "x-amz-cf-pop", "cache-status", "age", "connection", "content-length")


def told(lines: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


@pytest.mark.parametrize("under", ["", "/hooked"])
async def test_what_the_origin_says_comes_through_line_by_line_from_memory_too(stage: Stage, under: str) -> None:
    path = stage.page(saying("\x00\xff", *ODD), under=under)
    answers = [await stage.ask(path), await stage.ask(path)]
    assert [answer.x_cache for answer in answers] == ["Miss", "Hit"]
    for answer in answers:
        lines = answer.less(*OURS)
        names = {name.lower() for name, _ in lines}
        assert {name: [v for n, v in lines if n.lower() == name] for name in names} == {
            name: [v for n, v in told(ODD) if n.lower() == name] for name in names
        }
        assert sorted(names) == sorted({name.lower() for name, _ in told(ODD)})
        assert answer.body == b"\x00\xff"
    assert answers[0].less(*OURS) == answers[1].less(*OURS)


@pytest.mark.parametrize("under", ["", "/hooked"])
async def test_what_the_viewer_says_goes_on_line_by_line(stage: Stage, under: str) -> None:
    path = stage.page(saying(), under=under)
    lines = (
        "X-Odd: one", "X-Other: between", "X-Odd: two, three", "X-Bytes: caf\xe9\xff", "Cache-Control: max-age=0",
        'Cache-Control: x="a, b"', "Pragma: no-cache", "Accept-Encoding: x-mine;q=0.5,  gzip", 'Cookie: a="1"',
    )  # fmt: skip
    await stage.ask(path, *lines)
    seen = [line for line in stage.asked(path)[0].headers if line[0].lower() in {n.lower() for n, _ in told(lines)}]
    grouped = {name.lower(): [v for n, v in seen if n.lower() == name.lower()] for name, _ in seen}
    assert grouped == {n.lower(): [v for m, v in told(lines) if m.lower() == n.lower()] for n, _ in told(lines)}


async def test_what_is_of_one_connection_is_neither_passed_on_nor_stored(stage: Stage) -> None:
    lines = (
        "Connection: X-One, keep-alive", "Connection: x-two", "X-One: 1", "X-Two: 2", "Keep-Alive: timeout=9", "TE: x",
        "Proxy-Connection: x", "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x", "Upgrade: h2c", "X-Mine: 1",
    )  # fmt: skip
    path = stage.page(saying("hello", *lines, FRESH))
    for x_cache in ("Miss", "Hit"):
        answer = await stage.ask(path, "X-Three: 3", "Connection: x-three", "TE: trailers", "Keep-Alive: 5")
        assert answer.x_cache == x_cache
        assert {name.lower() for name, _ in answer.less(*OURS)} == {"cache-control", "x-mine", "date"}
    (seen,) = stage.asked(path)
    assert {"x-three", "te", "keep-alive", "connection"}.isdisjoint(name.lower() for name, _ in seen.headers)


async def test_a_date_is_added_only_where_there_is_none_and_stays(stage: Stage) -> None:
    path = stage.page(saying("hello", FRESH))
    first = await stage.ask(path)
    stage.clock.passes(5)
    second = await stage.ask(path)
    assert len(first.all("Date")) == len(second.all("Date")) == 1
    assert second.x_cache == "Hit"
    assert int(second["Age"]) in range(5, 11)
    third = await stage.ask(path)
    assert third["Date"] == second["Date"]


@pytest.mark.parametrize("status", ["200 Fine, thanks", "299 Odd", "418 Teapot", "451 ", "599 caf\xe9", "250 \tx"])
async def test_any_status_passes_and_is_stored_with_explicit_freshness(stage: Stage, status: str) -> None:
    path = stage.page(saying("content", FRESH, status=status))
    for ages in (0, 1):
        answer = await stage.ask(path)
        assert (answer.line, answer.text, len(answer.all("Age"))) == (f"HTTP/1.1 {status}", "content", ages)
    assert len(stage.asked(path)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
    ],
)
async def test_what_breaks_off_is_never_stored(stage: Stage, answer: bytes) -> None:
    async def breaks_off(conversation: Conversation, seen: SeenRequest) -> None:
        del seen
        await conversation.send(answer)
        conversation.close()

    path = stage.page(breaks_off, breaks_off, saying("whole", FRESH))
    for _ in range(2):
        with pytest.raises((ConnectionResetError, IndexError, ValueError)):
            await stage.ask(path)
    assert (await stage.ask(path)).text == "whole"


@pytest.mark.parametrize(
    ("method", "answer", "told_length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ["5"]),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", []),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ["5"]),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []),
    ],
)
async def test_no_body_is_waited_for_where_there_is_none(
    stage: Stage, method: str, answer: bytes, told_length: list[str]
) -> None:
    path = stage.page(answer)
    got = await stage.ask(path, 'If-None-Match: "x"', method=method)
    assert (got.body, got.all("Content-Length"), got.all("Transfer-Encoding")) == (b"", told_length, [])


async def test_bytes_beyond_the_length_are_nobodys_answer(stage: Stage) -> None:
    path = stage.page(saying("hello") + saying("poison", FRESH), saying("good"))
    assert [(await stage.ask(path)).text for _ in range(2)] == ["hello", "good"]
    first, second = stage.asked(path)
    assert first.connection != second.connection


@pytest.mark.parametrize(
    "framing",
    [
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 5, 6",
    ],
)
async def test_framing_that_is_not_understood_is_a_502_and_not_stored(stage: Stage, framing: str) -> None:
    broken = f"HTTP/1.1 200 OK\r\n{FRESH}\r\n{framing}\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode()
    path = stage.page(broken, saying("good", FRESH))
    assert [(await stage.ask(path)).status for _ in range(2)] == [502, 200]


@pytest.mark.parametrize("method", ["PURGE", "M-SEARCH", "get", "QUERY", "PROPFIND"])
async def test_unknown_methods_pass_with_their_bodies_and_end_what_is_stored(stage: Stage, method: str) -> None:
    path = stage.page(saying("old", FRESH), saying("done", FRESH), saying("new", FRESH))
    await stage.ask(path)
    got = await stage.ask(path, method=method, body=b"content")
    assert (got.text, got["Cache-Status"]) == ("done", "edgefn; fwd=method; fwd-status=200")
    seen = stage.asked(path)[1]
    assert (seen.method, seen.body) == (method, b"content")
    assert (await stage.ask(path)).text == "new"


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False), ("FROB", False), ("PUT", True)])
async def test_only_the_idempotent_is_sent_again_on_a_connection_that_was_closed(
    stage: Stage, tmp_path: Path, method: str, again: bool
) -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(saying("first"))
        await conversation.request()
        conversation.close()

    async def then(conversation: Conversation) -> None:
        while await conversation.request() is not None:
            await conversation.send(saying("second"))

    async with ScriptedOrigin(once, then) as origin, Edge(PLAIN, tmp_path, app=origin.address) as edge:
        other = Stage(edge, origin, stage.clock, {})
        assert (await other.ask("/a")).text == "first"
        got = await other.ask("/a", method=method, body=b"" if method == "GET" else b"x")
        assert got.status == (200 if again else 502)
        assert len(origin.requests) == (3 if again else 2)


@pytest.mark.parametrize("under", ["", "/hooked"])
async def test_interim_responses_come_first_and_are_never_stored(stage: Stage, under: str) -> None:
    hints = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nX-Early: caf\xe9\r\n\r\n"
        b"HTTP/1.1 199 Odd\r\nCache-Control: no-store\r\n\r\n"
    )
    path = stage.page(hints + saying("hello", FRESH, "X-Late: 1"), under=under)
    first, second = await stage.ask(path), await stage.ask(path)
    assert [told.split("\n")[0].split(" ")[1] for told in first.interim] == ["103", "199"]
    assert first.interim[0].split("\n")[1:] == ["Link: </a>; rel=preload", "Link: </b>", "X-Early: caf\xe9"]
    assert (first.text, first.all("Link"), first.all("X-Early"), first.all("X-Late")) == ("hello", [], [], ["1"])
    assert (second.x_cache, second.interim, second.all("Link")) == ("Hit", (), [])


async def test_trailers_stay_apart_and_are_not_stored(stage: Stage) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nCache-Control: no-store\r\n\r\n"
    )
    path = stage.page(chunked)
    first, second = await stage.ask(path), await stage.ask(path)
    assert b"hello" in first.body
    assert first.all("X-Sum") == []
    assert (second.x_cache, second.text, second.all("X-Sum"), second["Content-Length"]) == ("Hit", "hello", [], "5")


# Parsing, freshness, and what may be stored

DIRECTIVES = [
    ("max-age=60", True),
    ("MAX-AGE=60", True),
    ('max-age="60"', True),
    ("max-age='60'", False),
    ("max-age=0060", True),
    ("max-age=2147483648", True),
    ("max-age=4294967296", True),
    ("max-age=99999999999999999999999999", True),
    ("max-age=-1", False),
    ("max-age=+60", False),
    ("max-age=60.5", False),
    ("max-age=6e3", False),
    ("max-age=60s", False),
    ("max-age=0x60", False),
    ("max-age = 60", False),
    ("max-age =60", False),
    ("max-age", False),
    ("max-age=", False),
    ("max-age=60;", False),
    ("max-age=60 60", False),
    ("max-age=60, max-age=0", True),
    ("max-age=0, max-age=60", False),
    ("s-maxage=60, max-age=0", True),
    ("s-maxage=0, max-age=60", False),
    ("s-maxage=x, max-age=60", False),
    ("max-age=60, ext", True),
    (" , max-age=60,, ,x=y,", True),
    ("max-age=60\tx", False),
    ('max-age=60, ext="a, no-store, private, \\", no-cache"', True),
    ('max-age=60, ext="no-store"', True),
    ("max-age=60, ext=no-store", True),
    ('ext="max-age=60"', False),
    ('ext="a, max-age=60, b"', False),
    ("x-max-age=60", False),
    ("max-age=60, no-store", False),
    ("max-age=60, No-Store", False),
    ("max-age=60, no-store=1", False),
    ("max-age=60, private", False),
    ("max-age=60, private, public", False),
    ('max-age=60, private=""', False),
    ('max-age=60, private="x-a"', True),
    ('max-age=60, private="x-a", private', False),
    ('max-age=60, private, private="x-a"', False),
    ('max-age=60, no-cache="x-a", no-cache', False),
    ('max-age=60, no-cache="x-a"', True),
    ("max-age=60, no-cache=x-a", True),
    ("max-age=60, no-cache", False),
    ("max-age=60, no-store, must-understand", True),
    ("max-age=60, must-revalidate, proxy-revalidate", True),
    ("public", False),
]


@pytest.mark.parametrize(("control", "hit"), DIRECTIVES)
async def test_cache_control_decides_whether_the_next_viewer_is_served_from_memory(
    stage: Stage, control: str, hit: bool
) -> None:
    assert await stage.outcome(stage.page(saying("a", f"Cache-Control: {control}"))) == ("Hit" if hit else "Miss")


LINES = [
    (["Cache-Control: max-age=60", "Cache-Control: no-store"], False),
    (["Cache-Control: private", "Cache-Control: max-age=60"], False),
    (["Cache-Control: ext", "Cache-Control: max-age=60"], True),
    (["Cache-Control: max-age=60", "Pragma: no-cache"], True),
    (["Cache-Control: max-age=60", "Age: 30"], True),
    (["Cache-Control: max-age=60", "Age: 60"], False),
    (["Cache-Control: max-age=60", "Age: 030"], True),
    (["Cache-Control: max-age=60", "Age: 0, 90"], True),
    (["Cache-Control: max-age=60", "Age: 90, 0"], False),
    (["Cache-Control: max-age=60", "Age: 90", "Age: 0"], False),
    (["Cache-Control: max-age=60", "Age: 0", "Age: 90"], True),
    (["Cache-Control: max-age=60", "Age: -90"], True),
    (["Cache-Control: max-age=60", "Age: 90.0"], True),
    (["Cache-Control: max-age=60", "Age: 90s"], True),
    (["Cache-Control: max-age=60", 'Age: "90"'], True),
    (["Cache-Control: max-age=60", "Age: 99999999999999999999"], False),
    (["Cache-Control: max-age=60", "Expires: 0"], True),
    (["Cache-Control: max-age=60", "Set-Cookie: a=1"], True),
    (["Cache-Control: max-age=60", "Vary: *"], False),
    (["Cache-Control: max-age=60", "Vary: X-A, *"], False),
    (["Cache-Control: max-age=60", "Vary: X-A", "Vary: , *,"], False),
    (["Cache-Control: max-age=60", "Vary: X-A", "Vary: ,"], True),
    (["Cache-Control: max-age=60", "Vary: X-Forwarded-For"], False),
    (["Cache-Control: max-age=60", "Vary: X-Amz-Cf-Id"], False),
    (["CDN-Cache-Control: max-age=60", "Cache-Control: no-store"], True),
    (["CDN-Cache-Control: no-store", "Cache-Control: max-age=60"], False),
    (["CDN-Cache-Control: private", "Cache-Control: max-age=60"], False),
    (["CDN-Cache-Control: no-cache", "Cache-Control: max-age=60"], False),
    (["CDN-Cache-Control: max-age=0", "Cache-Control: max-age=60"], False),
    (["CDN-Cache-Control: max-age=60", "Age: 60"], False),
    (["CDN-Cache-Control: max-age=60.0", "Cache-Control: max-age=60"], False),
    (['CDN-Cache-Control: max-age="60"', "Cache-Control: max-age=60"], False),
    (["CDN-Cache-Control: max-age=?1", "Cache-Control: max-age=60"], False),
    (["CDN-Cache-Control: max-age=60;x=1", "Cache-Control: no-store"], True),
    (["CDN-Cache-Control: ", "Cache-Control: max-age=60"], True),
    (["CDN-Cache-Control: Max-Age=60", "Cache-Control: no-store"], False),
    (["CDN-Cache-Control: max-age=60, &", "Cache-Control: no-store"], False),
    (["CDN-Cache-Control: max-age=60,", "Cache-Control: no-store"], False),
    (["CDN-Cache-Control: max-age=60", "CDN-Cache-Control: oh no", "Cache-Control: no-store"], False),
    (["CDN-Cache-Control: max-age=0", "CDN-Cache-Control: max-age=60"], True),
    (["CDN-Cache-Control: no-store, !", "Cache-Control: max-age=60"], True),
    (["CDN-Cache-Control: s-maxage=60, max-age=0"], True),
    (["Edgefn-Cache-Control: max-age=60", "CDN-Cache-Control: no-store"], True),
    (["Edgefn-Cache-Control: no-store", "CDN-Cache-Control: max-age=60"], False),
    (["Edgefn-Cache-Control: !", "CDN-Cache-Control: max-age=60"], True),
    (["Other-Cache-Control: max-age=60"], False),
    (["Other-Cache-Control: no-store", "Cache-Control: max-age=60"], True),
    (["Surrogate-Control: max-age=60"], False),
]


@pytest.mark.parametrize(("lines", "hit"), LINES)
async def test_all_fields_together_decide_it(stage: Stage, lines: list[str], hit: bool) -> None:
    path = stage.page(saying("a", *lines))
    first, second = await stage.ask(path), await stage.ask(path)
    assert second.x_cache == ("Hit" if hit else "Miss")
    for answer in (first, second):  # and all of them are passed on
        assert [line for line in told(tuple(lines)) if line[0] not in {"Age", "Date"}] == [
            line for line in answer.headers if line[0] in {name for name, _ in told(tuple(lines))} - {"Age", "Date"}
        ]


EXPIRES = [
    (["Expires: {+60}"], True),
    (["Expires: {+60}", "Date: {0}"], True),
    (["Expires: {0}", "Date: {0}"], False),
    (["Expires: {-60}", "Date: {-120}", "Age: 0"], False),  # its Date tells that it is 120 seconds old
    (["Expires: {+60}", "Date: {+120}"], False),
    (["Expires: {+120}", "Date: {+60}"], True),
    (["Expires: {+60}", "Date: tomorrow"], True),
    (["Expires: {+60}", "Date: {0}", "Age: 60"], False),
    (["Expires: {+60}", "Expires: {+60}"], True),
    (["Expires: {+60}", "Expires: {+90}"], False),
    (["Expires: 0"], False),
    (["Expires: "], False),
    (["Expires: {+60}", "Cache-Control: max-age=0"], False),
    (["Expires: {+60}", "Cache-Control: max-age=x"], False),
    (["Expires: {+60}", "CDN-Cache-Control: must-revalidate"], False),
    (["Expires: Sat, 01 Jan 2089 00:00:00 GMT"], True),
    (["Expires: sat, 01 jAN 2089 00:00:00 gmt"], True),
    (["Expires: Sat Jan  1 00:00:00 2089"], True),
    (["Expires: Sat Jan 01 00:00:00 2089"], True),
    (["Expires: Saturday, 01-Jan-50 00:00:00 GMT"], True),
    (["Expires: Saturday, 01-Jan-94 00:00:00 GMT"], False),
    (["Expires: Sat, 01 Jan 2089 00:00:00 UTC"], False),
    (["Expires: Sat, 01 Jan 2089 00:00:00 +0000"], False),
    (["Expires: Sat, 01 Jan 2089 00:00:00"], False),
    (["Expires: Sat, 01 Jan 2089 0:00:00 GMT"], False),
    (["Expires: Sat, 01 Jan 2089 00.00.00 GMT"], False),
    (["Expires: Sat, 01 Jan 2089 24:00:00 GMT"], False),
    (["Expires: Sat, 31 Feb 2089 00:00:00 GMT"], False),
    (["Expires: Sat, 1 Jan 2089 00:00:00 GMT"], False),
    (["Expires: Sat, 01 Jan 89 00:00:00 GMT"], False),
    (["Expires: Saturday, 01-Jan-2089 00:00:00 GMT"], False),
    (["Expires: Sat 01 Jan 2089 00:00:00 GMT"], False),
    (["Expires: Sat,  01 Jan 2089 00:00:00 GMT"], False),
    (["Expires: Sat, 01  Jan 2089 00:00:00 GMT"], False),
    (["Expires: Sat, 01 Jan 2089 00:00:00  GMT"], False),
    (["Expires: Sat, 01-Jan-2089 00:00:00 GMT"], False),
    (["Expires: Sat, 01 January 2089 00:00:00 GMT"], False),
    (["Expires: Sat Jan 1 00:00:00 2089"], False),
    (["Expires: Sat Jan  1 00:00:00 2089 GMT"], False),
    (["Expires: 01 Jan 2089 00:00:00 GMT"], False),
    (["Expires: 2089-01-01T00:00:00Z"], False),
    (['Expires: "Sat, 01 Jan 2089 00:00:00 GMT"'], False),
    (["Last-Modified: {-86400}", "Date: {0}"], True),
    (["Last-Modified: {-86400}", "Expires: 0"], False),
    (["Last-Modified: {-86400}", "Set-Cookie: a=1"], False),
    (["Last-Modified: {+60}"], False),
    (["Last-Modified: yesterday"], False),
    (["Cache-Control: max-age=60", "Date: {-120}"], False),
    (["Cache-Control: max-age=60", "Date: {+120}"], True),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "hit"), EXPIRES)
async def test_dates_decide_it(stage: Stage, lines: list[str], hit: bool) -> None:
    for offset in ("0", "+60", "+90", "+120", "-60", "-120", "-86400"):
        lines = [line.replace(f"{{{offset}}}", stage.clock.date(int(offset))) for line in lines]
    await stage.ask(path := stage.page(saying("a", *lines)))
    answer = await stage.ask(path)
    assert (answer.x_cache == "Hit") is hit
    assert answer.all("Expires") == [value for name, value in told(tuple(lines)) if name == "Expires"]


@pytest.mark.parametrize(
    ("status", "lines", "hit"),
    [
        (301, ["Last-Modified: {-86400}"], True),
        (404, ["Last-Modified: {-86400}"], True),
        (410, ["Last-Modified: {-86400}"], True),
        (501, ["Last-Modified: {-86400}"], True),
        (201, ["Last-Modified: {-86400}"], False),
        (302, ["Last-Modified: {-86400}"], False),
        (403, ["Last-Modified: {-86400}"], False),
        (500, ["Last-Modified: {-86400}"], False),
        (599, ["Last-Modified: {-86400}"], False),
        (403, ["Last-Modified: {-86400}", "Cache-Control: public"], True),
        (599, ["Last-Modified: {-86400}", "Cache-Control: public"], True),
        (599, ["Cache-Control: max-age=60, must-understand"], False),
        (599, ["Cache-Control: max-age=60, no-store, must-understand"], False),
        (404, ["Cache-Control: max-age=60, no-store, must-understand"], True),
        (206, ["Cache-Control: max-age=60", "Content-Range: bytes 0-0/9"], False),
        (206, ["Cache-Control: max-age=60"], False),
        (304, ["Cache-Control: max-age=60"], False),
        (416, ["Cache-Control: max-age=60"], True),
        (500, ["Cache-Control: max-age=60"], True),
        (302, ["Expires: {+60}"], True),
    ],
)
async def test_the_status_decides_where_nothing_is_explicit(
    stage: Stage, status: int, lines: list[str], hit: bool
) -> None:
    dated = [
        line.replace("{-86400}", stage.clock.date(-86400)).replace("{+60}", stage.clock.date(60)) for line in lines
    ]
    path = stage.page(saying("" if status == 304 else "a", *dated, status=f"{status} X"))
    await stage.ask(path)
    await stage.ask(path)
    assert (len(stage.asked(path)) == 1) is hit


@pytest.mark.parametrize(
    ("lines", "shared"),
    [
        ([FRESH], False),
        (["Expires: Sat, 01 Jan 2089 00:00:00 GMT"], False),
        (["Cache-Control: max-age=60, public"], True),
        (["Cache-Control: max-age=60, must-revalidate"], True),
        (["Cache-Control: max-age=60, proxy-revalidate"], False),
        (["Cache-Control: s-maxage=60"], True),
        (["CDN-Cache-Control: max-age=60", "Cache-Control: public"], False),
        (["CDN-Cache-Control: max-age=60, public", "Cache-Control: max-age=60"], True),
    ],
)
async def test_what_an_authorised_viewer_got_is_shared_only_where_it_may_be(
    stage: Stage, lines: list[str], shared: bool
) -> None:
    path = stage.page(saying("mine", *lines), saying("yours", *lines))
    await stage.ask(path, "Authorization: Basic eA==")
    assert (await stage.ask(path)).text == ("mine" if shared else "yours")


async def test_a_viewer_may_keep_its_answer_out_of_the_store_and_be_served_from_it(stage: Stage) -> None:
    path = stage.page(saying("one", FRESH), saying("two", FRESH))
    answers = [
        await stage.ask(path, *lines) for lines in (["Cache-Control: no-store"], [], ["Cache-Control: no-store"])
    ]
    assert [(answer.text, answer.x_cache) for answer in answers] == [("one", "Miss"), ("two", "Miss"), ("two", "Hit")]


async def test_fields_that_are_private_or_must_be_validated_are_not_stored(stage: Stage) -> None:
    private = 'Cache-Control: max-age=60, private="X-A, set-cookie", no-cache="x-b"'
    path = stage.page(saying("hello", private, "X-A: 1", "X-B: 2", "X-C: 3", "Set-Cookie: a=1"))
    first, second = await stage.ask(path), await stage.ask(path)
    assert [len(first.all(name)) for name in ("X-A", "X-B", "X-C", "Set-Cookie")] == [1, 1, 1, 1]
    assert [len(second.all(name)) for name in ("X-A", "X-B", "X-C", "Set-Cookie")] == [0, 0, 1, 0]
    assert second.x_cache == "Hit"


async def test_what_is_served_from_memory_grows_old(stage: Stage) -> None:
    path = stage.page(saying("hello", "Cache-Control: max-age=100", "Age: 40"))
    assert (await stage.ask(path))["Age"] == "40"
    for seconds in (20, 35):
        stage.clock.passes(seconds)
        answer = await stage.ask(path)
        assert answer.x_cache == "Hit"
    assert int(answer["Age"]) in range(95, 98)
    stage.clock.passes(5)
    assert (await stage.ask(path)).x_cache == "Miss"


# The key and Vary


async def test_the_key_is_scheme_authority_path_and_whole_query(stage: Stage) -> None:
    path = stage.page(saying("one", FRESH))
    for query in ("?", "?a", "?A", "?a=1&b=2", "?b=2&a=1", "?a=%31"):
        stage.says[path + query] = [saying(query, FRESH)]
        assert (await stage.ask(path + query)).x_cache == "Miss"
    assert (await stage.ask(path, host="SHOP.test:80")).x_cache == "Miss"
    assert [(await stage.ask(path, host=host)).x_cache for host in ("shop.test", "Shop.Test", "other.test")] == [
        "Hit", "Hit", "Miss",
    ]  # fmt: skip
    absolute = await stage.ask(f"http://shop.test{path}?a=1&b=2", host="ignored.test")
    assert (absolute.x_cache, absolute.text) == ("Hit", "?a=1&b=2")
    assert (await stage.ask(path, method="HEAD"))["Content-Length"] == "3"
    assert len(stage.asked(path)) == 2


async def by_fields(conversation: Conversation, seen: SeenRequest) -> None:
    """Answer with the values that were asked for."""
    values = [value for name, value in seen.headers if name.lower() in {"x-a", "x-b", "cookie", "accept"}]
    vary = "Vary: X-A,, x-b , cookie, ACCEPT, Accept-Language, Accept-Encoding"
    await conversation.send(saying("|".join(values), FRESH, vary))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([], [], True),
        (["X-A: 1"], ["x-a: 1"], True),
        (["X-A: 1"], [], False),
        ([], ["X-A: 1"], False),
        ([], ["X-A:"], False),
        (["X-A: 1"], ["X-A: 2"], False),
        (["X-A: a"], ["X-A: A"], False),
        (["X-A: 1", "X-B: 2"], ["X-B: 2", "X-A: 1"], True),
        (["X-A: 1", "X-B: 2"], ["X-A: 2", "X-B: 1"], False),
        (["X-A: 1", "X-A: 2"], ["X-A: 1, 2"], True),
        (["X-A: 1", "X-A: 2"], ["X-A: 2", "X-A: 1"], False),
        (["X-C: 1"], ["X-C: 2"], True),
        (["Cookie: a=1"], ["Cookie: a=2"], False),
        (["Accept-Language: de,en;q=0.5"], ["Accept-Language: DE , en; q=0.5"], True),
        (["Accept-Language: de, en"], ["Accept-Language: en, de"], False),
        (["Accept-Language: de"], ["Accept-Language: de, en"], False),
        (["Accept-Encoding: gzip"], ["Accept-Encoding: br"], False),
        (["Accept-Encoding: gzip, br"], ["Accept-Encoding: br;q=1.0, GZIP"], True),
        (["Accept-Language: de, en;q=0.5"], ["Accept-Language: en;q=0.5, de"], True),
        (["Accept: a/b;profile=X"], ["Accept: a/b;profile=x"], False),
    ],
)
async def test_a_variant_answers_those_who_ask_alike(
    stage: Stage, one: list[str], other: list[str], same: bool
) -> None:
    path = stage.page(by_fields)
    first = await stage.ask(path, *one)
    second = await stage.ask(path, *other)
    assert (second.x_cache == "Hit") is same
    assert second["Cache-Status"].startswith("edgefn; hit" if same else "edgefn; fwd=vary-miss")
    assert [(await stage.ask(path, *lines)).text for lines in (one, other)] == [first.text, second.text]
    assert len(stage.asked(path)) == (1 if same else 2)


async def test_of_two_that_fit_the_one_made_later_answers(stage: Stage) -> None:
    young, old = f"Date: {stage.clock.date(-5)}", f"Date: {stage.clock.date(-20)}"
    path = stage.page(saying("young", FRESH, young, "Vary: X-A"), saying("old", FRESH, old, "Vary: X-A, X-B"))
    await stage.ask(path, "X-A: 1")
    await stage.ask(path, "X-A: 2")
    assert (await stage.ask(path, "X-A: 1")).text == "young"


async def test_the_variants_of_a_uri_are_bounded(stage: Stage) -> None:
    path = stage.page(saying("a", FRESH, "Vary: X-A"))
    for number in range(40):
        await stage.ask(path, f"X-A: {number}")
    asked = len(stage.asked(path))
    assert (await stage.ask(path, "X-A: 39")).x_cache == "Hit"
    assert (await stage.ask(path, "X-A: 0")).x_cache == "Miss"
    assert len(stage.asked(path)) == asked + 1


# Validation


@pytest.mark.parametrize("tag", ['"x"', 'W/"x"', '"a, b"', '"\xe9\x80"', '""', '"\\"'])
async def test_the_stored_validators_go_out_byte_for_byte(stage: Stage, tag: str) -> None:
    dated = "Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT"
    path = stage.page(saying("hello", STALE, f"ETag: {tag}", dated, "Vary: X-A"), confirming(f"ETag: {tag}"))
    await stage.ask(path, "X-A: 1")
    lines = ("X-A: 1", 'If-None-Match: "mine"', "If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT", "Range: bytes=0-0")
    await stage.ask(path, *lines)
    seen = stage.asked(path)[1].headers
    names = ("if-none-match", "if-modified-since", "x-a", "range")
    assert sorted((name.lower(), value) for name, value in seen if name.lower() in names) == [
        ("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT"), ("if-none-match", tag), ("x-a", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("under", ["", "/hooked"])
async def test_a_304_updates_what_is_stored_but_for_its_content(stage: Stage, under: str) -> None:
    first = (
        "Cache-Control: max-age=10", TAG, "X-Kept: 1", "X-New: a", "X-New: b", "Content-Type: text/plain",
        "Content-Encoding: x", "Age: 7", "Set-Cookie: a=1",
    )  # fmt: skip
    second = (
        FRESH, TAG, "X-New: c", "X-New: d", "X-Added: 1", "Content-Length: 99", "Content-Type: x/y", "Age: 3",
        "Content-Encoding: y", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: x", "Set-Cookie: b=2", "Set-Cookie: c=3",
    )  # fmt: skip
    path = stage.page(saying("hello", *first), confirming(*second), under=under)
    await stage.ask(path)
    stage.clock.passes(5)
    for x_cache in ("RefreshHit", "Hit"):
        answer = await stage.ask(path)
        assert (answer.status, answer.text, answer.x_cache) == (200, "hello", x_cache)
        assert (answer["Content-Length"], answer["Content-Type"], answer["Content-Encoding"]) == (
            "5",
            "text/plain",
            "x",
        )
        assert (answer.all("X-New"), answer.all("X-Kept"), answer.all("X-Added")) == (["c", "d"], ["1"], ["1"])
        assert (answer.all("X-Hop"), answer.all("Keep-Alive"), answer.all("Set-Cookie")) == ([], [], ["b=2", "c=3"])
        assert (answer["Cache-Control"], answer["ETag"]) == ("max-age=60", '"x"')
        assert int(answer["Age"]) in range(3, 9)


@pytest.mark.parametrize(
    ("stored", "answer", "about_it"),
    [
        (['ETag: "x"'], ['ETag: "x"'], True),
        (['ETag: "x"'], ['ETag: "y"'], False),
        (['ETag: W/"x"'], ['ETag: W/"x"'], True),
        (['ETag: "x"'], ['ETag: W/"x"'], True),
        (['ETag: W/"x"'], ['ETag: "x"'], False),
        (['ETag: "x"'], [], True),
        (["Last-Modified: {0}"], ["Last-Modified: {0}"], True),
        (["Last-Modified: {0}"], ["Last-Modified: {1}"], False),
        (["Last-Modified: {0}"], [], True),
    ],
)
async def test_a_304_about_something_else_updates_nothing(
    stage: Stage, stored: list[str], answer: list[str], about_it: bool
) -> None:
    def dated(lines: list[str]) -> list[str]:
        return [line.format(stage.clock.date(-10_000), stage.clock.date(-9_000)) for line in lines]

    path = stage.page(
        saying("old", "Cache-Control: no-cache", *dated(stored)),
        confirming(FRESH, *dated(answer)),
        saying("new", FRESH),
    )
    await stage.ask(path)
    assert (await stage.ask(path)).text == ("old" if about_it else "new")
    assert len(stage.asked(path)) == (2 if about_it else 3)
    names = {name.lower() for name, _ in stage.asked(path)[-1].headers}
    assert names.isdisjoint({"if-none-match", "if-modified-since"}) is not about_it


@pytest.mark.parametrize(
    ("tag", "condition", "met"),
    [
        ('"x"', 'If-None-Match: "x"', True),
        ('"x"', 'If-None-Match: W/"x"', True),
        ('W/"x"', 'If-None-Match: "x"', True),
        ('"x"', 'If-None-Match: "a", "x"', True),
        ('"x"', 'If-None-Match: "a",W/"x" ,"b"', True),
        ('"x"', 'If-None-Match: "a, \\"x"', False),
        ('"a, x"', 'If-None-Match: "a, x"', True),
        ('"x"', 'If-None-Match: "a, x"', False),
        ('"x"', "If-None-Match: *", True),
        ('"x"', 'If-None-Match: "X"', False),
        ('"x"', "If-None-Match: x", False),
        ('"\xe9"', 'If-None-Match: "\xe9"', True),
        ('"x"', 'If-None-Match: "y"\r\nIf-Modified-Since: Sun, 06 Nov 2050 08:49:37 GMT', False),
        ('"x"', 'If-None-Match: "y"\r\nIf-None-Match: "x"', True),
        ('"x"', "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", True),
        ('"x"', "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", True),
        ('"x"', "If-Modified-Since: Sun Nov  6 08:49:37 1994", True),
        ('"x"', "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT", False),
        ('"x"', "If-Modified-Since: Sun, 06 Nov 2050 08:49:37", False),
        ('"x"', 'If-Match: "y"', False),
        ('"x"', "If-Unmodified-Since: Sun, 06 Nov 1990 08:49:37 GMT", False),
    ],
)
async def test_a_viewers_condition_is_held_against_what_is_stored(
    stage: Stage, tag: str, condition: str, met: bool
) -> None:
    more = ("Content-Location: /x", "Vary: X-A", "Expires: Sun, 06 Nov 2050 08:49:37 GMT", "X-Mine: 1")
    dated = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
    path = stage.page(saying("hello", FRESH, f"ETag: {tag}", dated, *more))
    await stage.ask(path)
    for method in ("GET", "HEAD"):
        answer = await stage.ask(path, *condition.split("\r\n"), method=method)
        assert (answer.status, answer.x_cache) == (304 if met else 200, "Hit")
        assert (answer["ETag"], answer["Vary"], answer["Cache-Control"]) == (tag, "X-A", "max-age=60")
        assert (answer["Expires"], answer["Content-Location"]) == (more[2][9:], "/x")
        assert len(answer["Date"]) == 29
        assert int(answer["Age"]) in range(9)
        assert answer.body == (b"" if met or method == "HEAD" else b"hello")
    assert len(stage.asked(path)) == 1


async def test_without_last_modified_the_date_is_what_a_condition_is_held_against(stage: Stage) -> None:
    path = stage.page(saying("hello", FRESH, f"Date: {stage.clock.date(-10)}"))
    await stage.ask(path)
    dates = [stage.clock.date(offset) for offset in (-10, -11)]
    assert [(await stage.ask(path, f"If-Modified-Since: {date}")).status for date in dates] == [304, 200]


@pytest.mark.parametrize("status", [404, 301, 500])
async def test_a_condition_is_not_held_against_what_is_no_success(stage: Stage, status: int) -> None:
    path = stage.page(saying("hello", FRESH, TAG, status=f"{status} X"))
    await stage.ask(path)
    answer = await stage.ask(path, 'If-None-Match: "x"')
    assert (answer.status, answer.text, len(stage.asked(path))) == (status, "hello", 1)


async def test_with_nothing_stored_conditions_go_on_untouched_and_the_304_comes_back(stage: Stage) -> None:
    path = stage.page(confirming(TAG, "X-Mine: 1", FRESH), saying("hello", FRESH))
    conditions = ('If-None-Match: W/"a",  "x"', "If-Modified-Since: whenever", 'If-Match: "z"')
    answer = await stage.ask(path, *conditions)
    assert (answer.status, answer["ETag"], answer["X-Mine"], answer.body) == (304, '"x"', "1", b"")
    seen = [f"{name}: {value}" for name, value in stage.asked(path)[0].headers]
    assert set(conditions) <= set(seen)
    assert (await stage.ask(path)).text == "hello"


@pytest.mark.parametrize(
    ("second", "third"),
    [
        (saying("new", FRESH), "Hit new"),
        (saying("new", "Cache-Control: no-store"), "Miss last"),
        (saying("gone", status="404 Not Found"), "Miss last"),
        (saying("oh", status="500 Oh"), "RefreshHit old"),
        (saying("oh", FRESH, status="503 Oh"), "Error oh"),
    ],
)
async def test_a_full_answer_takes_the_place_of_what_was_stored(stage: Stage, second: bytes, third: str) -> None:
    async def last(conversation: Conversation, seen: SeenRequest) -> None:
        known = seen.header("If-None-Match") is not None and third.endswith("old")
        await conversation.send(confirming(FRESH, TAG) if known else saying("last", FRESH))

    path = stage.page(saying("old", STALE, TAG), second, last)
    await stage.ask(path)
    assert (await stage.ask(path)).text == second.partition(b"\r\n\r\n")[2].decode()
    answer = await stage.ask(path)
    assert f"{answer.x_cache} {answer.text}" == third


@pytest.mark.parametrize(
    ("lines", "length", "text"),
    [
        ([TAG, "Cache-Control: max-age=60", "X-New: 1"], 5, "Hit hello 1"),
        (["Cache-Control: max-age=60", "X-New: 1"], 5, "Hit hello 1"),
        (['ETag: "y"', "Cache-Control: max-age=60"], 5, "Miss new "),
        ([TAG, "Cache-Control: max-age=60"], 6, "Miss new "),
    ],
)
async def test_an_answer_to_head_updates_what_it_agrees_with(
    stage: Stage, lines: list[str], length: int, text: str
) -> None:
    path = stage.page(
        saying("hello", "Cache-Control: max-age=1", TAG), saying("x" * length, *lines), saying("new", FRESH)
    )
    await stage.ask(path)
    stage.clock.passes(5)
    assert (await stage.ask(path, method="HEAD"))["Content-Length"] == str(length)
    answer = await stage.ask(path)
    assert f"{answer.x_cache} {answer.text} {''.join(answer.all('X-New'))}" == text
    assert [seen.method for seen in stage.asked(path)][:2] == ["GET", "HEAD"]


async def test_a_304_does_not_make_a_packed_page_forget_what_it_varies_by(stage: Stage) -> None:
    kind = "Content-Type: text/html"
    path = stage.page(saying("a" * 2000, STALE, TAG, kind), confirming(STALE, TAG, "Vary: Origin"), under="/packed")
    for _ in range(3):
        answer = await stage.ask(path, "Accept-Encoding: gzip")
        assert answer["Content-Encoding"] == "gzip"
        assert "accept-encoding" in ", ".join(answer.all("Vary")).lower()


# Stale responses


async def hangs_up(conversation: Conversation, seen: SeenRequest) -> None:
    del seen
    conversation.reset()


@pytest.mark.parametrize(
    ("control", "after", "gone", "failing"),
    [
        ("max-age=10", 20, True, False),
        ("max-age=10, must-revalidate", 20, False, False),
        ("max-age=10, proxy-revalidate", 20, False, False),
        ("s-maxage=10", 20, False, False),
        ("max-age=10, no-cache", 0, False, False),
        ("max-age=10, stale-if-error=60", 20, True, True),
        ('max-age=10, stale-if-error="60"', 20, True, True),
        ("max-age=10, stale-if-error=60", 80, True, False),
        ("max-age=10, stale-if-error=x", 20, False, False),
        ("max-age=10, stale-if-error=60, must-revalidate", 20, False, False),
        ("s-maxage=10, stale-if-error=60", 20, False, False),
        ("max-age=10, stale-if-error=60, no-cache", 0, False, False),
        ("max-age=10, stale-while-revalidate=60, must-revalidate", 20, False, False),
        ("max-age=10, stale-while-revalidate=60, s-maxage=10", 20, False, False),
    ],
)
async def test_what_is_stale_stands_in_only_where_it_may(
    stage: Stage, control: str, after: int, gone: bool, failing: bool
) -> None:
    for trouble, allowed in ((hangs_up, gone), (saying("oh", status="503 Oh"), failing)):
        path = stage.page(saying("old", f"Cache-Control: {control}", TAG), trouble)
        await stage.ask(path)
        stage.clock.passes(after)
        answer = await stage.ask(path)
        assert answer.status == (200 if allowed else 502 if trouble is hangs_up else 503)
        if allowed:
            assert (answer.text, answer.all("Warning")) == ("old", [])
            assert int(answer["Age"]) in range(after, after + 9)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_the_errors_that_stale_if_error_is_about(stage: Stage, status: int) -> None:
    path = stage.page(saying("old", "Cache-Control: max-age=0, stale-if-error=60"), saying("x", status=f"{status} X"))
    await stage.ask(path)
    answer = await stage.ask(path)
    assert (answer.status, answer.text) == (200, "old")
    assert answer["Cache-Status"] == f"edgefn; fwd=stale; fwd-status={status}; detail=stale-if-error"


@pytest.mark.parametrize("status", [400, 404, 501, 505, 599])
async def test_other_errors_are_the_answer(stage: Stage, status: int) -> None:
    path = stage.page(saying("old", "Cache-Control: max-age=0, stale-if-error=60"), saying("x", status=f"{status} X"))
    await stage.ask(path)
    assert (await stage.ask(path)).status == status


async def test_a_failure_does_not_stretch_the_time_that_stale_if_error_allows(stage: Stage) -> None:
    old = saying("old", "Cache-Control: max-age=10, stale-if-error=10")
    path = stage.page(old, saying("x", status="503 X"), under="/resting")
    await stage.ask(path)
    stage.clock.passes(15)
    assert (await stage.ask(path)).text == "old"
    stage.clock.passes(6)
    assert (await stage.ask(path)).status == 503


@pytest.mark.parametrize("under", ["", "/hooked"])
async def test_while_it_revalidates_the_stale_one_is_served_at_once(stage: Stage, under: str) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, seen: SeenRequest) -> None:
        assert seen.header("If-None-Match") == '"x"'
        asked.set()
        await go.wait()
        await conversation.send(saying("new", "Cache-Control: no-cache"))

    old = saying("old", "Cache-Control: max-age=10, stale-while-revalidate=30", TAG)
    path = stage.page(old, slow, saying("newest", "Cache-Control: no-cache"), under=under)
    await stage.ask(path)
    stage.clock.passes(20)
    for _ in range(3):
        answer = await stage.ask(path, 'If-None-Match: "mine"', "Range: bytes=9-")
        assert answer.status == 416
    answer = await stage.ask(path)
    assert (answer.text, answer.x_cache) == ("old", "Hit")
    assert answer["Cache-Status"].startswith("edgefn; hit; ttl=-1")
    await asked.wait()
    go.set()
    async with asyncio.timeout(5):
        while (await stage.ask(path)).text == "old":
            pass  # until what came is stored
    assert len(stage.asked(path)) == 3


async def test_behind_the_window_viewers_wait(stage: Stage) -> None:
    path = stage.page(saying("old", "Cache-Control: max-age=10, stale-while-revalidate=30", TAG), saying("new", FRESH))
    await stage.ask(path)
    stage.clock.passes(41)
    assert (await stage.ask(path)).text == "new"


# Invalidation


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROB"])
@pytest.mark.parametrize("status", [200, 204, 299, 303, 400, 404, 500, 599])
async def test_what_succeeds_ends_all_that_is_stored_of_its_target(stage: Stage, method: str, status: int) -> None:
    old = saying("old", FRESH, "Vary: X-A")
    path = stage.page(old, old, saying("" if status == 204 else "done", status=f"{status} X"), saying("new", FRESH))
    for value in "12":
        await stage.ask(path, f"X-A: {value}")
    await stage.ask(path, method=method, body=b"x")
    text = "new" if status < 400 else "old"
    assert [(await stage.ask(path, f"X-A: {value}")).text for value in "12"] == [text, text]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "HEAD"])
async def test_what_is_safe_ends_nothing(stage: Stage, method: str) -> None:
    path = stage.page(saying("old", FRESH), saying("done"))
    await stage.ask(path)
    await stage.ask(path, method=method)
    assert (await stage.ask(path)).text == "old"


@pytest.mark.parametrize(
    ("named", "ends"),
    [
        ("Location: {path}", True),
        ("Location: http://shop.test{path}", True),
        ("Location: http://SHOP.test:80{path}#part", True),
        ("Content-Location: {path}", True),
        ("Location: //shop.test{path}", True),
        ("Location: http://other.test{path}", False),
        ("Location: https://shop.test{path}", False),
        ("Location: http://shop.test:81{path}", False),
        ("Content-Location: //other.test{path}", False),
        ("Location: http://[{path}", False),
    ],
)
async def test_what_the_answer_names_ends_too_at_the_same_origin(stage: Stage, named: str, ends: bool) -> None:
    other = stage.page(saying("old", FRESH), saying("new", FRESH))
    path = stage.page(saying("", named.format(path=other), status="201 Created"))
    await stage.ask(other)
    await stage.ask(path, method="POST", body=b"x")
    assert (await stage.ask(other)).text == ("new" if ends else "old")


async def test_a_get_that_began_before_is_not_stored_after(stage: Stage) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, seen: SeenRequest) -> None:
        asked.set()
        await go.wait()
        await conversation.send(saying("old", FRESH))

    path = stage.page(slow, saying("done"), saying("new", FRESH))
    reading = asyncio.create_task(stage.ask(path))
    await asked.wait()
    await stage.ask(path, method="POST", body=b"x")
    go.set()
    assert (await reading).text == "old"
    assert (await stage.ask(path)).text == "new"


@pytest.mark.parametrize(("status", "text"), [("200 OK", "new"), ("409 Conflict", "old")])
async def test_a_function_that_fails_behind_it_does_not_undo_what_the_origin_has_done(
    stage: Stage, status: str, text: str
) -> None:
    path = stage.page(saying("old", FRESH), saying("done", status=status), saying("new", FRESH), under="/broken")
    assert (await stage.ask(path)).text == "old"
    assert (await stage.ask(path, method="POST", body=b"x")).status == 503
    assert (await stage.ask(path)).text == text


# Ranges

DIGITS = saying("0123456789", FRESH, TAG, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "X-Mine: 1")


@pytest.mark.parametrize(
    ("lines", "status", "text", "where"),
    [
        (["Range: bytes=0-0"], 206, "0", "bytes 0-0/10"),
        (["Range: bytes=2-4"], 206, "234", "bytes 2-4/10"),
        (["Range: bytes=7-"], 206, "789", "bytes 7-9/10"),
        (["Range: bytes=7-99999999999999999999999"], 206, "789", "bytes 7-9/10"),
        (["Range: bytes=-2"], 206, "89", "bytes 8-9/10"),
        (["Range: bytes=-20"], 206, "0123456789", "bytes 0-9/10"),
        (["Range: BYTES=1-1"], 206, "1", "bytes 1-1/10"),
        (["Range: bytes=10-"], 416, "", "bytes */10"),
        (["Range: bytes=-0"], 416, "", "bytes */10"),
        (["Range: bytes=4-2"], 200, "0123456789", None),
        (["Range: bytes=0-0,2-2"], 200, "0123456789", None),
        (["Range: bytes=a-b"], 200, "0123456789", None),
        (["Range: bytes=-"], 200, "0123456789", None),
        (["Range: lines=0-0"], 200, "0123456789", None),
        (["Range: bytes=0-0", "Range: bytes=1-1"], 200, "0123456789", None),
        (["Range: bytes=0-0", 'If-Range: "x"'], 206, "0", "bytes 0-0/10"),
        (["Range: bytes=0-0", 'If-Range: W/"x"'], 200, "0123456789", None),
        (["Range: bytes=0-0", 'If-Range: "y"'], 200, "0123456789", None),
        (["Range: bytes=99-", 'If-Range: "y"'], 200, "0123456789", None),
        (["Range: bytes=0-0", "If-Range: Sun, 06 Nov 1994 08:49:37 GMT"], 206, "0", "bytes 0-0/10"),
        (["Range: bytes=0-0", "If-Range: Sun, 06 Nov 1994 08:49:38 GMT"], 200, "0123456789", None),
        (["Range: bytes=0-0", 'If-None-Match: "x"'], 304, "", None),
        (["Range: bytes=0-0", 'If-None-Match: "y"'], 206, "0", "bytes 0-0/10"),
        (['If-Range: "y"'], 200, "0123456789", None),
    ],
)
async def test_the_whole_answers_for_one_part_of_it(
    stage: Stage, lines: list[str], status: int, text: str, where: str | None
) -> None:
    path = stage.page(DIGITS)
    await stage.ask(path)
    answer = await stage.ask(path, *lines)
    assert (answer.status, answer.text, answer.all("Content-Range")) == (status, text, [where] if where else [])
    assert answer.all("Content-Length") == ([] if status == 304 else [str(len(text))])
    assert len(stage.asked(path)) == 1
    if status in {200, 206}:
        assert (answer["ETag"], answer["X-Mine"], len(answer.all("Age"))) == ('"x"', "1", 1)
    head = await stage.ask(path, *lines, method="HEAD")
    assert (head.status, head.body) == (304 if status == 304 else 200, b"")


def part(first: int, last: int, *lines: str, total: str = "10") -> bytes:
    content = "0123456789"[first : last + 1]
    return saying(content, *lines, f"Content-Range: bytes {first}-{last}/{total}", status="206 Partial Content")


async def test_parts_answer_for_themselves_and_become_the_whole(stage: Stage) -> None:
    path = stage.page(part(0, 3, FRESH, TAG), part(4, 9, FRESH, TAG, "X-New: 1"))
    assert (await stage.ask(path, "Range: bytes=0-3", 'If-Range: "x"')).status == 206
    assert (stage.asked(path)[0].header("Range"), stage.asked(path)[0].header("If-Range")) == ("bytes=0-3", '"x"')
    within = await stage.ask(path, "Range: bytes=1-2")
    assert (within.text, within["Content-Range"], within.x_cache) == ("12", "bytes 1-2/10", "Hit")
    beyond = await stage.ask(path, "Range: bytes=4-9")
    assert (beyond.text, beyond["Cache-Status"]) == ("456789", "edgefn; fwd=partial; fwd-status=206; stored")
    whole = await stage.ask(path)
    assert (whole.line, whole.text, whole.x_cache) == ("HTTP/1.1 200 OK", "0123456789", "Hit")
    assert (whole["Content-Length"], whole.all("Content-Range"), whole["X-New"]) == ("10", [], "1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (part(0, 3, FRESH, TAG), part(4, 9, FRESH, 'ETag: "y"')),
        (part(0, 3, FRESH, 'ETag: W/"x"'), part(4, 9, FRESH, 'ETag: W/"x"')),
        (part(0, 3, FRESH), part(4, 9, FRESH)),
        (part(0, 3, FRESH, TAG), part(5, 9, FRESH, TAG)),
        (part(0, 3, FRESH, TAG), part(4, 9, FRESH, TAG, total="*")),
        (part(0, 3, FRESH, TAG), part(4, 9, FRESH, TAG, total="11")),
        (part(0, 3, FRESH, TAG), saying("456789", FRESH, TAG, status="206 X")),
        (part(0, 3, FRESH, TAG), saying("45678", FRESH, TAG, "Content-Range: bytes 4-9/10", status="206 X")),
        (
            part(0, 3, FRESH, TAG),
            saying("--b", FRESH, TAG, "Content-Type: multipart/byteranges; boundary=b", status="206 X"),
        ),
    ],
)
async def test_a_part_is_never_taken_for_the_whole(stage: Stage, one: bytes, other: bytes) -> None:
    path = stage.page(one, other, saying("0123456789"))
    await stage.ask(path, "Range: bytes=0-3")
    await stage.ask(path, "Range: bytes=4-9")
    answer = await stage.ask(path)
    assert (answer.x_cache, answer.text) == ("Miss", "0123456789")


async def test_a_player_that_probes_what_has_changed_gets_no_more_than_it_asked_for(stage: Stage) -> None:
    asked: list[tuple[str | None, str | None]] = []
    content = {'"x"': "0123456789" * 120_000, '"y"': "abcdefghij" * 120_000}

    async def video(conversation: Conversation, seen: SeenRequest) -> None:
        tag = '"y"' if asked else '"x"'
        asked.append((seen.header("If-None-Match"), seen.header("Range")))
        body, lines = content[tag], (FRESH, f"ETag: {tag}")
        if seen.header("Range") == "bytes=0-1":
            where = f"Content-Range: bytes 0-1/{len(body)}"
            await conversation.send(saying(body[:2], *lines, where, status="206 Partial Content"))
        else:
            await conversation.send(saying(body, *lines))

    path = stage.page(video)
    assert (await stage.ask(path)).text == content['"x"']
    await stage.ask(path, "Range: bytes=5-5")
    stage.clock.passes(70)
    probe = await stage.ask(path, "Range: bytes=0-1")
    assert (probe.status, probe.text, probe["Content-Range"]) == (206, "ab", "bytes 0-1/1200000")
    assert (await stage.ask(path, "Range: bytes=1-1")).text == "b"
    assert (await stage.ask(path)).text == content['"y"']
    assert asked[:2] == [(None, None), ('"x"', "bytes=0-1")]
    assert [wanted for _, wanted in asked[2:]] == [None]  # with a condition if what was there before is still on disk


async def test_a_part_that_nobody_asked_for_is_not_stored(stage: Stage) -> None:
    path = stage.page(part(0, 9, FRESH, TAG), saying("whole"))
    assert (await stage.ask(path)).status == 206
    assert (await stage.ask(path, "Range: bytes=0-1")).text == "whole"


# Collapsing


async def test_one_asks_for_many(stage: Stage) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, seen: SeenRequest) -> None:
        asked.set()
        await go.wait()
        await conversation.send(saying(seen.header("X-A") or "", FRESH, "Vary: X-A"))

    path = stage.page(slow)
    first = asyncio.create_task(stage.ask(path, "X-A: 1"))
    await asked.wait()
    waiting = [asyncio.create_task(stage.ask(path, f"X-A: {value}")) for value in "11122"]
    for _ in range(20):
        await asyncio.sleep(0)
    go.set()
    answers = await asyncio.gather(first, *waiting)
    assert [answer.text for answer in answers] == list("111122")
    assert len(stage.asked(path)) in {2, 3}
    told = {answer["Cache-Status"][:18] for answer in answers[1:4]}
    assert told <= {"edgefn; fwd=uri-miss; collapsed"[:18], "edgefn; hit; ttl=5"}


@pytest.mark.parametrize(
    "line", ["Cache-Control: no-store", "Cache-Control: private", STALE, 'Cache-Control: private="a", private']
)
async def test_what_can_not_be_shared_is_asked_for_by_each(stage: Stage, line: str) -> None:
    numbers, asked, go = itertools.count(), asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, seen: SeenRequest) -> None:
        number = next(numbers)
        asked.set()
        await go.wait()
        await conversation.send(saying(str(number), line))

    path = stage.page(slow)
    asking = [asyncio.create_task(stage.ask(path)) for _ in range(5)]
    await asked.wait()
    go.set()
    assert sorted(answer.text for answer in await asyncio.gather(*asking)) == list("01234")


# Cache-Status, wishes, functions


async def test_cache_status_stands_behind_what_is_there(stage: Stage) -> None:
    path = stage.page(saying("a", FRESH, "Cache-Status: Origin; hit", "Cache-Status: Shield; fwd=miss"))
    theirs = ["Origin; hit", "Shield; fwd=miss"]
    assert (await stage.ask(path)).all("Cache-Status") == [*theirs, "edgefn; fwd=uri-miss; fwd-status=200; stored"]
    (*before, ours) = (await stage.ask(path)).all("Cache-Status")
    assert (before, ours[:18]) == (theirs, "edgefn; hit; ttl=5")


async def test_a_viewers_conditions_do_not_hide_that_the_answer_was_stored(stage: Stage) -> None:
    path = stage.page(saying("old", STALE, TAG), saying("new", FRESH, 'ETag: "y"'))
    await stage.ask(path)
    answer = await stage.ask(path, 'If-None-Match: "y"')
    assert (answer.status, answer["Cache-Status"]) == (304, "edgefn; fwd=stale; fwd-status=200; stored")


@pytest.mark.parametrize(
    ("wish", "x_cache"),
    [
        ("Cache-Control: only-if-cached", "Hit"),
        ("Cache-Control: max-age=0", "Miss"),
        ("Cache-Control: max-age=1", "Miss"),
        ("Cache-Control: max-age=30", "Hit"),
        ("Cache-Control: max-age=x", "Miss"),
        ("Cache-Control: min-fresh=50", "Hit"),
        ("Cache-Control: min-fresh=59", "Miss"),
        ("Cache-Control: no-cache", "Miss"),
        ("Pragma: no-cache", "Miss"),
        ("Pragma: no-cache\r\nCache-Control: max-age=30", "Hit"),
        ("Cache-Control: max-stale", "Hit"),
    ],
)
async def test_wishes_count_where_the_route_says_so(stage: Stage, wish: str, x_cache: str) -> None:
    for under, expected in (("/wishes", x_cache), ("", "Hit")):
        path = stage.page(saying("a", FRESH), under=under)
        await stage.ask(path)
        stage.clock.passes(5)
        assert (await stage.ask(path, *wish.split("\r\n"))).x_cache == expected


async def test_nothing_but_what_is_stored_is_a_504(stage: Stage) -> None:
    path = stage.page(saying("a", STALE), under="/wishes")
    await stage.ask(path)
    answer = await stage.ask(path, "Cache-Control: only-if-cached")
    assert (answer.status, answer.all("Cache-Status"), len(stage.asked(path))) == (504, [], 1)


async def test_functions_see_each_forward_and_what_they_return_is_stored(stage: Stage) -> None:
    old = "Cache-Control: max-age=10, stale-while-revalidate=30"
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, seen: SeenRequest) -> None:
        asked.set()
        await go.wait()
        await conversation.send(confirming(FRESH, TAG))

    path = stage.page(saying("hello", old, TAG), slow, under="/marked")

    async def marks() -> tuple[str, list[str], list[str]]:
        answer = await stage.ask(path)
        return answer.x_cache, answer.all("X-Origin-Response"), answer.all("X-Viewer-Response")

    assert [await marks(), await marks()] == [("Miss", ["200"], ["200"]), ("Hit", ["200"], ["200"])]
    stage.clock.passes(20)
    assert await marks() == ("Hit", ["200"], ["200"])
    await asked.wait()
    go.set()
    async with asyncio.timeout(5):
        while await marks() != ("Hit", ["304"], ["200"]):
            pass  # until what came is merged
    for seen in stage.asked(path):
        names = [name.lower() for name, _ in seen.headers]
        assert (names.count("x-viewer-request"), names.count("x-origin-request")) == (1, 1)
    assert len(stage.asked(path)) == 2


@pytest.mark.parametrize("status", ["599 Odd", "299 x", "404 Not Found", "204 No Content", "301 Moved"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "FROB", "POST"])
async def test_functions_that_change_nothing_make_no_difference(stage: Stage, status: str, method: str) -> None:
    content = "" if status.startswith("204") else "caf\xe9"
    got = []
    for under in ("", "/hooked"):
        path = stage.page(saying(content, *ODD, "Location: /x", status=status), under=under)
        for _ in range(2):
            answer = await stage.ask(path, *ODD[:6], method=method, body=b"\x00\xff" if method == "POST" else b"")
            got.append((answer.line, answer.body, answer.less(*OURS), answer.x_cache))
        lines = [line for line in stage.asked(path)[0].headers if line[0].lower() not in {"x-amz-cf-id", "via"}]
        got.append((len(stage.asked(path)), stage.asked(path)[0].body, sorted(lines, key=lambda line: line[0].lower())))
    plain, hooked = got[:3], got[3:]
    assert hooked == plain
