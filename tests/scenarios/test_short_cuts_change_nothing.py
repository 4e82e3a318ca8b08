"""The short cuts past the walk, held against the walk: the same bytes in, the same bytes to viewers and the origin."""

import asyncio
import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from pathlib import Path

import pytest

from edgefn.proxy.misses import Misses
from edgefn.proxy.relay import Relay
from edgefn.proxy.repeats import Repeats
from edgefn.proxy.site import Site
from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Page, Website
from tests.scenarios.edge import Edge

CONFIG = """
origins: {app: {url: "http://{origin}"}}
access_log: off
routes:
  - {path: /passed/*, origin: app, cache: {policy: CachingDisabled}}
  - {path: /told/*, origin: app, cache: {policy: CachingDisabled, cache_status: false}}
  - {path: /packed/*, origin: app, cache: {compress: true}}
  - {path: /plain/*, origin: app, cache: {cache_status: false}}
  - {path: /wishes/*, origin: app, cache: {honour_request: true}}
  - {path: /keyed/*, origin: app, cache: {key: {headers: [X-Variant], cookies: [a], encodings: [gzip], query: [a]}}}
  - {path: /whole/*, origin: app, forward: {host: viewer, cookies: all, headers: all}}
  - {path: /secure/*, origin: app, viewer_protocol: redirect-to-https}
  - {path: "*", origin: app}
"""
ROUTES = ("passed", "told", "packed", "plain", "wishes", "keyed", "whole", "secure", "cached")
DATE = "Date: now"
LASTS = (DATE, "Cache-Control: max-age=600")
KINDS = (
    (*LASTS, 'ETag: "e"', "Content-Type: text/plain"),
    ("Cache-Control: no-store",),
    ("Cache-Control: max-age=600",),
    (*LASTS, "Vary: X-Variant"),
    (*LASTS, "Vary: Accept-Encoding, Origin"),
    (*LASTS, "Age: 0", 'Cache-Control: private="set-cookie", no-cache="x-any"', "X-Any: 3", "Set-Cookie: a=b"),
    (*LASTS, "Connection: X-Hop", "X-Hop: 1", "X-Cache: Hit from me", "X-Odd: caf\xe9"),
    (DATE, "Cache-Control: no-cache", 'ETag: "e"'),
)
WAYS = ("whole", "chunked", "hinted", "in pieces", "large", "empty", "closing", "never the same")
STATUSES = (200, 200, 404, 503)
FIELDS = (
    *[(), ()] * 5, *[("X-Variant: 1",), ("x-variant: 2",), ("Cookie: a=b",), ("Cookie: a=c", "X-Any: 1")] * 3,
    ("Cookie: " + "c" * 3_900,), ("Cookie: " + "c" * 4_100,), ("User-Agent: me",), ("X-Odd: caf\xe9 \t",), ("X-No:",),
    ("Accept-Encoding: gzip",), ("accept-encoding: br, gzip;q=0.5",), ("Origin: https://a.test",),
    ("Range: bytes=2-5",), ("range: bytes=9999-",), ('If-Range: "e"', "Range: bytes=0-1"), ("Accept: a", "Accept: b"),
    ('If-None-Match: "e"',), ("If-None-Match: *",), ('If-Match: "x"',),
    ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",),
    ("Cache-Control: no-cache",), ("Cache-Control: only-if-cached",), ("Cache-Control: no-store",),
    ("Pragma: no-cache",), ("Connection: Cookie", "Cookie: a=b"), ("Connection: X-Variant", "X-Variant: 1"),
    ("Connection: range", "Range: bytes=1-2"), ("Connection: accept-encoding",), ("Expect: 100-continue",),
    ("Upgrade: websocket",), ("Upgrade: h2c", "Connection: upgrade"), ("TE: trailers",), ("Via: 1.1 fred",),
    ("CDN-Loop: x",), ("Edgefn-Shield: x",), ("X_Forwarded_For: 9.9.9.9",), ("X-Amz-Cf-Id: mine",),
    ("Authorization: Basic x",), ("Content-Length: 0",), ("Transfer-Encoding: chunked",),
)  # fmt: skip
HOSTS = (*["shop.test"] * 8, "SHOP.test", "shop.test:80", "other.test")
LAST = (  # before the last one, and with %b for a path; most are no requests
    b"",
    b"https\nGET %b HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"\rGET %b HTTP/1.1\r\nHost: shop.test\r\n\r\n",
    b"GET %b HTTP/1.1\nHost: shop.test\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\nHost: shop.test\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\nCookie : a\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\nX: a\0b\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\nX: a\rb\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\n folded: a\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\n" + b"A: b\r\n" * 255 + b"\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\n" + b"A: b\r\n" * 256 + b"\r\n",
    b"GET %b HTTP/1.1\r\nHost: shop.test\r\nX: " + b"a" * 32_768 + b"\r\n\r\n",
)
END = b"GET /end HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"


def answering(status: int, way: str, lines: tuple[str, ...]) -> Page:
    numbers = itertools.count()
    body = {"large": b"x" * 300_000, "empty": b""}.get(way, b"x" * 50)

    async def answer(conversation: Conversation, seen: SeenRequest) -> None:
        number, date = next(numbers), f"Date: {formatdate(usegmt=True)}"
        if seen.header("If-None-Match") == '"e"' and status == 200:
            await conversation.send(f'HTTP/1.1 304 Not Modified\r\n{date}\r\nETag: "e"\r\n\r\n'.encode())
            return
        told = [f"HTTP/1.1 {status} Said", *(date if line == DATE else line for line in lines)]
        told += {"closing": ["Connection: close"], "never the same": [f"Set-Cookie: n={number}"]}.get(way, [])
        told.append("Transfer-Encoding: chunked" if way == "chunked" else f"Content-Length: {len(body)}")
        head = "\r\n".join([*told, "", ""]).encode("latin-1")
        if way == "hinted":
            await conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        if seen.method == "HEAD":
            await conversation.send(head)
        elif way == "chunked":
            await conversation.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        elif way in {"in pieces", "large"}:
            await conversation.send(head, body[:10], body[10:])
        else:
            await conversation.send(head + body)
        if way == "closing":
            conversation.close()

    return answer


def pages() -> dict[str, Page]:
    each = itertools.product(ROUTES, WAYS, range(len(KINDS)), set(STATUSES))
    return {
        f"/{route}/{way.replace(' ', '-')}/{kind}/{status}": answering(status, way, KINDS[kind])
        for route, way, kind, status in each
    }


def path_of(dice: random.Random) -> str:
    way, kind, status = dice.choice(WAYS), dice.randrange(len(KINDS)), dice.choice(STATUSES)
    return f"/{dice.choice(ROUTES)}/{way.replace(' ', '-')}/{kind}/{status}"


def request(dice: random.Random, path: str, usual: Sequence[tuple[str, ...]]) -> bytes:
    (method,) = dice.choices(["GET", "HEAD", "POST", "OPTIONS"], [16, 2, 1, 1])
    (version,) = dice.choices(["1.1", "1.0"], [12, 1])
    (host,) = dice.choices(HOSTS)
    (before,) = dice.choices(["", f"http://{host}", "/", "/x/..%2f"], [40, 2, 1, 1])
    path += dice.choice(["", "", "", "?a=%20", "?a=1&b=2"])
    fields = [line for _ in range(dice.choice([0, 1, 1, 1, 2])) for line in dice.choice(usual)]
    framing = [line for line in fields if line.startswith(("Content-Length", "Transfer-Encoding"))]
    body = "3\r\nabc\r\n0\r\n\r\n" if framing and framing[0].startswith("T") else ""
    if method == "POST" and not framing:
        fields, body = [*fields, "Content-Length: 3"], "abc"
    fields += ["Connection: keep-alive"] if version == "1.0" else []
    lines = "\r\n".join([f"{method} {before}{path} HTTP/{version}", f"Host: {host}", *fields, "", ""])
    return ("\r\n" * dice.choice([0] * 20 + [1, 16]) + lines + body).encode("latin-1")


def requests(dice: random.Random) -> Iterator[bytes]:
    """Yield what one viewer sends: much of it more than once, and the rest not far from that."""
    paths, usual = [path_of(dice) for _ in range(2)], [(), *dice.sample(FIELDS, 5)]
    sent: list[bytes] = []
    for _ in range(50):
        comes_again = sent and dice.random() < 0.4
        sent.append(dice.choice(sent) if comes_again else request(dice, dice.choice(paths), usual))
    plain = b"GET %b HTTP/1.1\r\nHost: shop.test\r\n\r\n"
    path = dice.choice(paths).encode()
    yield from (*sent, *[plain % path] * 4)
    last = dice.choice(LAST)
    yield last % path if last else last
    yield END


def settled(data: bytes) -> str:
    """Return bytes without what differs from one run to the next."""
    text = re.sub(r"(X-Amz-Cf-Id: |Request ID: |Date: |Set-Cookie: n=)[^\r<]+", r"\1-", data.decode("latin-1"))
    return re.sub(r"(Age: |ttl=)-?\d+|127\.0\.0\.1:\d+|[0-9a-f]{32}", r"\1-", text)


async def told(seed: int, directory: Path) -> list[str]:
    """Return all that viewers and the origin got."""
    dice, heard = random.Random(seed), []
    async with Website(pages()) as site, Edge(CONFIG, directory, origin=site.address) as edge:
        host, port = edge.base.removeprefix("http://").split(":")
        for _ in range(8):
            reader, writer = await asyncio.open_connection(host, int(port))
            answers = asyncio.create_task(reader.read())
            for asked in requests(dice):
                writer.write(asked)
                if dice.random() < 0.3:  # else they are pipelined
                    await asyncio.sleep(0)
            async with asyncio.timeout(20):
                heard.append(settled(await answers))
            writer.close()
        return [*heard, *(settled(seen.head) for seen in site.requests)]


def without_repeats(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Repeats, "get", lambda self, block: None)


def without_relays(patch: pytest.MonkeyPatch) -> None:
    without_repeats(patch)
    patch.setattr(Relay, "start", lambda self, request, site, deliver: None)
    patch.setattr(Misses, "start", lambda self, request, site, deliver: None)


def without_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Site, "answer_now", lambda self, request, deliver: None)


@pytest.mark.parametrize(
    ("seed", "turn_off"), [*enumerate([without_repeats, *[without_relays] * 2, *[without_anything] * 2])]
)
async def test_whoever_takes_a_short_cut_gets_what_the_walk_gives(
    seed: int, turn_off: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await told(seed, tmp_path / "short")
    turn_off(monkeypatch)
    assert short == await told(seed, tmp_path / "walk")
