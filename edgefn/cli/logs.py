"""`edgefn logs`: what functions log."""

import argparse
import re
import sys

import orjson

from edgefn.cli.connecting import DONE, FAILED, add_connection, run_with
from edgefn.configuration.quantities import parse_duration
from edgefn.control.client import ControlClient
from edgefn.rules.log_line import for_terminal

_LONGEST = 400 * 86_400

EXAMPLES = """\
examples:
  edgefn logs
  edgefn logs -f --function geo
  edgefn logs --function geo:7 --limit 1000 --json
  edgefn logs --request 8f5a7c1e-0d2b-4c7e-9f57-0a6f3d1f5b11
  edgefn logs -f --function geo --since 10m --control https://control.example:8443 --token-file ci.token
  edgefn logs --location fra1 --control https://control.example:8443 --token-file ci.token

--request takes an invocation's id, or the X-Amz-Cf-Id of a viewer's answer. --json prints a JSON document per line.
Without --control the logs are those of the location that is asked. A control plane asks all locations of its fleet;
of what is logged more than travels (200 lines a second of each) the count is told, and the location has it.
Exit status 0: done; 1: failed; 2: unusable arguments.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with the lines that come, until Ctrl-C")
    parser.add_argument("--function", metavar="N", default="", help="of one function, or one version such as geo:7")
    parser.add_argument("--request", metavar="ID", default="", help="of one request or invocation")
    parser.add_argument("--location", metavar="L", default="", help="of one location of the fleet")
    parser.add_argument("--since", metavar="T", type=_since, default=0, help="no older than that, such as 10m or 2h")
    parser.add_argument("--limit", metavar="N", type=_limit, default=100, help="the newest lines (default 100)")
    add_connection(parser)


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines; write 0 to 10000")
    return int(text)


def _since(text: str) -> int:
    seconds = parse_duration(text)
    if seconds is None or not 1 <= seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 30s, 10m, 2h or 1d")
    return int(seconds)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    return run_with(given, "logs", lambda client: _logs(given, client))


async def _logs(given: argparse.Namespace, client: ControlClient) -> int:
    query = {"function": given.function, "request": given.request, "limit": str(given.limit)}
    query |= {"location": given.location} if given.location else {}
    query |= {"since": str(given.since)} if given.since else {}
    if given.follow:
        query["follow"] = "true"
    is_empty = True
    async for line in client.lines("/v1/logs", query):
        is_empty = False
        print_line(line, as_document=given.json)
    if is_empty and not given.json:
        asked = any((given.function, given.request, given.location, given.since))
        print(f"edgefn logs: nothing of {'that' if asked else 'any function'} is in the logs", file=sys.stderr)
    return FAILED if given.follow else DONE


def print_line(line: dict[str, object], *, as_document: bool) -> None:
    """Print one line of a log."""
    if as_document:
        print(orjson.dumps(line).decode(), flush=True)
    else:
        label = f"{line.get('function')}:{line.get('version')}"
        told = f"{line.get('at')} {line.get('location')} {label} {line.get('text')}"
        print(for_terminal(told, kept="\t"), flush=True)
