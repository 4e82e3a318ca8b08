"""`edgefn rollback`: back to the version before."""

import argparse

from edgefn.cli.connecting import add_connection, run_with
from edgefn.cli.deploy import shares
from edgefn.cli.naming import name
from edgefn.cli.tables import as_json
from edgefn.cli.waiting import STATUSES, add_waiting, wait_for
from edgefn.control.client import ControlClient

EXAMPLES = f"""\
examples:
  edgefn rollback geo
  edgefn rollback geo --alias beta --wait 95%

Of an alias with two versions the newer one is taken out; else the alias points at the version before, which is still
warm. {STATUSES}
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", metavar="NAME", type=name, help="the function")
    parser.add_argument("--alias", default="live", type=name, help="its alias (default live)")
    add_waiting(parser)
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    return run_with(given, "rollback", lambda client: _rollback(given, client))


async def _rollback(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.change("POST", f"/v1/functions/{given.name}/aliases/{given.alias}/rollback")
    waited = await wait_for(client, given, told.get("generation"), given.name)
    alias = told.get("alias")
    points = shares(alias.get("targets")) if isinstance(alias, dict) else "?"
    words = f"{given.name}:{given.alias} -> {points} (generation {told.get('generation')})"
    print(as_json({**told, "progress": waited.progress or None}) if given.json else words)
    return waited.status
