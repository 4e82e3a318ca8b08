"""Functions in the manner of the AWS developer guide, told through the front door: what each does to its viewer."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = {
    "compressed.js": """
const zlib = require('zlib');
exports.handler = (event, context, callback) => {
  callback(null, {
    status: '200', statusDescription: 'HTTP OK', bodyEncoding: 'base64',
    body: zlib.gzipSync('<p>compressed</p>').toString('base64'),
    headers: {
      'content-type': [{ key: 'Content-Type', value: 'text/html; charset=utf-8' }],
      'content-encoding': [{ key: 'Content-Encoding', value: 'gzip' }],
    },
  });
};
""",
    "fallback.py": """
def lambda_handler(event, context):
    cf = event["Records"][0]["cf"]
    response = cf["response"]
    if int(response["status"]) == 404:
        response["status"] = 302
        response["statusDescription"] = "Found"
        response["body"] = ""
        response["headers"]["location"] = [{"key": "Location", "value": "/fallback?from=" + cf["request"]["uri"]}]
    return response
""",
    "reversed_body.py": """
import base64
def lambda_handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    if request["method"] == "POST":
        data = base64.b64decode(request["body"]["data"])
        request["body"] = {"action": "replace", "data": base64.b64encode(data[::-1]).decode("ascii")}
    return request
""",
    "headers.mjs": """
export const handler = async (event) => {
  const { response } = event.Records[0].cf;
  delete response.headers.server;
  response.headers['X-Mixed-Case'] = [{ value: 'v' }];
  response.headers['x-multi'] = [{ key: 'X-Multi', value: 'one' }, { key: 'X-MULTI', value: 'two' }];
  return response;
};
""",
    "query.js": """
const querystring = require('querystring');
exports.handler = (event, context, callback) => {
  const { request } = event.Records[0].cf;
  const given = querystring.parse(request.querystring.toLowerCase());
  const sorted = {};
  Object.keys(given).sort().forEach((name) => { sorted[name] = given[name]; });
  request.querystring = querystring.stringify(sorted);
  callback(null, request);
};
""",
    "page/package.json": '{"type": "module"}',
    "page/index.js": """
import { readFile } from 'node:fs/promises';
const page = await readFile(new URL('./page.html', import.meta.url), 'utf8');
export async function handler() {
  return { status: '200', headers: { 'content-type': [{ value: 'text/html' }] }, body: page };
}
""",
    "page/page.html": "<h1>read while the function was loaded</h1>",
    "jar.py": """
from http import cookies
def lambda_handler(event, context):
    cf = event["Records"][0]["cf"]
    jar = cookies.SimpleCookie()
    for line in cf["request"]["headers"].get("cookie", []):
        jar.load(line["value"])
    if "sid" not in jar:
        lines = cf["response"]["headers"].setdefault("set-cookie", [])
        lines.append({"key": "Set-Cookie", "value": "sid=7; Path=/; HttpOnly"})
        lines.append({"key": "Set-Cookie", "value": "seen=1"})
    return cf["response"]
""",
    "counter.js": """
let count = 0;
exports.handler = (event, context) => ({
  then(resolve) {
    count += 1;
    const body = JSON.stringify([count, context.functionName, event.Records.length]);
    setTimeout(() => resolve({ status: 200, body }), 5);
  },
});
""",
    "experiment.js": """
'use strict';
exports.handler = (event, context, callback) => {
  const request = event.Records[0].cf.request;
  const lines = (request.headers.cookie || []).map((line) => line.value);
  const group = lines.some((line) => line.indexOf('X-Experiment-Name=B') >= 0) ? 'b' : 'a';
  request.uri = `/experiment-${group}.jpg`;
  callback(null, request);
};
""",
}

CONFIGURATION = """
origins:
  app: {url: "http://{app}"}
functions:
  compressed: {path: compressed.js, runtime: nodejs20.x, handler: compressed.handler}
  fallback: {path: fallback.py, runtime: python3.11, handler: fallback.lambda_handler}
  reversed: {path: reversed_body.py, runtime: python3.11, handler: reversed_body.lambda_handler}
  headers: {path: headers.mjs, runtime: nodejs20.x, handler: headers.handler}
  query: {path: query.js, runtime: nodejs20.x, handler: query.handler}
  page: {path: page, runtime: nodejs20.x, handler: index.handler}
  jar: {path: jar.py, runtime: python3.11, handler: jar.lambda_handler}
  counter: {path: counter.js, runtime: nodejs20.x, handler: counter.handler, concurrency: 1}
  experiment: {path: experiment.js, runtime: nodejs20.x, handler: experiment.handler}
routes:
  - {path: /compressed, origin: app, hooks: {viewer-request: compressed}}
  - {path: /fallback/*, origin: app, hooks: {origin-response: fallback}}
  - {path: /reversed, origin: app, hooks: {viewer-request: {function: reversed, include_body: true}}}
  - {path: /headers, origin: app, hooks: {origin-response: headers}}
  - {path: /query, origin: app, hooks: {viewer-request: query}}
  - {path: /page, origin: app, hooks: {origin-request: page}}
  - {path: /jar, origin: app, hooks: {viewer-response: jar}}
  - {path: /counter, origin: app, hooks: {viewer-request: counter}}
  - {path: /experiment, origin: app, hooks: {viewer-request: experiment}}
  - {path: "*", origin: app}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[Website]:
    pages = {"/fallback/none": page(404, b"no"), "/headers": page(200, b"", "Server: Apache", "X-Kept: 1")}
    async with Website(pages) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(app: Website, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    directory: Path = tmp_path_factory.mktemp("edge")
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    async with Edge(CONFIGURATION, directory, app=app.address) as running:
        yield running


async def test_a_page_may_be_compressed_by_the_function(edge: Edge) -> None:
    answer = await edge.get("/compressed")
    assert (answer.status, answer.reason, answer["Content-Encoding"]) == (200, "HTTP OK", "gzip")
    assert gzip.decompress(answer.body) == b"<p>compressed</p>"
    assert answer.x_cache == "LambdaGeneratedResponse"


async def test_a_missing_page_leads_elsewhere(edge: Edge) -> None:
    gone = await edge.get("/fallback/none")
    assert (gone.status, gone.reason, gone.body) == (302, "Found", b"")
    assert (gone["Location"], gone["Content-Length"]) == ("/fallback?from=/fallback/none", "0")
    there = await edge.get("/fallback/there")
    assert (there.status, there.text) == (200, "/fallback/there")


async def test_a_body_is_replaced_in_base64_unless_it_says_otherwise(edge: Edge, app: Website) -> None:
    assert (await edge.ask("POST", "/reversed", body=b"abc")).status == 200
    assert (await edge.get("/reversed")).status == 200
    posted, got = app.asked("/reversed")
    assert (posted.body, posted.header("Content-Length")) == (b"cba", "3")
    assert (got.method, got.body) == ("GET", b"")


async def test_names_of_headers_are_written_as_the_function_writes_them(edge: Edge) -> None:
    answer = await edge.get("/headers")
    names = [name for name, _ in answer.headers if name.lower().startswith("x-m")]
    assert names == ["X-Mixed-Case", "X-Multi", "X-MULTI"]
    assert answer.all("x-multi") == ["one", "two"]
    assert (answer["X-Kept"], answer.get("Server")) == ("1", None)


async def test_one_query_in_many_spellings_is_one_for_the_cache(edge: Edge, app: Website) -> None:
    answers = [await edge.get(f"/query?{query}") for query in ("B=2&A=1&b=%20c", "a=1&b=2&B=%20C")]
    assert {answer.text for answer in answers} == {"/query?a=1&b=2&b=%20c"}


async def test_a_module_may_read_its_files_while_it_is_loaded(edge: Edge) -> None:
    answer = await edge.get("/page")
    assert (answer["Content-Type"], answer.text) == ("text/html", "<h1>read while the function was loaded</h1>")


async def test_cookies_are_set_once_and_each_on_a_line_of_its_own(edge: Edge) -> None:
    assert (await edge.get("/jar")).all("Set-Cookie") == ["sid=7; Path=/; HttpOnly", "seen=1"]
    assert (await edge.get("/jar", Cookie="a=1; sid=7")).all("Set-Cookie") == []


async def test_what_a_module_keeps_is_there_for_the_next_event(edge: Edge) -> None:
    counts = [json.loads((await edge.get("/counter")).text) for _ in range(3)]
    assert counts == [[1, "us-east-1.counter", 1], [2, "us-east-1.counter", 1], [3, "us-east-1.counter", 1]]


@pytest.mark.parametrize(
    ("cookie", "uri"), [("a=1", "/experiment-a.jpg"), ("a=1; X-Experiment-Name=B; b=2", "/experiment-b.jpg")]
)
async def test_an_experiment_shows_each_group_its_own_page(edge: Edge, cookie: str, uri: str) -> None:
    assert (await edge.get("/experiment", Cookie=cookie)).text == uri
