"""What a control plane asks its locations of their functions' logs, and what they tell: documents, to and fro."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import orjson

from edgefn.functions.logbook import LogEntry, LogQuery, read_entry

RENEWAL_SECONDS = 5.0
"""How often a question whose answer goes on is asked again. Who hears nothing of it for three times as long stops."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. `most` is how many of the newest lines are wanted, `since` how many seconds old they may be (0: any).

    With `follow` the lines that come are wanted as well, for as long as it is asked again, then with `again`.
    """

    id: str
    function: str = ""
    request: str = ""
    location: str = ""
    most: int = 100
    since: float = 0.0
    follow: bool = False
    again: bool = False

    def query(self, ago: Callable[[float], str]) -> LogQuery:
        """Return which lines are wanted; `ago` returns the time some seconds ago, as logs have it."""
        return LogQuery(self.function, self.request, ago(self.since) if self.since else "")

    def to_json(self) -> bytes:
        """Return it as it travels."""
        return orjson.dumps(asdict(self))


def asked_from(text: bytes) -> Asked:
    """Return the question in `text`. Raises `ValueError`."""
    match orjson.loads(text):
        case {
            "id": str(name),
            "function": str(function),
            "request": str(request),
            "location": str(location),
            "most": int(most),
            "since": int() | float() as since,
            "follow": bool(follow),
            "again": bool(again),
        }:
            return Asked(name, function, request, location, most, float(since), follow, again)
        case _:
            raise ValueError("this is no question about logs")


@dataclass(frozen=True, slots=True)
class Told:
    """A part of an answer: lines, how many were left out before them, and whether that is all for now."""

    id: str
    entries: tuple[LogEntry, ...] = ()
    dropped: int = 0
    is_end: bool = False

    def to_json(self) -> bytes:
        """Return it as it travels."""
        return orjson.dumps(self)


def told_from(text: bytes) -> Told:
    """Return the part of an answer in `text`. Raises `ValueError`."""
    match orjson.loads(text):
        case {"id": str(name), "entries": list(entries), "dropped": int(dropped), "is_end": bool(is_end)}:
            read = (read_entry(orjson.dumps(each)) for each in entries)
            return Told(name, tuple(each for each in read if each is not None), dropped, is_end)
        case _:
            raise ValueError("this is no answer about logs")
