"""The endpoints of a running location: how it is, and swapping its configuration."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from edgefn.control.endpoints import STRING, STRINGS, WHOLE, Endpoint, Scope, json_of, table
from edgefn.control.faults import FaultError
from edgefn.model.errors import SettingsError

HEALTH = table({"location": STRING, "addresses": STRINGS, "functions": STRINGS}, {"workers": WHOLE, "sandbox": STRING})


@dataclass(frozen=True, slots=True)
class Operations:
    """What the API can ask of the node. `reload` returns a line about what changed, or raises `SettingsError`."""

    health: Callable[[], dict[str, object]]
    reload: Callable[[], Awaitable[str]]


def running_endpoints(operations: Operations) -> list[Endpoint]:
    """Return the endpoints."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response(operations.health())

    async def reload(_: web.Request) -> web.Response:
        try:
            return web.json_response({"reloaded": await operations.reload()})
        except SettingsError as error:
            told = "the configuration was not reloaded, nothing was changed"
            raise FaultError(422, "invalid-configuration", told, problems=error.problems) from error

    reloaded = json_of(table({"reloaded": STRING}))
    return [
        Endpoint("health", "GET", "/health", Scope.READ, "How the location is.", health, json_of(HEALTH)),
        Endpoint("reload", "POST", "/reload", Scope.ADMIN, "Read the configuration file again.", reload, reloaded),
    ]
