"""What viewers and operators get when a function breaks, or returns what it may not."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.website import Website, page
from tests.scenarios.edge import Answer, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
origins:
  app: {url: "http://{app}"}
functions:
  node: {path: node.js, runtime: nodejs20.x, handler: node.handler}
  callback: {path: callback.js, runtime: nodejs20.x, handler: callback.handler}
  crashing: {path: crashing.js, runtime: nodejs20.x, handler: crashing.handler}
  slow: {path: node.js, runtime: nodejs20.x, handler: node.handler, timeout: 150ms}
  slow-python: {path: python.py, runtime: python3.11, handler: python.handler, timeout: 150ms}
  python: {path: python.py, runtime: python3.11, handler: python.handler}
  unloadable: {path: unloadable.js, runtime: nodejs20.x, handler: unloadable.handler}
  misspelt: {path: misspelt.py, runtime: python3.11, handler: misspelt.handler}
  nameless: {path: node.js, runtime: nodejs20.x, handler: node.handle}
  callback-24: {path: callback.js, runtime: nodejs24.x, handler: callback.handler}
  wrong: {path: wrong.js, runtime: nodejs20.x, handler: wrong.handler}
routes:
  - {path: /node/*, origin: app, hooks: {viewer-request: node}}
  - {path: /callback/*, origin: app, hooks: {viewer-request: callback}}
  - {path: /crashing/*, origin: app, hooks: {viewer-request: crashing}}
  - {path: /slow/*, origin: app, hooks: {origin-request: slow}}
  - {path: /slow-python/*, origin: app, hooks: {origin-request: slow-python}}
  - {path: /python/*, origin: app, hooks: {viewer-request: python}}
  - {path: /unloadable/*, origin: app, hooks: {viewer-request: unloadable}}
  - {path: /misspelt/*, origin: app, hooks: {viewer-request: misspelt}}
  - {path: /nameless/*, origin: app, hooks: {viewer-request: nameless}}
  - {path: /callback-24/*, origin: app, hooks: {viewer-request: callback-24}}
  - {path: /origin-response/*, origin: app, hooks: {origin-response: node}}
  - {path: /viewer-response/*, origin: app, hooks: {viewer-response: node}}
  - {path: /vr/*, origin: app, hooks: {viewer-request: wrong}}
  - {path: /vr-body/*, origin: app, hooks: {viewer-request: {function: wrong, include_body: true}}}
  - {path: /oq/*, origin: app, hooks: {origin-request: wrong}}
  - {path: /or/*, origin: app, hooks: {origin-response: wrong}}
  - {path: /vs/*, origin: app, hooks: {viewer-response: wrong}}
  - {path: "*", origin: app}
"""

NODE = """
const stories = {
  throws: () => { throw new TypeError('out of order'); },
  rejects: () => Promise.reject(new RangeError('too far')),
  throws_text: () => { throw 'just a word'; },
  throws_nothing: () => { throw undefined; },
  throws_lines: () => { throw new Error('one\\nedgefn: all is well'); },
  throws_half_a_character: () => { throw new Error('\\ud800'); },
  returns_half_a_character: (cf) => ({ ...cf.request, querystring: '\\ud800' }),
  returns_a_ring: (cf) => { cf.self = cf; return cf; },
  returns_a_bigint: () => ({ status: 200n }),
  waits_for_ever: () => new Promise(() => setInterval(() => {}, 1000)),
  spins: () => { for (;;); },
  forgets_to_answer: () => new Promise(() => {}),
  goes_well: (cf) => cf.response || cf.request,
};
exports.handler = async (event) => {
  const cf = event.Records[0].cf;
  return stories[cf.request.uri.split('/').pop()](cf);
};
"""

CALLBACK = """
const stories = {
  refuses: (request, callback) => callback(new Error('refused')),
  refuses_in_a_word: (request, callback) => callback('refused'),
  throws: () => { throw new Error('before the callback'); },
  throws_later: () => setTimeout(() => { throw new Error('nobody catches me'); }, 1),
  never_calls_back: () => {},
  goes_well: (request, callback) => callback(null, request),
};
exports.handler = (event, context, callback) => {
  const { request } = event.Records[0].cf;
  stories[request.uri.split('/').pop()](request, callback);
};
"""

CRASHING = """
const stories = {
  exits: () => process.exit(3),
  aborts: () => process.abort(),
  fills_the_heap: () => { const kept = []; for (;;) kept.push(new Array(1 << 16).fill(kept.length)); },
  fills_the_memory: () => { const kept = []; for (;;) kept.push(Buffer.alloc(8 << 20, 1)); },
  goes_well: (request) => request,
};
exports.handler = async (event) => {
  const { request } = event.Records[0].cf;
  return stories[request.uri.split('/').pop()](request);
};
"""

PYTHON = """
import os, sys, time

def raises(request):
    raise KeyError("host")

def exits(request):
    sys.exit(4)

def returns_a_set(request):
    return {1}

def returns_bytes(request):
    return {"status": "200", "body": b"raw"}

def returns_nan(request):
    return {"status": float("nan")}

async def returns_a_coroutine(request):
    return request

def digs(request):
    return digs(request)

def sleeps(request):
    time.sleep(60)

def goes_well(request):
    return request

def handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    return globals()[request["uri"].rpartition("/")[2]](request)
"""

WRONG = """
const big = (size) => 'a'.repeat(size);
const fresh = { status: '200', statusDescription: 'OK' };
const results = {
  nothing: () => null,
  undefined: () => undefined,
  a_text: () => 'hello',
  a_number: () => 7,
  a_list: () => [],
  an_empty_object: () => ({}),
  the_event: (cf, event) => event,
  the_cf: (cf) => cf,
  connection: (cf) => { cf.message.headers.connection = [{ value: 'close' }]; return cf.message; },
  x_cache: (cf) => { cf.message.headers['x-cache'] = [{ value: 'Hit' }]; return cf.message; },
  x_amz_cf_id: (cf) => { cf.message.headers['x-amz-cf-anything'] = [{ value: '1' }]; return cf.message; },
  x_edge: (cf) => { cf.message.headers['X-Edge-Thing'] = [{ value: '1' }]; return cf.message; },
  adds_via: (cf) => { cf.message.headers.via = [{ value: '1.1 me' }]; return cf.message; },
  deletes_via: (cf) => { delete cf.message.headers.via; return cf.message; },
  deletes_host: (cf) => { delete cf.message.headers.host; return cf.message; },
  changes_host: (cf) => { cf.message.headers.host[0].value = 'evil.example'; return cf.message; },
  adds_country: (cf) => { cf.message.headers['cloudfront-viewer-country'] = [{ value: 'FR' }]; return cf.message; },
  changes_length: (cf) => { cf.message.headers['content-length'] = [{ value: '1' }]; return cf.message; },
  fresh_response: () => fresh,
  text_header: () => ({ ...fresh, headers: { location: '/x' } }),
  object_header: () => ({ ...fresh, headers: { location: { key: 'Location', value: '/x' } } }),
  number_header: () => ({ ...fresh, headers: { 'x-a': [{ value: 1 }] } }),
  list_of_headers: () => ({ ...fresh, headers: [{ key: 'X-A', value: '1' }] }),
  broken_line: () => ({ ...fresh, headers: { location: [{ value: '/x\\r\\nSet-Cookie: a=b' }] } }),
  another_key: () => ({ ...fresh, headers: { location: [{ key: 'X-A', value: '/x' }] } }),
  no_token: () => ({ ...fresh, headers: { 'a b': [{ value: '1' }] } }),
  same_name_twice: () => ({ ...fresh, headers: { 'x-a': [{ value: '1' }], 'X-A': [{ value: '2' }] } }),
  chunked: () => ({ ...fresh, headers: { 'transfer-encoding': [{ value: 'chunked' }] } }),
  false_length: () => ({ ...fresh, headers: { 'content-length': [{ value: '7' }] }, body: 'hello' }),
  status_100: () => ({ status: '100' }),
  status_199: () => ({ status: 199 }),
  status_600: () => ({ status: '600' }),
  status_word: () => ({ status: 'OK' }),
  status_fraction: () => ({ status: 200.5 }),
  status_true: () => ({ status: true }),
  status_null: () => ({ status: null }),
  broken_description: () => ({ status: '200', statusDescription: 'OK\\r\\nX-A: 1' }),
  full_204: () => ({ status: '204', body: 'hello' }),
  no_text_body: () => ({ status: '200', body: { a: 1 } }),
  no_base64: () => ({ status: '200', body: '*', bodyEncoding: 'base64' }),
  odd_encoding: () => ({ status: '200', body: 'a', bodyEncoding: 'gzip' }),
  huge: () => ({ status: '200', body: big((1 << 20) + 1) }),
  relative_uri: (cf) => ({ ...cf.message, uri: 'page' }),
  uri_with_query: (cf) => ({ ...cf.message, uri: '/page?a=1' }),
  uri_with_blank: (cf) => ({ ...cf.message, uri: '/a page' }),
  long_uri: (cf) => ({ ...cf.message, uri: '/' + big(8191) }),
  query_with_fragment: (cf) => ({ ...cf.message, querystring: 'a=1#top' }),
  query_with_line: (cf) => ({ ...cf.message, querystring: 'a=1\\r\\nX: 1' }),
  body_unasked: (cf) => ({ ...cf.message, body: { action: 'replace', data: '' } }),
  body_text: (cf) => ({ ...cf.message, body: 'hello' }),
  body_action: (cf) => ({ ...cf.message, body: { ...cf.message.body, action: 'append' } }),
  body_base64: (cf) => ({ ...cf.message, body: { action: 'replace', data: '***' } }),
  body_encoding: (cf) => ({ ...cf.message, body: { action: 'replace', encoding: 'utf-8', data: 'a' } }),
  no_origin: (cf) => { delete cf.message.origin; return cf.message; },
  two_origins: (cf) => { cf.message.origin.s3 = { domainName: 'b.s3.amazonaws.com' }; return cf.message; },
  origin_ip: (cf) => { cf.message.origin.custom.domainName = '127.0.0.2'; return cf.message; },
  origin_number: (cf) => { cf.message.origin.custom.domainName = '2130706433'; return cf.message; },
  origin_with_port: (cf) => { cf.message.origin.custom.domainName = 'a.example:80'; return cf.message; },
  origin_port: (cf) => { cf.message.origin.custom.port = 22; return cf.message; },
  origin_protocol: (cf) => { cf.message.origin.custom.protocol = 'match-viewer'; return cf.message; },
  origin_path: (cf) => { cf.message.origin.custom.path = '/a/'; return cf.message; },
  origin_timeout: (cf) => { cf.message.origin.custom.readTimeout = 121; return cf.message; },
  origin_keepalive: (cf) => { cf.message.origin.custom.keepaliveTimeout = 0; return cf.message; },
  origin_tls: (cf) => { cf.message.origin.custom.sslProtocols = ['TLSv2']; return cf.message; },
  origin_header: (cf) => {
    cf.message.origin.custom.customHeaders = { 'x-amz-date': [{ value: '1' }] };
    return cf.message;
  },
  origin_header_twice: (cf) => {
    cf.message.headers['x-a'] = [{ value: '1' }];
    cf.message.origin.custom.customHeaders = { 'x-a': [{ value: '2' }] };
    return cf.message;
  },
};
exports.handler = async (event) => {
  const { cf } = event.Records[0];
  const returned = { ...cf, message: cf.response || cf.request };
  return results[cf.request.uri.split('/').pop()](returned, event);
};
"""

INVALID_FUNCTION = (
    "The Lambda function associated with the CloudFront distribution is invalid "
    "or doesn&#x27;t have the required permissions."
)
FAILED = "The Lambda function result failed validation: "
HEADERS_OBJECT = "The Lambda function returned an invalid entry in the headers object: "
ORIGIN = "The Lambda function returned an invalid origin configuration: "


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    directory: Path = tmp_path_factory.mktemp("errors")
    (directory / "node.js").write_text(NODE)
    (directory / "callback.js").write_text(CALLBACK)
    (directory / "crashing.js").write_text(CRASHING)
    (directory / "python.py").write_text(PYTHON)
    (directory / "wrong.js").write_text(WRONG)
    (directory / "unloadable.js").write_text("throw new Error('not today');")
    (directory / "misspelt.py").write_text("def handler(event, context)\n    return None\n")
    pages = {"/or/deletes_via": page(200, b"", "Via: 1.1 cache.example")}
    async with Website(pages) as app, Edge(CONFIGURATION, directory, app=app.address) as running:
        yield running


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one line that the operator was told."""
    lines = [record.getMessage() for record in caplog.records if record.name == "edgefn"]
    assert len(lines) == 1, lines
    assert "\n" not in lines[0]
    assert "\r" not in lines[0]
    return lines[0]


def assert_is_our_page(answer: Answer, sentence: str) -> None:
    assert answer["Content-Type"] == "text/html"
    assert answer["Server"] == "CloudFront"
    assert answer["Via"].startswith("1.1 ")
    assert answer["Via"].endswith(".cloudfront.net (CloudFront)")
    assert answer["X-Amz-Cf-Pop"] == "FRA1-P1"
    assert answer["Content-Length"] == str(len(answer.body))
    assert answer.get("Date") is not None
    assert f"<H1>{answer.status} ERROR</H1>" in answer.text
    assert sentence in answer.text
    assert f"Request ID: {answer['X-Amz-Cf-Id']}\n" in answer.text


EXECUTION_ERRORS = [
    ("/node/throws", "node", "TypeError: out of order"),
    ("/node/rejects", "node", "RangeError: too far"),
    ("/node/throws_text", "node", "just a word"),
    ("/node/throws_nothing", "node", "undefined"),
    ("/node/throws_lines", "node", r"Error: one\x0aedgefn: all is well"),
    ("/node/throws_half_a_character", "node", "Error: "),
    ("/node/returns_a_ring", "node", ""),
    ("/node/returns_a_bigint", "node", ""),
    ("/callback/refuses", "callback", "Error: refused"),
    ("/callback/refuses_in_a_word", "callback", "refused"),
    ("/callback/throws", "callback", "Error: before the callback"),
    ("/callback/throws_later", "callback", "nobody catches me"),
    ("/callback-24/goes_well", "callback-24", "Runtime.CallbackHandlerDeprecated: "),
    ("/crashing/exits", "crashing", "Runtime.ExitError: "),
    ("/crashing/aborts", "crashing", "Runtime.ExitError: "),
    ("/crashing/fills_the_heap", "crashing", "Runtime.ExitError: "),
    ("/crashing/fills_the_memory", "crashing", ""),
    ("/slow/waits_for_ever", "slow", "Task timed out after 0.15 seconds"),
    ("/slow/spins", "slow", "Task timed out after 0.15 seconds"),
    ("/slow-python/sleeps", "slow-python", "Task timed out after 0.15 seconds"),
    ("/python/raises", "python", "KeyError: 'host'"),
    ("/python/exits", "python", ""),
    ("/python/returns_a_set", "python", "Runtime.MarshalError: "),
    ("/python/returns_bytes", "python", "Runtime.MarshalError: "),
    ("/python/returns_nan", "python", "Runtime.MarshalError: "),
    ("/python/returns_a_coroutine", "python", "Runtime.MarshalError: "),
    ("/python/digs", "python", "RecursionError: "),
    ("/unloadable/page", "unloadable", "Error: not today"),
    ("/misspelt/page", "misspelt", "Runtime.UserCodeSyntaxError: "),
    ("/nameless/page", "nameless", "Runtime.HandlerNotFound: "),
    ("/origin-response/throws", "node", "TypeError: out of order"),
    ("/viewer-response/throws", "node", "TypeError: out of order"),
]


@pytest.mark.parametrize(("path", "function", "what"), EXECUTION_ERRORS, ids=[row[0] for row in EXECUTION_ERRORS])
async def test_a_function_that_breaks_is_a_503(
    edge: Edge, caplog: pytest.LogCaptureFixture, path: str, function: str, what: str
) -> None:
    with caplog.at_level(logging.ERROR, "edgefn"):
        answer = await edge.get(path)

    assert (answer.status, answer.x_cache) == (503, "LambdaExecutionError")
    assert_is_our_page(answer, INVALID_FUNCTION)
    start = f"{answer['X-Amz-Cf-Id']} GET {path}: LambdaExecutionError: function {function}:1: "
    assert told(caplog).startswith(start)
    assert what in told(caplog).removeprefix(start)
    line = await edge.log_line(answer["X-Amz-Cf-Id"])
    assert " LambdaExecutionError " in line
    assert f"function {function}:1: " in line


@pytest.mark.parametrize(
    "path", ["/node/goes_well", "/callback/goes_well", "/crashing/goes_well", "/slow/goes_well", "/python/goes_well"]
)
async def test_a_function_that_broke_is_well_again_for_the_next_viewer(edge: Edge, path: str) -> None:
    assert (await edge.get(path)).status == 200


VALIDATION_ERRORS = [
    ("/node/forgets_to_answer", "result", "did not return an object", FAILED),
    ("/callback/never_calls_back", "result", "did not return an object", FAILED),
    ("/node/returns_half_a_character", "result", "no valid JSON", FAILED),
    ("/vr/nothing", "result", "did not return an object", FAILED),
    ("/vr/undefined", "result", "did not return an object", FAILED),
    ("/vr/a_text", "result", "did not return an object", FAILED),
    ("/vr/a_number", "result", "did not return an object", FAILED),
    ("/vr/a_list", "result", "did not return an object", FAILED),
    ("/vr/an_empty_object", "result", "neither a request nor a response", FAILED),
    ("/vr/the_event", "result", "the whole event", FAILED),
    ("/vr/the_cf", "result", "neither a request nor a response", FAILED),
    ("/vr/connection", "headers.connection", "blacklisted header", f"{FAILED}The function tried to add a blacklisted"),
    ("/oq/x_cache", "headers.x-cache", "blacklisted header", f"{FAILED}The function tried to add a blacklisted"),
    ("/or/x_amz_cf_id", "headers.x-amz-cf-anything", "blacklisted header", FAILED),
    ("/vs/x_edge", "headers.x-edge-thing", "blacklisted header", FAILED),
    ("/vr/adds_via", "headers.via", "add read-only", f"{FAILED}The function tried to add, delete, or change a read-on"),
    ("/oq/adds_via", "headers.via", "change read-only", FAILED),
    ("/oq/deletes_via", "headers.via", "delete read-only", FAILED),
    ("/or/adds_via", "headers.via", "add read-only", FAILED),
    ("/or/deletes_via", "headers.via", "delete read-only", FAILED),
    ("/vs/adds_via", "headers.via", "add read-only", FAILED),
    ("/vr/deletes_host", "headers.host", "delete read-only", FAILED),
    ("/vr/changes_host", "headers.host", "change read-only", FAILED),
    ("/vr/adds_country", "headers.cloudfront-viewer-country", "add read-only", FAILED),
    ("/vs/changes_length", "headers.content-length", "change read-only", FAILED),
    ("/vs/fresh_response", "headers.content-length", "delete read-only", FAILED),
    ("/or/changes_length", "headers.content-length", "conflicting header", FAILED),
    ("/vr/text_header", "headers.location", "must be an array", HEADERS_OBJECT),
    ("/vr/object_header", "headers.location", "must be an array", HEADERS_OBJECT),
    ("/vr/number_header", "headers.x-a", "no string as value", FAILED),
    ("/vr/list_of_headers", "headers", "not an object", FAILED),
    ("/vr/broken_line", "headers.location", "invalid character : '%0D' in header value", FAILED),
    ("/or/broken_line", "headers.location", "invalid character : '%0D' in header value", FAILED),
    ("/vr/another_key", "headers.location", "key differs from name", FAILED),
    ("/vr/no_token", "headers.a b", "invalid header name", FAILED),
    ("/vr/same_name_twice", "headers.X-A", "a header name twice", FAILED),
    ("/vr/chunked", "headers.transfer-encoding", "add read-only", FAILED),
    ("/oq/false_length", "headers.content-length", "conflicting header", FAILED),
    ("/vr/status_100", "status", "not from 200 to 599", FAILED),
    ("/vr/status_199", "status", "not from 200 to 599", FAILED),
    ("/oq/status_600", "status", "not from 200 to 599", FAILED),
    ("/or/status_600", "status", "not from 200 to 599", FAILED),
    ("/vr/status_word", "status", "not from 200 to 599", FAILED),
    ("/vr/status_fraction", "status", "neither a string nor a number", FAILED),
    ("/vr/status_true", "status", "neither a string nor a number", FAILED),
    ("/vr/status_null", "status", "neither a string nor a number", FAILED),
    ("/vr/broken_description", "statusDescription", "invalid status description", FAILED),
    ("/vr/full_204", "body", "a body with status 204", FAILED),
    ("/vr/no_text_body", "body", "not a string", f"{FAILED}The body is not a string, is not an object, or exceeds"),
    ("/vr/no_base64", "body", "not valid base64", FAILED),
    ("/oq/odd_encoding", "body", "invalid body encoding", FAILED),
    ("/vr/huge", "body", "exceeds the maximum size", FAILED),
    ("/oq/huge", "body", "exceeds the maximum size", FAILED),
    ("/or/huge", "body", "exceeds the maximum size", FAILED),
    ("/vr/relative_uri", "uri", "does not begin with '/'", FAILED),
    ("/vr/uri_with_query", "uri", "invalid character", FAILED),
    ("/vr/uri_with_blank", "uri", "invalid character", FAILED),
    ("/vr/long_uri", "uri", "8192 characters or more", FAILED),
    ("/oq/query_with_fragment", "querystring", "invalid character", FAILED),
    ("/vr/query_with_line", "querystring", "invalid character", FAILED),
    ("/vr/body_unasked", "body", "does not include the body", FAILED),
    ("/vr-body/body_text", "body", "not an object", FAILED),
    ("/vr-body/body_action", "body.action", "invalid body action", FAILED),
    ("/vr-body/body_base64", "body.data", "not valid base64", FAILED),
    ("/vr-body/body_encoding", "body.data", "invalid body encoding", FAILED),
    ("/oq/no_origin", "origin", "not exactly one of custom and s3", ORIGIN),
    ("/oq/two_origins", "origin", "not exactly one of custom and s3", ORIGIN),
    ("/oq/origin_ip", "origin.custom.domainName", "invalid origin", f"{ORIGIN}The value of DomainName is invalid."),
    ("/oq/origin_number", "origin.custom.domainName", "invalid origin", ORIGIN),
    ("/oq/origin_with_port", "origin.custom.domainName", "invalid origin", ORIGIN),
    ("/oq/origin_port", "origin.custom.port", "invalid origin", ORIGIN),
    ("/oq/origin_protocol", "origin.custom.protocol", "invalid origin", ORIGIN),
    ("/oq/origin_path", "origin.custom.path", "invalid origin", ORIGIN),
    ("/oq/origin_timeout", "origin.custom.readTimeout", "invalid origin", ORIGIN),
    ("/oq/origin_keepalive", "origin.custom.keepaliveTimeout", "invalid origin", ORIGIN),
    ("/oq/origin_tls", "origin.custom.sslProtocols", "invalid origin", ORIGIN),
    ("/oq/origin_header", "origin.custom.customHeaders.x-amz-date", "blacklisted custom header", ORIGIN),
    ("/oq/origin_header_twice", "origin.custom.customHeaders.x-a", "also in the request's headers", ORIGIN),
]


@pytest.mark.parametrize(
    ("path", "field", "rule", "sentence"), VALIDATION_ERRORS, ids=[row[0] for row in VALIDATION_ERRORS]
)
async def test_a_result_that_breaks_the_contract_is_a_502(
    edge: Edge, caplog: pytest.LogCaptureFixture, path: str, field: str, rule: str, sentence: str
) -> None:
    function = path.split("/")[1] if path.split("/")[1] in {"node", "callback", "python"} else "wrong"
    with caplog.at_level(logging.ERROR, "edgefn"):
        answer = await edge.get(path)

    assert (answer.status, answer.x_cache) == (502, "LambdaValidationError")
    assert_is_our_page(answer, sentence)
    line = told(caplog)
    assert line.startswith(f"{answer['X-Amz-Cf-Id']} GET {path}: LambdaValidationError: function {function}:1: the fun")
    assert rule in line
    assert line.endswith(f" in {field}")
    assert " LambdaValidationError " in await edge.log_line(answer["X-Amz-Cf-Id"])


async def test_the_page_of_an_error_says_nothing_of_the_function(edge: Edge) -> None:
    answer = await edge.get("/node/throws")

    assert "out of order" not in answer.text
    assert "node" not in answer.text


async def test_an_error_answers_head_without_the_page(edge: Edge) -> None:
    answer = await edge.ask("HEAD", "/node/throws")

    assert (answer.status, answer.x_cache, answer.body) == (503, "LambdaExecutionError", b"")


async def test_errors_of_functions_are_not_cached(edge: Edge) -> None:
    first, second = await edge.get("/node/throws"), await edge.get("/node/throws")

    assert first.x_cache == second.x_cache == "LambdaExecutionError"
    assert first["X-Amz-Cf-Id"] != second["X-Amz-Cf-Id"]
    assert await edge.hooks_run(second) == ["viewer-request"]


async def test_a_function_that_fails_before_the_body_was_read_answers_all_the_same(edge: Edge) -> None:
    answer = await edge.ask("POST", "/node/throws", body=b"a" * 1_000_000)

    assert (answer.status, answer.x_cache) == (503, "LambdaExecutionError")
