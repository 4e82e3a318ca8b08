"""What "/" means, and who has to come over HTTPS."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
default_root_object: start/index.html
origins:
  app: {url: "http://{app}"}
  start: {url: "http://{start}"}
functions:
  witness: {path: witness.js, runtime: nodejs20.x, handler: witness.handler}
routes:
  - {path: /start/*, origin: start, hooks: {viewer-request: witness}}
  - {path: /moved/*, origin: app, viewer_protocol: redirect-to-https}
  - {path: /private/*, origin: app, viewer_protocol: https-only}
  - {path: "*", origin: app}
"""

WITNESS = """
exports.handler = async (event) => {
  const { request } = event.Records[0].cf;
  request.headers['x-seen'] = [{ value: `${request.uri}?${request.querystring}` }];
  return request;
};
"""


@dataclass(frozen=True)
class Stage:
    edge: Edge
    app: Website
    start: Website


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("root")
    (directory / "witness.js").write_text(WITNESS)
    async with (
        Website() as app,
        Website({"/start/index.html": page(200, b"welcome", "Cache-Control: max-age=60")}) as start,
        Edge(CONFIGURATION, directory, app=app.address, start=start.address) as edge,
    ):
        yield Stage(edge, app, start)


async def test_the_root_is_the_default_object_for_route_function_and_origin(stage: Stage) -> None:
    answer = await stage.edge.get("/?a=1")

    assert (answer.status, answer.text) == (200, "welcome")
    seen = stage.start.asked("/start/index.html")[-1]
    assert seen.target == "/start/index.html?a=1"
    assert seen.header("X-Seen") == "/start/index.html?a=1"


async def test_the_root_and_the_object_are_one_in_the_cache(stage: Stage) -> None:
    first = await stage.edge.get("/start/index.html")
    second = await stage.edge.get("/")

    assert first.text == second.text == "welcome"
    assert second.x_cache == "Hit"


async def test_the_default_object_is_for_the_root_alone(stage: Stage) -> None:
    for path in ("/folder/", "//", "/./"):
        await stage.edge.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

        assert stage.app.asked(path)


async def test_every_method_gets_the_default_object(stage: Stage) -> None:
    await stage.edge.ask("POST", "/", body=b"a=1")

    seen = stage.start.asked("/start/index.html")[-1]
    assert (seen.method, seen.body) == ("POST", b"a=1")


async def test_plain_http_is_redirected_for_good(stage: Stage) -> None:
    for method in ("GET", "HEAD"):
        answer = await stage.edge.ask(method, "/moved/page?a=1&b=%20", headers={"Host": "www.example.com:8080"})

        assert (answer.status, answer.reason, answer.x_cache) == (301, "Moved Permanently", "Redirect")
        assert answer["Location"] == "https://www.example.com/moved/page?a=1&b=%20"
        assert (answer.body, answer["Server"]) == (b"", "CloudFront")
    assert not stage.app.asked("/moved/page")


async def test_a_redirection_has_no_content(stage: Stage) -> None:
    answer = await stage.edge.get("/moved/page", Host="www.example.com")

    assert answer["Content-Length"] == "0"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_a_redirection_keeps_the_method_of_what_may_have_a_body(stage: Stage, method: str) -> None:
    answer = await stage.edge.ask(method, "/moved/page", headers={"Host": "www.example.com"})

    assert (answer.status, answer.x_cache) == (307, "Redirect")
    assert answer["Location"] == "https://www.example.com/moved/page"


async def test_http_1_0_knows_no_307(stage: Stage) -> None:
    answer = await stage.edge.raw(b"POST /moved/page HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")

    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_plain_http_is_refused_where_only_https_is_served(stage: Stage) -> None:
    for method in ("GET", "POST"):
        answer = await stage.edge.ask(method, "/private/page")

        assert (answer.status, answer.x_cache) == (403, "Error")
    assert not stage.app.asked("/private/page")


async def test_a_route_is_chosen_by_the_normal_form_of_a_path(stage: Stage) -> None:
    for path in ("/%70rivate/page", "//private/page", "/x/../private/page", "/./private/page"):
        answer = await stage.edge.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

        assert answer.startswith(b"HTTP/1.1 403 ")
