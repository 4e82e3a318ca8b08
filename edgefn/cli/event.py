"""`edgefn event`: sample events, as a function gets them."""

import argparse
import json

from edgefn.cli.samples import SAMPLES

EXAMPLES = """\
examples:
  edgefn event                                  list the names
  edgefn event viewer-request > event.json
  edgefn event origin-request-s3
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", metavar="NAME", nargs="?", choices=sorted(SAMPLES), help=", ".join(sorted(SAMPLES)))


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.name is None:
        for name, sample in SAMPLES.items():
            print(f"{name:28} {sample.about}")
        return 0
    print(json.dumps(json.loads(SAMPLES[given.name].event()), indent=2))
    return 0
