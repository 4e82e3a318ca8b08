"""The cache through the front door: bytes on the wire, validations, stale answers, and the end of a location."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard

from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

PLAIN = """
origins: {app: {url: "http://{origin}"}}
routes:
  - {path: /html/*, origin: app, cache: {compress: true}}
  - {path: /wishes/*, origin: app, cache: {honour_request: true, cache_status: false}}
  - {path: "*", origin: app}
"""
BEHIND = "Cache-Control: max-age=0, stale-while-revalidate=600"


def confirming(content: bytes, *lines: str):
    """Return a page that says 304 to whoever has it."""

    async def answer(conversation: Conversation, seen: SeenRequest) -> None:
        known = seen.header("If-None-Match") == '"x"'
        await conversation.send(page(304, b"", *lines) if known else page(200, content, *lines))

    return answer


async def test_a_stored_page_is_validated_and_comes_back_whole(tmp_path: Path) -> None:
    pages = {"/a": confirming(b"hello", 'ETag: "x"', "Cache-Control: no-cache")}
    async with Website(pages) as site, Edge(PLAIN, tmp_path, origin=site.address) as edge:
        first, second = await edge.get("/a"), await edge.get("/a")
        third = await edge.get("/a", If_None_Match='"x"')
        assert [answer.x_cache for answer in (first, second, third)] == ["Miss", "RefreshHit", "RefreshHit"]
        assert [(answer.status, answer.text) for answer in (first, second, third)] == [
            (200, "hello"), (200, "hello"), (304, ""),
        ]  # fmt: skip
        assert first["Cache-Status"] == "edgefn; fwd=uri-miss; fwd-status=200; stored"
        assert second["Cache-Status"] == "edgefn; fwd=stale; fwd-status=304"
        assert [seen.header("If-None-Match") for seen in site.asked("/a")] == [None, '"x"', '"x"']
        assert "cache=validated" in await edge.log_line(second["X-Amz-Cf-Id"])


async def test_parts_come_from_the_whole(tmp_path: Path) -> None:
    pages = {"/a": page(200, b"0123456789", "Cache-Control: max-age=60", "Accept-Ranges: bytes")}
    async with Website(pages) as site, Edge(PLAIN, tmp_path, origin=site.address) as edge:
        await edge.get("/a")
        part, beyond = await edge.get("/a", Range="bytes=2-4"), await edge.get("/a", Range="bytes=10-")
        assert (part.status, part.reason, part.text) == (206, "Partial Content", "234")
        assert (part["Content-Range"], part["Content-Length"], part.x_cache) == ("bytes 2-4/10", "3", "Hit")
        assert (beyond.status, beyond.text, beyond["Content-Range"]) == (416, "", "bytes */10")
        assert len(site.asked("/a")) == 1


async def test_when_the_origin_is_gone_the_stale_page_stands_in(tmp_path: Path) -> None:
    pages = {"/a": page(200, b"old", "Cache-Control: max-age=0, stale-if-error=600"), "/b": page(200, b"b", BEHIND)}
    async with Website(pages) as site:
        edge = Edge(PLAIN, tmp_path, origin=site.address)
        await edge.__aenter__()
        try:
            await edge.get("/a")
            await site.__aexit__(None, None, None)
            answer = await edge.get("/a")
            unknown = await edge.get("/c")
        finally:
            await edge.__aexit__(None, None, None)
    assert (answer.status, answer.text, answer.x_cache) == (200, "old", "Hit")
    assert (unknown.status, unknown.x_cache, unknown.get("Cache-Status")) == (502, "Error", None)


async def test_a_location_ends_with_what_it_validates_behind_its_viewers(tmp_path: Path) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, seen: SeenRequest) -> None:
        if len(site.asked("/a")) > 1:
            begun.set()
            await never.wait()
        await conversation.send(page(200, b"old", BEHIND))

    async with Website({"/a": slow}) as site:
        async with asyncio.timeout(10):
            async with Edge(PLAIN, tmp_path, origin=site.address) as edge:
                await edge.get("/a")
                assert (await edge.get("/a")).text == "old"
                await begun.wait()
        assert len(site.asked("/a")) == 2
        never.set()


async def test_a_page_is_compressed_on_its_way_in(tmp_path: Path) -> None:
    content = b"<p>hello</p>" * 200
    pages = {"/html/a": page(200, content, "Content-Type: text/html", "Cache-Control: max-age=60", 'ETag: "x"')}
    async with Website(pages) as site, Edge(PLAIN, tmp_path, origin=site.address) as edge:
        answers = [await edge.get("/html/a", Accept_Encoding="gzip, br") for _ in range(2)]
        plain = await edge.get("/html/a", Accept_Encoding="identity")
        assert [answer.x_cache for answer in answers] == ["Miss", "Hit"]
        assert answers[0].body == answers[1].body
        assert len(answers[0].body) < 200
        assert {(answer["Content-Encoding"], answer["ETag"]) for answer in answers} == {("gzip", 'W/"x"')}
        assert answers[1]["Content-Length"] == str(len(answers[1].body))
        assert (plain.body, plain["ETag"], plain.get("Content-Encoding")) == (content, '"x"', None)
        assert [seen.header("Accept-Encoding") for seen in site.asked("/html/a")] == ["gzip", "identity"]


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
PACKED = """
origins: {app: {url: "http://{origin}"}}
routes: [{path: "*", origin: app, cache: {compress: true, key: {encodings: [br, zstd, gzip]}}}]
"""


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [2_000, 900_000])
async def test_each_coding_can_be_read_whole_and_in_ranges(tmp_path: Path, coding: str, size: int) -> None:
    content = b"".join(b"%d apples, " % number for number in range(size // 8))[:size]
    pages = {"/a": page(200, content, "Content-Type: text/html", "Cache-Control: max-age=60", 'ETag: "x"')}
    async with Website(pages) as site, Edge(PACKED, tmp_path, origin=site.address) as edge:
        first, second = [await edge.get("/a", Accept_Encoding=coding) for _ in range(2)]
        assert [first.x_cache, second.x_cache] == ["Miss", "Hit"]
        assert (first["Content-Encoding"], first["ETag"], first["Vary"]) == (coding, 'W/"x"', "Accept-Encoding")
        assert CODINGS[coding](first.body) == CODINGS[coding](second.body) == content
        assert len(first.body) < size / 2
        part = await edge.get("/a", Accept_Encoding=coding, Range="bytes=10-19")
        assert (part.status, part.body) == (206, first.body[10:20])
        plain = await edge.get("/a", Accept_Encoding="identity")
        assert (plain.body, plain.get("Content-Encoding"), plain["Vary"]) == (content, None, "Accept-Encoding")


async def test_a_viewer_that_wants_nothing_but_what_is_stored_gets_a_504(tmp_path: Path) -> None:
    async with Website() as site, Edge(PLAIN, tmp_path, origin=site.address) as edge:
        answer = await edge.get("/wishes/a", Cache_Control="only-if-cached")
        assert (answer.status, answer.x_cache, answer.get("Cache-Status")) == (504, "Error", None)
        assert (await edge.get("/wishes/a")).get("Cache-Status") is None
        assert len(site.asked("/wishes/a")) == 1


ERRORS = """
origins: {app: {url: "http://{origin}"}}
error_pages: {404: {path: /sorry.html, ttl: 1m}, 503: {path: /sorry.html, ttl: 0}}
routes:
  - {path: /aws/*, origin: app, cache: {policy: CachingOptimized}}
  - {path: /never/*, origin: app, cache: {max_ttl: 0}}
  - {path: "*", origin: app}
"""


async def test_errors_are_kept_for_as_long_as_their_page_says(tmp_path: Path) -> None:
    pages = {name: page(404, b"no") for name in ("/a", "/aws/a", "/never/a")}
    pages |= {name: page(503, b"no") for name in ("/b", "/aws/b")}
    async with Website(pages) as site, Edge(ERRORS, tmp_path, origin=site.address) as edge:
        for path in pages:
            answers = [await edge.get(path) for _ in range(2)]
            assert {(answer.text, answer.x_cache) for answer in answers} == {("/sorry.html", "Error")}
        asked = [len(site.asked(path)) for path in ("/a", "/aws/a", "/never/a", "/b", "/aws/b")]
        assert asked == [1, 1, 2, 2, 1]
