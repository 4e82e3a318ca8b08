"""The endpoint of function logs: the newest lines, and those that come; of one location, or of a whole fleet."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Final, Protocol

import orjson
from aiohttp import web

from edgefn.control.asking import streamed, truth_in, whole_in
from edgefn.control.endpoints import LINES, STRING, TRUTH, WHOLE, Endpoint, Media, Parameter, Scope, table
from edgefn.control.faults import FaultError, invalid
from edgefn.functions.log_asking import Asked
from edgefn.functions.logbook import LogEntry, LogFollower, tail

LINE: Final = table(dict.fromkeys(("at", "location", "function", "version", "invocation", "request", "text"), STRING))
_USUAL: Final = 100
_MOST: Final = 10_000
_MOST_FOLLOWERS: Final = 16
_LONGEST_WORD: Final = 200
_LONGEST_AGO: Final = 400 * 86_400
_PAUSE: Final = 0.1
_LIFE_SIGN: Final = 150
"""Polls without a line after which an empty one is sent: whoever has gone away is noticed by it."""


class Book(Protocol):
    """Where lines are read."""

    def lines(self, asked: Asked) -> AsyncGenerator[list[LogEntry], None]:
        """Yield the newest lines; with `follow`, go on with those that come, and with nothing now and then."""


class OwnBook:
    """The logs of this location, in a directory. `ago` returns the time some seconds ago, as logs have it."""

    def __init__(self, directory: Path, ago: Callable[[float], str]) -> None:
        self._directory = directory
        self._ago = ago

    async def lines(self, asked: Asked) -> AsyncGenerator[list[LogEntry], None]:
        """Yield the newest lines; with `follow`, go on with those that come."""
        query = asked.query(self._ago)

        def wanted(entries: list[LogEntry]) -> list[LogEntry]:
            return [entry for entry in entries if asked.location in {"", entry.location}]

        if not asked.follow:
            yield wanted(await asyncio.to_thread(tail, self._directory, query, asked.most))
            return
        follower = LogFollower(self._directory, query)
        try:
            before = wanted(await asyncio.to_thread(tail, self._directory, query, asked.most))
            yield before
            seen = set(before)
            async for entries in _coming(follower):
                yield [entry for entry in wanted(entries) if entry not in seen]
                seen.clear()
        finally:
            follower.close()


def log_endpoints(book: Book) -> list[Endpoint]:
    """Return the endpoints for the logs in `book`."""
    places = [_MOST_FOLLOWERS]

    async def logs(request: web.Request) -> web.StreamResponse:
        asked = Asked(
            "",
            _word(request, "function"),
            _word(request, "request"),
            _word(request, "location"),
            whole_in(request, "limit", _USUAL, _MOST),
            whole_in(request, "since", 0, _LONGEST_AGO),
            truth_in(request, "follow"),
        )
        if asked.follow and places[0] == 0:
            raise FaultError(503, "busy", f"{_MOST_FOLLOWERS} others follow the logs; try again later")
        return await streamed(request, written(asked))

    async def written(asked: Asked) -> AsyncGenerator[bytes]:
        places[0] -= asked.follow
        try:
            async with aclosing(book.lines(asked)) as coming:
                async for entries in coming:
                    yield b"".join(orjson.dumps(entry) + b"\n" for entry in entries) or (b"\n" if asked.follow else b"")
        finally:
            places[0] += asked.follow

    asked = (
        Parameter("function", "A name, or name:version."),
        Parameter("request", "An invocation's id, or the X-Amz-Cf-Id of a viewer's request."),
        Parameter("location", "The name of one location; default: all, as far as this process knows any."),
        Parameter("since", "How many seconds old lines may be (default: any age).", WHOLE),
        Parameter("limit", f"How many of the newest lines (default {_USUAL}, at most {_MOST:,}).", WHOLE),
        Parameter("follow", "Go on with the lines that come.", TRUTH),
    )
    says = "What functions have logged, a line each: here, or at the control plane in all locations of the fleet."
    return [Endpoint("logs", "GET", "/v1/logs", Scope.READ, says, logs, Media(LINES, LINE), query=asked)]


def _word(request: web.Request, name: str) -> str:
    given = request.query.get(name, "")
    if len(given) > _LONGEST_WORD:
        raise invalid(name, f"is longer than {_LONGEST_WORD} characters")
    return given


async def _coming(follower: LogFollower) -> AsyncIterator[list[LogEntry]]:
    """Yield lines as they come, and nothing now and then."""
    quiet = 0
    while True:
        entries = await asyncio.to_thread(follower.poll)
        quiet = 0 if entries else quiet + 1
        if entries or quiet >= _LIFE_SIGN:
            quiet = 0
            yield entries
        await asyncio.sleep(_PAUSE)
