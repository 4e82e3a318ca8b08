"""`edgefn check`: says what is wrong with a configuration without starting it."""

import argparse

from edgefn.cli.commands import Commands, add_command
from edgefn.cli.reading import read_settings

_EXAMPLES = """\
examples:
  edgefn check config/edgefn.yaml

Each problem is one line: file, line, key, what is wrong, what would be right. Exit status 0: none; 2: some.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(commands, "check", "say what is wrong with a configuration", _EXAMPLES, run)
    parser.add_argument("config", metavar="CONFIG", help="the configuration file (YAML)")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_settings(given.config)
    print(
        f"{given.config}: ok: {len(settings.routes)} routes, {len(settings.origins)} origins, "
        f"{len(settings.functions)} functions"
    )
    return 0
