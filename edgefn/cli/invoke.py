"""`edgefn invoke`: runs a function once per event, in the same sandbox that a location uses."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from edgefn.cli.commands import Commands, add_command
from edgefn.cli.samples import SAMPLES
from edgefn.configuration.functions import default_handler, runtime_flaw
from edgefn.functions.registry import Registry
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.settings import FunctionSettings, SandboxSettings
from edgefn.node import world
from edgefn.node.hosting import function_host
from edgefn.sandbox.base import Failed, Outcome, OverLimit, Returned, TimedOut

_EXAMPLES = """\
examples:
  edgefn invoke hooks/ab-test --runtime nodejs20.x --handler index.handler --sample viewer-request
  edgefn invoke auth.py --runtime python3.11 --handler auth.lambda_handler --event event.json --env STAGE=test
  edgefn event viewer-request | edgefn invoke hooks/ab-test --runtime nodejs20.x --event -
  edgefn invoke bundle.zip --runtime nodejs22.x --events events.ndjson --timeout 5 --memory 256

For each event one line on standard output, {"result": ...} or {"error": {"type": ..., "message": ...}}; what the
function logs goes to standard error. Exit status 0: every event has a result; 1: some failed; 2: it could not start.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(commands, "invoke", "run a function once per event, in its sandbox", _EXAMPLES, run)
    parser.add_argument("path", metavar="PATH", help="a directory, a zip, or one source file")
    parser.add_argument("--runtime", required=True, help="nodejs18.x ... nodejs24.x, python3.11 ... python3.14")
    parser.add_argument("--handler", help="as in AWS: FILE.EXPORT (default: what AWS's console would make)")
    events = parser.add_mutually_exclusive_group(required=True)
    events.add_argument("--event", metavar="FILE", help="one event as JSON; - is standard input")
    events.add_argument("--events", metavar="FILE", help="one event per line (ndjson); - is standard input")
    events.add_argument("--sample", metavar="NAME", choices=sorted(SAMPLES), help=f"one of {', '.join(SAMPLES)}")
    parser.add_argument("--env", metavar="K=V", action="append", default=[], help="an environment variable; repeatable")
    parser.add_argument("--timeout", metavar="S", type=float, default=5.0, help="seconds per event (default 5)")
    parser.add_argument("--memory", metavar="MB", type=int, default=128, help="megabytes (default 128)")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    function = _function(given)
    return asyncio.run(_invoke(function, _events(given)))


def _function(given: argparse.Namespace) -> FunctionSettings:
    path = Path(given.path).absolute()
    flaw = runtime_flaw(given.runtime)
    if flaw is not None:
        raise SettingsError((f"--runtime: {flaw}",))
    return FunctionSettings(
        name=path.stem,
        path=str(path),
        runtime=given.runtime,
        handler=given.handler or default_handler(given.runtime, str(path)),
        timeout=given.timeout,
        memory=given.memory,
        environment=_environment(given.env),
    )


def _environment(pairs: list[str]) -> dict[str, str]:
    wrong = tuple(f"--env {pair}: must be NAME=VALUE" for pair in pairs if "=" not in pair)
    if wrong:
        raise SettingsError(wrong)
    return dict(pair.split("=", 1) for pair in pairs)


def _events(given: argparse.Namespace) -> Iterator[bytes]:
    if given.sample:
        yield SAMPLES[given.sample].event()
        return
    name = given.event or given.events
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"{name}: can't be read: {error}",)) from error
    lines = [text] if given.event else text.splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _as_event(line, name if given.event else f"{name}:{number}")


def _as_event(text: str, where: str) -> bytes:
    try:
        return json.dumps(json.loads(text)).encode()
    except ValueError as error:
        raise SettingsError((f"{where}: is not JSON: {error}",)) from error


async def _invoke(function: FunctionSettings, events: Iterator[bytes]) -> int:
    failed = False
    async with _runner(function) as runner:
        for event in events:
            outcome = await runner.run(event, None)
            line = _line(outcome, function)
            failed = failed or "error" in line
            print(json.dumps(line), flush=True)
    return 1 if failed else 0


@asynccontextmanager
async def _runner(function: FunctionSettings) -> AsyncIterator[Runner]:
    surroundings = Surroundings(
        world.invocation_id, world.timestamp, lambda _name, line: print(line, file=sys.stderr, flush=True)
    )
    with tempfile.TemporaryDirectory(prefix="edgefn-invoke-") as directory:
        async with function_host(SandboxSettings(parked=0), lambda _line: None) as host:
            registry = Registry(host, Path(directory), surroundings)
            runners, _ = await registry.open({function.name: function})
            try:
                yield runners[function.name]
            finally:
                await registry.close()


def _line(outcome: Outcome, function: FunctionSettings) -> dict[str, object]:
    match outcome:
        case Returned(result=result):
            return {"result": json.loads(result)}
        case Failed(type=kind, message=message):
            return {"error": {"type": kind, "message": message}}
        case TimedOut():
            told = f"Task timed out after {function.timeout:.2f} seconds"
            return {"error": {"type": "Sandbox.Timedout", "message": told}}
        case OverLimit(reason=reason):
            return {"error": {"type": "LimitExceeded", "message": reason}}
