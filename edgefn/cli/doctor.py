"""`edgefn doctor`: which sandbox this machine gives, and what to do for a better one."""

import argparse
import os
import tempfile

from edgefn.cli.commands import Commands, add_command
from edgefn.model.settings import SandboxSettings
from edgefn.node.hosting import launcher_config
from edgefn.sandbox.process.doctor import examine

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
    with tempfile.TemporaryDirectory(prefix="edgefn-doctor-") as directory:
        os.chmod(directory, 0o711)  # noqa: S103  # sandboxes of another user must pass through
        told = examine(launcher_config(SandboxSettings(), directory))
    for check in told.checks:
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:24} {check.found}")
        if check.cure:
            print(f"{'':30} cure: {check.cure}")
    print(told.verdict)
    return 0 if told.ok else 1
