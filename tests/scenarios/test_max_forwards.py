"""TRACE and OPTIONS that may go so many steps only: counted down on every route, and answered here at none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.website import Website
from tests.scenarios.edge import Edge

CONFIGURATION = """
origins: {app: {url: "http://{app}"}, spare: {url: "http://{app}"}}
origin_groups: {both: {members: [app, spare], failover: [500]}}
functions: {asked: {path: asked.js, runtime: cloudfront-js-2.0}, slow: {path: slow.js, runtime: js}}
routes:
  - {path: /passed/*, origin: app, cache: {policy: CachingDisabled}}
  - {path: /stored/*, origin: app, cache: {default_ttl: 1h}}
  - {path: /group/*, origin: both}
  - {path: /asked/*, origin: app, hooks: {viewer-request: asked}}
  - {path: /origin/*, origin: app, hooks: {origin-request: slow}}
  - {path: "*", origin: app}
"""
ROUTES = ("passed", "stored", "group", "asked", "origin", "other")


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    async with Website() as made:
        yield made


@pytest.fixture
async def edge(tmp_path: Path, site: Website) -> AsyncIterator[Edge]:
    (tmp_path / "asked.js").write_text("function handler(event) { return event.request; }")
    (tmp_path / "slow.js").write_text("exports.handler = async (event) => event.Records[0].cf.request;")
    async with Edge(CONFIGURATION, tmp_path, app=site.address) as made:
        yield made


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_each_step_is_counted_and_the_last_one_is_answered_here(edge: Edge, site: Website, method: str) -> None:
    for route in ROUTES:
        path = f"/{route}/{method}"
        for given, goes_on in (("1", "0"), ("00070", "69"), ("9" * 5_000, "999999998")):
            answer = await edge.ask(method, path, headers={"max-forwards": given})
            assert (answer.status, site.asked(path)[-1].header("Max-Forwards")) == (200, goes_on)
        asked = len(site.asked(path))
        answer = await edge.ask(
            method, path, headers={"Max-Forwards": "0"}, body=b"more" if method == "OPTIONS" else None
        )
        assert (answer.status, len(site.asked(path))) == (200, asked)
        assert answer["X-Amz-Cf-Id"] is not None
        for nonsense in ("", "-1", "1, 2", "ten", "1.0"):
            assert (await edge.ask(method, path, headers={"Max-Forwards": nonsense})).status == 400, nonsense
        assert len(site.asked(path)) == asked
        assert (await edge.ask(method, path)).status == 200
        assert site.asked(path)[-1].header("Max-Forwards") is None


async def test_what_is_said_here_of_methods_and_of_the_request(edge: Edge) -> None:
    options = await edge.ask("OPTIONS", "/", headers={"Max-Forwards": "0"})
    assert (options.get("Allow"), options.get("Content-Length")) == (
        "GET, HEAD, OPTIONS, PUT, PATCH, POST, DELETE, TRACE",
        "0",
    )
    sent = b"TRACE /a?b=c HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 0\r\nX-Mine: yes\r\n"
    secret = b"Cookie: a=1\r\nAuthorization: Basic secret\r\nConnection: close\r\n\r\n"
    head, _, content = (await edge.raw(sent + secret)).partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: message/http\r\n" in head + b"\r\n"
    assert content.startswith(b"TRACE /a?b=c HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 0\r\nX-Mine: yes\r\n")
    assert b"secret" not in content
    assert b"a=1" not in content


async def test_the_server_as_a_whole_is_asked_too(edge: Edge, site: Website) -> None:
    asked = b"OPTIONS * HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n"
    answer = await edge.raw(asked)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not site.requests


async def test_other_methods_are_not_counted(edge: Edge, site: Website) -> None:
    for method in ("GET", "POST"):
        answer = await edge.ask(method, "/other/x", headers={"Max-Forwards": "0"})
        assert (answer.status, site.asked("/other/x")[-1].header("Max-Forwards")) == (200, "0")
