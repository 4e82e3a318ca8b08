"""`edgefn dev`: watches a function's files, and has each change live a moment later."""

import argparse
import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.deploy import add_settings, by_its_argument, deployment_parts, print_notes, settings_of
from edgefn.cli.logs import print_line
from edgefn.cli.naming import name
from edgefn.cli.waiting import wait_for
from edgefn.control.client import ControlClient, ControlError
from edgefn.functions.archive import read_bundle
from edgefn.functions.bundle import BundleError
from edgefn.functions.packing import packed
from edgefn.model.errors import SettingsError

EXAMPLES = """\
examples:
  edgefn dev hooks/pixel --name pixel --runtime nodejs20.x
  edgefn dev hooks/pixel --name pixel --alias dev --config config/edgefn.yaml

Each change is a deployment: tried first, then live at the next request, with none failing meanwhile. Code that does not
start changes nothing, and says where. Below that, what the function logs. Ctrl-C ends it; what is live stays.
"""

_LOOK = 0.1
_SETTLED = 0.05

Stamp = tuple[tuple[str, int, int], ...]
"""Path, time of change and size of each file."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("path", metavar="PATH", help="a directory, or one source file")
    parser.add_argument("--name", type=name, required=True, help="the function's name")
    parser.add_argument("--alias", default="live", type=name, help="the alias that follows the files (default live)")
    add_settings(parser)
    add_connection(parser)
    parser.set_defaults(wait=1.0, wait_timeout=30)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if not os.path.exists(given.path):
        raise SettingsError((f"{given.path}: there is no such file or folder",))
    return run_with(given, "dev", lambda client: _dev(given, client))


async def _dev(given: argparse.Namespace, client: ControlClient) -> NoReturn:
    await client.get("/v1/functions")  # whether there is anybody to deploy to
    logs = asyncio.get_running_loop().create_task(_logs(given, client))
    try:
        before: Stamp | None = None
        while True:
            stamp = await asyncio.to_thread(_stamp, Path(given.path))
            if stamp != before:
                before = await _still(Path(given.path), stamp)
                await _deploy(given, client)
            await asyncio.sleep(_LOOK)
    finally:
        logs.cancel()
        with suppress(asyncio.CancelledError):
            await logs


def _stamp(path: Path) -> Stamp:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = []
    for file in files:
        with suppress(OSError):
            status = file.stat()
            found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)


async def _still(path: Path, stamp: Stamp) -> Stamp:
    """Return the stamp once the files stand still: editors write in several steps."""
    while True:
        await asyncio.sleep(_SETTLED)
        now = await asyncio.to_thread(_stamp, path)
        if now == stamp:
            return now
        stamp = now


async def _deploy(given: argparse.Namespace, client: ControlClient) -> None:
    began = time.monotonic()
    try:
        content = await asyncio.to_thread(lambda: packed(read_bundle(Path(given.path))))
        deployment = {"settings": settings_of(given), "description": "", "alias": given.alias, "weight": 10_000}
        with by_its_argument():
            told = await client.upload(
                "POST", f"/v1/functions/{given.name}/deployments", deployment_parts(deployment, content)
            )
    except (BundleError, ControlError) as error:
        print(f"edgefn dev: {error}", file=sys.stderr, flush=True)
        return
    print_notes(told)
    waited = await wait_for(client, given, told.get("generation"), given.name, quiet=True)
    version = told.get("version")
    number = version.get("version") if isinstance(version, dict) else "?"
    words = "is live" if waited.status == DONE else "is not live everywhere"
    print(f"{given.name}:{number} {words} after {time.monotonic() - began:.2f} s", flush=True)


async def _logs(given: argparse.Namespace, client: ControlClient) -> None:
    while True:
        with suppress(ControlError):
            async for line in client.lines("/v1/logs", {"function": given.name, "follow": "true", "limit": "0"}):
                print_line(line, as_document=given.json)
        await asyncio.sleep(1.0)
