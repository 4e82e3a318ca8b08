"""The endpoints about locations: how each is, and how far a generation has got."""

from collections.abc import AsyncGenerator
from typing import Final

import orjson
from aiohttp import web

from edgefn.control.asking import part_in, streamed, whole_in
from edgefn.control.desk import Desk, refusals
from edgefn.control.endpoints import (
    LINES,
    NUMBER,
    STRING,
    STRINGS,
    WHOLE,
    Endpoint,
    Media,
    Parameter,
    Scope,
    json_of,
    list_of,
    table,
)
from edgefn.control.faults import FaultError
from edgefn.control.views import PROGRESS, STATUS, progress_view, status_view
from edgefn.rules.rollout import About

_LONGEST: Final = 3_600
_USUAL: Final = 30
_PROBLEMS: Final = list_of(table({"subject": STRING, "why": STRING}))
_RIGHTED: Final = list_of(table({"at": NUMBER, "subjects": list_of(STRING), "generation": WHOLE}))
_TOLD: Final = table(
    {
        "generation": WHOLE,
        "incarnation": STRING,
        "locations": list_of(STATUS),
        "problems": _PROBLEMS,
        "righted": {**_RIGHTED, "description": "Records that nobody who may publish had written, since the start."},
        "notes": {**STRINGS, "description": "What else there is to know, in words."},
    }
)


def status_endpoints(desk: Desk) -> list[Endpoint]:
    """Return the endpoints."""

    async def status(_: web.Request) -> web.Response:
        try:
            with refusals():
                catalog, statuses = await desk.publisher.catalog(), await desk.publisher.statuses()
        except FaultError as fault:
            raise FaultError(fault.status, fault.code, str(fault), problems=desk.notes()) from fault
        now = desk.wall()
        locations = [status_view(statuses[name], catalog.generation, now) for name in sorted(statuses)]
        problems = [{"subject": each.subject, "why": each.why} for each in desk.publisher.problems]
        return web.json_response(
            {
                "generation": catalog.generation,
                "incarnation": catalog.incarnation,
                "locations": locations,
                "problems": problems,
                "righted": [
                    {"at": each.at, "subjects": list(each.subjects), "generation": each.generation}
                    for each in desk.publisher.righted
                ],
                "notes": list(desk.notes()),
            }
        )

    async def wait(request: web.Request) -> web.StreamResponse:
        generation = whole_in(request, "generation", 0, 10**15)
        patience = whole_in(request, "timeout", _USUAL, _LONGEST)
        fraction = part_in(request, "fraction")
        about = About(request.query.get("function", ""), request.query.get("site", ""))

        async def lines() -> AsyncGenerator[bytes]:
            following = desk.publisher.wait(generation, fraction=fraction, patience=patience, about=about)
            with refusals():
                async for now in following:
                    yield orjson.dumps(progress_view(now, fraction)) + b"\n"

        return await streamed(request, lines())

    asked = (
        Parameter("generation", "The one to wait for.", WHOLE),
        Parameter("fraction", "How many of the active locations must have it, 0 to 1 (default 1).", NUMBER),
        Parameter("timeout", f"Seconds to wait at most (default {_USUAL}).", WHOLE),
        Parameter("function", "Failures of other functions don't count."),
        Parameter("site", "Only the locations of this site count, and whether they have taken its configuration."),
    )
    lined = Media(LINES, PROGRESS)
    waits = "A line whenever the locations get further with a generation, until they have it, or can't, or time is up."
    return [
        Endpoint("status", "GET", "/v1/status", Scope.READ, "Each location.", status, json_of(_TOLD)),
        Endpoint("wait", "GET", "/v1/progress", Scope.READ, waits, wait, lined, query=asked),
    ]
