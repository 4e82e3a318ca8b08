"""`edgefn demo`: a demo origin, one location, and functions on all four hooks."""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from edgefn.cli.demo_origin import DemoOrigin
from edgefn.cli.reading import read_settings
from edgefn.cli.serve import run_location, run_until_stopped
from edgefn.control.client import ControlError
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Listen, Settings

EXAMPLES = """\
examples:
  edgefn demo
  edgefn demo --port 9090
  edgefn demo --locations 3     a control plane, NATS, three locations; a deployment under load, and a death
"""

_CONFIG = Path(__file__).parents[1] / "demo" / "config" / "demo.yaml"
_LAST_PORT = 65_535
_MOST_LOCATIONS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One curl line to try, and what it shows."""

    options: str
    path: str
    shows: str


LINES = (
    Line(
        "-i",
        "/home",
        "viewer-request (Node.js) picks A or B, origin-response adds security headers,\n"
        "viewer-response (Python) adds X-Client; again: X-Cache: Hit, an Age, no new X-Origin-Fetch",
    ),
    Line("-i", "/old-home?from=mail", "301 made by a viewer-request function: X-Cache: LambdaGeneratedResponse"),
    Line("-i", "/private/report.html", "401 made by a Python function"),
    Line("-u ada:lovelace", "/private/report.html", "the report itself"),
    Line("-i", "/docs/start", "origin-request rewrites the path to /docs/start/index.html"),
    Line("-d 'name=Ada'", "/sign-up", "origin-request reads the posted form and sends JSON to the origin"),
    Line("-s -D - -o /dev/null", "/pixel.gif", "a GIF made by a function from base64; again: X-Cache: Hit"),
    Line("-s", "/event", "the event that an origin-request function gets"),
    Line("-N", "/clock", "server-sent events, passed on as they come"),
    Line("-s", "/headers", "what the origin gets: Via, X-Forwarded-For, X-Amz-Cf-Id, its own Host"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--port", type=_port, default=8080, help="the viewers' port (default 8080; 0 takes a free one)")
    parser.add_argument("--locations", type=_locations, metavar="N", help="a fleet of N locations instead")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 0 to {_LAST_PORT}")
    return int(text)


def _locations(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_LOCATIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is no fleet; write a number from 1 to {_MOST_LOCATIONS}")
    return int(text)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.locations is not None:
        return _run_fleet(given.locations)
    with tempfile.TemporaryDirectory(prefix="edgefn-demo-") as data_dir:
        return run_until_stopped(_demo(given.port, data_dir))


def _run_fleet(locations: int) -> int:
    try:
        from edgefn.cli.demo_fleet import run_fleet
    except ImportError as error:
        raise SettingsError((f"{error}: a fleet needs the extra: pip install 'edgefn[cluster]'",)) from error
    try:
        return asyncio.run(run_fleet(locations))
    except ControlError as error:
        print(f"edgefn demo: {error}", file=sys.stderr)
        return 1


async def _demo(port: int, data_dir: str) -> int:
    origin = DemoOrigin()
    origin_port = await origin.start("127.0.0.1", 0)
    try:
        settings = _adapted(read_settings(str(_CONFIG)), port, origin_port, data_dir)
        return await run_location(settings, read=lambda _: settings, announce=_announce)
    finally:
        await origin.close()


def _adapted(settings: Settings, port: int, origin_port: int, data_dir: str) -> Settings:
    app = replace(settings.origins["app"], port=origin_port)
    return replace(
        settings,
        listen=(Listen("127.0.0.1", port),),
        admin=None,
        data_dir=data_dir,
        origins={**settings.origins, "app": app},
        access_log=settings.access_log if sys.stdout.isatty() else "",
    )


def _announce(addresses: list[str]) -> None:
    base = addresses[0]
    print(f"\nedgefn demo: {base}   (Ctrl-C stops it)\n\nTry:\n")
    for line in LINES:
        print(f"  curl {line.options} '{base}{line.path}'")
        for shown in line.shows.split("\n"):
            print(f"      # {shown}")
    print(flush=True)
