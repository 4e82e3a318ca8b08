"""The endpoint that purges: what is stored is served no more, or is stale from now on."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, Protocol

from aiohttp import web

from edgefn.control.asking import TOUCHED, json_body
from edgefn.control.endpoints import STRING, TRUTH, WHOLE, Endpoint, Scope, json_of, list_of, table
from edgefn.control.faults import FaultError, invalid
from edgefn.rules.purge_documents import document, purge_of, words
from edgefn.rules.purges import Purge
from edgefn.stores.base import Purged, StoreError
from edgefn.stores.stock import Hit

MOST_PURGES: Final = 1_000
PURGES: Final = "/v1/purges"

PURGE: Final = table({}, {"url": STRING, "path": STRING, "host": STRING, "tag": STRING, "everything": TRUTH})
_COUNT: Final = table({"entries": WHOLE, "bytes": WHOLE})
WANTED: Final = table({"purges": list_of(PURGE)}, {"soft": TRUTH})
DONE: Final = table(
    {"purged": list_of(table({"purge": PURGE, "memory": _COUNT, "disk": _COUNT})), "soft": TRUTH},
)


class Purger(Protocol):
    """Whoever has a location's store purged."""

    def __call__(self, purge: Purge, *, soft: bool) -> Awaitable[Hit]:
        """Purge; once it returns, no worker of the location serves what was hit. Raises `StoreError`."""


def purge_endpoints(purger: Purger) -> list[Endpoint]:
    """Return the endpoint."""

    async def purge(request: web.Request) -> web.Response:
        body = await json_body(request, known=("purges", "soft"))
        purges, soft = purges_in(body.get("purges")), body.get("soft", False)
        if not isinstance(soft, bool):
            raise invalid("soft", "must be true or false")
        request[TOUCHED].update({"purges": [words(each)[:200] for each in purges[:20]], "soft": soft})
        done: list[Mapping[str, object]] = []
        for each in purges:
            try:
                hit = await purger(each, soft=soft)
            except StoreError as error:
                told = f"{words(each)}: {error}; it is not known what is purged: repeat it"
                raise FaultError(503, "purge-failed", told) from error
            done.append({"purge": document(each), "memory": _counted(hit.memory), "disk": _counted(hit.disk)})
        return web.json_response({"purged": done, "soft": soft})

    summary = "Purge by URL, path, host, tag, or everything; soft: let it be stale."
    endpoint = Endpoint("purge", "POST", PURGES, Scope.PURGE, summary, purge, json_of(DONE), takes=json_of(WANTED))
    return [endpoint]


def purges_in(told: object) -> Sequence[Purge]:
    """Return the purges that a request lists. Raises `FaultError`."""
    if not isinstance(told, list) or not 0 < len(told) <= MOST_PURGES:
        raise invalid("purges", f"must be a list of 1 to {MOST_PURGES} purges")
    purges: list[Purge] = []
    for index, each in enumerate(told):
        at = f"purges[{index}]"
        if not isinstance(each, dict):
            raise invalid(at, "must be a JSON object")
        try:
            purges.append(purge_of(each))
        except ValueError as error:
            raise invalid(at, str(error)) from error
    return purges


def _counted(purged: Purged) -> dict[str, int]:
    return {"entries": purged.entries, "bytes": purged.size}
