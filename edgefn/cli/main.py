"""`edgefn`: the commands and their help. Each command has a module of its own, with `add` and `run`."""

import argparse
import sys

from edgefn.cli import check, demo, doctor, event, invoke, reload, schema, serve
from edgefn.model.errors import SettingsError

_COMMANDS = (serve, check, reload, demo, invoke, event, doctor, schema)

_EXAMPLES = """\
examples:
  edgefn demo                                   a demo origin, a location and functions on all four hooks
  edgefn serve config/edgefn.yaml               run a location in the foreground
  edgefn check config/edgefn.yaml               say what is wrong with a configuration, without starting it
  edgefn invoke my-function --runtime nodejs20.x --handler index.handler --sample viewer-request
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(
        prog="edgefn",
        description="Lambda@Edge that you can host yourself.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"edgefn {_version()}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return root


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edgefn")
    except PackageNotFoundError:
        return "(from a checkout)"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 unusable arguments or configuration."""
    given = parser().parse_args(arguments)
    try:
        status = given.run(given)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
