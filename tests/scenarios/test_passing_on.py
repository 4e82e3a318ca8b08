"""What neither a function nor the cache is to see: passed on without a detour, and with nothing left out."""

import asyncio
import logging
import re
from pathlib import Path

import pytest

from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge
from tests.scenarios.kept_alive import connected

CONFIG = """
origins: {app: {url: "http://{origin}", response_timeout: 1s, headers: {X-Secret: s3cr3t}}}
routes:
  - {path: /cached/*, origin: app}
  - {path: "*", origin: app, cache: {policy: CachingDisabled}}
"""
DATED = ("Date: Thu, 28 May 2026 20:26:40 GMT", "X-Note: a")


@pytest.fixture(params=["logged", "not logged"])
def config(request: pytest.FixtureRequest) -> str:
    """Without an access log, what comes again to the letter is passed on without being read."""
    return CONFIG if request.param == "logged" else CONFIG + "access_log: off\n"


def settled(text: str) -> str:
    return re.sub(r"(X-Amz-Cf-Id: )\S+", r"\1-", text)


async def test_requests_are_the_same_to_the_origin_and_answers_to_the_viewer(config: str, tmp_path: Path) -> None:
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        answers = [await viewer.ask("/a?b=c", "Cookie: d=e") for _ in range(6)]
        assert len({(settled(head), body) for head, body in answers}) == 1
        assert "X-Cache: Miss from cloudfront\r\n" in answers[5][0]
        assert "Cache-Status: edgefn; fwd=bypass; fwd-status=200; detail=policy-disabled\r\n" in answers[5][0]
        seen = site.asked("/a")
        assert len({settled(each.head.decode()) for each in seen}) == 1
        assert seen[5].header("X-Secret") == "s3cr3t"
        assert len({each.connection for each in seen}) == 1
        ids = {head.split("X-Amz-Cf-Id: ")[1].split("\r\n")[0] for head, _ in answers}
        assert ids == {each.header("X-Amz-Cf-Id") for each in seen}
        if config != CONFIG:
            return
        lines = [await edge.log_line(name) for name in ids]
        assert all("origin=app/200/" in line and "cache=policy-disabled" in line for line in lines)


async def test_requests_are_known_though_the_origin_always_says_the_same(tmp_path: Path, reads: list[bytes]) -> None:
    config, pages = CONFIG + "access_log: off\n", {f"/{name}": page(200, b"hello", *DATED) for name in "abc"}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for path in [*pages] * 6:
            assert (await viewer.ask(path))[1] == b"hello"
        assert len(site.requests) == 18
    assert len(reads) < 12


async def test_other_targets_fields_and_methods_are_passed_as_they_are(config: str, tmp_path: Path) -> None:
    async with Website() as site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for number in range(4):
            assert (await viewer.ask(f"/{number}?q=%20{number}"))[1] == f"/{number}?q=%20{number}".encode()
            assert (await viewer.ask("/field", f"X-Number: {number}"))[1] == b"/field"
            head, body = await viewer.ask("/head", method="HEAD")
            assert (body, "Content-Length: 5\r\n" in head) == (b"", True)
            assert (await viewer.ask("/post", "Content-Length: 0", method="POST"))[1] == b"/post"
        assert [seen.header("X-Number") for seen in site.asked("/field")] == ["0", "1", "2", "3"]
        assert [seen.method for seen in site.asked("/head")] == ["HEAD"] * 4
        assert [seen.method for seen in site.asked("/post")] == ["POST"] * 4


async def test_pipelined_requests_are_answered_in_their_order(config: str, tmp_path: Path) -> None:
    pages = {"/cached/a": page(200, b"cached", "Cache-Control: max-age=60")}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for _ in range(50):
            viewer.say("/one", times=2)
            viewer.say("/cached/a")
        bodies = [(await viewer.hear())[1] for _ in range(150)]
        assert bodies == [b"/one", b"/one", b"cached"] * 50


async def test_what_comes_in_pieces_goes_on_in_pieces(config: str, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slowly(conversation: Conversation, seen: SeenRequest) -> None:
        await conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await go_on.wait()
        go_on.clear()
        await conversation.send(b"world")

    site = Website({"/slow": slowly})
    async with site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        await viewer.ask("/a")  # a connection lies ready now
        for _ in range(3):
            viewer.say("/slow")
            async with asyncio.timeout(10):
                hints = await viewer.reader.readuntil(b"\r\n\r\n")
                assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                assert b"Content-Length: 10\r\n" in await viewer.reader.readuntil(b"hello")
                go_on.set()
                assert await viewer.reader.readexactly(5) == b"world"


async def test_chunks_and_endless_bodies_arrive_whole(config: str, tmp_path: Path) -> None:
    async def chunked(conversation: Conversation, seen: SeenRequest) -> None:
        size = int(seen.target.partition("?")[2])
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        await conversation.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))

    async with Website({"/chunked": chunked}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        for size in (3, 5, 3, 70_000, 5):  # the same head for all
            answer = await edge.get(f"/chunked?{size}")
            assert (answer.status, answer.body) == (200, b"x" * size)


async def test_a_connection_that_the_origin_has_closed_costs_nothing(config: str, tmp_path: Path) -> None:
    async def once(conversation: Conversation) -> None:
        if await conversation.request() is not None:
            await conversation.send(page(200, b"hello"))
            await conversation.head()  # the next request comes, and is not heard
            conversation.reset()

    async with ScriptedOrigin(once) as origin, Edge(config, tmp_path, origin=origin.address) as edge:
        answers = [await edge.get("/a") for _ in range(5)]
        assert [(answer.status, answer.text) for answer in answers] == [(200, "hello")] * 5
        if config == CONFIG:
            assert "origin=app/OriginCommError/" in await edge.log_line(answers[1]["X-Amz-Cf-Id"])


async def test_an_origin_that_breaks_or_is_silent_is_told_as_such(config: str, tmp_path: Path) -> None:
    async def broken(conversation: Conversation, seen: SeenRequest) -> None:
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")

    async def silent(conversation: Conversation, seen: SeenRequest) -> None:
        await conversation.stall()

    site = Website({"/broken": broken, "/silent": silent})
    async with site, Edge(config, tmp_path, origin=site.address) as edge:
        for _ in range(4):
            await edge.get("/a")
            answer = await edge.get("/broken")
            assert (answer.status, answer.x_cache) == (502, "Error")
            if config == CONFIG:
                assert "OriginInvalidResponseError" in await edge.log_line(answer["X-Amz-Cf-Id"])
        await edge.get("/a")
        answer = await edge.get("/silent")
        assert (answer.status, answer.x_cache) == (504, "Error")
        assert len(site.asked("/silent")) == 1, "not sent again"


async def test_a_viewer_that_leaves_takes_its_request_along(
    config: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def waits(conversation: Conversation, seen: SeenRequest) -> None:
        arrived.set()
        await conversation.stall()
        left.set()

    caplog.set_level(logging.WARNING)
    async with Website({"/waits": waits}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        async with connected(edge) as viewer:
            await viewer.ask("/a")
            viewer.say("/waits")
            await arrived.wait()
            viewer.reset()
            async with asyncio.timeout(10):
                await left.wait()
        assert (await edge.get("/a")).status == 200
    assert caplog.records == []


async def test_an_error_of_the_origin_is_one_to_the_viewer(config: str, tmp_path: Path) -> None:
    async with Website({"/sad": page(503, b"sad")}) as site, Edge(config, tmp_path, origin=site.address) as edge:
        answers = [await edge.get("/sad") for _ in range(4)]
        assert [(answer.status, answer.text, answer.x_cache) for answer in answers] == [(503, "sad", "Error")] * 4


async def test_an_error_page_stands_in_all_the_same(config: str, tmp_path: Path) -> None:
    config += "error_pages: {503: /sorry}\n"
    pages = {"/sad": page(503, b"sad"), "/sorry": page(200, b"sorry")}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge:
        assert [(await edge.get("/sad")).text for _ in range(4)] == ["sorry"] * 4


async def test_a_location_that_ends_answers_what_it_has_passed_on(config: str, tmp_path: Path) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def waits(conversation: Conversation, seen: SeenRequest) -> None:
        arrived.set()
        await go_on.wait()
        await conversation.send(page(200, b"late"))

    async with Website({"/waits": waits}) as site:
        edge = Edge(config, tmp_path, origin=site.address)
        await edge.__aenter__()
        async with connected(edge) as viewer:
            await viewer.ask("/a")
            viewer.say("/waits")
            await arrived.wait()
            ending = asyncio.create_task(edge.__aexit__(None, None, None))
            await asyncio.sleep(0)
            go_on.set()
            _, body = await viewer.hear()
            assert body == b"late"
            await ending


async def test_whoever_wants_to_close_or_speaks_the_old_protocol_may(config: str, tmp_path: Path) -> None:
    pages = {"/a": page(200, b"hello", *DATED)}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge:
        for _ in range(4):
            assert (await edge.get("/a")).text == "hello"
        for _ in range(3):
            answer = await edge.raw(b"GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            assert answer.endswith(b"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            answer = await edge.raw(b"GET /a HTTP/1.0\r\nHost: shop.test\r\n\r\n")
            assert answer.endswith(b"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")


async def test_what_was_answered_before_may_fail_late_or_come_in_pieces(config: str, tmp_path: Path) -> None:
    dated = page(200, b"hello", *DATED)

    async def in_turn(conversation: Conversation, seen: SeenRequest) -> None:
        asked.append(seen)
        match len(asked):
            case 5:
                await conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", dated)
            case 6:
                await conversation.send(dated[:-3], dated[-3:])
            case 7:
                await conversation.send(page(404, b"gone", *DATED))
            case 8:
                await conversation.send(b"nonsense\r\n\r\n")
            case _:
                await conversation.send(dated)

    asked: list[SeenRequest] = []
    site = Website({"/a": in_turn})
    async with site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for number in range(1, 10):
            viewer.say("/a")
            if number == 5:
                async with asyncio.timeout(10):
                    hints = await viewer.reader.readuntil(b"\r\n\r\n")
                assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
            head, body = await viewer.hear()
            status = {7: 404, 8: 502}.get(number, 200)
            assert head.startswith(f"HTTP/1.1 {status} ")
            assert number == 8 or body == (b"gone" if number == 7 else b"hello")
    assert len({settled(seen.head.decode()) for seen in asked}) == 1
    assert len({seen.header("X-Amz-Cf-Id") for seen in asked}) == 9


async def test_a_viewer_of_the_old_protocol_that_comes_again_is_told_that_its_connection_lives(
    config: str, tmp_path: Path
) -> None:
    asked = b"GET %b HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n\r\n"
    pages = {path: page(200, b"hello", "Cache-Control: max-age=60", *DATED) for path in ("/a", "/cached/a")}
    async with Website(pages) as site, Edge(config, tmp_path, origin=site.address) as edge, connected(edge) as viewer:
        for path in (b"/a", b"/cached/a"):
            for _ in range(6):
                viewer.writer.write(asked % path)
                head, body = await viewer.hear()
                assert head.endswith("\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n")
                assert body == b"hello"
