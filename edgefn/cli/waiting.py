"""Waiting until the locations have what was published, and telling how far they are."""

import argparse
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Final

from edgefn.cli.connecting import DONE, FAILED, PARTIAL
from edgefn.cli.reading import counted
from edgefn.cli.tables import as_json, rows_in
from edgefn.control.client import ControlClient, ControlError
from edgefn.rules.log_line import one_line

_STATES: Final = ("current", "applying", "failed", "unreachable")

STATUSES: Final = """\
Exit status 0: done; 1: refused, or no location could take it; 2: unusable arguments; 3: some locations have it and
others not, or the time to wait was over."""


def add_waiting(parser: argparse.ArgumentParser, *, usual: str = "all") -> None:
    """Add the arguments that say for whom to wait."""
    parser.add_argument(
        "--wait",
        metavar="all|95%|none",
        type=fraction,
        default=fraction(usual),
        help=f"how many of the active locations must have it before the command ends (default {usual})",
    )
    parser.add_argument(
        "--wait-timeout", metavar="S", type=whole_seconds, default=30, help="seconds to wait at most (default 30)"
    )


def fraction(text: str) -> float | None:
    """Return the part of the locations to wait for, None for none. Raises `ArgumentTypeError`."""
    if text in {"all", "none"}:
        return 1.0 if text == "all" else None
    part = percent(text)
    if part is None:
        raise argparse.ArgumentTypeError(f"{text!r} says not for whom to wait; write all, none, or a part such as 95%")
    return part


def percent(text: str) -> float | None:
    """Return "12.5%" as 0.125; None for what is none, or not above 0 and at most 100 %."""
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)%", text)
    part = float(found[1]) / 100 if found else 0.0
    return part if 0 < part <= 1 else None


def whole_seconds(text: str) -> int:
    """Return seconds from 1 to 3600. Raises `ArgumentTypeError`."""
    value = int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no time to wait; write whole seconds, 1 to 3600")
    return value


@dataclass(slots=True)
class Waited:
    """How far the locations came: the last progress, and the exit status that it means."""

    status: int
    progress: dict[str, object]
    seconds: float

    @property
    def words(self) -> str:
        """Return it in a few words."""
        current, active = len(_names(self.progress, "current")), _active(self.progress)
        return f"{current} of {counted(active, 'location')} in {self.seconds:.1f} s" if active else "no location"


@dataclass(slots=True)
class _Board:
    """The state of each location as it was told last; a line for each change."""

    told: dict[str, str] = field(default_factory=dict)

    def show(self, progress: dict[str, object]) -> None:
        states = {name: state for state in _STATES for name in _names(progress, state)}
        for name in sorted(states):
            if self.told.get(name) != states[name]:
                print(f"  {name}: {states[name]}{_reasons(progress, name)}", file=sys.stderr, flush=True)
        self.told = states


async def wait_for(
    client: ControlClient,
    given: argparse.Namespace,
    generation: object,
    function: str = "",
    *,
    site: str = "",
    quiet: bool = False,
) -> Waited:
    """Wait as the arguments say until the locations have `generation`; unless `quiet`, each change is told.

    Only what is about `function`, or about the configuration of `site`, counts, where one is given.
    """
    if given.wait is None or not isinstance(generation, int):
        return Waited(DONE, {}, 0.0)
    began = time.monotonic()
    query = {
        "generation": str(generation),
        "fraction": f"{given.wait:g}",
        "timeout": str(given.wait_timeout),
        "function": function,
        "site": site,
    }
    board, last = _Board(), dict[str, object]()
    try:
        async for progress in client.lines("/v1/progress", query):
            if not quiet:
                board.show(progress)
            last = progress
    except ControlError as error:
        print(f"edgefn: it is published, but how far the locations are is not known: {error}", file=sys.stderr)
        return Waited(PARTIAL, last, time.monotonic() - began)
    return Waited(_status(last), last, time.monotonic() - began)


async def wait_for_purges(client: ControlClient, given: argparse.Namespace, told: dict[str, object]) -> int:
    """Wait as the arguments say until the locations have confirmed what was ordered; return the exit status."""
    ordered = rows_in(told, "ordered")
    last: dict[str, object] = {"done": given.wait is None}
    if given.wait is not None:
        query = {
            "sequence": str(max((int(str(each.get("sequence"))) for each in ordered), default=0)),
            "fraction": f"{given.wait:g}",
            "timeout": str(given.wait_timeout),
        }
        async for progress in client.lines("/v1/purges/progress", query):
            last = progress
    if given.json:
        print(as_json({**told, "progress": last if given.wait is not None else None}))
    elif given.wait is None:
        print(f"ordered: {counted(len(ordered), 'purge')}")
    else:
        confirmed, waiting = _names(last, "confirmed"), _names(last, "waiting")
        missing = f"; not yet: {', '.join(waiting)}" if waiting else ""
        print(f"purged in {counted(len(confirmed), 'location')}{missing}")
    return DONE if last.get("done") is True else PARTIAL


def _status(progress: dict[str, object]) -> int:
    if progress.get("done") is True:
        return DONE
    failed = len(_names(progress, "failed"))
    return FAILED if failed and failed == _active(progress) else PARTIAL


def _active(progress: dict[str, object]) -> int:
    return sum(len(_names(progress, state)) for state in _STATES)


def _names(progress: dict[str, object], state: str) -> list[str]:
    listed = progress.get(state)
    found = listed if isinstance(listed, list) else []
    return [str(each["location"]) if isinstance(each, dict) else str(each) for each in found]


def _reasons(progress: dict[str, object], name: str) -> str:
    listed = progress.get("failed")
    for each in listed if isinstance(listed, list) else []:
        match each:
            case {"location": str(location), "failed": [*failed]} if location == name:
                return "".join(f"\n    {reason}" for reason in map(_reason, failed))
            case _:
                continue
    return ""


def _reason(failed: object) -> str:
    match failed:
        case {"function": str(function), "version": str(version), "why": str(why)}:
            return one_line(f"{function}:{version}: {why}")
        case {"configuration": str(configuration), "why": str(why)}:
            return one_line(f"configuration {configuration}: {why}")
        case _:
            return one_line(str(failed))
