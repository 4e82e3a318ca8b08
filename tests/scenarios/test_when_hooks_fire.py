"""Which functions run in which situation: one row for each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Page, Website, page
from tests.scenarios.edge import Answer, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

VR, OQ, OR, VS = "viewer-request", "origin-request", "origin-response", "viewer-response"

CONFIGURATION = """
origins:
  app: {url: "http://{app}"}
  spare: {url: "http://{spare}"}
  dead: {url: "http://127.0.0.1:1", connection_attempts: 1}
origin_groups:
  by-status: {members: [app, spare], failover: [500, 502]}
  by-connection: {members: [dead, spare], failover: [503]}
functions:
  witness: {path: witness.js, runtime: nodejs20.x, handler: witness.handler}
error_pages: {501: {path: /errors/501.html, status: 200}}
routes:
  - {path: /redirected/*, origin: app, viewer_protocol: redirect-to-https, hooks: &all
      {viewer-request: witness, origin-request: witness, origin-response: witness, viewer-response: witness}}
  - {path: /private/*, origin: app, viewer_protocol: https-only, hooks: *all}
  - {path: /group/*, origin: by-status, hooks: *all}
  - {path: /lost/*, origin: by-connection, hooks: *all}
  - {path: /dead/*, origin: dead, hooks: *all}
  - {path: /vr-only/*, origin: app, hooks: {viewer-request: witness}}
  - {path: /elsewhere/*, origin: spare}
  - {path: "*", origin: app, hooks: *all}
"""

WITNESS = """
exports.handler = async (event) => {
  const { config, request, response } = event.Records[0].cf;
  const cached = { 'cache-control': [{ value: 'max-age=60' }] };
  switch (`${config.eventType} ${request.uri}`) {
    case 'viewer-request /answered-at-the-door': return { status: '200', body: 'hello' };
    case 'viewer-request /refused-at-the-door': return { status: '403' };
    case 'viewer-request /rewritten': return { ...request, uri: '/elsewhere/page' };
    case 'origin-request /answered-for-the-origin': return { status: '200', headers: cached, body: 'hello' };
    case 'origin-request /refused-for-the-origin': return { status: '404', headers: cached };
    case 'origin-response /mended': return { ...response, status: '200', body: 'mended' };
    case 'origin-response /spoilt': return { ...response, status: '500', body: 'spoilt' };
  }
  return response || request;
};
"""

CACHED = "Cache-Control: max-age=60"


async def validated(conversation: Conversation, request: SeenRequest) -> None:
    """Answer with what must be validated each time, and validate it."""
    unchanged = request.header("If-None-Match") == '"1"'
    await conversation.send(page(304 if unchanged else 200, b"", 'ETag: "1"', "Cache-Control: no-cache"))


async def soon_lost(conversation: Conversation, request: SeenRequest) -> None:
    """Answer once with what is stale at once, and hang up on whoever asks again."""
    if request.header("If-None-Match") is None:
        await conversation.send(page(200, b"hello", 'ETag: "1"', "Cache-Control: max-age=0, stale-if-error=60"))
    else:
        conversation.reset()


PAGES: dict[str, Page] = {
    "/cached": page(200, b"hello", CACHED),
    "/validated": validated,
    "/soon-lost": soon_lost,
    "/missing": page(404, b"none"),
    "/broken": page(500, b"oh"),
    "/mended": page(404, b"none", CACHED),
    "/gone": page(404, b"gone", CACHED),
    "/no-content": page(204),
    "/moved": page(301, b"", "Location: /cached"),
    "/unimplemented": page(501, b"never heard of it"),
    "/group/broken": page(500, b"oh"),
    "/group/missing": page(404, b"none"),
}


@dataclass(frozen=True)
class Stage:
    edge: Edge
    app: Website


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("witness")
    (directory / "witness.js").write_text(WITNESS)
    async with (
        Website(PAGES) as app,
        Website() as spare,
        Edge(CONFIGURATION, directory, app=app.address, spare=spare.address) as edge,
    ):
        yield Stage(edge, app)


@dataclass(frozen=True)
class Row:
    """What is asked for, by whom it was asked for before, what comes back, and who stepped in on the way."""

    situation: str
    path: str
    hooks: tuple[str, ...]
    status: int = 200
    x_cache: str = "Miss"
    method: str = "GET"
    again: bool = False

    def __str__(self) -> str:
        return self.situation


ROWS = (
    Row("a hit", "/cached", (VR, VS), x_cache="Hit", again=True),
    Row("a hit for HEAD", "/cached", (VR, VS), x_cache="Hit", method="HEAD", again=True),
    Row("a stored response is validated", "/validated", (VR, OQ, OR, VS), x_cache="RefreshHit", again=True),
    Row("a stale response stands in for a lost origin", "/soon-lost", (VR, OQ, VS), x_cache="Hit", again=True),
    Row("a miss", "/page", (VR, OQ, OR, VS)),
    Row("a miss for HEAD", "/page", (VR, OQ, OR, VS), method="HEAD"),
    Row("an answer without content", "/no-content", (VR, OQ, OR, VS), 204),
    Row("a redirection by the origin", "/moved", (VR, OQ, OR, VS), 301),
    Row("viewer-request answers", "/answered-at-the-door", (VR,), x_cache="LambdaGeneratedResponse"),
    Row("viewer-request answered before", "/answered-at-the-door", (VR,), 200, "LambdaGeneratedResponse", again=True),
    Row("viewer-request answers with an error", "/refused-at-the-door", (VR,), 403, "LambdaGeneratedResponse"),
    Row("viewer-request rewrites the path into another route's", "/rewritten", (VR, OQ, OR, VS)),
    Row("origin-request answers", "/answered-for-the-origin", (VR, OQ, VS)),
    Row("origin-request answered before", "/answered-for-the-origin", (VR, VS), x_cache="Hit", again=True),
    Row("origin-request answers with an error", "/refused-for-the-origin", (VR, OQ), 404, "Error"),
    Row("origin-request answered with an error before", "/refused-for-the-origin", (VR,), 404, "Error", again=True),
    Row("the origin says 404", "/missing", (VR, OQ, OR), 404, "Error"),
    Row("the origin says 500", "/broken", (VR, OQ, OR), 500, "Error"),
    Row("origin-response turns a 404 into a 200", "/mended", (VR, OQ, OR), 200, "Error"),
    Row("origin-response turned a 404 into a 200 before", "/mended", (VR,), 200, "Error", again=True),
    Row("origin-response turns a 200 into a 500", "/spoilt", (VR, OQ, OR, VS), 500),
    Row("an error is in the cache", "/gone", (VR,), 404, "Error", again=True),
    Row("an error page is fetched", "/unimplemented", (VR, OQ, OR, OQ, OR), 200, "Error"),
    Row("plain HTTP is redirected", "/redirected/page", (), 301, "Redirect"),
    Row("a POST by plain HTTP is redirected", "/redirected/page", (), 307, "Redirect", "POST"),
    Row("plain HTTP is refused", "/private/page", (), 403, "Error"),
    Row("a POST", "/page", (VR, OQ, OR, VS), method="POST"),
    Row("a PUT", "/page", (VR, OQ, OR, VS), method="PUT"),
    Row("a DELETE", "/page", (VR, OQ, OR, VS), method="DELETE"),
    Row("a PATCH", "/page", (VR, OQ, OR, VS), method="PATCH"),
    Row("an OPTIONS", "/page", (VR, OQ, OR, VS), method="OPTIONS"),
    Row("a POST that the origin refuses", "/missing", (VR, OQ, OR), 404, "Error", "POST"),
    Row("the first origin of a group is well", "/group/page", (VR, OQ, OR, VS)),
    Row("the first origin of a group fails", "/group/broken", (VR, OQ, OR, OQ, OR, VS)),
    Row("the first origin of a group says what counts", "/group/missing", (VR, OQ, OR), 404, "Error"),
    Row("the first origin of a group can't be reached", "/lost/page", (VR, OQ, OQ, OR, VS)),
    Row("a POST to a group that fails", "/group/broken", (VR, OQ, OR), 500, "Error", "POST"),
    Row("a POST to a group that can't be reached", "/lost/page", (VR, OQ), 502, "Error", "POST"),
    Row("the origin can't be reached", "/dead/page", (VR, OQ), 502, "Error"),
    Row("the route has one hook", "/vr-only/page", (VR,)),
)

NOT_IN_THIS_VERSION = (
    "a country is blocked",
    "a firewall rule blocks",
    "a signed URL is refused",
    "origin hooks run at an Origin Shield",
)


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_the_hooks_of_a_situation(stage: Stage, row: Row) -> None:
    if row.again:
        await stage.edge.get(row.path)

    answer = await stage.edge.ask(row.method, row.path)

    assert (answer.status, answer.x_cache) == (row.status, row.x_cache)
    assert await stage.edge.hooks_run(answer) == list(row.hooks)


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (414, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (494, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 32_768 + b"\r\n\r\n"),
        (505, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
    ],
    ids=["without Host", "no method", "a tunnel", "a long URL", "long headers", "another version"],
)
async def test_no_hook_sees_what_is_no_request(stage: Stage, status: int, request_bytes: bytes) -> None:
    head = (await stage.edge.raw(request_bytes)).partition(b"\r\n\r\n")[0].decode()
    lines = tuple((name, value) for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:]))
    refused = Answer(int(head.split(" ")[1]), "", lines, b"")

    assert (refused.status, refused.x_cache) == (status, "Error")
    assert await stage.edge.hooks_run(refused) == []


async def test_the_rows_of_later_versions_are_named_and_none_of_them_is_told_twice() -> None:
    situations = [row.situation for row in ROWS]

    assert len(set(situations)) == len(situations)
    assert not set(situations) & set(NOT_IN_THIS_VERSION)


async def test_a_path_rewritten_at_viewer_request_stays_on_its_route_and_origin(stage: Stage) -> None:
    await stage.edge.get("/rewritten")

    assert stage.app.asked("/elsewhere/page")
