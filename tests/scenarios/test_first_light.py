"""The smallest whole: a viewer, a location, a function, an origin."""

from pathlib import Path

from tests.fakes.scripted_origin import ScriptedOrigin, answering, ok
from tests.scenarios.edge import Edge

PLAIN = """
origins: {app: {url: "http://{origin}"}}
routes: [{path: "*", origin: app}]
"""


async def test_a_request_without_hooks_goes_to_the_origin_and_back(tmp_path: Path) -> None:
    async with ScriptedOrigin(answering(ok(b"hello"))) as origin, Edge(PLAIN, tmp_path, origin=origin.address) as edge:
        answer = await edge.get("/page?x=1", X_Mine="1")

        assert (answer.status, answer.text, answer.x_cache) == (200, "hello", "Miss")
        assert origin.requests[0].target == "/page?x=1"
        assert origin.requests[0].header("Host") == origin.address
        assert origin.requests[0].header("X-Mine") == "1"
        assert origin.requests[0].header("X-Forwarded-For") == "127.0.0.1"


AB = """
origins: {app: {url: "http://{origin}"}}
functions:
  ab: {path: "{hooks}/ab-test", runtime: nodejs20.x, handler: index.handler}
  geo: {path: "{hooks}/geo-header", runtime: python3.11, handler: lambda_function.lambda_handler}
routes:
  - path: "*"
    origin: app
    hooks: {viewer-request: ab, viewer-response: geo}
"""


async def test_node_and_python_functions_step_in(tmp_path: Path) -> None:
    async with ScriptedOrigin(answering(ok(b"hello"))) as origin, Edge(AB, tmp_path, origin=origin.address) as edge:
        answer = await edge.get("/home", Cookie="variant=b")

        assert (answer.status, answer.text) == (200, "hello")
        assert answer["X-Client"] == "127.0.0.1"
        assert origin.requests[0].target == "/home-b.html"
        assert await edge.hooks_run(answer) == ["viewer-request", "viewer-response"]
