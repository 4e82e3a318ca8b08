"""The short cuts past the walk, held against the walk: the same bytes in, the same bytes to viewers and the origin."""

import asyncio
import itertools
import random
import re
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from edgefn.proxy.misses import Misses
from edgefn.proxy.relay import Relay
from edgefn.proxy.repeats import Repeats
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
  - {path: "*", origin: app}
"""
DATE = f"Date: {formatdate(usegmt=True)}"
KINDS = (
    (DATE, "Cache-Control: max-age=600", 'ETag: "e"', "Content-Type: text/plain"),
    ("Cache-Control: no-store",),
    (DATE, "Cache-Control: max-age=600", "Vary: X-Variant"),
    (DATE, "Cache-Control: no-cache", 'ETag: "e"'),
)
WAYS = ("whole", "chunked", "hinted", "in pieces", "closing", "never the same")
FIELDS = {
    (): 10, ("X-Variant: 1",): 3, ("X-Variant: 2",): 3, ("Cookie: a=b",): 2, ("Cookie: a=c", "X-Any: 1"): 3,
    ("Accept-Encoding: gzip",): 2,
    ("Range: bytes=2-5",): 1, ('If-None-Match: "e"',): 1, ("Cache-Control: no-cache",): 1, ("Via: 1.1 fred",): 1,
}  # fmt: skip


def answering(status: int, way: str, lines: tuple[str, ...]) -> Page:
    numbers = itertools.count()

    async def answer(conversation: Conversation, seen: SeenRequest) -> None:
        body = b"x" * 50
        if seen.header("If-None-Match") == '"e"' and status == 200:
            await conversation.send(f'HTTP/1.1 304 Not Modified\r\n{DATE}\r\nETag: "e"\r\n\r\n'.encode())
            return
        told = [f"HTTP/1.1 {status} Said", *lines]
        told += {"closing": ["Connection: close"], "never the same": [f"Set-Cookie: n={next(numbers)}"]}.get(way, [])
        told.append("Transfer-Encoding: chunked" if way == "chunked" else f"Content-Length: {len(body)}")
        head = "\r\n".join([*told, "", ""]).encode()
        if way == "hinted":
            await conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        if seen.method == "HEAD":
            await conversation.send(head)
        elif way == "chunked":
            await conversation.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        elif way == "in pieces":
            await conversation.send(head, body[:10], body[10:])
        else:
            await conversation.send(head + body)
        if way == "closing":
            conversation.close()

    return answer


def pages() -> dict[str, Page]:
    each = itertools.product(("passed", "told", "packed", "cached"), WAYS, range(len(KINDS)), (200, 404, 503))
    return {
        f"/{route}/{way.replace(' ', '-')}/{kind}/{status}": answering(status, way, KINDS[kind])
        for route, way, kind, status in each
    }


def requests(dice: random.Random, paths: list[str]) -> Iterator[bytes]:
    few = dice.sample(paths, 6)
    for _ in range(60):
        (method,) = dice.choices(["GET", "HEAD", "POST"], [10, 2, 1])
        (version,) = dice.choices(["1.1", "1.0"], [12, 1])
        (fields,) = dice.choices(list(FIELDS), list(FIELDS.values()))
        lines = [
            f"{method} {dice.choice(few)}{dice.choice(['', '', '?a=%20'])} HTTP/{version}",
            "Host: shop.test",
            *fields,
        ]
        lines += ["Content-Length: 0"] if method == "POST" else []
        lines += ["Connection: keep-alive"] if version == "1.0" else []
        yield "\r\n".join([*lines, "", ""]).encode()
    yield b"GET /end HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"


def settled(data: bytes) -> str:
    """Return bytes without what differs from one run to the next."""
    text = re.sub(r"(X-Amz-Cf-Id: |Date: |Set-Cookie: n=)[^\r]+", r"\1-", data.decode("latin-1"))
    return re.sub(r"(Age: |ttl=)-?\d+|127\.0\.0\.1:\d+|[0-9a-f]{32}", r"\1-", text)


async def told(seed: int, directory: Path) -> list[str]:
    """Return all that viewers and the origin got."""
    dice, heard = random.Random(seed), []
    async with Website(pages()) as site, Edge(CONFIG, directory, origin=site.address) as edge:
        host, port = edge.base.removeprefix("http://").split(":")
        for _ in range(4):
            reader, writer = await asyncio.open_connection(host, int(port))
            for request in requests(dice, sorted(pages())):
                writer.write(request)
                if dice.random() < 0.3:  # else they are pipelined
                    await asyncio.sleep(0)
            async with asyncio.timeout(20):
                heard.append(settled(await reader.read()))
            writer.close()
        return [*heard, *(settled(seen.head) for seen in site.requests)]


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_takes_a_short_cut_gets_what_the_walk_gives(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await told(seed, tmp_path / "short")
    monkeypatch.setattr(Repeats, "get", lambda self, block: None)
    monkeypatch.setattr(Relay, "start", lambda self, request, site, deliver: None)
    monkeypatch.setattr(Misses, "start", lambda self, request, site, deliver: None)
    assert short == await told(seed, tmp_path / "walk")
