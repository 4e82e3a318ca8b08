"""`edgefn purge`: lets a running location forget what it has stored."""

import argparse
from typing import Final

from edgefn.cli.connecting import DONE, add_connection, run_with
from edgefn.cli.reading import counted
from edgefn.cli.tables import as_json
from edgefn.cli.waiting import STATUSES, add_waiting, wait_for_purges
from edgefn.control.client import ControlClient
from edgefn.control.purging import PURGES
from edgefn.model.errors import SettingsError
from edgefn.rules.log_line import one_line
from edgefn.rules.purge_documents import by_host, by_tag, by_word, document, purge_of, words
from edgefn.rules.purges import Everything, Purge

EXAMPLES = f"""\
examples:
  edgefn purge https://www.example.com/style.css --config config/edgefn.yaml
  edgefn purge '/images/*' '/news?page=1'       on all hosts; * is a wildcard as the last character only
  edgefn purge --host www.example.com
  edgefn purge --tag article-7 --tag front-page
  edgefn purge --all --soft                     stale from now on: validated before it is served again

A path stands for all its variants, and for exactly the query that it has: '/news*' is /news with any query, too.
When the command ends, no worker serves what was purged, nor what was being fetched. A control plane has all locations
purge; --wait says how many must have confirmed it. {STATUSES}
"""

_PATIENCE: Final = 600.0


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("what", metavar="URL|PATH", nargs="*", help="a URL, or a path on all hosts; may end in *")
    parser.add_argument("--host", action="append", default=[], help="everything of this host")
    parser.add_argument("--tag", action="append", default=[], help="everything that bears this tag")
    parser.add_argument("--all", action="store_true", help="everything")
    parser.add_argument("--soft", action="store_true", help="let it be stale instead of gone")
    add_waiting(parser)
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    purges = _purges(given)

    async def purge(client: ControlClient) -> int:
        sent = {"purges": [document(each) for each in purges], "soft": given.soft}
        told = await client.change("POST", PURGES, sent, patience=_PATIENCE)
        if "ordered" in told:
            return await wait_for_purges(client, given, told)
        print(as_json(told) if given.json else _told(told))
        return DONE

    return run_with(given, "purge", purge)


def _purges(given: argparse.Namespace) -> list[Purge]:
    try:
        purges = [
            *(by_word(word) for word in given.what),
            *(by_host(host) for host in given.host),
            *(by_tag(tag) for tag in given.tag),
        ]
    except ValueError as error:
        raise SettingsError((f"edgefn purge: {error}",)) from error
    if given.all and purges:
        raise SettingsError(("edgefn purge: --all is everything; leave the rest out, or leave --all out",))
    if given.all:
        return [Everything()]
    if not purges:
        raise SettingsError(("edgefn purge: what is to be purged? give a URL, a path, --host, --tag or --all",))
    return purges


def _told(told: dict[str, object]) -> str:
    done = told.get("purged")
    verb = "stale" if told.get("soft") else "purged"
    return "\n".join(f"{verb}: {_line(each)}" for each in done) if isinstance(done, list) else ""


def _line(done: object) -> str:
    match done:
        case {"purge": dict(purge), "memory": {"entries": int(memory)}, "disk": {"entries": int(disk)}}:
            name = one_line(words(purge_of(purge)))
            return f"{name} ({counted(memory, 'response')} in memory, {disk} on disk)"
        case _:
            return str(done)
