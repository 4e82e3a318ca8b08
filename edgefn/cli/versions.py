"""`edgefn versions`: the versions of a function."""

import argparse

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.naming import name, whole
from edgefn.cli.tables import as_json, moment, rows_in, table
from edgefn.cli.waiting import add_waiting, wait_for
from edgefn.control.client import ControlClient

EXAMPLES = """\
examples:
  edgefn versions geo
  edgefn versions geo --json
  edgefn versions geo --delete 3

A version that an alias or a hook uses is not deleted. Exit status 0: done; 1: failed; 2: unusable arguments; 3: some
locations have it and others not.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", metavar="NAME", type=name, help="the function")
    parser.add_argument("--delete", metavar="VERSION", type=whole(1, 999_999_999), help="delete a version")
    add_waiting(parser)
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    return run_with(given, "versions", lambda client: _run(given, client))


async def _run(given: argparse.Namespace, client: ControlClient) -> int:
    path = f"/v1/functions/{given.name}/versions"
    if given.delete is not None:
        told = await client.change("DELETE", f"{path}/{given.delete}")
        label = f"{given.name}:{given.delete}"
        print(as_json(told) if given.json else f"{label} is deleted (generation {told.get('generation')})")
        return (await wait_for(client, given, told.get("generation"), given.name)).status
    told = await client.get(path)
    print(as_json(told) if given.json else _table(told))
    return DONE


def _table(told: dict[str, object]) -> str:
    rows = []
    for row in rows_in(told, "versions"):
        settings, aliases = row.get("settings"), row.get("aliases")
        runtime = settings.get("runtime") if isinstance(settings, dict) else "-"
        pointing = ",".join(map(str, aliases)) if isinstance(aliases, list) else ""
        digest = str(row.get("bundle"))[:12]
        published = moment(row.get("published"))
        rows.append((row.get("version"), published, runtime, digest, pointing or "-", row.get("description")))
    return table(("VERSION", "PUBLISHED (UTC)", "RUNTIME", "CODE", "ALIASES", "DESCRIPTION"), rows)
