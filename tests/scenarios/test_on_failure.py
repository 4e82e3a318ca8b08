"""What an operator may have instead of AWS's error when a function fails."""

from pathlib import Path

import pytest

from edgefn.model.errors import SettingsError
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

CONFIGURATION = """
origins: {app: {url: "http://{app}"}}
functions:
  broken: {path: broken.js, runtime: js, handler: broken.handler}
routes:
  - {path: /fail, origin: app, hooks: {viewer-request: broken}}
  - {path: /open, origin: app, hooks: {viewer-request: {function: broken, on_failure: open}}}
  - path: /open-body
    origin: app
    hooks: {viewer-request: {function: broken, on_failure: open, include_body: true}}
  - {path: /open-response, origin: app, hooks: {viewer-response: {function: broken, on_failure: open}}}
  - {path: /stale*, origin: app, hooks: {origin-request: {function: broken, on_failure: stale}}}
  - {path: /late*, origin: app, hooks: {origin-response: {function: broken, on_failure: stale}}}
  - {path: "*", origin: app}
"""

BROKEN = """
exports.handler = async (event) => {
  const { request, response } = event.Records[0].cf;
  if (request.querystring === 'ok') return response || request;
  if (!request.headers['x-break']) throw new Error('broken');
  return request.headers['x-break'][0].value === 'no' ? response || request : { status: 'none' };
};
"""

OLD = ("Cache-Control: max-age=0, stale-if-error=600", 'ETag: "1"')


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    (tmp_path / "broken.js").write_text(BROKEN)
    return tmp_path


async def test_left_out_the_request_goes_on_as_it_came(functions: Path) -> None:
    pages = {path: page(200, b"hello") for path in ("/open", "/open-response", "/open-body", "/fail")}
    async with Website(pages) as site, Edge(CONFIGURATION, functions, app=site.address) as edge:
        assert (await edge.get("/fail")).status == 503
        for path in ("/open", "/open-response"):
            thrown, invalid = await edge.get(path), await edge.get(path, X_Break="yes")
            assert [(answer.status, answer.text) for answer in (thrown, invalid)] == [(200, "hello")] * 2
        line = await edge.log_line(thrown["X-Amz-Cf-Id"])
        assert 'detail="broken:1 failed, left out: LambdaExecutionError Error: broken"' in line
        body = b"x" * 50_000
        assert (await edge.ask("POST", "/open-body", body=body)).status == 200
        assert site.asked("/open-body")[0].body == body


async def test_a_stale_response_stands_in_where_there_is_one(functions: Path) -> None:
    pages = {path: page(200, b"old", *OLD) for path in ("/stale", "/late", "/stale-never")}
    pages["/stale-strict"] = page(
        200, b"old", "Cache-Control: max-age=0, must-revalidate, stale-if-error=600", 'ETag: "1"'
    )
    async with Website(pages) as site, Edge(CONFIGURATION, functions, app=site.address) as edge:
        for path in ("/stale", "/late"):
            first, second = await edge.get(path, X_Break="no"), await edge.get(path)
            assert [(answer.status, answer.text) for answer in (first, second)] == [(200, "old")] * 2
            assert second["Cache-Status"].startswith("edgefn; fwd=stale; detail=stale-function-failed")
            assert "broken:1: Error: broken" in await edge.log_line(second["X-Amz-Cf-Id"])
        assert (await edge.get("/stale-never")).status == 503
        assert (await edge.get("/stale-strict", X_Break="no")).status == 200
        assert (await edge.get("/stale-strict")).status == 503


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ("viewer-request: {function: broken, on_failure: stale}", "runs on hits too; write fail, open or previous"),
        ("origin-request: {function: broken, on_failure: previous}", "only an alias has a previous version"),
    ],
)
def test_what_can_not_be_is_said(tmp_path: Path, hook: str, problem: str) -> None:
    text = CONFIGURATION.replace("viewer-request: broken", hook)
    with pytest.raises(SettingsError, match=problem):
        Edge(text, tmp_path, app="127.0.0.1:1").settings()
