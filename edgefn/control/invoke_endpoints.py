"""The endpoint that runs a published function once."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import orjson
from aiohttp import web

from edgefn.control.asking import TOUCHED, name_in, whole_body
from edgefn.control.desk import Desk, published
from edgefn.control.endpoints import ANYTHING, STRING, STRINGS, Endpoint, Parameter, Scope, json_of, table
from edgefn.control.faults import FaultError, invalid
from edgefn.control.views import version_name
from edgefn.functions.bundle import BundleError
from edgefn.functions.workbench import Invoked
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LATEST, Manifest
from edgefn.rules.version_choice import chosen_version
from edgefn.sandbox.base import OpenError

Invoke: TypeAlias = Callable[[Manifest, bytes], Awaitable[Invoked]]

OUTCOME: Final = {"type": "object", "description": "result, or error with type and message."}
INVOKED: Final = table({"function": STRING, "version": STRING, "outcome": OUTCOME, "log": STRINGS, "notes": STRINGS})


def invoke_endpoints(desk: Desk, invoke: Invoke) -> list[Endpoint]:
    """Return the endpoint."""

    async def run(request: web.Request) -> web.Response:
        name, qualifier = name_in(request, "function"), request.query.get("qualifier", LATEST)
        event = await whole_body(request)
        try:
            orjson.loads(event)
        except orjson.JSONDecodeError as error:
            raise invalid("event", f"is not JSON: {error}") from error
        manifest = await _chosen(desk, name, qualifier)
        request[TOUCHED].update(version=version_name(manifest.version))
        try:
            invoked = await invoke(manifest, event)
        except OpenError as error:
            raise FaultError(409, "does-not-start", f"{manifest.label}: {error}") from error
        except (BundleError, SettingsError) as error:
            raise FaultError(409, "does-not-start", f"{manifest.label}: {error}") from error
        version = version_name(manifest.version)
        told = {"function": name, "version": version, "outcome": invoked.outcome, "log": list(invoked.log)}
        return web.json_response({**told, "notes": desk.notes_on(manifest.settings)})

    asked = (Parameter("qualifier", f"A version, an alias, or {LATEST} (the default)."),)
    says = "Run it once, in a sandbox apart from those that answer viewers. The body is the event."
    return [
        Endpoint(
            "invoke",
            "POST",
            "/v1/functions/{function}/invocations",
            Scope.DEPLOY,
            says,
            published(run),
            json_of(INVOKED),
            json_of(ANYTHING),
            query=asked,
        )
    ]


async def _chosen(desk: Desk, name: str, qualifier: str) -> Manifest:
    """Return the version to run: of an alias with two, either by its weight."""
    function, manifest = await desk.version(name, qualifier)
    alias = function.aliases.get(qualifier)
    return manifest if alias is None else function.versions[chosen_version(alias, uuid.uuid4().bytes)]
