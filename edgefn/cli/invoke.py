"""`edgefn invoke`: runs a function once per event, in the same sandbox that a location uses."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edgefn.cli.connecting import add_connection
from edgefn.cli.invoke_advice import on_handler, on_result
from edgefn.cli.invoke_input import megabytes, read_events, read_function, seconds
from edgefn.cli.invoke_published import names_a_published_function, run_published
from edgefn.cli.samples import SAMPLES
from edgefn.functions.registry import Registry
from edgefn.functions.runner import Runner, Surroundings
from edgefn.functions.workbench import apart, told
from edgefn.model.errors import SettingsError
from edgefn.model.settings import FunctionSettings, SandboxSettings, Settings
from edgefn.node import world
from edgefn.node.hosting import function_hosts
from edgefn.sandbox.base import OpenError, OverLimit

EXAMPLES = """\
examples:
  edgefn invoke hooks/ab-test --runtime nodejs20.x --handler index.handler --sample viewer-request
  edgefn invoke auth.py --runtime python3.11 --handler auth.lambda_handler --event event.json --env STAGE=test
  edgefn event viewer-request | edgefn invoke hooks/ab-test --runtime nodejs20.x --event -
  edgefn invoke rewrite.js --runtime cloudfront-js-2.0 --sample viewer-request --kvs redirects.json
  edgefn invoke bundle.zip --runtime nodejs22.x --events events.ndjson --timeout 5 --memory 256
  edgefn invoke geo:live --sample viewer-request --config config/edgefn.yaml

With --runtime it is a path; without, a published function (a version, an alias or $LATEST), run by its control plane.
For each event one line on standard output, {"result": ...} or {"error": {"type": ..., "message": ...}}; what the
function logs goes to standard error, and so does what CloudFront would refuse in a result. Beside the result of a
CloudFront Function, "edge" has the origin that it chose and what it gave to logCustomData. Compiled code is kept in
~/.cache/edgefn (XDG_CACHE_HOME) for the next time.
Exit status 0: every event has a result; 1: some failed; 2: it could not start.
"""

_STOPPED = 128 + signal.SIGTERM
_KEPT = 32
"""Compiled modules that are kept in the user's cache."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "path", metavar="PATH|NAME[:QUALIFIER]", help="a directory, a zip, one source file; or a published function"
    )
    parser.add_argument("--runtime", help="nodejs20.x, python3.12, cloudfront-js-2.0, js, wasm ...")
    parser.add_argument("--handler", help="as in AWS: FILE.EXPORT (default: what AWS's console would make)")
    events = parser.add_mutually_exclusive_group(required=True)
    events.add_argument("--event", metavar="FILE", help="one event as JSON; - is standard input")
    events.add_argument("--events", metavar="FILE", help="one event per line (ndjson); - is standard input")
    events.add_argument("--sample", metavar="NAME", choices=sorted(SAMPLES), help=f"one of {', '.join(SAMPLES)}")
    parser.add_argument("--env", metavar="K=V", action="append", default=[], help="an environment variable; repeatable")
    parser.add_argument("--kvs", metavar="FILE", help="the key-value store that it reads: a JSON file, or a directory")
    layer = "a directory or zip that is laid under it, seen in /opt; repeatable, up to five"
    parser.add_argument("--layer", metavar="PATH", action="append", default=[], help=layer)
    parser.add_argument(
        "--timeout", metavar="S", type=seconds, default=5.0, help="per event, such as 5, 5s or 250ms (default 5)"
    )
    parser.add_argument(
        "--memory", metavar="MB", type=megabytes, default=128, help="such as 256 or 256MB (default 128)"
    )
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if names_a_published_function(given):
        return run_published(given)
    logging.basicConfig(format="edgefn: %(message)s")
    function, events = read_function(given), read_events(given)
    try:
        return asyncio.run(_invoke(function, events))
    except asyncio.CancelledError:
        return _STOPPED


async def _invoke(function: FunctionSettings, events: list[bytes]) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    failed, misplaced = 0, ""
    async with _registry(function) as registry:
        try:
            runner = await _open(registry, function)
        except SettingsError as error:
            return _not_started(error, function, len(events))
        for event in events:
            outcome = await runner.run(event, None)
            if isinstance(outcome, OverLimit):
                # It backs off after many crashes. Here no viewer waits, and each event is to have its try.
                await registry.close()
                runner = await _open(registry, function)
                outcome = await runner.run(event, None)
            line = apart(told(outcome, function.timeout), function.runtime)
            failed += "error" in line
            print(json.dumps(line), flush=True)
            _advise(on_result(function, event, outcome))
            misplaced = misplaced or on_handler(function, outcome)
    _advise(misplaced)
    if len(events) > 1:
        print(f"edgefn: {len(events)} events, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


def _advise(words: str) -> None:
    if words:
        print(f"edgefn: {words}", file=sys.stderr)


def _not_started(error: SettingsError, function: FunctionSettings, events: int) -> int:
    """Say for each event why the function's own code did not start; return the exit status.

    Raises `error` when it is not the code that is to blame. A process tells so at its first event; a guest, whose code
    runs once before all events, here.
    """
    cause = error.__cause__
    if not isinstance(cause, OpenError) or cause.failure is None:
        raise error
    print(*error.problems, sep="\n", file=sys.stderr)
    line = told(cause.failure, function.timeout)
    for _ in range(events):
        print(json.dumps(line), flush=True)
    return 1


@asynccontextmanager
async def _registry(function: FunctionSettings) -> AsyncIterator[Registry]:
    surroundings = Surroundings(
        world.invocation_id, world.timestamp, lambda line: print(line.text, file=sys.stderr, flush=True)
    )
    with tempfile.TemporaryDirectory(prefix="edgefn-invoke-") as directory:
        async with function_hosts(_settings(function, _home(directory)), lambda _line: None) as host:
            registry = Registry(host, Path(directory), surroundings)
            try:
                yield registry
            finally:
                await registry.close()


def _home(otherwise: str) -> str:
    """Return where compiled code is kept for the next time: the engine for JavaScript takes seconds to compile."""
    home = world.cache_home() / "invoke"
    compiled = home / "compiled"
    try:
        compiled.mkdir(mode=0o700, parents=True, exist_ok=True)
        modules = sorted(compiled.glob("*.cwasm"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in modules[_KEPT:]:
            old.unlink(missing_ok=True)
    except (OSError, RuntimeError):
        return otherwise
    return str(home) if os.access(compiled, os.W_OK) else otherwise


def _settings(function: FunctionSettings, directory: str) -> Settings:
    return Settings(
        "invoke",
        listen=(),
        routes=(),
        origins={},
        functions={function.name: function},
        data_dir=directory,
        sandbox=SandboxSettings(parked=0),
    )


async def _open(registry: Registry, function: FunctionSettings) -> Runner:
    opening = await registry.open({function.name: function})
    registry.adopt(opening)
    return opening.opened[function.name].runner
