"""The endpoints about functions and their versions: what there is, and taking it away."""

import re
from typing import Final

from aiohttp import web

from edgefn.control.asking import name_in
from edgefn.control.desk import VERSION_NUMBER, Desk, published
from edgefn.control.endpoints import WHOLE, Endpoint, Handle, Media, Scope, json_of, list_of, table
from edgefn.control.faults import invalid
from edgefn.control.views import CHANGED, FUNCTION, VERSION, function_view, version_view

_ONE: Final = "/v1/functions/{function}"
_VERSIONS: Final = f"{_ONE}/versions"


def function_endpoints(desk: Desk) -> list[Endpoint]:
    """Return the endpoints."""

    async def listed(_: web.Request) -> web.Response:
        catalog = await desk.publisher.catalog()
        functions = [function_view(catalog.functions[name]) for name in sorted(catalog.functions)]
        return web.json_response({"generation": catalog.generation, "functions": functions})

    async def one(request: web.Request) -> web.Response:
        return web.json_response(function_view(await desk.function(name_in(request, "function"))))

    async def versions(request: web.Request) -> web.Response:
        function = await desk.function(name_in(request, "function"))
        numbered = [function.versions[number] for number in sorted(function.versions, reverse=True)]
        drafts = [] if function.draft is None else [function.draft]
        return web.json_response({"versions": [version_view(each, function) for each in (*drafts, *numbered)]})

    async def version(request: web.Request) -> web.Response:
        function, manifest = await desk.version(name_in(request, "function"), request.match_info["qualifier"])
        return web.json_response(version_view(manifest, function))

    async def delete_version(request: web.Request) -> web.Response:
        name, number = name_in(request, "function"), request.match_info["qualifier"]
        if not re.fullmatch(VERSION_NUMBER, number):
            raise invalid("qualifier", f"{number[:80]!r} is no number of a version; only versions are deleted here")
        await desk.version(name, number)
        return _changed(await desk.publisher.delete_version(name, int(number), await desk.in_use()))

    async def delete(request: web.Request) -> web.Response:
        name = name_in(request, "function")
        await desk.function(name)
        return _changed(await desk.publisher.delete_function(name, await desk.in_use()))

    functions = json_of(table({"generation": WHOLE, "functions": list_of(FUNCTION)}))
    return [
        _read("list-functions", "/v1/functions", "All functions.", published(listed), functions),
        _read("get-function", _ONE, "One function.", published(one), json_of(FUNCTION)),
        _read(
            "list-versions",
            _VERSIONS,
            "The draft and all versions of a function, the newest one first.",
            published(versions),
            json_of(table({"versions": list_of(VERSION)})),
        ),
        _read(
            "get-version",
            f"{_VERSIONS}/{{qualifier}}",
            "One version, by its number, as $LATEST, or by an alias.",
            published(version),
            json_of(VERSION),
        ),
        _delete(
            "delete-version",
            f"{_VERSIONS}/{{qualifier}}",
            "Delete a version that nothing uses.",
            published(delete_version),
        ),
        _delete("delete-function", _ONE, "Delete a function that nothing uses.", published(delete)),
    ]


def _read(name: str, path: str, summary: str, handle: Handle, gives: Media) -> Endpoint:
    return Endpoint(name, "GET", path, Scope.READ, summary, handle, gives)


def _delete(name: str, path: str, summary: str, handle: Handle) -> Endpoint:
    return Endpoint(name, "DELETE", path, Scope.DEPLOY, summary, handle, json_of(CHANGED))


def _changed(generation: int) -> web.Response:
    return web.json_response({"generation": generation})
