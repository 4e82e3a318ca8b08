"""Cached answers behind functions on the viewer's side, again and again: each request is seen by the function anew."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.fakes.website import Website, page
from tests.scenarios.edge import Answer, Edge
from tests.scenarios.test_wasm_functions import answering

REWRITE = """
function handler(event) {
  const request = event.request;
  request.headers['x-variant'] = { value: request.cookies.v ? request.cookies.v.value : 'none' };
  request.uri = request.uri.replace(/^\\/old/, '/new');
  return request;
}
"""
DICE = """
function handler(event) {
  event.request.uri = Math.random() < 0.5 ? '/heads' : '/tails';
  return event.request;
}
"""
ADDRESS = "function handler(event) { event.request.uri = `/for/${event.viewer.ip}`; return event.request; }"
NAMED = """
function handler(event) {
  event.request.headers['x-id'] = { value: event.context.requestId };
  return event.request;
}
"""
BROKEN_AT_TIMES = """
function handler(event) {
  if (Math.random() < 0.5) throw new Error('bad luck');
  return event.request;
}
"""
GREETING = """
function handler(event) {
  event.response.headers['x-greeting'] = { value: event.context.requestId };
  return event.response;
}
"""
PLAIN = """
exports.handler = async (event, context) => {
  const { request } = event.Records[0].cf;
  console.log('seen', request.uri);
  if (request.uri === '/plain/') request.uri += 'index.html';
  return request;
};
"""
CONFIGURATION = """
origins: {app: {url: "http://{origin}"}}
functions:
  rewrite: {path: rewrite.js, runtime: cloudfront-js-2.0}
  dice: {path: dice.js, runtime: cloudfront-js-2.0}
  address: {path: address.js, runtime: cloudfront-js-2.0}
  named: {path: named.js, runtime: cloudfront-js-2.0}
  broken: {path: broken.js, runtime: cloudfront-js-2.0}
  greeting: {path: greeting.js, runtime: cloudfront-js-2.0}
  plain: {path: plain.js, runtime: js, handler: plain.handler}
routes:
  - path: /old/*
    origin: app
    cache: {key: {headers: [X-Variant], cookies: none, query: all}}
    hooks: {viewer-request: rewrite}
  - {path: /dice, origin: app, hooks: {viewer-request: dice}}
  - {path: /address, origin: app, hooks: {viewer-request: address}}
  - {path: /named, origin: app, hooks: {viewer-request: named}}
  - {path: /broken, origin: app, hooks: {viewer-request: broken}}
  - {path: /both/*, origin: app, hooks: {viewer-request: rewrite, viewer-response: greeting}}
  - {path: /plain/*, origin: app, hooks: {viewer-request: plain}}
  - {path: "*", origin: app}
"""
SOURCES = {
    "rewrite": REWRITE,
    "dice": DICE,
    "address": ADDRESS,
    "named": NAMED,
    "broken": BROKEN_AT_TIMES,
    "greeting": GREETING,
    "plain": PLAIN,
}
LASTING = "Cache-Control: max-age=600"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in SOURCES.items():
        (tmp_path / f"{name}.js").write_text(source)
    return tmp_path


def pages(*paths: str) -> Website:
    return Website({path: page(200, path.encode(), LASTING) for path in paths})


async def asked(edge: Edge, path: str, times: int, **headers: str) -> list[Answer]:
    """Return the answers of as many requests, one after the other, without the first one: that one may be a miss."""
    return [await edge.get(path, **headers) for _ in range(times + 1)][1:]


@pytest.mark.parametrize(("path", "content"), [("/old/page", "/new/page"), ("/plain/", "/plain/index.html")])
async def test_the_function_runs_for_each_request_and_is_told_of(
    folder: Path, path: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with pages(content) as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        answers = await asked(edge, path, 8, Cookie="v=1")

        assert {(answer.status, answer.text, answer.x_cache) for answer in answers} == {(200, content, "Hit")}
        assert len({answer["X-Amz-Cf-Id"] for answer in answers}) == 8
        assert [await edge.hooks_run(answer) for answer in answers] == [["viewer-request"]] * 8
        assert len(site.asked(content)) == 1
    logged = capsys.readouterr().err
    words = [": START ", ": END ", ": REPORT ", *(["\tseen /plain/"] if path == "/plain/" else [])]
    assert [logged.count(word) for word in words] == [9] * len(words)


async def test_its_choice_of_a_variant_is_that_of_this_request(folder: Path) -> None:
    async with pages("/new/page") as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        for _ in range(3):
            for variant in ("a", "b"):
                await asked(edge, "/old/page", 2, Cookie=f"v={variant}")

        assert [seen.header("X-Variant") for seen in site.asked("/new/page")] == ["a", "b"]


async def test_a_function_that_throws_dice_does_so_each_time(folder: Path) -> None:
    async with (
        pages("/heads", "/tails") as site,
        Edge(CONFIGURATION, folder, origin=site.address) as edge,
    ):
        seen = Counter(answer.text for answer in await asked(edge, "/dice", 80))

        assert set(seen) == {"/heads", "/tails"}
        assert min(seen.values()) >= 10


async def test_each_viewer_s_address_is_its_own(folder: Path) -> None:
    paths = {address: f"/for/{address}" for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3")}
    async with pages(*paths.values()) as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        for _ in range(5):
            for address, path in paths.items():
                async with (
                    ClientSession(connector=TCPConnector(local_addr=(address, 0))) as viewer,
                    viewer.get(f"{edge.base}/address") as got,
                ):
                    assert await got.text() == path


async def test_a_function_that_shows_the_request_s_id_is_answered_rightly(folder: Path) -> None:
    async with pages("/named") as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        answers = await asked(edge, "/named", 10)

        assert {(answer.text, answer.x_cache) for answer in answers} == {("/named", "Hit")}
        (seen,) = site.asked("/named")
        assert len(seen.header("X-Id") or "") == 56


async def test_a_function_that_fails_at_times_fails_its_request_only(folder: Path) -> None:
    async with pages("/broken") as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        seen = Counter(answer.status for answer in await asked(edge, "/broken", 60))

        assert set(seen) == {200, 503}
        assert min(seen.values()) >= 8


async def test_both_functions_on_the_viewer_s_side_see_each_request(folder: Path) -> None:
    async with pages("/both/page") as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        answers = await asked(edge, "/both/page", 5)

        assert [answer["X-Greeting"] for answer in answers] == [answer["X-Amz-Cf-Id"] for answer in answers]
        assert [await edge.hooks_run(answer) for answer in answers] == [["viewer-request", "viewer-response"]] * 5


async def test_many_at_one_time_are_answered_alike(folder: Path) -> None:
    async with pages("/new/page") as site, Edge(CONFIGURATION, folder, origin=site.address) as edge:
        await edge.get("/old/page")
        answers = await asyncio.gather(*(edge.get("/old/page") for _ in range(100)))

        assert {(answer.status, answer.text, answer.x_cache) for answer in answers} == {(200, "/new/page", "Hit")}


async def test_a_new_version_of_a_function_is_asked_at_once(tmp_path: Path) -> None:
    redirect = r"{\"status\":\"%s\",\"headers\":{\"location\":[{\"key\":\"Location\",\"value\":\"/%s\"}]}}"
    (tmp_path / "f.wasm").write_bytes(answering(redirect % ("302", "one")))
    configuration = """
origins: {app: {url: "http://{origin}"}}
functions: {f: {path: f.wasm, runtime: wasm}}
routes: [{path: "*", origin: app, hooks: {viewer-request: f}}]
"""
    async with pages() as site, Edge(configuration, tmp_path, origin=site.address) as edge:
        assert [answer["Location"] for answer in await asked(edge, "/", 3)] == ["/one"] * 3
        (tmp_path / "f.wasm").write_bytes(answering(redirect % ("302", "two")))
        await edge.location.reload()
        assert [answer["Location"] for answer in await asked(edge, "/", 3)] == ["/two"] * 3
