"""Misses that go to the origin and into the store without a detour: nothing is left out on the short way."""

import asyncio
import itertools
import re
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge
from tests.scenarios.kept_alive import connected

CONFIG = """
origins: {app: {url: "http://{origin}", headers: {X-Secret: s3cr3t}}}
routes:
  - {path: /forgiving/*, origin: app, cache: {error_ttl: {502: 60s}}}
  - {path: "*", origin: app}
"""
DISK = "cache: {memory: 4MB, disk: 64MB}\n"
FRESH = "Cache-Control: max-age=60"
PATIENCE = 10.0
SHOP = "shop.test"  # as a viewer that is `connected` says


@pytest.fixture(params=["in memory", "with a disk"])
def config(request: pytest.FixtureRequest) -> str:
    return CONFIG + (DISK if request.param == "with a disk" else "")


def settled(text: str) -> str:
    return re.sub(r"(X-Amz-Cf-Id: )\S+", r"\1-", re.sub(r"/page\d", "/page", text))


async def test_the_first_miss_and_the_next_ones_are_the_same_to_origin_and_viewer(config: str, tmp_path: Path) -> None:
    """The first one has to wait for a connection, and goes the long way."""
    dated = f"Date: {formatdate(usegmt=True)}"
    pages = {f"/page{number}": page(200, b"hello", FRESH, dated, 'ETag: "x"') for number in range(6)}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        answers = [await viewer.ask(path, "Cookie: d=e") for path in pages]
        assert len({(settled(head), body) for head, body in answers}) == 1
        assert "X-Cache: Miss from cloudfront\r\n" in answers[5][0]
        assert "Cache-Status: edgefn; fwd=uri-miss; fwd-status=200; stored\r\n" in answers[5][0]
        seen = [site.asked(path)[0] for path in pages]
        assert len({settled(each.head.decode()) for each in seen}) == 1
        assert (seen[5].header("X-Secret"), len({each.connection for each in seen})) == ("s3cr3t", 1)
        for path, (head, _) in zip(pages, answers, strict=True):
            line = await edge.log_line(head.split("X-Amz-Cf-Id: ")[1].split("\r\n")[0])
            assert "origin=app/200/" in line
            assert "cache=stored" in line
            assert "X-Cache: Hit from cloudfront\r\n" in (await viewer.ask(path))[0]
            assert len(site.asked(path)) == 1


@pytest.mark.parametrize(
    ("answer", "x_cache", "detail"),
    [
        (page(200, b"x", "Cache-Control: private"), "Miss", "private"),
        (page(200, b"x"), "Miss", "no-explicit-freshness"),
        (page(503, b"x", "Cache-Control: no-store"), "Error", "no-store"),
        (page(200, b"x", FRESH, "Vary: *"), "Miss", "vary-any"),
    ],
)
async def test_what_may_not_be_stored_is_not(
    config: str, tmp_path: Path, answer: bytes, x_cache: str, detail: str
) -> None:
    async with Website({"/a": answer}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        for number in range(1, 4):
            got = await edge.get("/a")
            assert (got.text, got.x_cache) == ("x", x_cache)
            assert got["Cache-Status"].endswith(f"; detail={detail}")
            assert len(site.asked("/a")) == number


async def test_what_was_for_the_first_viewer_alone_stays_with_it(tmp_path: Path) -> None:
    """Also where the origin says an Age, as one behind a cache of its own does, so that its answer looks like a hit."""
    sessions = itertools.count()
    private = (FRESH, 'Cache-Control: private="set-cookie"', f"Date: {formatdate(usegmt=True)}", "Age: 0")

    async def answer(conversation: Conversation, seen: SeenRequest) -> None:
        await conversation.send(page(200, b"hello", *private, f"Set-Cookie: session={next(sessions)}"))

    config = CONFIG.replace('path: "*", origin: app', 'path: "*", origin: app, cache: {cache_status: false}')
    async with (
        Website({"/a": answer}) as site,
        Edge(config, tmp_path, origin=site.address) as edge,
        connected(edge) as first,
        connected(edge) as second,
    ):
        for _ in range(3):
            assert "X-Cache: Miss" in (await first.ask("/a"))[0]
            await first.ask("/a", "Content-Length: 0", method="POST")
        assert "Set-Cookie: session=" in (await first.ask("/a"))[0]
        for viewer in (second, first):
            head, _ = await viewer.ask("/a")
            assert "X-Cache: Hit" in head
            assert "Set-Cookie" not in head


async def test_who_asks_for_the_same_meanwhile_waits_and_takes_over_when_the_first_one_leaves(
    config: str, tmp_path: Path
) -> None:
    arrived, go_on = asyncio.Queue[None](), asyncio.Event()

    async def slowly(conversation: Conversation, seen: SeenRequest) -> None:
        arrived.put_nowait(None)
        if await conversation.hold(go_on):
            await conversation.send(page(200, b"late", FRESH))

    async with Website({"/slow": slowly}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        async with connected(edge) as first:
            await first.ask("/a")  # a connection lies ready now
            first.say("/slow")
            await arrived.get()
            others = [asyncio.create_task(edge.get("/slow", Host=SHOP)) for _ in range(3)]
            await edge.get("/b")
            assert len(site.asked("/slow")) == 1
            first.reset()
            async with asyncio.timeout(PATIENCE):
                await arrived.get()
        go_on.set()
        answers = [await other for other in others]
        assert [answer.text for answer in answers] == ["late"] * 3
        assert sum("fwd-status=200; stored" in answer["Cache-Status"] for answer in answers) == 1
        assert len(site.asked("/slow")) == 2


async def test_a_connection_that_the_origin_has_closed_costs_nothing(config: str, tmp_path: Path) -> None:
    async def once(conversation: Conversation) -> None:
        if await conversation.request() is not None:
            await conversation.send(page(200, b"hello", FRESH))
            await conversation.head()  # the next request comes, and is not heard
            conversation.reset()

    async with ScriptedOrigin(once) as origin, Edge(config, tmp_path, origin=origin.address) as edge:
        answers = [await edge.get(f"/{number}") for number in range(5)]
        assert [(answer.status, answer.text, answer.x_cache) for answer in answers] == [(200, "hello", "Miss")] * 5
        assert [(await edge.get(f"/{number}")).x_cache for number in range(5)] == ["Hit"] * 5


async def test_failures_are_told_and_remembered_where_the_route_says_so(config: str, tmp_path: Path) -> None:
    async def broken(conversation: Conversation, seen: SeenRequest) -> None:
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")

    site = Website({"/broken": broken, "/forgiving/broken": broken})
    async with site, Edge(config, tmp_path, origin=site.address) as edge:
        for path, asked in (("/broken", 3), ("/forgiving/broken", 1)):
            for _ in range(3):
                await edge.get(f"/a?{len(site.asked('/a'))}")
                answer = await edge.get(path)
                assert (answer.status, answer.x_cache) == (502, "Error")
            assert len(site.asked(path)) == asked


async def test_a_viewer_that_leaves_is_no_failure_of_the_origin(config: str, tmp_path: Path) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def waits_once(conversation: Conversation, seen: SeenRequest) -> None:
        if arrived.is_set():
            await conversation.send(page(200, b"now"))
        arrived.set()
        await conversation.stall()
        left.set()

    async with Website({"/forgiving/a": waits_once}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        async with connected(edge) as viewer:
            await viewer.ask("/a")
            viewer.say("/forgiving/a")
            await arrived.wait()
            viewer.reset()
            async with asyncio.timeout(PATIENCE):
                await left.wait()
        assert (await edge.get("/forgiving/a", Host=SHOP)).text == "now"


async def test_what_is_changed_while_it_is_fetched_is_not_stored(config: str, tmp_path: Path) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(conversation: Conversation, seen: SeenRequest) -> None:
        if seen.method == "GET" and not go_on.is_set():
            arrived.set()
            await go_on.wait()
        await conversation.send(page(200, seen.method.encode(), FRESH))

    async with Website({"/a": slowly}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        async with connected(edge) as viewer:
            await viewer.ask("/b")
            viewer.say("/a")
            await arrived.wait()
            assert (await edge.ask("POST", "/a", headers={"Host": SHOP})).text == "POST"
            go_on.set()
            head, _ = await viewer.hear()
            assert "detail=invalidated-meanwhile" in head
        assert (await edge.get("/a", Host=SHOP)).x_cache == "Miss"


async def test_what_comes_in_pieces_goes_on_in_pieces_and_is_stored_at_its_end(config: str, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def in_pieces(conversation: Conversation, seen: SeenRequest) -> None:
        await conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        await conversation.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: 10\r\n\r\nhello".encode())
        await go_on.wait()
        await conversation.send(b"world")

    site = Website({"/slow": in_pieces})
    async with site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        await viewer.ask("/a")
        viewer.say("/slow")
        async with asyncio.timeout(PATIENCE):
            hints = await viewer.reader.readuntil(b"\r\n\r\n")
            assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
            assert b"Content-Length: 10\r\n" in await viewer.reader.readuntil(b"hello")
            go_on.set()
            assert await viewer.reader.readexactly(5) == b"world"
        answer = await edge.get("/slow", Host=SHOP)
        assert (answer.text, answer.x_cache) == ("helloworld", "Hit")
