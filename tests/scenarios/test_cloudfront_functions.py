"""CloudFront Functions at viewer events, in the JavaScript engine, beside Lambda@Edge at origin events."""

from pathlib import Path

import pytest

from tests.fakes.geo_database import write_geo_database
from tests.fakes.website import Website
from tests.scenarios.edge import Edge

REWRITE = """
function handler(event) {
  var request = event.request;
  if (request.uri === '/old') {
    return { statusCode: 302, statusDescription: 'Found', headers: { location: { value: '/new' } } };
  }
  if (request.uri.endsWith('/')) request.uri += 'index.html';
  request.headers['x-a'] = { value: '1' };
  if (request.querystring.a) request.querystring.a.value = '9';
  return request;
}
"""

GREETING = """
import cf from 'cloudfront';
async function handler(event) {
  const response = event.response;
  cf.logCustomData('greeted "them"\\nall');
  response.headers['x-greeting'] = { value: `hello from ${event.context.eventType}` };
  return response;
}
"""

CHOOSING = """
import cf from 'cloudfront';
function handler(event) {
  cf.selectRequestOriginById('other');
  return event.request;
}
"""

BROKEN = """
function handler(event) {
  if (event.request.uri === '/throw') throw new Error('oh no');
  if (event.request.uri === '/spin') while (true);
  return { statusCode: 'many' };
}
"""

PLAIN = """
exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  request.headers['x-plain'] = [{ key: 'X-Plain', value: 'yes' }];
  return request;
};
"""

CONFIGURATION = """
origins: {app: {url: "http://{origin}"}, other: {url: "http://{other}"}}
functions:
  rewrite: {path: rewrite.js, runtime: cloudfront-js-1.0}
  greeting: {path: greeting.js, runtime: cloudfront-js-2.0}
  choosing: {path: choosing.js, runtime: cloudfront-js-2.0}
  broken: {path: broken.js, runtime: cloudfront-js-2.0}
  plain: {path: plain.js, runtime: js}
routes:
  - {path: /chosen, origin: app, hooks: {viewer-request: choosing}}
  - {path: /throw, origin: app, hooks: {viewer-request: broken}}
  - {path: /spin, origin: app, hooks: {viewer-request: broken}}
  - {path: /wrong, origin: app, hooks: {viewer-request: broken}}
  - {path: "*", origin: app, hooks: {viewer-request: rewrite, origin-request: plain, viewer-response: greeting}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in {
        "rewrite": REWRITE, "greeting": GREETING, "choosing": CHOOSING, "broken": BROKEN, "plain": PLAIN,
    }.items():  # fmt: skip
        (tmp_path / f"{name}.js").write_text(source)
    return tmp_path


async def test_they_rewrite_answer_and_greet(folder: Path) -> None:
    async with (
        Website() as site, Website() as other,
        Edge(CONFIGURATION, folder, origin=site.address, other=other.address) as edge,
    ):  # fmt: skip
        moved = await edge.get("/old")
        assert (moved.status, moved["Location"], moved.x_cache) == (302, "/new", "FunctionGeneratedResponse")
        assert await edge.hooks_run(moved) == ["viewer-request"]

        page = await edge.get("/docs/?a=1&a=2")
        assert (page.status, page["X-Greeting"]) == (200, "hello from viewer-response")
        seen = site.asked("/docs/index.html")[0]
        assert (seen.target, seen.header("X-A"), seen.header("X-Plain")) == ("/docs/index.html?a=9&a=2", "1", "yes")
        assert await edge.hooks_run(page) == ["viewer-request", "origin-request", "viewer-response"]
        assert ' custom="greeted \\x22them\\x22\\x0aall"' in await edge.log_line(page["X-Amz-Cf-Id"])


async def test_one_chooses_another_origin(folder: Path) -> None:
    async with (
        Website() as site, Website() as other,
        Edge(CONFIGURATION, folder, origin=site.address, other=other.address) as edge,
    ):  # fmt: skip
        assert (await edge.get("/chosen")).status == 200
        assert (len(site.asked("/chosen")), len(other.asked("/chosen"))) == (0, 1)


@pytest.mark.parametrize(
    ("path", "status", "x_cache"),
    [
        ("/throw", 503, "FunctionExecutionError"),
        ("/spin", 503, "FunctionExecutionError"),
        ("/wrong", 502, "FunctionValidationError"),
    ],
)
async def test_what_goes_wrong_is_named_as_aws_names_it(folder: Path, path: str, status: int, x_cache: str) -> None:
    async with (
        Website() as site, Website() as other,
        Edge(CONFIGURATION, folder, origin=site.address, other=other.address) as edge,
    ):  # fmt: skip
        answer = await edge.get(path)
        assert (answer.status, answer.x_cache) == (status, x_cache)
        assert "The CloudFront function" in answer.text


SEEN = """
function handler(event) {
  var country = (event.request.headers['cloudfront-viewer-country'] || { value: 'nothing' }).value;
  if (event.context.eventType === 'viewer-response') {
    event.response.headers['x-response-saw'] = { value: country };
    return event.response;
  }
  event.request.headers['x-request-saw'] = { value: country };
  if (event.request.uri === '/told/changed') event.request.headers['cloudfront-viewer-country'].value = 'XX';
  return event.request;
}
"""
TELLING = """
geo_database: places.mmdb
origins: {app: {url: "http://{origin}"}}
functions: {seen: {path: seen.js, runtime: cloudfront-js-1.0}}
routes:
  - path: /told/*
    origin: app
    forward: {add: [CloudFront-Viewer-Country]}
    hooks: {viewer-request: seen, viewer-response: seen}
  - {path: "*", origin: app, hooks: {viewer-request: seen, viewer-response: seen}}
"""


async def test_they_see_what_the_edge_knows_of_a_viewer_where_the_route_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "seen.js").write_text(SEEN)
    write_geo_database(tmp_path / "places.mmdb", {"127.0.0.1": "DE"})
    async with Website() as site, Edge(TELLING, tmp_path, origin=site.address) as edge:
        told = await edge.get("/told/page", CloudFront_Viewer_Country="made-up")
        assert (told["X-Response-Saw"], site.asked("/told/page")[0].header("X-Request-Saw")) == ("DE", "DE")

        await edge.get("/told/changed")
        assert site.asked("/told/changed")[0].header("CloudFront-Viewer-Country") == "DE"

        untold = await edge.get("/page", CloudFront_Viewer_Country="made-up")
        assert (untold["X-Response-Saw"], site.asked("/page")[0].header("X-Request-Saw")) == ("nothing", "nothing")
