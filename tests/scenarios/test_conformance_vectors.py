"""The quick vectors by which one implementation of Lambda@Edge can be compared with another, in Node.js and Python."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 1024 * 1024

CONFIGURATION = """
origins:
  app: {url: "http://{app}"}
functions:
  vector: {path: {file}, runtime: {runtime}, handler: vectors.handler}
  slow: {path: {file}, runtime: {runtime}, handler: vectors.handler, timeout: 100ms}
  single: {path: {file}, runtime: {runtime}, handler: vectors.handler, concurrency: 1}
  witness: {path: {file}, runtime: {runtime}, handler: vectors.witness}
routes:
  - {path: /v1/*, origin: app, hooks: {viewer-request: vector, origin-request: witness, viewer-response: witness}}
  - {path: /v2/*, origin: app, cache: {default_ttl: 60s},
     hooks: {origin-request: vector, origin-response: witness, viewer-response: witness}}
  - {path: /v3/*, origin: app, hooks: {viewer-request: vector}}
  - {path: /v4/*, origin: app, hooks: {viewer-request: vector}}
  - {path: /v5/*, origin: app, hooks: {origin-request: {function: vector, include_body: true}}}
  - {path: /v6/*, origin: app, hooks: {viewer-request: {function: vector, include_body: true}}}
  - {path: /v7/*, origin: app, hooks: {origin-response: vector, viewer-response: witness}}
  - {path: /v8/slow/*, origin: app, hooks: {viewer-request: slow}}
  - {path: /v8/single/*, origin: app, hooks: {viewer-request: single}}
  - {path: /v8/*, origin: app, hooks: {viewer-request: vector}}
  - {path: "*", origin: app}
"""

NODE = """
const found = {
  status: '302', statusDescription: 'Found', headers: { location: [{ key: 'Location', value: '/x' }] },
};
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const stories = {
  '/v1/found': () => found,
  '/v2/found': () => found,
  '/v3/no-host': ({ request }) => { delete request.headers.host; return request; },
  '/v3/via': ({ request }) => { request.headers.via = [{ key: 'Via', value: '1.1 me' }]; return request; },
  '/v3/connection': ({ request }) => { request.headers.connection = [{ value: 'close' }]; return request; },
  '/v4/null': () => null,
  '/v4/empty': () => ({}),
  '/v4/event': (cf, event) => event,
  '/v4/text': () => ({ ...found, headers: { location: '/x' } }),
  '/v4/object': () => ({ ...found, headers: { location: { key: 'Location', value: '/x' } } }),
  '/v5/text': ({ request }, event, size) => {
    request.body = { action: 'replace', encoding: 'text', data: 'a'.repeat(size) };
    return request;
  },
  '/v5/base64': ({ request }, event, size) => {
    request.body = { action: 'replace', encoding: 'base64', data: Buffer.alloc(size, 'a').toString('base64') };
    return request;
  },
  '/v6/body': ({ request }) => {
    const shown = Buffer.from(request.body.data, 'base64');
    request.headers['x-shown'] = [{ value: `${shown.length} ${request.body.inputTruncated} ${request.body.encoding}` }];
    request.body.data = '';
    return request;
  },
  '/v7/mended': ({ response }) => ({ ...response, status: '200', statusDescription: 'OK', body: 'ok' }),
  '/v8/throws': () => { throw new Error('no'); },
  '/v8/slow/sleeps': () => sleep(60000),
  '/v8/single/sleeps': ({ request }) => sleep(200).then(() => request),
};
exports.handler = async (event) => {
  const { cf } = event.Records[0];
  return stories[cf.request.uri](cf, event, Number(cf.request.querystring));
};
exports.witness = async (event) => event.Records[0].cf.response || event.Records[0].cf.request;
"""

PYTHON = """
import base64
import time

FOUND = {
    "status": "302", "statusDescription": "Found", "headers": {"location": [{"key": "Location", "value": "/x"}]},
}

def handler(event, context):
    cf = event["Records"][0]["cf"]
    request = cf["request"]
    match request["uri"]:
        case "/v1/found" | "/v2/found":
            return FOUND
        case "/v3/no-host":
            del request["headers"]["host"]
        case "/v3/via":
            request["headers"]["via"] = [{"key": "Via", "value": "1.1 me"}]
        case "/v3/connection":
            request["headers"]["connection"] = [{"value": "close"}]
        case "/v4/null":
            return None
        case "/v4/empty":
            return {}
        case "/v4/event":
            return event
        case "/v4/text":
            return {**FOUND, "headers": {"location": "/x"}}
        case "/v4/object":
            return {**FOUND, "headers": {"location": {"key": "Location", "value": "/x"}}}
        case "/v5/text":
            data = "a" * int(request["querystring"])
            request["body"] = {"action": "replace", "encoding": "text", "data": data}
        case "/v5/base64":
            data = base64.b64encode(b"a" * int(request["querystring"])).decode()
            request["body"] = {"action": "replace", "encoding": "base64", "data": data}
        case "/v6/body":
            body = request["body"]
            shown = f"{len(base64.b64decode(body['data']))} {str(body['inputTruncated']).lower()} {body['encoding']}"
            request["headers"]["x-shown"] = [{"value": shown}]
            body["data"] = ""
        case "/v7/mended":
            return {**cf["response"], "status": "200", "statusDescription": "OK", "body": "ok"}
        case "/v8/throws":
            raise RuntimeError("no")
        case "/v8/slow/sleeps":
            time.sleep(60)
        case "/v8/single/sleeps":
            time.sleep(0.2)
    return request

def witness(event, context):
    cf = event["Records"][0]["cf"]
    return cf.get("response") or cf["request"]
"""

RUNTIMES = {"nodejs20.x": ("vectors.js", NODE), "python3.11": ("vectors.py", PYTHON)}


@dataclass(frozen=True)
class Stage:
    edge: Edge
    app: Website


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=RUNTIMES)
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("vectors")
    file, source = RUNTIMES[request.param]
    (directory / file).write_text(source)
    pages = {"/v7/mended": page(404, b"none", "Cache-Control: max-age=60")}
    async with (
        Website(pages) as app,
        Edge(CONFIGURATION, directory, app=app.address, file=file, runtime=request.param) as edge,
    ):
        yield Stage(edge, app)


async def test_v1_viewer_request_answers(stage: Stage) -> None:
    for _ in range(2):
        answer = await stage.edge.get("/v1/found")

        assert (answer.status, answer.reason, answer["Location"]) == (302, "Found", "/x")
        assert (answer["Content-Length"], answer.x_cache) == ("0", "LambdaGeneratedResponse")
        assert await stage.edge.hooks_run(answer) == ["viewer-request"]
    assert not stage.app.asked("/v1/found")


async def test_v2_origin_request_answers(stage: Stage) -> None:
    first, second = await stage.edge.get("/v2/found"), await stage.edge.get("/v2/found")

    assert (first.status, first["Location"], first.x_cache) == (302, "/x", "Miss")
    assert (second.status, second["Location"], second.x_cache) == (302, "/x", "Hit")
    assert await stage.edge.hooks_run(first) == ["origin-request", "viewer-response"]
    assert await stage.edge.hooks_run(second) == ["viewer-response"]
    assert not stage.app.asked("/v2/found")


@pytest.mark.parametrize("path", ["/v3/no-host", "/v3/via", "/v3/connection"])
async def test_v3_headers_that_are_not_the_functions(stage: Stage, path: str) -> None:
    answer = await stage.edge.get(path)

    assert (answer.status, answer.x_cache) == (502, "LambdaValidationError")


@pytest.mark.parametrize("path", ["/v4/null", "/v4/empty", "/v4/event", "/v4/text", "/v4/object"])
async def test_v4_results_of_the_wrong_shape(stage: Stage, path: str) -> None:
    answer = await stage.edge.get(path)

    assert (answer.status, answer.x_cache) == (502, "LambdaValidationError")


async def test_v5_a_body_replaced_at_origin_request(stage: Stage) -> None:
    excessive = await stage.edge.ask("POST", f"/v5/text?{MB + 1}", body=b"b")
    text = await stage.edge.ask("POST", f"/v5/text?{MB}", body=b"b")
    raw = await stage.edge.ask("POST", f"/v5/base64?{MB}", body=b"b")

    assert (excessive.status, excessive.x_cache) == (502, "LambdaValidationError")
    assert (text.status, raw.status) == (200, 200)
    assert stage.app.asked("/v5/text")[-1].body == b"a" * MB
    assert stage.app.asked("/v5/base64")[-1].body == b"a" * MB
    assert len(base64.b64encode(b"a" * MB)) > 1.33 * MB


async def test_v6_a_body_that_is_only_read(stage: Stage) -> None:
    sent = bytes(range(256)) * 200

    answer = await stage.edge.ask("POST", "/v6/body", body=sent)

    assert answer.status == 200
    seen = stage.app.asked("/v6/body")[-1]
    assert seen.header("X-Shown") == "40960 true base64"
    assert (seen.body, seen.header("Content-Length")) == (sent, "51200")


async def test_v7_origin_response_mends_an_error(stage: Stage) -> None:
    first, second = await stage.edge.get("/v7/mended"), await stage.edge.get("/v7/mended")

    assert (first.status, first.reason, first.text) == (200, "OK", "ok")
    assert (second.status, second.reason, second.text) == (200, "OK", "ok")
    assert await stage.edge.hooks_run(first) == ["origin-response"]
    assert await stage.edge.hooks_run(second) == []
    assert len(stage.app.asked("/v7/mended")) == 1


async def test_v8_functions_that_fail(stage: Stage) -> None:
    thrown = await stage.edge.get("/v8/throws")
    late = await stage.edge.get("/v8/slow/sleeps")
    both = await asyncio.gather(stage.edge.get("/v8/single/sleeps"), stage.edge.get("/v8/single/sleeps"))

    assert (thrown.status, thrown.x_cache) == (503, "LambdaExecutionError")
    assert (late.status, late.x_cache) == (503, "LambdaExecutionError")
    assert sorted((answer.status, answer.x_cache) for answer in both) == [(200, "Miss"), (503, "LambdaLimitExceeded")]
