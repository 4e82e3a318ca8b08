"""The endpoint of function logs: the newest lines, and those that come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web

from edgefn.control.asking import streamed, truth_in, whole_in
from edgefn.control.endpoints import LINES, STRING, TRUTH, WHOLE, Endpoint, Media, Parameter, Scope, table
from edgefn.control.faults import FaultError, invalid
from edgefn.functions.logbook import LogEntry, LogFollower, LogQuery, tail

LINE: Final = table(dict.fromkeys(("at", "location", "function", "version", "invocation", "request", "text"), STRING))
_USUAL: Final = 100
_MOST: Final = 10_000
_MOST_FOLLOWERS: Final = 16
_LONGEST_WORD: Final = 200
_PAUSE: Final = 0.1
_LIFE_SIGN: Final = 150
"""Polls without a line after which an empty one is sent: whoever has gone away is noticed by it."""


def log_endpoints(directory: Path) -> list[Endpoint]:
    """Return the endpoints for the logs in `directory`."""
    places = [_MOST_FOLLOWERS]

    async def logs(request: web.Request) -> web.StreamResponse:
        query = LogQuery(_word(request, "function"), _word(request, "request"))
        most, follow = whole_in(request, "limit", _USUAL, _MOST), truth_in(request, "follow")
        if follow and places[0] == 0:
            raise FaultError(503, "busy", f"{_MOST_FOLLOWERS} others follow the logs; try again later")
        return await streamed(request, _lines(directory, query, most) if not follow else followed(query, most))

    async def followed(query: LogQuery, most: int) -> AsyncGenerator[bytes]:
        places[0] -= 1
        follower = LogFollower(directory, query)
        try:
            before = await asyncio.to_thread(tail, directory, query, most)
            yield _written(before)
            seen = set(before)
            async for entries in _coming(follower):
                yield _written([entry for entry in entries if entry not in seen]) or b"\n"
                seen.clear()
        finally:
            follower.close()
            places[0] += 1

    asked = (
        Parameter("function", "A name, or name:version."),
        Parameter("request", "An invocation's id, or the X-Amz-Cf-Id of a viewer's request."),
        Parameter("limit", f"How many of the newest lines (default {_USUAL}, at most {_MOST:,}).", WHOLE),
        Parameter("follow", "Go on with the lines that come.", TRUTH),
    )
    says = "What functions have logged here, a line each."
    return [Endpoint("logs", "GET", "/v1/logs", Scope.READ, says, logs, Media(LINES, LINE), query=asked)]


def _word(request: web.Request, name: str) -> str:
    given = request.query.get(name, "")
    if len(given) > _LONGEST_WORD:
        raise invalid(name, f"is longer than {_LONGEST_WORD} characters")
    return given


async def _lines(directory: Path, query: LogQuery, most: int) -> AsyncGenerator[bytes]:
    yield _written(await asyncio.to_thread(tail, directory, query, most))


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


def _written(entries: list[LogEntry]) -> bytes:
    return b"".join(orjson.dumps(entry) + b"\n" for entry in entries)
