"""What viewers try, through the front door."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest
from tests.scenarios.edge import Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
origins:
  app: {url: "http://{app}"}
functions:
  marks: {path: marks.js, runtime: nodejs20.x, handler: marks.handler, provisioned: 1}
  guard: {path: guard.js, runtime: nodejs20.x, handler: guard.handler, provisioned: 1}
routes:
  - {path: /marked/*, origin: app, hooks: {viewer-request: marks}}
  - {path: /private/*, origin: app, hooks: {viewer-request: guard}}
  - {path: /themed/*, origin: app, cache: {key: {cookies: [theme]}}}
  - {path: "*", origin: app}
"""

MARKS = """
let calls = 0;
exports.handler = async (event) => {
  const { request } = event.Records[0].cf;
  await new Promise((done) => setTimeout(done, request.uri.endsWith('/slow') ? 300 : 0));
  calls += 1;
  request.headers['x-user'] = [{ key: 'X-User', value: 'guest' }];
  request.headers['x-calls'] = [{ key: 'X-Calls', value: `${process.pid} ${calls}` }];
  return request;
};
"""

GUARD = "exports.handler = async () => ({ status: '401' });\n"


class Stage:
    """A location with its origin."""

    def __init__(self, edge: Edge, origin: ScriptedOrigin) -> None:
        self.edge = edge
        self.origin = origin

    async def seen(self, request: bytes) -> SeenRequest:
        """Return what the origin got of the raw `request`."""
        before = len(self.origin.requests)
        answer = await self.edge.raw(request)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        (seen,) = self.origin.requests[before:]
        return seen


async def serve(conversation: Conversation) -> None:
    while seen := await conversation.request():
        body = (seen.header("Cookie") or "no cookie").encode()
        conversation.writer.write(
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("attacked")
    (folder / "marks.js").write_text(MARKS)
    (folder / "guard.js").write_text(GUARD)
    async with ScriptedOrigin(serve) as origin, Edge(CONFIGURATION, folder, app=origin.address) as edge:
        yield Stage(edge, origin)


async def test_connection_does_not_take_away_what_a_function_has_set(stage: Stage) -> None:
    seen = await stage.seen(b"GET /marked/1 HTTP/1.1\r\nHost: a\r\nConnection: close, X-User\r\nX-User: root\r\n\r\n")
    assert seen.header("X-User") == "guest"


async def test_connection_does_not_split_the_cache_key_from_what_the_origin_gets(stage: Stage) -> None:
    asked = b"GET /themed/1 HTTP/1.1\r\nHost: a\r\nCookie: theme=dark\r\nConnection: close"
    assert (await stage.edge.raw(asked + b", cookie\r\n\r\n")).endswith(b"no cookie")
    assert (await stage.edge.raw(asked + b"\r\n\r\n")).endswith(b"theme=dark")


async def test_trailers_tell_the_origin_nothing_that_the_head_may_not(stage: Stage) -> None:
    seen = await stage.seen(
        b"POST /post HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\nx\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: Basic x\r\nX-Sum: 1\r\n\r\n"
    )
    assert (seen.body, seen.trailers) == (b"x", (("X-Sum", "1"),))


@pytest.mark.parametrize("path", ["/public/..%2fprivate/x", "/private%2fx", "/public\\..\\private/x", "/private//../x"])
async def test_no_spelling_of_a_path_gets_past_the_hook_that_guards_it(stage: Stage, path: str) -> None:
    before = len(stage.origin.requests)
    answer = await stage.edge.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert len(stage.origin.requests) == before


async def test_nor_does_what_was_stored_under_it_before_there_was_a_guard(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "guard.js").write_text(GUARD)
    guarded = CONFIGURATION.replace("  - {path: /marked/*, origin: app, hooks: {viewer-request: marks}}\n", "")
    guarded = guarded.replace(
        "  marks: {path: marks.js, runtime: nodejs20.x, handler: marks.handler, provisioned: 1}\n", ""
    )
    free = 'origins: {app: {url: "http://{app}"}}\nroutes: [{path: "*", origin: app}]\n'
    async with Edge(free, tmp_path, app=stage.origin.address) as edge:
        asked = b"GET /public/..%2fprivate/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for _ in range(2):
            assert (await edge.raw(asked)).startswith(b"HTTP/1.1 200 ")
        edge.text = guarded
        await edge.location.reload()
        assert (await edge.raw(asked)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/private/x", "//private/x", "/%70rivate/x", "/public/../private/x"])
async def test_the_plain_ones_meet_the_hook(stage: Stage, path: str) -> None:
    answer = await stage.edge.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_empty_lines_without_end_are_no_requests(stage: Stage) -> None:
    assert (await stage.edge.raw(b"\r\n" * 100_000)).startswith(b"HTTP/1.1 400 ")


async def test_viewers_that_leave_do_not_cost_a_warm_sandbox(stage: Stage) -> None:
    first = await stage.seen(b"GET /marked/first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    host, port = stage.edge.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.write(b"GET /marked/slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.5)
    del reader
    last = await stage.seen(b"GET /marked/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    pid, calls = str(first.header("X-Calls")).split()
    assert last.header("X-Calls") == f"{pid} {int(calls) + 2}"
