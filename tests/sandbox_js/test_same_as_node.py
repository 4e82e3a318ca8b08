"""The pure modules of runtime `js` beside Node.js itself: the same calls, the same results and errors."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from edgefn.sandbox.base import Invocation, Returned
from tests.sandbox_js.stage import PLAIN, Stage

BATTERY = Path(__file__).parent / "node_battery.js"
HANDLER = "const all = require('./battery.js'); exports.handler = async ({ from, to }) => all.slice(from, to);"
AT_ONCE = 1000  # more results than that do not fit into the function's memory
LEAST = 7000


def by_node() -> list[tuple[str, object]]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    node = shutil.which("node", path=path)
    assert node is not None
    program = f"console.log(JSON.stringify(require({json.dumps(str(BATTERY))})))"
    done = subprocess.run([node, "-e", program], capture_output=True, check=True, timeout=60)
    return [(name, told(result)) for name, result in json.loads(done.stdout)]


async def by_us(stage: Stage, count: int) -> list[tuple[str, object]]:
    sandbox = await stage.open({"index.js": HANDLER, "battery.js": BATTERY.read_text()}, PLAIN)
    results: list[tuple[str, object]] = []
    for start in range(0, count, AT_ONCE):
        event = json.dumps({"from": start, "to": start + AT_ONCE}).encode()
        outcome = await sandbox.run(Invocation("id-1", event))
        assert isinstance(outcome, Returned), outcome
        results += [(name, told(result)) for name, result in json.loads(outcome.result)]
    return results


def told(result: object) -> object:
    """Leave the wording of an error aside: it differs between the versions of Node.js, too."""
    match result:
        case {"error": name, **rest}:
            return ("error", name, rest.get("code"))
        case _:
            return result


async def test_thousands_of_calls_have_the_results_that_node_has(stage: Stage) -> None:
    expected = by_node()
    assert len(expected) >= LEAST
    found = await by_us(stage, len(expected))
    assert [name for name, _ in found] == [name for name, _ in expected]
    differences = [
        f"{name!a}: {ours!a}, not {theirs!a}"
        for (name, theirs), (_, ours) in zip(expected, found, strict=True)
        if ours != theirs
    ]
    assert differences == []


async def test_a_function_may_be_larger_than_an_event(stage: Stage) -> None:
    padding = "// " + "x" * 200_000
    assert await stage.result(f"{padding}\nexports.handler = async () => 'here';", runtime=PLAIN) == "here"
