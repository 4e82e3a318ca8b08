"""`edgefn schema`: the JSON Schema of the configuration, for editors."""

import argparse

from edgefn.configuration.loader import schema

EXAMPLES = """\
examples:
  edgefn schema > edgefn.schema.json

Then, as the first line of a configuration, for editors that speak yaml-language-server:
  # yaml-language-server: $schema=edgefn.schema.json
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: none."""
    del parser


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    del given
    print(schema(), end="")
    return 0
