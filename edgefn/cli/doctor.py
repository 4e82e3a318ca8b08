"""`edgefn doctor`: which sandbox this machine gives, and what to do for a better one."""

import argparse

from edgefn.cli.commands import Commands, add_command
from edgefn.sandbox.process.doctor import report

_EXAMPLES = """\
examples:
  edgefn doctor

Exit status 0: functions can run here; 1: they can't, and the lines say why.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    add_command(commands, "doctor", "say which sandbox this machine gives", _EXAMPLES, run)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    del given
    told = report()
    print(told.text)
    return 0 if told.usable else 1
