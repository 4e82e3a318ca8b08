"""`edgefn functions`: the functions that are published."""

import argparse

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.deploy import shares
from edgefn.cli.naming import name
from edgefn.cli.tables import as_json, rows_in, table
from edgefn.cli.waiting import add_waiting, wait_for
from edgefn.control.client import ControlClient

EXAMPLES = """\
examples:
  edgefn functions
  edgefn functions --json --config config/edgefn.yaml
  edgefn functions --delete geo

A function that a hook uses is not deleted. Exit status 0: done; 1: failed; 2: unusable arguments; 3: some locations
have it and others not.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--delete", metavar="NAME", type=name, help="delete a function with all its versions and aliases"
    )
    add_waiting(parser)
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    return run_with(given, "functions", lambda client: _run(given, client))


async def _run(given: argparse.Namespace, client: ControlClient) -> int:
    if given.delete:
        told = await client.change("DELETE", f"/v1/functions/{given.delete}")
        print(as_json(told) if given.json else f"{given.delete} is deleted (generation {told.get('generation')})")
        return (await wait_for(client, given, told.get("generation"))).status
    told = await client.get("/v1/functions")
    print(as_json(told) if given.json else _table(told))
    return DONE


def _table(told: dict[str, object]) -> str:
    rows = []
    for row in rows_in(told, "functions"):
        versions = row.get("versions")
        numbers = versions if isinstance(versions, list) else []
        newest = numbers[-1] if numbers else "-"
        pointing = [f"{alias.get('name')} -> {shares(alias.get('targets'))}" for alias in rows_in(row, "aliases")]
        rows.append((row.get("name"), row.get("runtime"), len(numbers), newest, "; ".join(pointing) or "-"))
    return table(("NAME", "RUNTIME", "VERSIONS", "NEWEST", "ALIASES"), rows)
