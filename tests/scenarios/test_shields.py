"""Edges that ask other locations before the origins: what runs where, and what happens when a shield is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edgefn.model.errors import SettingsError
from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Answer, Edge

FRESH = "Cache-Control: max-age=60"
FUNCTIONS = """
origins: {app: {url: "http://{app}"}}
functions:
  rewriting: {path: rewriting.js, runtime: js, handler: rewriting.handler}
  telling: {path: telling.js, runtime: js, handler: telling.handler}
  refusing: {path: refusing.js, runtime: js, handler: refusing.handler}
routes:
  - {path: /old/*, origin: app, hooks: {viewer-request: rewriting, origin-request: telling}}
  - {path: /refused/*, origin: app, hooks: {origin-response: refusing}}
  - {path: "*", origin: app}
"""
REWRITING = """
exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  request.uri = request.uri.replace('/old/', '/new/');
  return request;
};
"""
TELLING = """
exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  if (request.querystring === 'break') throw new Error('broken');
  request.headers['x-seen-by'] = [{ value: `${request.clientIp} ${request.origin.custom.domainName}` }];
  return request;
};
"""
REFUSING = """
exports.handler = async (event) => {
  if (event.Records[0].cf.request.method !== 'GET') throw new Error('broken');
  return event.Records[0].cf.response;
};
"""


class Pair:
    """An edge, its shield, and the site behind both."""

    def __init__(self, edge: Edge, shield: Edge, site: Website) -> None:
        self.edge, self.shield, self.site = edge, shield, site

    async def runs(self, answer: Answer) -> tuple[list[str], bool]:
        """Return the hooks that ran at the edge for an answer, and whether the shield was asked."""
        line = await self.edge.log_line(answer["X-Amz-Cf-Id"])
        return await self.edge.hooks_run(answer), f"origin={self.shield.base}/" in line


@asynccontextmanager
async def pair(tmp_path: Path, pages: dict[str, object]) -> AsyncIterator[Pair]:
    places = {name: tmp_path / name for name in ("edge", "shield")}
    for place in places.values():
        place.mkdir()
        (place / "rewriting.js").write_text(REWRITING)
        (place / "telling.js").write_text(TELLING)
        (place / "refusing.js").write_text(REFUSING)
        (place / "key").write_text("0123456789abcdef" * 2)
    async with (
        Website(pages) as site,
        Edge(FUNCTIONS + "shield: {secret: key}", places["shield"], app=site.address) as shield,
        Edge(
            f"location: ams1\nshield: {{secret: key, locations: [{shield.base}]}}" + FUNCTIONS,
            places["edge"],
            app=site.address,
        ) as edge,
    ):
        yield Pair(edge, shield, site)


async def test_viewer_functions_run_at_the_edge_and_origin_functions_at_the_shield(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/new/a": page(200, b"hello", FRESH)}) as on:
        answer = await on.edge.get("/old/a")
        assert (answer.status, answer.text, answer.x_cache) == (200, "hello", "Miss")
        assert await on.runs(answer) == (["viewer-request"], True)
        (seen,) = on.site.asked("/new/a")
        assert seen.header("X-Seen-By") == "127.0.0.1 127.0.0.1"
        assert seen.header("Edgefn-Shield") is None
        assert len((seen.header("Via") or "").split(",")) == 2
        assert answer.all("Cache-Status") == ["edgefn; fwd=uri-miss; fwd-status=200; stored"] * 2
        assert (await on.edge.get("/old/a")).x_cache == "Hit"


async def test_a_shield_is_a_step_of_its_own(tmp_path: Path) -> None:
    async with pair(tmp_path, {}) as on:
        assert (await on.edge.ask("OPTIONS", "/a", headers={"Max-Forwards": "2"})).status == 200
        assert [seen.header("Max-Forwards") for seen in on.site.requests] == ["0"]
        answer = await on.edge.ask("OPTIONS", "/a", headers={"Max-Forwards": "1"})
        assert (answer.status, (answer.get("Allow") or "")[:4], len(on.site.requests)) == (200, "GET,", 1)


async def test_what_the_shield_has_needs_no_origin(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/a": page(200, b"hello", FRESH, 'ETag: "1"')}) as on:
        assert (await on.shield.get("/a", Host="www.example.com")).x_cache == "Miss"
        answer = await on.edge.get("/a", Host="www.example.com")
        assert (answer.text, answer.x_cache) == ("hello", "Miss")
        assert [status.partition(";")[2][:5] for status in answer.all("Cache-Status")] == [" hit;", " fwd="]
        assert len(on.site.asked("/a")) == 1
        part = await on.edge.get("/a", Host="www.example.com", Range="bytes=1-2")
        assert (part.status, part.text) == (206, "el")
        assert (await on.edge.get("/a", Host="www.example.com", If_None_Match='"1"')).status == 304


async def test_bodies_and_errors_pass_through_both(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/post": page(200, b"taken"), "/gone": page(410, b"gone")}) as on:
        assert (await on.edge.ask("POST", "/post", body=b"x" * 100_000)).text == "taken"
        assert on.site.asked("/post")[0].body == b"x" * 100_000
        gone = await on.edge.get("/gone")
        assert (gone.status, gone.text, gone.x_cache) == (410, "gone", "Error")


async def test_a_function_that_fails_at_the_shield_is_called_by_its_name(tmp_path: Path) -> None:
    async with pair(tmp_path, {}) as on:
        answer = await on.edge.get("/old/a?break")
        assert (answer.status, answer.x_cache) == (503, "LambdaExecutionError")
        assert await on.runs(answer) == (["viewer-request"], True)


async def test_what_a_function_that_fails_at_the_shield_keeps_from_us_may_have_been_a_change(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/refused/a": page(200, b"hello", FRESH)}) as on:
        assert [(await on.edge.get("/refused/a", Host="shop.test")).x_cache for _ in range(2)] == ["Miss", "Hit"]
        assert (await on.edge.ask("POST", "/refused/a", headers={"Host": "shop.test"}, body=b"x")).status == 503
        assert (await on.edge.get("/refused/a", Host="shop.test")).x_cache == "Miss"
        assert [seen.method for seen in on.site.asked("/refused/a")] == ["GET", "POST", "GET"]


async def test_a_shield_that_is_gone_is_passed_by(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/new/a": page(200, b"hello"), "/new/b": page(200, b"hello")}) as on:
        await on.shield.location.__aexit__(None, None, None)
        for path in ("/old/a", "/old/b"):
            answer = await on.edge.get(path)
            assert (answer.status, answer.text) == (200, "hello")
        assert await on.runs(answer) == (["viewer-request", "origin-request"], False)  # it is left alone for a while
        await on.shield.location.__aenter__()


async def test_who_does_not_know_the_secret_is_a_viewer(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/new/a": page(200, b"hello")}) as on:
        answer = await on.shield.get("/old/a", Edgefn_Shield="WyIqIl0=.0123", X_Forwarded_For="192.0.2.1")
        assert answer.status == 200
        assert await on.shield.hooks_run(answer) == ["viewer-request", "origin-request"]
        assert on.site.asked("/new/a")[0].header("Edgefn-Shield") is None


async def test_a_request_does_not_go_round(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/a": page(200, b"hello")}) as on:
        around = await on.shield.get("/a", CDN_Loop="other; v=1, edgefn-fra1")
        assert (around.status, around.x_cache) == (508, "Error")
        assert (await on.shield.get("/a", CDN_Loop="other, edgefn-fra12")).status == 200


async def test_a_viewer_can_not_pass_the_shield_by_asking_for_some_other_protocol(tmp_path: Path) -> None:
    async with pair(tmp_path, {"/new/a": page(200, b"hello")}) as on:
        answer = await on.edge.get("/old/a", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c")
        assert (answer.status, answer.text) == (200, "hello")
        assert await on.runs(answer) == (["viewer-request"], True)


async def test_who_names_a_shield_in_cdn_loop_gets_an_error_that_nobody_else_gets(tmp_path: Path) -> None:
    refused = asyncio.Event()

    async def late(conversation: Conversation, seen: SeenRequest) -> None:
        await refused.wait()  # else it might be stored before the first one asks
        await conversation.send(page(200, b"hello", FRESH))

    async with pair(tmp_path, {"/a": late}) as on:
        asked = (on.edge.get("/a", CDN_Loop="edgefn-fra1"), on.edge.get("/a"), on.edge.get("/a"))
        first, *others = [asyncio.create_task(each) for each in asked]
        assert (await first).status == 508
        refused.set()
        assert [answer.status for answer in await asyncio.gather(*others)] == [200, 200]
        assert (await on.edge.get("/a")).x_cache == "Hit"


async def test_false_passes_go_no_further_and_do_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair(tmp_path, {"/a": page(200, b"hello")}) as on:
        for _ in range(5):
            assert (await on.shield.get("/a", Edgefn_Shield="WyIqIl0=.0123")).status == 200
        assert {seen.header("Edgefn-Shield") for seen in on.site.asked("/a")} == {None}
    assert caplog.text.count("a pass that is false") == 1


async def test_an_origin_can_not_blame_a_function_that_did_not_run(tmp_path: Path) -> None:
    lie = "X-Cache: LambdaExecutionError from cloudfront"
    async with pair(tmp_path, {"/a": page(200, b"hello", lie)}) as on:
        answer = await on.edge.get("/a")
        assert (answer.status, answer.text, answer.x_cache) == (200, "hello", "Miss")


def test_a_secret_that_anybody_could_guess_is_refused(tmp_path: Path) -> None:
    for name in ("rewriting.js", "telling.js", "refusing.js", "key"):
        (tmp_path / name).write_text("short")
    settings = Edge(FUNCTIONS + "shield: {secret: key}", tmp_path, app="127.0.0.1:1").settings()
    from edgefn.node.files import read_files

    with pytest.raises(SettingsError, match=r"shield.secret: .*key: has fewer than 32 bytes; make one"):
        read_files(settings)
