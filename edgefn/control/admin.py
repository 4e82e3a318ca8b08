"""The control API: loopback and a token by default. Speaks JSON; every change leaves a line in the audit log."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgefn.control.asking import ADMISSION, HOLDER, TOUCHED, Admission
from edgefn.control.connections import HEAD_PATIENCE, WIRE_LOG, Connections, Ration, broken_bodies
from edgefn.control.endpoints import ANYTHING, Endpoint, Scope, json_of
from edgefn.control.faults import FaultError, invalid
from edgefn.control.openapi import document
from edgefn.control.retries import HEADER, LONGEST_KEY, Retries
from edgefn.control.tokens import Tokens

_log = logging.getLogger("edgefn")
_MOST_JSON: Final = 1 << 20
_LONGEST_PART: Final = 200
_UNKNOWN: Final = (
    "this token counts for nothing here: it is that of another control API, was revoked or used up, or has run out; "
    "the operator's is admin.token in the data directory, and `edgefn token new` makes others"
)
_STRANGER: Final = "send a token as `Authorization: Bearer`; the operator's is admin.token in the data directory"


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in, and the log of what they did. `audit` takes one line, `timestamp` tells the time in ISO 8601."""

    tokens: Tokens
    audit: Callable[[str], None]
    timestamp: Callable[[], str]
    retries: Retries
    version: str = ""


class Admin:
    """Serves the control API on one address."""

    def __init__(self, gate: Gate, endpoints: Sequence[Endpoint], head_patience: float = HEAD_PATIENCE) -> None:
        self._gate = gate
        self._endpoints = (*endpoints, self._described())
        self._application = web.Application(middlewares=[self._answered(), self._once()], client_max_size=_MOST_JSON)
        self._application.on_response_prepare.append(_name_no_software)
        self._by_handler = {}
        for endpoint in self._endpoints:
            route = self._application.router.add_route(endpoint.method, endpoint.path, endpoint.handle)
            self._by_handler[route] = endpoint
        self._head_patience = head_patience
        self._strangers = Ration()
        self._connections: Connections | None = None
        self._runner = web.AppRunner(
            self._application, access_log=None, shutdown_timeout=1.0, auto_decompress=False, logger=WIRE_LOG
        )

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Return all endpoints."""
        return self._endpoints

    @property
    def routes(self) -> set[tuple[str, str]]:
        """Return (method, path) of everything that is served."""
        served = ((route.method, route.resource) for route in self._application.router.routes())
        return {(method, resource.canonical) for method, resource in served if resource is not None}

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return (ip, port) of each listening socket, with the port that the system chose for port 0."""
        return [] if self._connections is None else self._connections.addresses

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen, in clear without `tls`. Raises `OSError` when the address is taken."""
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise OSError(0, "the control API is not set up")
        self._connections = Connections(server, self._head_patience)
        await self._connections.listen(host, port, tls)

    async def close(self) -> None:
        """Stop listening and end what runs."""
        if self._connections is not None:
            self._connections.close()
        await self._runner.cleanup()

    def _described(self) -> Endpoint:
        async def describe(_: web.Request) -> web.Response:
            return web.json_response(document(self._endpoints, self._gate.version))

        says = "This document, OpenAPI 3.1."
        return Endpoint("describe", "GET", "/openapi.json", Scope.READ, says, describe, json_of(ANYTHING))

    def _answered(self) -> Middleware:
        """Let in who may, turn every failure into an error document, and keep the audit log."""

        @web.middleware
        async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
            endpoint = self._by_handler.get(request.match_info.route)
            request[TOUCHED] = {}
            request[ADMISSION] = Admission(lambda: self._admit(request, endpoint))
            if self._connections is not None:
                self._connections.heard(request)
            try:
                request[ADMISSION].check()
                _refuse_unknown(request, endpoint)
                with broken_bodies():
                    answer = await handler(request)
            except FaultError as fault:
                answer = _refused(fault)
                self._note(request, endpoint, fault.status, fault.code)
            except web.HTTPException as error:
                answer = _refused(FaultError(error.status, _code(error.status), _words(error)))
                self._note(request, endpoint, error.status, _code(error.status))
            except ConnectionError:
                raise  # whoever asked has gone away
            except Exception:  # noqa: BLE001  # whatever it is, the client gets an answer it can read, the log the rest
                _log.exception("the control API failed at %s %s", request.method, request.path[:200])
                answer = _refused(FaultError(500, "internal", "this failed inside edgefn; its log says how"))
                self._note(request, endpoint, 500, "internal")
            else:
                self._note(request, endpoint, answer.status, "done")
            return answer

        return answered

    def _admit(self, request: web.Request, endpoint: Endpoint | None) -> None:
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        holder = self._gate.tokens.holder_of(secret) if kind == "Bearer" and secret else None
        if holder is None:
            raise FaultError(401, "no-token", _UNKNOWN if secret else _STRANGER)
        request[HOLDER] = holder
        if endpoint is not None and not holder.may(endpoint.scope):
            told = f"the token {holder.name!r} has not the scope {endpoint.scope}; use one that has"
            raise FaultError(403, "no-scope", told)

    def _once(self) -> Middleware:
        @web.middleware
        async def once(request: web.Request, handler: Handler) -> web.StreamResponse:
            key = request.headers.get(HEADER)
            if key is None or request.method == "GET":
                return await handler(request)
            if not 1 <= len(key) <= LONGEST_KEY:
                raise invalid(HEADER, f"must have 1 to {LONGEST_KEY} characters")
            change = (request[HOLDER].digest, request.method, request.raw_path, key)
            return await self._gate.retries.once(change, lambda: handler(request))

        return once

    def _note(self, request: web.Request, endpoint: Endpoint | None, status: int, outcome: str) -> None:
        """Write who did what, and what came of it; reading is noted only where it was refused."""
        if status < 400 and (endpoint is None or endpoint.scope is Scope.READ):
            return
        holder = request.get(HOLDER)
        left_out = 0 if holder is not None else self._strangers.take(asyncio.get_running_loop().time())
        if left_out is None:
            return
        touched: dict[str, object] = request[TOUCHED]
        line = {
            "at": self._gate.timestamp(),
            "who": None if holder is None else holder.name,
            "from": request.remote,
            "what": f"{request.method} {request.path}"[:500] if endpoint is None else endpoint.id,
            **{part: told[:_LONGEST_PART] for part, told in request.match_info.items()},
            **touched,
            "status": status,
            "outcome": outcome,
        }
        if left_out:
            line["left_out"] = left_out
        self._gate.audit(orjson.dumps(line).decode())


async def _name_no_software(_: web.Request, answer: web.StreamResponse) -> None:
    """Say nothing of what we are made of, and of which version: it helps attackers only."""
    answer.headers.popall("Server", None)


def _refuse_unknown(request: web.Request, endpoint: Endpoint | None) -> None:
    """Raise `FaultError` for a query that is not understood: a parameter misspelt must not be one left out."""
    known = {parameter.name for parameter in endpoint.query} if endpoint is not None else set(request.query)
    for name in request.query:
        if name not in known:
            raise invalid(name[:80], "is no parameter of this path")


def _refused(fault: FaultError) -> web.Response:
    answer = web.json_response(fault.document(), status=fault.status)
    if fault.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
        answer.force_close()  # strangers keep no connection
    return answer


def _code(status: int) -> str:
    return {404: "unknown-path", 405: "unknown-method", 413: "too-large"}.get(status, "refused")


def _words(error: web.HTTPException) -> str:
    match error.status:
        case 404:
            return "there is no such path; GET /openapi.json lists them"
        case 405:
            return "this path has no such method; GET /openapi.json lists them"
        case 413:
            return "the request is larger than may be sent here"
        case _:
            return error.reason
