"""`edgefn schema`: the JSON Schema of the configuration, for editors."""

import argparse

from edgefn.cli.commands import Commands, add_command
from edgefn.configuration.loader import schema

_EXAMPLES = """\
examples:
  edgefn schema > edgefn.schema.json
  # then, as the first line of a configuration:
  # yaml-language-server: $schema=edgefn.schema.json
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    add_command(commands, "schema", "print the JSON Schema of the configuration", _EXAMPLES, run)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    del given
    print(schema(), end="")
    return 0
