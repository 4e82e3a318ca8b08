"""`edgefn alias`: what a function's aliases point at."""

import argparse
import re

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.deploy import shares
from edgefn.cli.naming import name
from edgefn.cli.tables import as_json, rows_in, table
from edgefn.cli.waiting import STATUSES, add_waiting, percent, wait_for
from edgefn.control.client import ControlClient
from edgefn.model.errors import SettingsError

EXAMPLES = f"""\
examples:
  edgefn alias list geo
  edgefn alias set geo live 7
  edgefn alias set geo live 6 7=10% --sticky cookie:session --rollback-at 5%/60s/100
  edgefn alias set geo live --no-sticky --no-rollback
  edgefn alias delete geo beta

`6 7=10%` sends 10% of the invocations to version 7 and the rest to 6, the stable one. --rollback-at 5%/60s/100: when
more than 5% of at least 100 invocations of the newer version failed within 60 s, it is taken out. What is not given
stays as it is. {STATUSES}
"""

_WHOLE = 10_000


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    listed = actions.add_parser("list", help="list the aliases of a function")
    listed.add_argument("function", metavar="FUNCTION", type=name)
    changed = actions.add_parser("set", help="make or change an alias")
    changed.add_argument("function", metavar="FUNCTION", type=name)
    changed.add_argument("alias", metavar="ALIAS", type=name)
    changed.add_argument("targets", metavar="VERSION", nargs="*", help="one version; or two, such as 6 7=10%%")
    sticky = changed.add_mutually_exclusive_group()
    sticky.add_argument("--sticky", metavar="cookie:NAME|header:NAME", type=sticky_by, help="same viewer, same version")
    sticky.add_argument("--no-sticky", action="store_const", const={"by": "none"}, dest="sticky")
    rule = changed.add_mutually_exclusive_group()
    rule.add_argument(
        "--rollback-at", metavar="5%/60s/100", type=rollback_rule, dest="rule", help="errors, time, number"
    )
    rule.add_argument("--no-rollback", action="store_true")
    changed.add_argument("--description")
    deleted = actions.add_parser("delete", help="delete an alias that no hook uses")
    deleted.add_argument("function", metavar="FUNCTION", type=name)
    deleted.add_argument("alias", metavar="ALIAS", type=name)
    for action in (changed, deleted):
        add_waiting(action)
    for action in (listed, changed, deleted):
        add_connection(action)


def sticky_by(text: str) -> dict[str, object]:
    """Return what makes an alias sticky. Raises `ArgumentTypeError`."""
    by, _, named = text.partition(":")
    if by not in {"cookie", "header"} or not named:
        raise argparse.ArgumentTypeError(f"{text!r}: write cookie:NAME or header:NAME")
    return {"by": by, "name": named}


def rollback_rule(text: str) -> dict[str, object]:
    """Return when the newer version goes by itself. Raises `ArgumentTypeError`."""
    found = re.fullmatch(r"([0-9.]+%)(?:/([0-9]{1,4})s(?:/([0-9]{1,9}))?)?", text)
    rate = percent(found[1]) if found else None
    if not found or rate is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write the errors, the time and the number, such as 5%/60s/100")
    rule: dict[str, object] = {"error_rate": rate}
    if found[2]:
        rule["window"] = float(found[2])
    if found[3]:
        rule["invocations"] = int(found[3])
    return rule


def targets_of(words: list[str]) -> list[dict[str, int]]:
    """Return what "6", "7=10%" point at: the one without a share has the rest, and comes first. Raises `ValueError`."""
    found = [re.fullmatch(r"([0-9]{1,9})(?:=(.+))?", word) for word in words]
    shared = [(int(each[1]), each[2]) for each in found if each]
    parts = {version: percent(part) for version, part in shared if part}
    rest = [version for version, part in shared if not part]
    if len(shared) < len(words) or len(shared) > 2 or len(rest) != 1 or None in parts.values():
        raise ValueError("write one version, or two of which one has its share, such as 6 7=10%")
    weights = {version: max(1, round((part or 0) * _WHOLE)) for version, part in parts.items()}
    first = {"version": rest[0], "weight": _WHOLE - sum(weights.values())}
    return [first, *({"version": version, "weight": weight} for version, weight in weights.items())]


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.action == "set":
        try:
            given.targets = targets_of(given.targets) if given.targets else []
        except ValueError as error:
            raise SettingsError((f"VERSION: {error}",)) from error
    work = {"list": _list, "set": _set, "delete": _delete}[given.action]
    return run_with(given, "alias", lambda client: work(given, client))


async def _list(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.get(f"/v1/functions/{given.function}/aliases")
    print(as_json(told) if given.json else _table(rows_in(told, "aliases")))
    return DONE


async def _set(given: argparse.Namespace, client: ControlClient) -> int:
    wanted: dict[str, object] = {}
    if given.targets:
        wanted["targets"] = given.targets
    if given.sticky is not None:
        wanted["sticky"] = given.sticky
    if given.rule is not None or given.no_rollback:
        wanted["rollback"] = given.rule
    if given.description is not None:
        wanted["description"] = given.description
    told = await client.change("PUT", f"/v1/functions/{given.function}/aliases/{given.alias}", wanted)
    waited = await wait_for(client, given, told.get("generation"), given.function)
    alias = told.get("alias")
    print(as_json(told) if given.json else _table([alias] if isinstance(alias, dict) else []))
    return waited.status


async def _delete(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.change("DELETE", f"/v1/functions/{given.function}/aliases/{given.alias}")
    waited = await wait_for(client, given, told.get("generation"), given.function)
    label = f"{given.function}:{given.alias}"
    print(as_json(told) if given.json else f"{label} is deleted (generation {told.get('generation')})")
    return waited.status


def _table(aliases: list[dict[str, object]]) -> str:
    rows = [
        (
            row.get("name"),
            shares(row.get("targets")),
            row.get("previous") or "-",
            _sticky(row.get("sticky")),
            _rule(row.get("rollback")),
            row.get("description"),
        )
        for row in aliases
    ]
    return table(("ALIAS", "VERSIONS", "PREVIOUS", "STICKY", "ROLLBACK", "DESCRIPTION"), rows)


def _sticky(sticky: object) -> str:
    match sticky:
        case {"by": "cookie" | "header" as by, "name": str(named)}:
            return f"{by}:{named}"
        case _:
            return "-"


def _rule(rule: object) -> str:
    match rule:
        case {"error_rate": int() | float() as rate, "window": int() | float() as window, "invocations": int(number)}:
            return f"{rate * 100:g}%/{window:g}s/{number}"
        case _:
            return "-"
