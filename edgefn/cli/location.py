"""`edgefn location`: the locations of a fleet."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from edgefn.cli.connecting import DONE, FAILED, add_connection, add_tls, ca_text, checked_url, run_with
from edgefn.cli.naming import name
from edgefn.cli.reading import read_bytes, read_settings
from edgefn.cli.tables import as_json, moment, rows_in, table
from edgefn.control.client import ControlClient, ControlError
from edgefn.functions.keys import KeysError
from edgefn.functions.trust import TrustError, links
from edgefn.model.errors import SettingsError

EXAMPLES = """\
examples:
  edgefn location add fra1 --control http://127.0.0.1:8090 --token-file control/admin.token
  edgefn location join edgefn.yaml --control https://control.example:8090 --token ONE-TIME-TOKEN
  edgefn location list
  edgefn location drain fra1            nobody waits for it any more; it goes on serving
  edgefn location activate fra1
  edgefn location retire fra1           it has left for good, and gets no new credentials
  edgefn location revoke fra1           its key counts no more, and it is cut off at once

`add` prints a token that lets one location in within an hour. `join` runs on the location, whose key is made there and
never leaves; start the location again afterwards. Exit status 0: done; 1: failed; 2: unusable arguments.
"""

_STATES = {"drain": "draining", "activate": "active", "retire": "retired"}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", dest="action", required=True)
    added = actions.add_parser("add", help="make a one-time token for a location")
    listed = actions.add_parser("list", help="list the locations")
    joined = actions.add_parser("join", help="let this machine's location join, with its one-time token")
    joined.add_argument("location", metavar="CONFIG", help="the configuration file of the location")
    joined.add_argument("--control", metavar="URL", required=True, help="the control API of the fleet")
    joined.add_argument("--token", required=True, help="what `edgefn location add` printed; - reads it")
    joined.add_argument("--root", metavar="FILE", help="the root's trust.json, brought by hand: only that is believed")
    add_tls(joined)
    others = [
        actions.add_parser("drain", help="let nobody wait for it"),
        actions.add_parser("activate", help="wait for it again"),
        actions.add_parser("retire", help="forget a location that has left"),
        actions.add_parser("revoke", help="cut a location off"),
    ]
    for action in (added, *others):
        action.add_argument("location", metavar="NAME", type=name)
    for action in (added, listed, *others):
        add_connection(action)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.action == "join":
        return _join(given)
    work = {"add": _add, "list": _list, "revoke": _revoke}.get(given.action, _change)
    return run_with(given, "location", lambda client: _of_a_fleet(work, given, client))


async def _of_a_fleet(
    work: Callable[[argparse.Namespace, ControlClient], Awaitable[int]],
    given: argparse.Namespace,
    client: ControlClient,
) -> int:
    try:
        return await work(given, client)
    except ControlError as error:
        if error.code != "unknown-path":
            raise
        told = "this is the control API of a location, which knows of no fleet; name the control plane's: --control URL"
        raise ControlError(told) from error


def _join(given: argparse.Namespace) -> int:
    from edgefn.node.membership import join

    settings = read_settings(given.location)
    token = sys.stdin.readline().strip() if given.token == "-" else given.token  # noqa: S105  # a dash is no secret
    if not token:
        raise SettingsError(("--token: is empty; `edgefn location add NAME` prints one, at the control plane",))
    try:
        root = None if given.root is None else _root(given.root)
        membership = asyncio.run(join(settings, checked_url(given.control, given), token, ca_text(given), root))
    except (ControlError, OSError, KeysError) as error:
        print(f"edgefn location: {error}", file=sys.stderr)
        return FAILED
    print(f"{membership.location} has joined the fleet at {' '.join(membership.servers)}; start it again to follow it")
    return DONE


def _root(file: str) -> bytes:
    chain = read_bytes(file)
    try:
        links(chain)
    except TrustError as error:
        raise SettingsError(
            (f"--root: {file}: {error}; it is the file that `edgefn keys authorize` writes",)
        ) from error
    return chain


async def _add(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.change("POST", f"/v1/locations/{given.location}")
    print(as_json(told) if given.json else told.get("token"))
    return DONE


async def _list(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.get("/v1/locations")
    if given.json:
        print(as_json(told))
        return DONE
    rows = []
    for row in rows_in(told, "locations"):
        state = "revoked" if row.get("revoked") else row.get("state")
        rows.append((row.get("name"), state, moment(row.get("joined")), row.get("key") or "-"))
    print(table(("LOCATION", "STATE", "JOINED (UTC)", "KEY"), rows))
    return DONE


async def _change(given: argparse.Namespace, client: ControlClient) -> int:
    state = _STATES[given.action]
    told = await client.change("PATCH", f"/v1/locations/{given.location}", {"state": state})
    print(as_json(told) if given.json else f"{given.location} is {state}")
    return DONE


async def _revoke(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.change("DELETE", f"/v1/locations/{given.location}")
    print(as_json(told) if given.json else f"{given.location} is revoked and cut off")
    return DONE
