"""`edgefn serve`: runs a location in the foreground."""

import argparse
import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace

import uvloop

from edgefn.cli.reading import read_settings, reader_of
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import Revision
from edgefn.model.settings import Settings
from edgefn.node.collecting import settle
from edgefn.node.configured import Read
from edgefn.node.location import Location
from edgefn.node.supervisor import Supervisor
from edgefn.node.worker import Line
from edgefn.rules.log_line import one_line

EXAMPLES = """\
examples:
  edgefn serve config/edgefn.yaml

It prints one `ready` line once it listens. SIGTERM and Ctrl-C let running requests end (drain_timeout), a second
Ctrl-C does not wait for them. SIGHUP and `edgefn reload CONFIG` swap the configuration with no failed request.
"""

_MOST_DESCRIPTORS = 1 << 20

Announce = Callable[[list[str]], None]
"""Takes the URLs that viewers can use."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", metavar="CONFIG", help="the configuration file (YAML)")
    parser.add_argument("--worker", type=int, nargs=2, metavar=("NUMBER", "FD"), help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.worker is not None:
        number, descriptor = given.worker
        return run_until_stopped(_run_worker(given.config, number, Line(descriptor)))
    settings = read_settings(given.config)

    def announce(addresses: list[str]) -> None:
        print(f"ready: {settings.location} listens on {' '.join(addresses)}", flush=True)

    read = reader_of(given.config)
    if settings.workers == 1:
        return run_until_stopped(run_location(settings, read=read, announce=announce))
    supervisor = Supervisor(given.config, settings, read=read, report=_report)
    return run_until_stopped(_run(supervisor, settings, announce))


async def _run_worker(config: str, number: int, line: Line) -> int:
    """Run one of several workers; the supervisor hears of what is wrong, and has the control API."""

    read_all = reader_of(config)

    def read(revision: Revision | None) -> Settings:
        return replace(read_all(revision), admin=None)

    stopping = _stopping_on_signals()
    try:
        async with Location(read(None), read=read, report=_report, worker=number) as location:
            settle()
            line.ready(location.addresses)
            following = asyncio.create_task(line.follow(location, stopping.set))
            await stopping.wait()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    except SettingsError as error:
        line.problems(error)
        return 2
    return 0


def run_until_stopped(work: Coroutine[object, object, int]) -> int:
    """Run `work`; return its exit status, or 130 when somebody did not want to wait for its end."""
    _take_all_descriptors()
    logging.basicConfig(format="edgefn: %(message)s")
    try:
        return uvloop.run(work)
    except asyncio.CancelledError:
        return 130


async def run_location(settings: Settings, *, read: Read, announce: Announce) -> int:
    """Run a location until SIGTERM or SIGINT; return the exit status. Raises `SettingsError`."""
    return await _run(Location(settings, read=read, report=_report), settings, announce)


async def _run(running: Location | Supervisor, settings: Settings, announce: Announce) -> int:
    stopping = _stopping_on_signals()
    async with running as location:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, location.reload_soon)
        settle()
        if not stopping.is_set():
            announce(location.addresses)
        await stopping.wait()
        _report(f"stopping; running requests have {settings.drain_timeout:g} s (Ctrl-C again: stop at once)")
    return 0


def _stopping_on_signals() -> asyncio.Event:
    """Return what a signal to stop sets. A second SIGINT cancels the task that called this."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    stopping = asyncio.Event()

    def interrupt() -> None:
        if stopping.is_set() and task is not None:
            task.cancel()
        stopping.set()

    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    # A reload that is asked for before there is anything to reload must not end the process.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    return stopping


def _report(line: str) -> None:
    print(f"edgefn: {one_line(line)}", file=sys.stderr, flush=True)


def _take_all_descriptors() -> None:
    """Lift the soft limit of open files to the hard one: many systems' 1024 are fewer than the viewers at one time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
