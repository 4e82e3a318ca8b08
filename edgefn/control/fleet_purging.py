"""The endpoints that purge in all locations of a fleet: an order in the fleet's log, which each of them applies."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final

import orjson
from aiohttp import web

from edgefn.control.asking import TOUCHED, json_body, part_in, streamed, whole_in
from edgefn.control.desk import published, refusals
from edgefn.control.endpoints import (
    LINES,
    NUMBER,
    STRINGS,
    TRUTH,
    WHOLE,
    Endpoint,
    Media,
    Parameter,
    Scope,
    json_of,
    list_of,
    table,
)
from edgefn.control.faults import invalid
from edgefn.control.purging import PURGE, PURGES, WANTED, purges_in
from edgefn.functions.publishing import Publisher
from edgefn.functions.purging import order_of
from edgefn.model.publishing import LocationState, LocationStatus
from edgefn.rules.purge_documents import document, words

ORDERED: Final = table({"ordered": list_of(table({"purge": PURGE, "sequence": WHOLE})), "soft": TRUTH})
CONFIRMED: Final = table({"sequence": WHOLE, "confirmed": STRINGS, "waiting": STRINGS, "done": TRUTH})
PROGRESS: Final = f"{PURGES}/progress"

_LOOK: Final = 0.1
_LONGEST: Final = 3_600


def fleet_purge_endpoints(publisher: Publisher, monotonic: Callable[[], float]) -> list[Endpoint]:
    """Return the endpoints."""

    async def purge(request: web.Request) -> web.Response:
        body = await json_body(request, known=("purges", "soft"))
        purges, soft = purges_in(body.get("purges")), body.get("soft", False)
        if not isinstance(soft, bool):
            raise invalid("soft", "must be true or false")
        request[TOUCHED].update({"purges": [words(each)[:200] for each in purges[:20]], "soft": soft})
        ordered = [
            {"purge": document(each), "sequence": await publisher.order_purge(order_of(each, soft=soft))}
            for each in purges
        ]
        return web.json_response({"ordered": ordered, "soft": soft})

    async def wait(request: web.Request) -> web.StreamResponse:
        sequence, fraction = whole_in(request, "sequence", 0, 10**15), part_in(request, "fraction")
        until = monotonic() + whole_in(request, "timeout", 30, _LONGEST)

        async def lines() -> AsyncGenerator[bytes]:
            last: dict[str, object] = {}
            with refusals():
                while not last.get("done") and monotonic() < until:
                    now = _confirmed((await publisher.statuses()).values(), sequence, fraction)
                    if now != last:
                        yield orjson.dumps(now) + b"\n"
                    last = now
                    await asyncio.sleep(_LOOK)

        return await streamed(request, lines())

    asked = (
        Parameter("sequence", "The purge to wait for.", WHOLE),
        Parameter("fraction", "How many of the active locations must have it, 0 to 1 (default 1).", NUMBER),
        Parameter("timeout", "Seconds to wait at most (default 30).", WHOLE),
    )
    says, waits = "Have all locations purge.", "A line whenever more locations have confirmed a purge."
    orders, lines_of = json_of(ORDERED), Media(LINES, CONFIRMED)
    return [
        Endpoint("purge", "POST", PURGES, Scope.PURGE, says, published(purge), orders, json_of(WANTED)),
        Endpoint("wait-for-purge", "GET", PROGRESS, Scope.PURGE, waits, wait, lines_of, query=asked),
    ]


def _confirmed(statuses: Iterable[LocationStatus], sequence: int, fraction: float) -> dict[str, object]:
    active = sorted((each for each in statuses if each.state is LocationState.ACTIVE), key=lambda each: each.location)
    confirmed = [each.location for each in active if each.purge >= sequence]
    done = bool(active) and len(confirmed) >= math.ceil(fraction * len(active))
    waiting = [each.location for each in active if each.purge < sequence]
    return {"sequence": sequence, "confirmed": confirmed, "waiting": waiting, "done": done}
