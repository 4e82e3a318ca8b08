"""`edgefn token`: tokens for the control API, each with its scopes."""

import argparse

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.naming import token_name, whole
from edgefn.cli.tables import as_json, moment, rows_in, table
from edgefn.control.client import ControlClient

EXAMPLES = """\
examples:
  edgefn token new ci --scope deploy
  edgefn token new cms --scope purge --scope read --days 90
  edgefn token list
  edgefn token revoke ci

Scopes: read; deploy (reads too); purge; admin (everything). A token is told once and kept as its hash; the operator's
own is in admin.token of the data directory. Exit status 0: done; 1: failed; 2: unusable arguments.
"""

SCOPES = ("read", "deploy", "purge", "admin")
_DAY = 86_400


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    new = actions.add_parser("new", help="make a token and print it")
    new.add_argument("name", metavar="NAME", type=token_name, help="whose it is, as the audit log names it")
    new.add_argument("--scope", action="append", required=True, choices=SCOPES, help="what it is for; repeatable")
    new.add_argument("--days", type=whole(1, 11_574), metavar="N", help="how long it counts (default: for ever)")
    listed = actions.add_parser("list", help="list the tokens")
    revoke = actions.add_parser("revoke", help="make a token worthless")
    revoke.add_argument("name", metavar="NAME", type=token_name)
    for action in (new, listed, revoke):
        add_connection(action)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    work = {"new": _new, "list": _list, "revoke": _revoke}[given.action]
    return run_with(given, "token", lambda client: work(given, client))


async def _new(given: argparse.Namespace, client: ControlClient) -> int:
    wanted: dict[str, object] = {"name": given.name, "scopes": given.scope}
    if given.days is not None:
        wanted["lifetime"] = given.days * _DAY
    told = await client.change("POST", "/v1/tokens", wanted)
    print(as_json(told) if given.json else told.get("token"))
    return DONE


async def _list(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.get("/v1/tokens")
    if given.json:
        print(as_json(told))
        return DONE
    rows = [
        (row.get("name"), ",".join(map(str, _list_in(row))), moment(row.get("created")), moment(row.get("expires")))
        for row in rows_in(told, "tokens")
    ]
    print(table(("NAME", "SCOPES", "CREATED", "EXPIRES"), rows))
    return DONE


def _list_in(row: dict[str, object]) -> list[object]:
    scopes = row.get("scopes")
    return scopes if isinstance(scopes, list) else []


async def _revoke(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.change("DELETE", f"/v1/tokens/{given.name}")
    print(as_json(told) if given.json else f"revoked: {given.name}")
    return DONE
