"""`edgefn doctor`: which sandbox this machine gives, and what to do for a better one."""

import argparse
import os
import tempfile

from edgefn.model.settings import SandboxSettings
from edgefn.node.hosting import launcher_config
from edgefn.sandbox.process.doctor import as_text, examine

EXAMPLES = """\
examples:
  edgefn doctor

Exit status 0: functions can run here; 1: they can't, and the lines say why.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: none."""
    del parser


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    del given
    with tempfile.TemporaryDirectory(prefix="edgefn-doctor-") as directory:
        os.chmod(directory, 0o711)  # noqa: S103  # sandboxes of another user must pass through
        told = examine(launcher_config(SandboxSettings(), directory))
    print(as_text(told))
    return 0 if told.ok else 1
