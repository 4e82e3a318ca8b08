"""Every documented limit: what just fits passes, and one more does not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from edgefn.model.errors import SettingsError
from tests.fakes.website import Website
from tests.scenarios.edge import Answer, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

KB, MB = 1024, 1024 * 1024

CONFIGURATION = """
quotas: {quotas}
viewer: {body_size: 2MB}
origins:
  app: {url: "http://{app}"}
functions:
  node: {path: limits.js, runtime: nodejs20.x, handler: limits.handler}
  python: {path: limits.py, runtime: python3.11, handler: limits.handler}
  hasty: {path: limits.js, runtime: nodejs20.x, handler: limits.handler, timeout: 500ms}
  narrow: {path: limits.js, runtime: nodejs20.x, handler: limits.handler, concurrency: 2}
routes:
  - {path: /vr/*, origin: app, hooks: {viewer-request: {function: node, include_body: true}}}
  - {path: /vr-python/*, origin: app, hooks: {viewer-request: {function: python, include_body: true}}}
  - {path: /oq/*, origin: app, hooks: {origin-request: {function: node, include_body: true}}}
  - {path: /or/*, origin: app, hooks: {origin-response: node}}
  - {path: /hasty/*, origin: app, hooks: {viewer-request: hasty}}
  - {path: /narrow/*, origin: app, hooks: {viewer-request: narrow}}
  - {path: "*", origin: app}
"""

NODE = """
const weigh = (headers) => Object.values(headers).flat()
  .reduce((sum, { key, value }) => sum + key.length + value.length + 4, 0);

function filled(response, size, encoding) {
  const headers = { ...response.headers, 'x-mine': [{ key: 'X-Mine', value: 'yes' }] };
  const content = 'a'.repeat(size - weigh(headers));
  const body = encoding === 'base64' ? Buffer.from(content).toString('base64') : content;
  return { ...response, status: '200', headers, body, bodyEncoding: encoding };
}

function told({ data, inputTruncated, encoding }) {
  const shown = Buffer.from(data, encoding);
  const headers = { 'x-shown': [{ value: `${shown.length}` }], 'x-truncated': [{ value: `${inputTruncated}` }] };
  return { status: '200', headers };
}

exports.handler = async (event) => {
  const { request, response } = event.Records[0].cf;
  const [, , story, number, encoding] = request.uri.split('/');
  const size = Number(number);
  switch (story) {
    case 'generate': return filled(response || {}, size, encoding || 'text');
    case 'headers': return { status: '200', headers: { 'x-a': [{ value: 'a'.repeat(size - 7) }] } };
    case 'tell': return told(request.body);
    case 'replace': {
      const data = encoding === 'text' ? 'a'.repeat(size) : Buffer.alloc(size, 'a').toString('base64');
      return { ...request, body: { action: 'replace', encoding, data } };
    }
    case 'uri': return { ...request, uri: '/' + 'a'.repeat(size - 1 - 'b=1'.length), querystring: 'b=1' };
    case 'sleep': await new Promise((resolve) => setTimeout(resolve, size)); return { status: '200' };
  }
  return request;
};
"""

PYTHON = """
import base64

def handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    _, _, story, size = request["uri"].split("/")
    if story == "tell":
        body = request["body"]
        shown = len(base64.b64decode(body["data"]))
        told = {"x-shown": [{"value": str(shown)}], "x-truncated": [{"value": str(body["inputTruncated"]).lower()}]}
        return {"status": 200, "headers": told}
    return {"status": 200, "body": "a" * int(size)}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("limits")
    (made / "limits.js").write_text(NODE)
    (made / "limits.py").write_text(PYTHON)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[Website]:
    async with Website() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["aws-2025", "aws-legacy"])
async def edge(request: pytest.FixtureRequest, app: Website, directory: Path) -> AsyncIterator[Edge]:
    async with Edge(CONFIGURATION, directory, app=app.address, quotas=request.param) as running:
        yield running


def assert_is_refused(answer: Answer) -> None:
    assert (answer.status, answer.x_cache) == (502, "LambdaValidationError")


GENERATED = [("vr", 40 * KB), ("oq", MB), ("or", MB)]


@pytest.mark.parametrize(("hook", "limit"), GENERATED)
@pytest.mark.parametrize("encoding", ["text", "base64"])
async def test_a_response_of_a_function_may_be_so_long(edge: Edge, hook: str, limit: int, encoding: str) -> None:
    fitting = await edge.get(f"/{hook}/generate/{limit}/{encoding}")
    excessive = await edge.get(f"/{hook}/generate/{limit + 1}/{encoding}")

    assert fitting.status == 200
    assert fitting["X-Mine"] == "yes"
    assert limit - 400 < len(fitting.body) < limit
    assert_is_refused(excessive)


@pytest.mark.parametrize(("hook", "limit"), GENERATED[:1])
async def test_headers_of_a_response_count_as_much_as_its_body(edge: Edge, hook: str, limit: int) -> None:
    assert (await edge.session.get(f"{edge.base}/{hook}/headers/1000")).status == 200
    assert_is_refused(await edge.get(f"/{hook}/headers/{limit + 1}"))


@pytest.mark.parametrize(("hook", "limit"), [("vr", 40 * KB), ("vr-python", 40 * KB), ("oq", MB)])
async def test_so_much_of_a_body_is_shown(edge: Edge, hook: str, limit: int) -> None:
    for size, shown, truncated in (
        (0, 0, "false"), (1, 1, "false"), (limit, limit, "false"), (limit + 1, limit, "true"), (2 * MB, limit, "true"),
    ):  # fmt: skip
        answer = await edge.ask("POST", f"/{hook}/tell/0", body=b"a" * size)

        assert answer.status == 200
        assert (size, answer["X-Shown"], answer["X-Truncated"]) == (size, str(shown), truncated)


@pytest.mark.parametrize(("hook", "limit"), [("vr", 40 * KB), ("oq", MB)])
async def test_the_origin_gets_all_of_a_body_of_which_a_function_saw_a_part(
    edge: Edge, app: Website, hook: str, limit: int
) -> None:
    answer = await edge.ask("POST", f"/{hook}/pass/0", body=b"ab" * limit)

    assert answer.status == 200
    assert app.asked(f"/{hook}/pass/0")[-1].body == b"ab" * limit


@pytest.mark.parametrize(
    ("hook", "encoding", "limit"),
    [
        ("vr", "text", 40 * KB),
        ("vr", "base64", 54_616 // 4 * 3),
        ("oq", "text", MB),
        ("oq", "base64", 1_398_104 // 4 * 3),
    ],
)
async def test_a_body_may_be_replaced_by_one_of_such_a_length(
    edge: Edge, app: Website, hook: str, encoding: str, limit: int
) -> None:
    fitting = await edge.ask("POST", f"/{hook}/replace/{limit}/{encoding}", body=b"original")
    excessive = await edge.ask("POST", f"/{hook}/replace/{limit + 1}/{encoding}", body=b"original")

    assert fitting.status == 200
    assert app.asked(f"/{hook}/replace/{limit}/{encoding}")[-1].body == b"a" * limit
    assert_is_refused(excessive)
    assert not app.asked(f"/{hook}/replace/{limit + 1}/{encoding}")


@pytest.mark.parametrize("hook", ["vr", "oq"])
async def test_a_function_may_return_a_path_and_query_of_8191_characters(edge: Edge, app: Website, hook: str) -> None:
    assert (await edge.get(f"/{hook}/uri/8191")).status == 200
    assert_is_refused(await edge.get(f"/{hook}/uri/8192"))


async def test_a_function_may_take_so_long(edge: Edge) -> None:
    assert (await edge.get("/hasty/sleep/1")).status == 200

    answer = await edge.get("/hasty/sleep/600")

    assert (answer.status, answer.x_cache) == (503, "LambdaExecutionError")


async def test_so_many_invocations_run_at_one_time(edge: Edge) -> None:
    answers = await asyncio.gather(*(edge.get("/narrow/sleep/300") for _ in range(4)))

    assert sorted((answer.status, answer.x_cache) for answer in answers) == [
        (200, "LambdaGeneratedResponse"),
        (200, "LambdaGeneratedResponse"),
        (503, "LambdaLimitExceeded"),
        (503, "LambdaLimitExceeded"),
    ]
    refused = next(answer for answer in answers if answer.status == 503)
    assert "The Lambda function associated with the CloudFront distribution was throttled." in refused.text
    assert (await edge.get("/narrow/sleep/0")).status == 200


def requests_of(size: int, start: bytes) -> Iterator[bytes]:
    """Give a request of `size` bytes and one of a byte more."""
    for length in (size, size + 1):
        yield start + b"a" * (length - len(start) - 4) + b"\r\n\r\n"


async def status_of(edge: Edge, request: bytes) -> int:
    answer = await edge.raw(request.replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n", 1))
    return int(answer.split(b" ")[1])


async def test_a_url_may_be_so_long(edge: Edge) -> None:
    for length, status in ((8192, 200), (8193, 414)):
        target = b"/" + b"a" * (length - 5) + b"?b=1"

        assert await status_of(edge, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n") == status


async def test_a_request_head_may_be_so_long(edge: Edge) -> None:
    fitting, excessive = requests_of(32_768, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: ")

    assert (await edge.raw(fitting)).startswith(b"HTTP/1.1 200 ")
    assert (await edge.raw(excessive)).startswith(b"HTTP/1.1 494 ")


async def test_a_request_may_have_so_many_header_lines(edge: Edge) -> None:
    for extra, status in ((254, 200), (255, 494)):
        lines = b"".join(b"X-%d: 1\r\n" % number for number in range(extra))

        assert await status_of(edge, b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n") == status


async def test_a_body_may_be_so_long(edge: Edge) -> None:
    assert (await edge.ask("POST", "/page", body=b"a" * 2 * MB)).status == 200
    assert await status_of(edge, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2 * MB + 1)) == 413


async def test_a_body_in_chunks_may_be_as_long(edge: Edge, app: Website) -> None:
    start = b"POST /in-chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"
    for length, status in ((2 * MB, 200), (2 * MB + 1, 413)):
        assert await status_of(edge, start % length + b"a" * length + b"\r\n0\r\n\r\n") == status
    assert [len(seen.body) for seen in app.asked("/in-chunks")][-1] == 2 * MB


@pytest.mark.parametrize(
    ("quotas", "hook", "limits", "flaw"),
    [
        ("aws-2025", "viewer-request", "timeout: 30s", ""),
        ("aws-2025", "viewer-request", "timeout: 31s", "has a timeout of 31s; at viewer-request the most is 30s"),
        ("aws-2025", "origin-response", "timeout: 30s", ""),
        ("aws-2025", "origin-response", "timeout: 31s", "has a timeout of 31s; at origin-response the most is 30s"),
        ("aws-2025", "viewer-response", "memory: 10240MB", ""),
        ("aws-legacy", "viewer-request", "timeout: 5s", ""),
        ("aws-legacy", "viewer-request", "timeout: 6s", "has a timeout of 6s; at viewer-request the most is 5s"),
        ("aws-legacy", "viewer-response", "memory: 128MB", ""),
        ("aws-legacy", "viewer-response", "memory: 129MB", "has 129MB of memory; at viewer-response the most is 128MB"),
        ("aws-legacy", "origin-request", "{timeout: 30s, memory: 10240MB}", ""),
    ],
)
async def test_a_function_beyond_the_quotas_of_its_hook_is_refused_at_the_start(
    directory: Path, quotas: str, hook: str, limits: str, flaw: str
) -> None:
    text = (
        f"quotas: {quotas}\n"
        'origins: {app: {url: "http://127.0.0.1:1"}}\n'
        f"functions: {{f: {{path: limits.js, runtime: nodejs20.x, {limits.strip('{}')}}}}}\n"
        f'routes: [{{path: "*", origin: app, hooks: {{{hook}: f}}}}]\n'
    )
    if not flaw:
        assert Edge(text, directory).settings().functions["f"].name == "f"
        return
    with pytest.raises(SettingsError) as refused:
        Edge(text, directory).settings()
    assert [problem.partition('"f" ')[2] for problem in refused.value.problems] == [flaw]
