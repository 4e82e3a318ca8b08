"""Pages of the operator's own in place of errors."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
origins:
  app: {url: "http://{app}"}
  pages: {url: "http://{pages}"}
  dead: {url: "http://127.0.0.1:1", connection_attempts: 1}
error_pages:
  400: {path: /errors/400.html}
  404: {path: /errors/404.html}
  403: {path: /errors/app.html, status: 200}
  500: {path: /errors/missing.html}
  501: {path: /errors/lost/page.html}
  502: {path: /errors/502.html}
  503: {path: /errors/503.html, status: 500}
  504: {path: /errors/judged.html}
functions:
  witness: {path: witness.js, runtime: nodejs20.x, handler: witness.handler}
  narrow: {path: witness.js, runtime: nodejs20.x, handler: witness.handler, concurrency: 1}
routes:
  - {path: /errors/lost/*, origin: dead}
  - {path: /errors/judged.html, origin: pages, hooks:
      {viewer-request: witness, origin-request: witness, origin-response: witness, viewer-response: witness}}
  - {path: /errors/app.html, origin: pages, forward: {add: [CloudFront-Is-Mobile-Viewer]}}
  - {path: /errors/*, origin: pages}
  - {path: /dead/*, origin: dead}
  - {path: /hooked/*, origin: app, hooks: {viewer-request: witness, viewer-response: witness}}
  - {path: /narrow/*, origin: app, hooks: {viewer-request: narrow}}
  - {path: /spoilt/*, origin: app, hooks: {origin-response: witness}}
  - {path: /private/*, origin: app, viewer_protocol: https-only}
  - {path: "*", origin: app}
"""

WITNESS = """
exports.handler = async (event) => {
  const { config, request, response } = event.Records[0].cf;
  if (request.uri.endsWith('/sleeps')) await new Promise((resolve) => setTimeout(resolve, 200));
  if (request.uri.endsWith('/throws')) throw new Error('no');
  if (request.uri.endsWith('/nothing')) return null;
  if (request.uri.endsWith('/refuses')) return { status: '404', body: 'go away' };
  if (request.uri.endsWith('/spoils')) return { ...response, status: '404', body: 'spoilt' };
  if (response) {
    response.headers[`x-${config.eventType}`] = [{ value: 'ran' }];
    return response;
  }
  return request;
};
"""

APP = {
    "/missing": page(404, b"raw 404", "X-From: app"),
    "/missing-for-a-minute": page(404, b"raw 404", "Cache-Control: max-age=60"),
    "/forbidden": page(403, b"raw 403"),
    "/broken": page(500, b"raw 500"),
    "/unimplemented": page(501, b"raw 501"),
    "/late": page(504, b"raw 504"),
    "/teapot": page(418, b"raw 418"),
    "/hooked/missing": page(404, b"raw 404"),
}
PAGES = {
    "/errors/404.html": page(200, b"<h1>nothing here</h1>", "Content-Type: text/html", "Cache-Control: max-age=60"),
    "/errors/app.html": page(200, b"<h1>the app</h1>", "Content-Type: text/html"),
    "/errors/missing.html": page(404, b"no page either"),
    "/errors/judged.html": page(200, b"<h1>too late</h1>"),
}


@dataclass(frozen=True)
class Stage:
    edge: Edge
    app: Website
    pages: Website


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("pages")
    (directory / "witness.js").write_text(WITNESS)
    async with (
        Website(APP) as app,
        Website(PAGES) as pages,
        Edge(CONFIGURATION, directory, app=app.address, pages=pages.address) as edge,
    ):
        yield Stage(edge, app, pages)


async def test_a_page_takes_the_place_of_an_error_and_keeps_its_status(stage: Stage) -> None:
    answer = await stage.edge.get("/missing")

    assert (answer.status, answer.reason, answer.x_cache) == (404, "Not Found", "Error")
    assert answer.text == "<h1>nothing here</h1>"
    assert answer["Content-Type"] == "text/html"
    assert answer.get("X-From") is None


async def test_a_page_may_have_another_status(stage: Stage) -> None:
    answer = await stage.edge.get("/forbidden")

    assert (answer.status, answer.reason, answer.text) == (200, "OK", "<h1>the app</h1>")


async def test_an_error_without_a_page_is_itself(stage: Stage) -> None:
    answer = await stage.edge.get("/teapot")

    assert (answer.status, answer.text) == (418, "raw 418")


async def test_a_page_that_is_missing_leaves_the_error(stage: Stage) -> None:
    answer = await stage.edge.get("/broken")

    assert (answer.status, answer.text, answer.x_cache) == (500, "raw 500", "Error")


async def test_a_page_that_can_not_be_fetched_leaves_the_error(stage: Stage) -> None:
    answer = await stage.edge.get("/unimplemented")

    assert (answer.status, answer.text, answer.x_cache) == (501, "raw 501", "Error")


async def test_a_page_stands_in_for_an_origin_that_is_lost(stage: Stage) -> None:
    answer = await stage.edge.get("/dead/page")

    assert (answer.status, answer.text, answer.x_cache) == (502, "/errors/502.html", "Error")


async def test_a_page_comes_from_the_cache_when_it_can(stage: Stage) -> None:
    await stage.edge.get("/missing")
    before = len(stage.pages.asked("/errors/404.html"))

    answer = await stage.edge.get("/missing")

    assert (answer.status, answer.text) == (404, "<h1>nothing here</h1>")
    assert len(stage.pages.asked("/errors/404.html")) == before


async def test_a_cached_error_has_its_page_too(stage: Stage) -> None:
    for _ in range(2):
        answer = await stage.edge.get("/missing-for-a-minute")

        assert (answer.status, answer.text, answer.x_cache) == (404, "<h1>nothing here</h1>", "Error")
    assert len(stage.app.asked("/missing-for-a-minute")) == 1


async def test_a_page_is_got_whatever_the_viewer_wanted_to_do(stage: Stage) -> None:
    answer = await stage.edge.ask("POST", "/forbidden", body=b"a=1")

    assert (answer.status, answer.text) == (200, "<h1>the app</h1>")
    seen = stage.pages.asked("/errors/app.html")[-1]
    assert (seen.method, seen.target, seen.body) == ("GET", "/errors/app.html", b"")
    assert seen.header("Content-Length") is None


async def test_a_page_answers_head_without_content(stage: Stage) -> None:
    answer = await stage.edge.ask("HEAD", "/forbidden")

    assert (answer.status, answer.body) == (200, b"")
    assert answer["Content-Length"] == str(len("<h1>the app</h1>"))


async def test_conditions_and_ranges_of_the_viewer_are_not_for_the_page(stage: Stage) -> None:
    answer = await stage.edge.get("/forbidden", Range="bytes=0-3", If_None_Match='"a"')

    assert (answer.status, answer.text) == (200, "<h1>the app</h1>")
    seen = stage.pages.asked("/errors/app.html")[-1]
    assert (seen.header("Range"), seen.header("If-None-Match")) == (None, None)


async def test_what_a_viewer_says_of_itself_is_not_believed_for_the_page_either(stage: Stage) -> None:
    await stage.edge.get("/forbidden", CloudFront_Is_Mobile_Viewer="made up", CloudFront_Viewer_Country="XX")

    seen = stage.pages.asked("/errors/app.html")[-1]
    assert seen.header("CloudFront-Is-Mobile-Viewer") == "false"
    assert seen.header("CloudFront-Viewer-Country") is None


async def test_the_origin_hooks_of_the_page_run_and_its_viewer_hooks_do_not(stage: Stage) -> None:
    answer = await stage.edge.get("/late")

    assert (answer.status, answer.text) == (504, "<h1>too late</h1>")
    assert answer["X-Origin-Response"] == "ran"
    assert answer.get("X-Viewer-Response") is None
    assert await stage.edge.hooks_run(answer) == ["origin-request", "origin-response"]


async def test_the_viewer_response_of_an_errors_route_does_not_run_for_its_page(stage: Stage) -> None:
    answer = await stage.edge.get("/hooked/missing")

    assert (answer.status, answer.text) == (404, "<h1>nothing here</h1>")
    assert await stage.edge.hooks_run(answer) == ["viewer-request"]


async def test_a_page_stands_in_for_a_function_that_throws(stage: Stage) -> None:
    answer = await stage.edge.get("/hooked/throws")

    assert (answer.status, answer.text) == (500, "/errors/503.html")
    assert "function witness:1: Error: no" in await stage.edge.log_line(answer["X-Amz-Cf-Id"])


async def test_a_page_stands_in_for_a_result_that_is_invalid(stage: Stage) -> None:
    answer = await stage.edge.get("/hooked/nothing")

    assert (answer.status, answer.text) == (502, "/errors/502.html")


async def test_no_page_stands_in_for_a_function_that_has_no_room(stage: Stage) -> None:
    answers = await asyncio.gather(stage.edge.get("/narrow/sleeps"), stage.edge.get("/narrow/sleeps"))

    refused = max(answers, key=lambda answer: answer.status)
    assert (refused.status, refused.x_cache) == (503, "LambdaLimitExceeded")
    assert "was throttled" in refused.text


async def test_the_log_tells_the_route_of_the_request_and_not_of_the_page(stage: Stage) -> None:
    answer = await stage.edge.get("/dead/page")

    assert " route=/dead/* " in await stage.edge.log_line(answer["X-Amz-Cf-Id"])


async def test_what_a_function_answers_by_itself_is_no_error_of_the_origin(stage: Stage) -> None:
    answer = await stage.edge.get("/hooked/refuses")

    assert (answer.status, answer.text, answer.x_cache) == (404, "go away", "LambdaGeneratedResponse")


async def test_what_origin_response_makes_of_a_good_answer_is_no_error_of_the_origin(stage: Stage) -> None:
    answer = await stage.edge.get("/spoilt/spoils")

    assert (answer.status, answer.text, answer.x_cache) == (404, "spoilt", "Miss")


async def test_plain_http_that_is_refused_has_the_locations_own_page(stage: Stage) -> None:
    answer = await stage.edge.get("/private/page")

    assert answer.status == 403
    assert "The request could not be satisfied" in answer.text


async def test_what_is_no_request_has_the_locations_own_page(stage: Stage) -> None:
    answer = await stage.edge.raw(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The request could not be satisfied" in answer


async def test_a_body_that_turns_out_to_be_none_has_the_locations_own_page(stage: Stage) -> None:
    answer = await stage.edge.raw(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The request could not be satisfied" in answer
