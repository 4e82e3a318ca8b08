"""`edgefn serve`: runs a location in the foreground."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable

import uvloop

from edgefn.cli.commands import Commands, add_command
from edgefn.cli.reading import read_settings
from edgefn.model.settings import Settings
from edgefn.node.location import Location

_EXAMPLES = """\
examples:
  edgefn serve config/edgefn.yaml

It prints one `ready` line once it listens. SIGTERM and Ctrl-C let running requests end (drain_timeout), SIGHUP and
`edgefn reload CONFIG` swap the configuration with no failed request.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(commands, "serve", "run a location in the foreground", _EXAMPLES, run)
    parser.add_argument("config", metavar="CONFIG", help="the configuration file (YAML)")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_settings(given.config)

    def announce(addresses: list[str]) -> None:
        print(f"ready: {settings.location} listens on {' '.join(addresses)}", flush=True)

    serving = run_location(settings, reread=lambda: read_settings(given.config), announce=announce)
    return uvloop.run(serving)


async def run_location(
    settings: Settings, *, reread: Callable[[], Settings], announce: Callable[[list[str]], None]
) -> int:
    """Run a location until SIGTERM or SIGINT; return the exit status. Raises `SettingsError`, `OSError`."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    async with Location(settings, reread=reread, report=_report) as location:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, location.reload_soon)
        announce(location.addresses)
        await stopping.wait()
        _report("stopping: running requests may end")
    return 0


def _report(line: str) -> None:
    print(f"edgefn: {line}", file=sys.stderr, flush=True)
