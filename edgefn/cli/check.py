"""`edgefn check`: says what is wrong with a configuration without starting it."""

import argparse

from edgefn.cli.reading import counted, read_settings

EXAMPLES = """\
examples:
  edgefn check config/edgefn.yaml

Each problem is one line: file, line, key, what is wrong, what would be right. Exit status 0: none; 2: some.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", metavar="CONFIG", help="the configuration file (YAML)")


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    settings = read_settings(given.config)
    parts = (
        counted(len(settings.routes), "route"),
        counted(len(settings.origins), "origin"),
        counted(len(settings.functions), "function"),
    )
    print(f"{given.config}: ok: {', '.join(parts)}")
    return 0
