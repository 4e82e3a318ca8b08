"""`edgefn control`: the control plane of a fleet."""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from edgefn.cli.connecting import DONE
from edgefn.cli.reading import read_settings, read_text
from edgefn.configuration.control import load_control
from edgefn.model.control_settings import ControlSettings
from edgefn.model.errors import SettingsError
from edgefn.rules.log_line import one_line

EXAMPLES = """\
examples:
  edgefn control init control.yaml                             keys, and streams on the servers that it names
  edgefn control init control.yaml --from edgefn.yaml          the same, and take over all that is published there
  edgefn control serve control.yaml                            run it, and a NATS server where none is named
  edgefn control restore control.yaml --from ./var/replica     from any location's copy, after disks were lost

control.yaml may be empty but for `data_dir: ./control`. Viewers never depend on it: locations go on serving without.
Exit status 0: done; 1: failed; 2: unusable arguments or configuration.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", dest="action", required=True)
    serve = actions.add_parser("serve", help="run the control plane in the foreground")
    init = actions.add_parser("init", help="make keys and streams")
    restore = actions.add_parser("restore", help="fill new streams from a copy of what was published")
    for action in (serve, init, restore):
        action.add_argument("config", metavar="CONTROL", help="the control plane's configuration file (YAML)")
    init.add_argument("--from", metavar="CONFIG", dest="source", help="the location whose publications are taken over")
    restore.add_argument("--from", metavar="DIR", dest="source", required=True, help="a location's `replica` directory")


def read_control(path: str) -> ControlSettings:
    """Return the settings in the file `path`. Raises `SettingsError`."""
    return load_control(read_text(path), filename=path, base=os.path.dirname(os.path.abspath(path)))


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_control(given.config)
    try:
        from edgefn.node import control_plane  # noqa: F401  # fails where the extra is missing
    except ImportError as error:
        raise SettingsError((f"{error}: a control plane needs the extra: pip install 'edgefn[cluster]'",)) from error
    if given.action == "restore" and not os.path.isdir(given.source):
        raise SettingsError((f"--from: {given.source}: there is no such directory",))
    work = {"serve": _serve, "init": _init, "restore": _restore}[given.action]
    return uvloop.run(work(settings, given))


async def _serve(settings: ControlSettings, given: argparse.Namespace) -> int:
    del given
    from edgefn.node.control_plane import open_control_plane, prepare

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    for line in prepare(settings):
        _report(f"made {line}")
    async with AsyncExitStack() as stack:
        url, servers = await open_control_plane(stack, settings, _report)
        print(f"ready: the control plane is at {url}, its NATS at {' '.join(servers)}", flush=True)
        await stopping.wait()
        _report("stopping")
    return DONE


async def _init(settings: ControlSettings, given: argparse.Namespace) -> int:
    from edgefn.node.control_plane import prepare, write_server_configuration
    from edgefn.node.hub import open_hub

    source = None if given.source is None else read_settings(given.source)
    if source is not None:
        from edgefn.node.moving import take_keys

        take_keys(source, settings)
    for line in prepare(settings):
        print(f"made {line}")
    if settings.nats.servers:
        file = write_server_configuration(settings)
        print(f"made {file}: each server must include it, its first lines say how; then run this again", flush=True)
    async with AsyncExitStack() as stack:
        hub = await open_hub(stack, settings, _report)
        print(f"streams: ready at {' '.join(hub.servers)}")
        for line in await hub.advice(settings.nats.copies) if settings.nats.servers else ():
            _report(line)
        if source is not None:
            from edgefn.node.moving import move_into

            return await move_into(hub.replica, Path(source.data_dir) / "replica", settings, print)
    return DONE


async def _restore(settings: ControlSettings, given: argparse.Namespace) -> int:
    from edgefn.node.hub import open_hub
    from edgefn.node.moving import move_into

    async with AsyncExitStack() as stack:
        hub = await open_hub(stack, settings, _report)
        return await move_into(hub.replica, Path(given.source), settings, print, anew=True)


def _report(line: str) -> None:
    print(f"edgefn: {one_line(line)}", file=sys.stderr, flush=True)
