"""`edgefn`: the commands and their help. Each command has a module of its own, with `EXAMPLES`, `add` and `run`."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Protocol, cast

from edgefn.model.errors import SettingsError

COMMANDS = {
    "serve": "run a location in the foreground",
    "check": "say what is wrong with a configuration",
    "reload": "swap the configuration of a running location",
    "purge": "let a running location forget what it has stored",
    "demo": "run an origin and a location with functions on all four hooks",
    "new": "write a function to start from",
    "dev": "watch a function's files: each change is live a moment later",
    "deploy": "publish a function as a new version, and point an alias at it",
    "functions": "list the functions that are published",
    "versions": "list the versions of a function",
    "alias": "list, set and delete the aliases of a function",
    "apply": "publish routes and settings for all locations of a site",
    "rollback": "go back to the version before",
    "status": "show each location and what it runs",
    "control": "run and set up the control plane of a fleet",
    "location": "add, drain, retire and revoke the locations of a fleet",
    "logs": "show what functions log",
    "invoke": "run a function once per event, in its sandbox",
    "event": "print a sample event",
    "kvs": "read and change a key-value store",
    "doctor": "say which sandbox this machine gives",
    "token": "make, list and revoke tokens for the control API",
    "keys": "make the keys that sign and seal what is published",
    "schema": "print the JSON Schema of the configuration",
}
"""Each command, and what it does."""

_EXAMPLES = """\
examples:
  edgefn demo                          an origin, a location and functions on all four hooks
  edgefn serve config/edgefn.yaml      run a location in the foreground
  edgefn check config/edgefn.yaml      say what is wrong with a configuration, without starting it
  edgefn new --runtime nodejs22.x hello            write a function to start from
  edgefn deploy hello --name hello     publish it, and point its alias live at the new version
  edgefn apply edgefn.yaml --dry-run   say what would change in the routes, origins and settings of all locations
  edgefn invoke my-function --runtime nodejs20.x --handler index.handler --sample viewer-request

`edgefn COMMAND --help` has more examples.
"""


class Command(Protocol):
    """What the module of a command has: its examples, its arguments, and what it does (returns the exit status)."""

    EXAMPLES: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class _Help(argparse.RawDescriptionHelpFormatter):
    """Gives the names of the commands a column as wide as the longest of them; argparse forgets their indentation."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = max(map(len, COMMANDS)) + 4


class _Version(argparse.Action):
    """Prints the version, which is looked up only now: that takes as long as all the rest of the help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("edgefn")
        except PackageNotFoundError:
            found = "(from a checkout)"
        print(f"edgefn {found}")
        parser.exit()


def command_module(name: str) -> Command:
    """Return the module of a command."""
    return cast("Command", importlib.import_module(f"edgefn.cli.{name}"))


def parser_for(arguments: list[str]) -> argparse.ArgumentParser:
    """Return the parser for `arguments`. Only the command that they name is loaded, so that help comes at once."""
    root = argparse.ArgumentParser(
        prog="edgefn",
        description="Lambda@Edge that you can host yourself.",
        epilog=_EXAMPLES,
        formatter_class=_Help,
    )
    root.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        parser = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == asked:
            _fill(parser, command_module(name))
    return root


def _fill(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.epilog = command.EXAMPLES
    parser.set_defaults(run=command.run)
    command.add(parser)
    for part in parser._actions:  # noqa: SLF001  # argparse tells of them in no other way
        if isinstance(part, argparse._SubParsersAction):  # noqa: SLF001
            for choice in part._choices_actions:  # noqa: SLF001
                _explain(part.choices[choice.dest], choice.help or "", command.EXAMPLES)


def _explain(action: argparse.ArgumentParser, summary: str, examples: str) -> None:
    """Give an action of a command the examples that are about it, unless it has its own."""
    if action.epilog is None:
        action.description = action.description or f"{summary[0].upper()}{summary[1:]}."
        action.formatter_class = argparse.RawDescriptionHelpFormatter
        action.epilog = "\n".join(["examples:", *_examples_of(action.prog, examples)])


def _examples_of(prog: str, examples: str) -> Iterator[str]:
    is_meant = False
    for line in examples.splitlines():
        is_meant = line.startswith(f"  {prog} ") or line == f"  {prog}" or (is_meant and line.startswith("   "))
        if is_meant:
            yield line


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 unusable arguments or configuration."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser_for(given).print_help(sys.stderr)
        return 2
    if not given[0].startswith("-") and given[0] not in COMMANDS:
        from edgefn.configuration.reading import did_you_mean

        meant = f"{did_you_mean(given[0], COMMANDS)} `edgefn --help` tells what each does"
        print(f"edgefn: there is no command {given[0]!r}; {meant}", file=sys.stderr)
        return 2
    try:
        parsed = parser_for(given).parse_args(given)
        status = int(parsed.run(parsed))
        sys.stdout.flush()
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _write_no_more()  # the reader of our output is gone
        return 141
    except OSError as error:
        if error.filename is None:
            _write_no_more()
        where = "standard output" if error.filename is None else error.filename
        print(f"edgefn {given[0]}: {where}: {error.strerror or error}", file=sys.stderr)
        return 1
    return status


def _write_no_more() -> None:
    """Let standard output go nowhere: Python would complain once more when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
