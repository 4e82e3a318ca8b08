"""`edgefn reload`: swaps the configuration of a running location with no failed request."""

import argparse
import asyncio
import sys

from edgefn.cli.connecting import client_of
from edgefn.cli.reading import read_settings
from edgefn.control.client import ControlError

EXAMPLES = """\
examples:
  edgefn reload config/edgefn.yaml

The location that was started with this file reads it again. A configuration with errors changes nothing.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", metavar="CONFIG", help="the configuration file that `edgefn serve` was given")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_settings(given.config)
    if settings.admin is None:
        print("edgefn reload: the configuration has `admin: off`; send SIGHUP to the process instead", file=sys.stderr)
        return 1
    try:
        told = asyncio.run(client_of(settings).change("POST", "/reload"))
    except ControlError as error:
        print(f"edgefn reload: {error}", file=sys.stderr)
        return 1
    print(told.get("reloaded", ""))
    return 0
