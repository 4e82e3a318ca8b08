"""`edgefn status`: each location, and what it runs."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Final

from edgefn.cli.connecting import DONE, FAILED, add_connection, run_with
from edgefn.cli.tables import as_json, rows_in, table
from edgefn.control.client import ControlClient
from edgefn.rules.log_line import one_line

_NAMED: Final = 3

EXAMPLES = """\
examples:
  edgefn status
  edgefn status --control https://control.example:8443 --token-file ci.token --json

Health: current; applying; failing (a version or a configuration could not be taken into use; the one before still
answers); unreachable. CONFIGURATION is the site's name and the number of what `edgefn apply` has published for it.
Exit status 0: all active locations are current; 1: some are not; 2: unusable arguments.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_connection(parser)


def run(given: argparse.Namespace) -> int:
    """Run the command."""
    return run_with(given, "status", lambda client: _status(given, client))


async def _status(given: argparse.Namespace, client: ControlClient) -> int:
    told = await client.get("/v1/status")
    print(as_json(told) if given.json else words(told))
    active = [row for row in rows_in(told, "locations") if row.get("state") == "active"]
    return DONE if all(row.get("health") == "current" for row in active) else FAILED


def words(told: dict[str, object]) -> str:
    """Return what people read of an answer to `GET /v1/status`."""
    rows, notes = [], []
    for row in rows_in(told, "locations"):
        rows.append(
            (
                row.get("location"),
                row.get("state"),
                row.get("health"),
                row.get("generation"),
                row.get("lag"),
                f"{row.get('seen')} s ago",
                row.get("workers"),
                f"{row.get('site')} {row.get('configuration')}" if row.get("configuration") else "its own",
                _running(row.get("running")),
            )
        )
        notes += [f"{row.get('location')}: {_failure(each)}" for each in rows_in(row, "failed")]
        notes += [f"{row.get('location')}: {note}" for note in _notes(row)]
    notes += _problems(rows_in(told, "problems"))
    notes += [_righted(each) for each in rows_in(told, "righted")]
    notes += _notes(told)
    heads = ("LOCATION", "STATE", "HEALTH", "GENERATION", "LAG", "SEEN", "WORKERS", "CONFIGURATION", "RUNNING")
    return "\n".join([f"published: generation {told.get('generation')}", table(heads, rows), *map(one_line, notes)])


def _failure(failed: Mapping[str, object]) -> str:
    configuration = failed.get("configuration")
    what = f"configuration {configuration}" if configuration else f"{failed.get('function')}:{failed.get('version')}"
    return f"{what} is not in use: {failed.get('why')}"


def _notes(told: Mapping[str, object]) -> list[str]:
    notes = told.get("notes")
    return [str(note) for note in notes] if isinstance(notes, list) else []


def _problems(problems: Sequence[Mapping[str, object]]) -> list[str]:
    """Return a line for each reason, with the first records that it holds for."""
    subjects: dict[str, list[str]] = {}
    for each in problems:
        subjects.setdefault(str(each.get("why")), []).append(str(each.get("subject")))
    return [_problem(why, alike) for why, alike in subjects.items()]


def _problem(why: str, subjects: list[str]) -> str:
    if len(subjects) == 1:
        return f"{subjects[0]}: does not count: {why}"
    more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
    return f"{len(subjects)} records do not count: {why} ({', '.join(subjects[:_NAMED])}{more})"


def _righted(told: Mapping[str, object]) -> str:
    subjects = told.get("subjects")
    names = [str(each) for each in subjects] if isinstance(subjects, list) else []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"{', '.join(names[:_NAMED])}{more}: somebody without the key had written that; put right in generation "
        f"{told.get('generation')}: find out who can write there"
    )


def _running(running: object) -> str:
    if not isinstance(running, dict) or not running:
        return "-"
    return " ".join(f"{name}={running[name]}" for name in sorted(running))
