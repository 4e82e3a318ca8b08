"""The control API of a location: loopback and a token by default. Speaks JSON."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgefn.model.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Operations:
    """What the API can ask of the node. `reload` returns a line about what changed, or raises `SettingsError`."""

    health: Callable[[], dict[str, object]]
    reload: Callable[[], Awaitable[str]]


class Admin:
    """Serves the control API on one address."""

    def __init__(self, operations: Operations, token: str) -> None:
        self._operations = operations
        self._token = token
        application = web.Application(middlewares=[self._authorised()], client_max_size=1 << 20)
        application.router.add_get("/health", self._health)
        application.router.add_post("/reload", self._reload)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return (ip, port) of each listening socket, with the port that the system chose for port 0."""
        return [address[:2] for address in self._runner.addresses]

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises `OSError` when the address is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        """Stop listening and end what runs."""
        await self._runner.cleanup()

    def _authorised(self) -> Middleware:
        expected = f"Bearer {self._token}"

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, expected.encode()):
                told = {"error": "send the token of admin.token in the data directory as `Authorization: Bearer`"}
                return web.json_response(told, status=401, headers={"WWW-Authenticate": "Bearer"})
            return await handler(request)

        return check

    async def _health(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self._operations.health())

    async def _reload(self, request: web.Request) -> web.Response:
        del request
        try:
            return web.json_response({"reloaded": await self._operations.reload()})
        except SettingsError as error:
            return web.json_response({"problems": list(error.problems)}, status=422)
