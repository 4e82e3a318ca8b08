"""Functions in C, Rust, Go, AssemblyScript and WAT at work: over HTTP, and from the command line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgefn.cli.starters import FOLDER
from tests.fakes.website import Website
from tests.guests.building import COMPLETING_URIS, GUESTS, module_of
from tests.scenarios.edge import HOOKS, Edge

CONFIGURATION = """
origins: {app: {url: "http://{origin}"}}
functions:
  guest: {path: "{module}", runtime: wasm, timeout: 5s}
routes:
  - {path: /hello, origin: app, hooks: {viewer-request: guest}}
  - {path: "*", origin: app, hooks: {origin-request: guest}}
"""


@pytest.mark.parametrize("name", COMPLETING_URIS)
async def test_a_folder_is_its_index_page(name: str, tmp_path: Path) -> None:
    async with Website() as site, Edge(CONFIGURATION, tmp_path, origin=site.address, module=module_of(name)) as edge:
        answers = [await edge.get(path) for path in ("/docs", "/docs/", "/v1.2/start", "/logo.svg?x=1")]

        assert [answer.text for answer in answers] == [
            "/docs/index.html",
            "/docs/index.html",
            "/v1.2/start/index.html",
            "/logo.svg?x=1",
        ]
        assert await edge.hooks_run(answers[0]) == ["origin-request"]


async def test_a_guest_in_text_form_answers_with_a_page(tmp_path: Path) -> None:
    module = module_of("wasm-wat")
    async with Website() as site, Edge(CONFIGURATION, tmp_path, origin=site.address, module=module) as edge:
        answer = await edge.get("/hello", X_Filler="x" * 9000)

        assert (answer.status, answer["Content-Type"], answer.text) == (200, "text/plain", "Hello from WebAssembly\n")
        assert answer.x_cache == "LambdaGeneratedResponse"


def invoked(name: str, *more: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefn.cli.main", "invoke", str(module_of(name)), "--runtime", "wasm", *more]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", COMPLETING_URIS)
def test_the_command_line_runs_it(name: str) -> None:
    folder = {"Records": [{"cf": {"config": {}, "request": {"uri": "/a/", "method": "GET", "headers": {}}}}]}

    told = invoked(name, "--events", "-", stdin=f"{json.dumps(folder)}\n{{}}\n")

    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert told.returncode == 1
    assert lines[0] == {"result": {"uri": "/a/index.html", "method": "GET", "headers": {}}}
    assert lines[1]["error"]["message"]  # a Go program tells it by its status and its log
    assert "REPORT RequestId: " in told.stderr


def test_the_command_line_runs_one_in_text_form() -> None:
    told = invoked("wasm-wat", "--sample", "viewer-request")

    assert json.loads(told.stdout)["result"]["status"] == "200"
    assert "answered at the edge" in told.stderr


def test_each_guest_has_its_row() -> None:
    rows = re.findall(
        r"^\| (wasm-[a-z]+) \| [a-z, -]+ \| [A-Za-z]+ \| ", (HOOKS / "README.md").read_text(), re.MULTILINE
    )
    assert tuple(rows) == GUESTS
    assert {folder.name for folder in FOLDER.glob("wasm-*")} == set(GUESTS)
