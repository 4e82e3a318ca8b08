"""One function, run as a process and as a guest: the same events give the same results."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.cli.samples import SAMPLES
from edgefn.functions.registry import Registry
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.settings import FunctionSettings, SandboxSettings, Settings
from edgefn.node import world
from edgefn.node.hosting import FunctionHosts, function_hosts
from edgefn.sandbox.base import Failed, Outcome, Returned
from tests.guests.building import COMPLETING_URIS, module_of
from tests.scenarios.edge import HOOKS

EVENTS = 40

PRETTY_PYTHON = """
import re

def lambda_handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    if request["uri"].endswith("/"):
        request["uri"] += "index.html"
    elif not re.search(r"\\.[^/]+\\Z", request["uri"]):
        request["uri"] += "/index.html"
    return request
"""


@dataclass
class Stage:
    """Opens functions, and runs events on all of them."""

    home: Path
    hosts: FunctionHosts
    loop: asyncio.Runner
    opened: list[Registry] = field(default_factory=list)

    def open(self, path: Path, runtime: str, handler: str = "index.handler") -> Runner:
        """Return a function, ready to run."""
        name = f"f{len(self.opened)}"
        function = FunctionSettings(name, str(path), runtime, handler, timeout=20.0, memory=128)
        registry = Registry(
            self.hosts, self.home, Surroundings(world.invocation_id, world.timestamp, lambda _line: None)
        )
        self.opened.append(registry)
        opening = self.loop.run(registry.open({name: function}))
        registry.adopt(opening)
        return opening.opened[name].runner

    def results(self, runners: list[Runner], event: dict[str, object]) -> list[object]:
        """Return what each of them makes of an event: its result, or the type and message of its error."""

        async def run() -> list[Outcome]:
            return [await runner.run(json.dumps(event).encode(), None) for runner in runners]

        return [told(outcome) for outcome in self.loop.run(run())]


def told(outcome: Outcome) -> object:
    match outcome:
        case Returned(result=result):
            return json.loads(result)
        case Failed(type=kind, message=message):
            return (kind, message)
    raise AssertionError(outcome)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("functions")
    settings = Settings(
        "fra1", listen=(), routes=(), origins={}, functions={}, data_dir=str(home), sandbox=SandboxSettings(parked=0)
    )
    with asyncio.Runner() as loop:
        stack = AsyncExitStack()
        hosts = loop.run(stack.enter_async_context(function_hosts(settings, lambda _line: None)))
        stage = Stage(home, hosts, loop)
        yield stage
        for registry in stage.opened:
            loop.run(registry.close())
        loop.run(stack.aclose())


PIECES = ["/", "/", "a", "docs", ".", "..", "index.html", "%2F", "v1.2", "é", "\\", '"', "\n", " ", "{", "日本", "jpg"]
USED = [
    "/",
    "/home",
    "/old-home",
    "/blog.php",
    "/img/cat.jpg",
    "/pixel.gif",
    "/pictures/a",
    "/members/area",
    "/account",
]
paths = st.sampled_from(USED) | st.lists(st.sampled_from(PIECES), max_size=6).map(lambda pieces: "/" + "".join(pieces))
words = st.text(st.characters(codec="ascii", exclude_characters="\x7f", min_codepoint=32), max_size=30)
NAMES = {
    "accept": ["image/webp, */*", "*/*;q=0.5", ""],
    "accept-language": ["de", "en-GB, fr;q=0.5", "*"],
    "authorization": ["Basic dXNlcjpwYXNz", "Bearer a.b.c", ""],
    "cookie": ["session=abc; theme=dark", "group=a", "experiment=B; session="],
    "host": ["www.example.com", "staging.example.com"],
    "origin": ["https://app.example.com", "https://evil.example"],
    "user-agent": ["curl/8", "Mozilla/5.0 (iPhone)"],
    "x-tester": ["1"],
}


@st.composite
def headers(draw: st.DrawFn) -> dict[str, list[dict[str, str]]]:
    fields = {}
    for name in draw(st.sets(st.sampled_from(sorted(NAMES)), max_size=5)):
        values = draw(st.lists(st.sampled_from(NAMES[name]) | words, min_size=1, max_size=2))
        fields[name] = [{"key": name.title(), "value": value} for value in values]
    return fields


@st.composite
def events(draw: st.DrawFn, kind: str) -> dict[str, object]:
    """Draw an event of a kind: one of ours, with other values in the places that a viewer fills in."""
    event: dict[str, object] = json.loads(SAMPLES[kind].event())
    cf = event["Records"][0]["cf"]  # type: ignore[index]
    request = cf["request"]
    request["uri"] = draw(paths)
    request["method"] = draw(st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST"]))
    request["querystring"] = draw(st.sampled_from(["", "a=1", "b=2&A=1&utm_source=x", "x=%20&&=", "page=1&page=2"]))
    request["headers"].update(draw(headers()))
    if "response" in cf:
        cf["response"]["status"] = draw(st.sampled_from(["200", "301", "404", "503"]))
        cf["response"]["headers"].update(draw(headers()))
    return event


def compared(stage: Stage, runners: list[Runner], kind: str) -> None:
    """Run many events on all `runners`. Fails where they differ, and where none of them comes to a result."""
    came_to_something = []

    @settings(max_examples=EVENTS, deadline=None, database=None)
    @given(events(kind))
    def run(event: dict[str, object]) -> None:
        first, *others = stage.results(runners, event)
        assert all(other == first for other in others), event
        came_to_something.append(not isinstance(first, tuple))

    run()
    assert any(came_to_something)


@pytest.mark.parametrize("name", COMPLETING_URIS)
def test_a_guest_does_what_the_same_function_does_in_node(stage: Stage, name: str) -> None:
    guest = stage.open(module_of(name), "wasm")
    compared(stage, [stage.open(HOOKS / "pretty-urls", "nodejs20.x"), guest], "origin-request")


def test_a_guest_in_c_does_what_the_same_function_does_in_python(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "lambda_function.py").write_text(PRETTY_PYTHON)
    python = stage.open(tmp_path, "python3.11", "lambda_function.lambda_handler")
    compared(stage, [python, stage.open(module_of("wasm-c"), "wasm")], "origin-request")


WITHOUT_NODE = {
    "ab-test": "viewer-request",
    "add-security-headers": "origin-response",
    "cache-rules": "origin-response",
    "canary-origin": "origin-request",
    "cors": "viewer-request",
    "jwt-check": "viewer-request",
    "language-redirect": "viewer-request",
    "legacy-redirects": "viewer-request",
    "normalise-query": "viewer-request",
    "pixel": "origin-request",
    "pretty-urls": "origin-request",
    "s3-by-path": "origin-request",
    "session-cookie": "viewer-request",
    "signup-body": "origin-request-body",
    "strip-photo-location": "origin-request-body",
    "visit-cookie": "viewer-response",
    "webp": "viewer-request",
}
"""The functions of hooks/ that runtime `js` runs, with their events."""


@pytest.mark.parametrize("name", WITHOUT_NODE)
def test_a_function_does_the_same_in_node_and_in_a_guest(stage: Stage, name: str) -> None:
    handler = "index.cors.preflight" if name == "cors" else "index.handler"
    runners = [stage.open(HOOKS / name, runtime, handler) for runtime in ("nodejs20.x", "js")]
    compared(stage, runners, WITHOUT_NODE[name])
