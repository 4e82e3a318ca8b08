"""Requests that come again to the letter, through the front door: answered at once, and no different for it."""

import asyncio
import itertools
import re
import ssl
from email.utils import formatdate
from pathlib import Path

import pytest

from edgefn.proxy.repeats import Repeats
from tests.fakes.certificates import write_certificate
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge
from tests.scenarios.kept_alive import connected

CONFIG = """
origins: {app: {url: "http://{origin}"}}
routes:
  - {path: /plain/*, origin: app, cache: {cache_status: false}}
  - {path: "*", origin: app}
"""
DATED = ("Cache-Control: max-age=600", f"Date: {formatdate(usegmt=True)}")


def settled(head: str) -> str:
    """Return a head without what differs from one hit to the next."""
    return re.sub(
        r"(X-Amz-Cf-Id: |Request ID: |Age: |ttl=|\bDate: )[^\r;<]+|127\.0\.0\.1:\d+|[0-9a-f]{32}", r"\1-", head
    )


REQUEST_FIELDS = (
    "A-IM", "Accept", "Accept-Charset", "Accept-Datetime", "Accept-Encoding", "Accept-Language", "Authorization",
    "Cache-Control", "CDN-Loop", "CloudFront-Viewer-Country", "Connection", "Content-Encoding", "Content-Length",
    "Content-Type", "Cookie", "Date", "DNT", "Early-Data", "Edgefn-Shield", "Expect", "Forwarded", "From", "If-Match",
    "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Max-Forwards", "Origin",
    "Pragma", "Prefer", "Priority", "Proxy-Authorization", "Proxy-Connection", "Range", "Referer", "Save-Data",
    "Sec-Fetch-Mode", "Sec-WebSocket-Key", "Surrogate-Capability", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    "Upgrade-Insecure-Requests", "User-Agent", "Via", "X-Amz-Cf-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Test",
    "X-HTTP-Method-Override",
)  # fmt: skip
VALUES = (
    "", "0", "1", "a, b", "no-cache", "max-age=0", "close", "host", "chunked", "websocket",
    "100-continue", "bytes=1-2", '"1"', "*", "Fri, 01 Jan 2100 00:00:00 GMT", "gzip;q=1",
)  # fmt: skip


LAST = b"GET /no HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
PAGES = {"/a": (), "/plain/a": (), "/by/coding": ("Vary: Accept-Encoding, Origin",), "/by/cookie": ("Vary: Cookie",)}


async def told_with_one_more_field(directory: Path) -> list[str]:
    """Return what each known request is answered with once there is another field in it."""
    config = CONFIG.replace("cache: {", "cache: {honour_request: true, ")
    pages = {path: page(200, b"hello", *DATED, 'ETag: "1"', *vary) for path, vary in PAGES.items()}
    told = []
    async with Website(pages) as site, Edge(config, directory, origin=site.address) as edge:
        for path in pages:
            async with connected(edge) as viewer:
                for _ in range(5):
                    await viewer.ask(path)
            for name, value in itertools.product(REQUEST_FIELDS, VALUES):
                asked = f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n{name.swapcase()}: {value}\r\n\r\n"
                answer = await edge.raw(
                    asked.encode() + b"GET /no HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
                )
                told.append(asked + settled(answer.decode("latin-1")))
    return told


async def test_a_field_that_is_new_in_a_known_request_changes_what_it_always_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await told_with_one_more_field(tmp_path / "known")
    monkeypatch.setattr(Repeats, "get", lambda self, block: None)
    unknown = await told_with_one_more_field(tmp_path / "unknown")
    assert [pair for pair in zip(known, unknown, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("path", ["/a", "/plain/a?b=c"])
async def test_answers_stay_the_same_from_the_second_on(path: str, tmp_path: Path, reads: list[bytes]) -> None:
    pages = {path.partition("?")[0]: page(200, b"hello", *DATED, 'ETag: "1"', "X-Note: a")}
    async with Website(pages) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        first, *hits = [await viewer.ask(path) for _ in range(6)]
        assert "X-Cache: Miss" in first[0]
        assert len({(settled(head), body) for head, body in hits}) == 1
        assert "X-Cache: Hit" in hits[-1][0]
        ids = {re.search(r"X-Amz-Cf-Id: (\S+)", head)[1] for head, _ in hits}  # type: ignore[index]
        assert len(ids) == 5
        assert len(reads) == 3, "one that went to the origin, and two out of memory; then it is known"
        lines = [await edge.log_line(name) for name in ids]
        assert len({re.sub(r"^\S+|\d+\.\dms|id=\S+", "", line) for line in lines}) == 1
        assert len(site.asked("/a" if path == "/a" else "/plain/a")) == 1


async def test_one_viewers_request_is_known_from_another(tmp_path: Path, reads: list[bytes]) -> None:
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge:
        for _ in range(3):
            async with connected(edge) as viewer:
                await viewer.ask("/a")
        async with connected(edge) as viewer:
            assert "X-Cache: Hit" in (await viewer.ask("/a"))[0]
            assert len(reads) == 3
            assert "X-Cache: Hit" in (await viewer.ask("/a", "User-Agent: other"))[0]
            assert len(reads) == 3, "what it says matters to nobody"
            assert "X-Cache: Hit" in (await viewer.ask("/a", "Accept-Encoding: gzip"))[0]
            assert len(reads) == 4


async def test_a_known_request_is_answered_in_its_turn(tmp_path: Path, reads: list[bytes]) -> None:
    pages = {"/a": page(200, b"a" * 30_000, *DATED), "/b": page(200, b"bb", "Cache-Control: no-store")}
    async with Website(pages) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for _ in range(3):
            await viewer.ask("/a")
        for _ in range(20):
            viewer.say("/a", times=3)
            viewer.say("/b")
        bodies = [(await viewer.hear())[1] for _ in range(80)]
        assert bodies == [b"a" * 30_000, b"a" * 30_000, b"a" * 30_000, b"bb"] * 20
        assert len(reads) == 23


async def test_a_purge_holds_for_known_requests(tmp_path: Path) -> None:
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for _ in range(5):
            await viewer.ask("/a")
        async with edge.session.post(f"{edge.base}/a", data=b"x", headers={"Host": "shop.test"}) as answer:
            assert answer.status == 200
        assert "X-Cache: Miss" in (await viewer.ask("/a"))[0]


async def test_a_new_configuration_holds_for_known_requests(tmp_path: Path) -> None:
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for _ in range(5):
            await viewer.ask("/a")
        edge.text = CONFIG.replace('path: "*", origin: app', 'path: "*", origin: app, cache: {cache_status: false}')
        await edge.location.reload()
        head, _ = await viewer.ask("/a")
        assert "X-Cache: Hit" in head
        assert "Cache-Status" not in head


async def test_whoever_wants_to_close_may(tmp_path: Path) -> None:
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(CONFIG, tmp_path, origin=site.address) as edge:
        for _ in range(5):
            answer = await edge.raw(b"GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            assert answer.endswith(b"Connection: close\r\n\r\nhello")


async def test_with_tls_the_same_bytes_are_another_request(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    listen = "listen: [127.0.0.1:0, {address: 127.0.0.1:0, certificates: [{certificate: %s, key: %s}]}]\n"
    config = "\n" + listen % (certificate, key) + CONFIG
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge:
        for base in edge.location.addresses:
            edge.base = base
            answers = [await edge.get("/a", Host="shop.test") for _ in range(5)]
            assert [answer.x_cache for answer in answers] == ["Miss", "Hit", "Hit", "Hit", "Hit"]
        assert len(site.asked("/a")) == 2


@pytest.mark.parametrize("scheme", [b"http\n", b"https\n", b"https\r\n"])
async def test_a_scheme_in_front_of_a_known_request_makes_it_none(scheme: bytes, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    listen = "listen: [127.0.0.1:0, {address: 127.0.0.1:0, certificates: [{certificate: %s, key: %s}]}]\n"
    config = "\n" + listen % (certificate, key) + CONFIG
    pages = {"/a": page(200, b"hello", *DATED)}
    known = b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"
    trusting = ssl.create_default_context(cafile=certificate)
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge:
        for base in edge.location.addresses:
            host, port = base.partition("://")[2].split(":")
            secure = trusting if base.startswith("https") else None
            name = None if secure is None else "localhost"
            reader, writer = await asyncio.open_connection(host, int(port), ssl=secure, server_hostname=name)
            writer.write(known * 6 + LAST)
            assert (await reader.read()).count(b"hello") == 6
            writer.close()
        answer = await edge.raw(scheme + known + LAST)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"hello" not in answer
