"""`edgefn apply`: publishes what the locations of a site share, shows what that changes, waits until they have it."""

import argparse
import os
import re
import sys
from dataclasses import dataclass
from typing import Final

from edgefn.cli.carrying import with_authorities
from edgefn.cli.connecting import DONE, FAILED, add_connection, run_with
from edgefn.cli.reading import counted, read_settings, read_text
from edgefn.cli.tables import as_json, moment, rows_in, table
from edgefn.cli.waiting import STATUSES, add_waiting, wait_for
from edgefn.configuration.document import parse
from edgefn.configuration.loader import load_shared
from edgefn.configuration.location import MAIN_SITE, NO_SITE, SITE_NAME
from edgefn.configuration.reading import Json
from edgefn.configuration.sharing import is_whole, own_keys, shared_part, site_in
from edgefn.control.client import ControlClient
from edgefn.model.errors import SettingsError
from edgefn.rules.log_line import one_line

EXAMPLES = f"""\
examples:
  edgefn apply edgefn.yaml --dry-run               what would change
  edgefn apply edgefn.yaml                         publish it; every location of the site swaps with no failed request
  edgefn apply shop.yaml --yes --wait 95% --control https://control.example:8443 --token-file ci.token
  edgefn apply --rollback                          back to the configuration before
  edgefn apply --rollback --to 7 --site shop       back to configuration 7
  edgefn apply --list                              which there are, and which one is in force
  edgefn apply --delete --site shop                delete all that is published for a site that no location follows

CONFIG is a location's whole file, or only what locations share: origins, origin_groups, routes, default_root_object,
error_pages, quotas, viewer, distribution. The certificates in the file at `tls.ca` of an origin go with it; all else
stays each location's own. A location that can't take a configuration keeps the one before, and says why. At a terminal
it asks first, unless --yes is given.
{STATUSES}
"""

_SIGNS: Final = {(True, False): "+", (False, True): "-"}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a file has for the locations of a site, and what in it is each one's own."""

    site: str
    shared: Json
    own: tuple[str, ...]
    is_whole: bool


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", metavar="CONFIG", nargs="?", help="what to publish; may be left out with --rollback")
    parser.add_argument(
        "--site", metavar="NAME", help="whose configuration it is (default: `site` in CONFIG, else main)"
    )
    parser.add_argument("--description", default="", help="what is new")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--rollback", action="store_true", help="go back to the configuration before")
    parser.add_argument("--to", metavar="NUMBER", type=_number, help="with --rollback: go back to that one")
    other.add_argument("--list", action="store_true", help="list the configurations that are kept")
    other.add_argument("--delete", action="store_true", help="delete them all; refused while a location uses one")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_waiting(parser)
    add_connection(parser)


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a configuration")
    return int(text)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    if given.file is None and not (given.rollback or given.list or given.delete):
        raise SettingsError(("CONFIG is missing: the file to publish; or --rollback, --list or --delete",))
    if given.file is not None and given.delete:
        raise SettingsError((f"--delete takes no CONFIG ({given.file}); --site NAME says whose configuration goes",))
    if given.to is not None and not given.rollback:
        raise SettingsError(("--to NUMBER goes with --rollback",))
    wanted = None if given.file is None else _read(given.file, given.site)
    site = (MAIN_SITE if wanted is None else wanted.site) if given.site is None else given.site
    if not re.fullmatch(SITE_NAME, site, re.ASCII):
        raise SettingsError((f"{site!r} can't name a site; write at most 64 letters, digits, dashes and underscores",))
    elsewhere = given.config or given.control or os.environ.get("EDGEFN_CONTROL")
    if wanted is not None and wanted.is_whole and not elsewhere:
        given.config = given.file
    if given.list:
        return run_with(given, "apply", lambda client: _list(given, client, site))
    if given.delete:
        return run_with(given, "apply", lambda client: _delete(given, client, site))
    if given.rollback:
        body: dict[str, object] = {} if given.to is None else {"revision": given.to}
        change = _Change("POST", f"/v1/configurations/{site}/rollback", body)
    else:
        shared = {} if wanted is None else wanted.shared
        body = {"shared": shared, "description": given.description}
        change = _Change("PUT", f"/v1/configurations/{site}", body)
        if wanted is not None and wanted.own and not given.json:
            print(f"each location's own, and not published: {', '.join(wanted.own)}")
    return run_with(given, "apply", lambda client: _apply(given, client, site, change))


def _read(file: str, site: str | None) -> _Wanted:
    """Return what a file has to publish for `site`, checked as `edgefn check` does. Raises `SettingsError`."""
    text = read_text(file)
    document = parse(text, file)
    if is_whole(document):
        read_settings(file)
    else:
        load_shared(text, filename=file)
    site = site_in(document, MAIN_SITE) if site is None else site
    if site == NO_SITE:
        raise SettingsError((f"{file}: site: {NO_SITE} follows nobody; write another name, or give --site NAME",))
    shared = with_authorities(shared_part(document), document, file)
    return _Wanted(site, shared, own_keys(document), is_whole(document))


@dataclass(frozen=True, slots=True)
class _Change:
    """What to ask of the control API."""

    method: str
    path: str
    body: dict[str, object]


async def _list(given: argparse.Namespace, client: ControlClient, site: str) -> int:
    told = await client.get(f"/v1/configurations/{site}")
    rows = [
        (
            row.get("revision"),
            moment(row.get("published")),
            "in force" if row.get("revision") == told.get("revision") else "",
            row.get("description"),
        )
        for row in rows_in(told, "revisions")
    ]
    print(as_json(told) if given.json else table(("CONFIGURATION", "PUBLISHED", "", "DESCRIPTION"), rows))
    return DONE


async def _delete(given: argparse.Namespace, client: ControlClient, site: str) -> int:
    path = f"/v1/configurations/{site}"
    tried = await client.change("DELETE", path, query={"dry_run": "true"})
    before = tried.get("before")
    kept = tried.get("revisions")
    others = len(kept) - 1 if isinstance(kept, list) else 0
    all_of_it = f"configuration {before}, and {counted(others, 'older one')}"
    if given.dry_run:
        print(as_json(tried) if given.json else f"site {site}: {all_of_it}, would be deleted (--dry-run)")
        return DONE
    if not _agreed(given, f"delete {all_of_it} of site {site}?"):
        print("nothing was changed", file=sys.stderr)
        return FAILED
    told = await client.change("DELETE", path, replaces=before if isinstance(before, int) else None)
    print(as_json(told) if given.json else f"site {site}: deleted (generation {told.get('generation')})")
    return DONE


async def _apply(given: argparse.Namespace, client: ControlClient, site: str, change: _Change) -> int:
    tried = await client.change(change.method, change.path, change.body, {"dry_run": "true"})
    before = tried.get("before")
    replaces = before if isinstance(before, int) else None
    if not given.json:
        print(_differences(site, tried), flush=True)
    if given.dry_run:
        print(as_json(tried) if given.json else "nothing was changed (--dry-run)")
        return DONE
    if tried.get("is_new") is True and not _agreed(given, "publish this?"):
        print("nothing was changed", file=sys.stderr)
        return FAILED
    told = await client.change(change.method, change.path, change.body, replaces=replaces)
    waited = await wait_for(client, given, told.get("generation"), site=site)
    if given.json:
        print(as_json({**told, "progress": waited.progress or None}))
    else:
        print(_outcome(site, told))
        if given.wait is not None:
            print(f"{'done' if waited.status == DONE else 'not everywhere'}: {waited.words}")
            if waited.words == _NOBODY:
                print(f"no location follows site {site}: `site: {site}` in its file makes one do so", file=sys.stderr)
    return waited.status


_NOBODY: Final = "no location"


def _agreed(given: argparse.Namespace, question: str) -> bool:
    """Ask, where somebody can answer."""
    if given.yes or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _differences(site: str, told: dict[str, object]) -> str:
    before, after, rows = told.get("before"), told.get("revision"), rows_in(told, "changes")
    if before == after:
        return f"site {site}: configuration {after} has all of this already"
    lines = [f"site {site}: configuration {before or 'none'} -> {after}, {counted(len(rows), 'difference')}"]
    return "\n".join([*lines, *(f"  {one_line(_difference(row))}" for row in rows)])


def _difference(row: dict[str, object]) -> str:
    old, new = row.get("old"), row.get("new")
    sign = _SIGNS.get((old is None, new is None), "~")
    if sign == "~":
        told = "changed (its values are not shown)" if old == new else f"{old} -> {new}"
    else:
        told = str(new if old is None else old)
    return f"{sign} {row.get('path')}: {told}"


def _outcome(site: str, told: dict[str, object]) -> str:
    generation = f"(generation {told.get('generation')})"
    if told.get("is_new") is not True:
        return f"site {site}: configuration {told.get('revision')} stays in force {generation}"
    return f"site {site}: configuration {told.get('revision')} is published {generation}"
