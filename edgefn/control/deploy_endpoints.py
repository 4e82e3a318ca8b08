"""The endpoints that make versions: deploy, and its two halves, changing the draft and publishing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from edgefn.configuration.functions import default_handler
from edgefn.control.asking import TOUCHED, json_body, name_in
from edgefn.control.desk import Desk, published
from edgefn.control.endpoints import STRING, STRINGS, TRUTH, WHOLE, Endpoint, Handle, Json, Media, Scope, json_of, table
from edgefn.control.faults import FaultError, invalid
from edgefn.control.uploads import PACKED, ZIP, Uploads
from edgefn.control.views import ALIAS, VERSION, alias_view, version_view
from edgefn.functions.bundle import Bundle
from edgefn.functions.documents import DocumentError, settings_from_document, settings_to_document
from edgefn.model.publishing import WHOLE as ALL
from edgefn.model.settings import FunctionSettings

_DRAFT: Final = frozenset({"settings", "description"})
_DEPLOYMENT: Final = _DRAFT | {"alias", "weight"}
_SETTINGS: Final = {
    "type": "object",
    "description": "As `functions.NAME` of the configuration, without path and layers. What is left out stays as the "
    "draft has it; null is the default.",
}
BINARY: Final = {"type": "string", "format": "binary", "description": f"{ZIP} or {PACKED}."}
DEPLOYMENT: Final = table({}, {"settings": _SETTINGS, "description": STRING, "alias": STRING, "weight": WHOLE})
_NOTES: Final = {**STRINGS, "description": "What was not tried as it will run."}
DEPLOYED: Final = table(
    {
        "version": VERSION,
        "is_new": TRUTH,
        "alias": {"oneOf": [ALIAS, {"type": "null"}]},
        "generation": WHOLE,
        "notes": _NOTES,
    }
)
UPDATED: Final = table({"version": VERSION, "generation": WHOLE, "notes": _NOTES})
PUBLISHED: Final = table({"version": VERSION, "is_new": TRUTH, "generation": WHOLE})


def deploy_endpoints(desk: Desk) -> list[Endpoint]:
    """Return the endpoints."""
    counter = _Counter(desk, Uploads())
    sent = Media("multipart/form-data", table({"deployment": DEPLOYMENT, "bundle": BINARY}))
    described = json_of(table({}, {"description": STRING}))
    deploys = "Try the code; then make it the draft, publish it, and point an alias at it, all at once or not at all."
    updates, publishes = "Try the code and make it the draft.", "Make a version of the draft."
    return [
        _endpoint("deploy", "POST", "deployments", deploys, counter.deploy, DEPLOYED, sent),
        _endpoint("update-draft", "PUT", "draft", updates, counter.update, UPDATED, sent),
        _endpoint("publish", "POST", "versions", publishes, counter.publish, PUBLISHED, described),
    ]


def _endpoint(name: str, method: str, path: str, summary: str, handle: Handle, gives: Json, takes: Media) -> Endpoint:
    at = f"/v1/functions/{{function}}/{path}"
    return Endpoint(name, method, at, Scope.DEPLOY, summary, published(handle), json_of(gives), takes)


@dataclass(frozen=True, slots=True)
class _Counter:
    """Takes what is brought to the desk."""

    desk: Desk
    uploads: Uploads

    async def deploy(self, request: web.Request) -> web.Response:
        """Try, update, publish and point in one."""
        name = name_in(request, "function")
        told, bundle = await self.uploads.read(request, _DEPLOYMENT)
        wanted = await _wanted(self.desk, name, told, bundle)
        alias, weight = _alias(told), _weight(told)
        done = await self.desk.publisher.deploy(
            wanted.settings, bundle, alias=alias, weight=weight, description=wanted.description
        )
        request[TOUCHED].update(version=done.manifest.version, alias=alias, bundle=bundle.digest)
        return web.json_response(
            {
                "version": version_view(done.manifest, await self.desk.function(name)),
                "is_new": done.is_new,
                "alias": None if done.alias is None else alias_view(done.alias),
                "generation": done.generation,
                "notes": self.desk.notes_on(wanted.settings),
            }
        )

    async def update(self, request: web.Request) -> web.Response:
        """Change the draft."""
        name = name_in(request, "function")
        told, bundle = await self.uploads.read(request, _DRAFT)
        wanted = await _wanted(self.desk, name, told, bundle)
        draft = await self.desk.publisher.update(wanted.settings, bundle, wanted.description)
        request[TOUCHED].update(bundle=bundle.digest)
        told = {"version": version_view(draft, await self.desk.function(name))}
        return await _answer(self.desk, {**told, "notes": self.desk.notes_on(wanted.settings)})

    async def publish(self, request: web.Request) -> web.Response:
        """Make a version of the draft."""
        name = name_in(request, "function")
        told = await json_body(request, known={"description"})
        await self.desk.function(name)
        done = await self.desk.publisher.publish(name, _description(told))
        request[TOUCHED].update(version=done.manifest.version)
        version = version_view(done.manifest, await self.desk.function(name))
        return await _answer(self.desk, {"version": version, "is_new": done.is_new})


async def _answer(desk: Desk, told: Mapping[str, object]) -> web.Response:
    return web.json_response({**told, "generation": (await desk.publisher.catalog()).generation})


@dataclass(frozen=True, slots=True)
class _Wanted:
    settings: FunctionSettings
    description: str


async def _wanted(desk: Desk, name: str, told: Mapping[str, object], bundle: Bundle) -> _Wanted:
    """Return the settings that a deployment asks for, on top of the draft's."""
    given = told.get("settings", {})
    if not isinstance(given, dict):
        raise invalid("settings", "must be an object, as functions.NAME of the configuration")
    draft = (await desk.publisher.catalog()).functions.get(name)
    before = {} if draft is None or draft.draft is None else settings_to_document(draft.draft.settings)
    merged = {key: value for key, value in {**before, **given}.items() if value is not None}
    if "handler" not in merged and len(bundle.files) == 1:
        merged["handler"] = default_handler(str(merged.get("runtime", "")), bundle.files[0].path)
    try:
        return _Wanted(settings_from_document(name, merged), _description(told))
    except DocumentError as error:
        at = f"settings.{str(error).partition(':')[0]}"
        raise FaultError(400, "invalid-settings", f"settings.{error}", field=at) from error


def _alias(told: Mapping[str, object]) -> str | None:
    alias = told.get("alias")
    if alias is None or isinstance(alias, str):
        return alias
    raise invalid("alias", "must be a name, or null for none")


def _weight(told: Mapping[str, object]) -> int:
    weight = told.get("weight", ALL)
    if isinstance(weight, int) and not isinstance(weight, bool) and 1 <= weight <= ALL:
        return weight
    raise invalid("weight", f"must be a whole number from 1 to {ALL}, in 1/{ALL:,}")


def _description(told: Mapping[str, object]) -> str:
    description = told.get("description", "")
    if isinstance(description, str):
        return description
    raise invalid("description", "must be a text")
