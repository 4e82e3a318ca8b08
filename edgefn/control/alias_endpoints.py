"""The endpoints about aliases: what they point at, moving them, and rolling them back."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from edgefn.control.asking import TOUCHED, json_body, name_in
from edgefn.control.desk import Desk, published
from edgefn.control.endpoints import STRING, WHOLE, Endpoint, Scope, json_of, list_of, table
from edgefn.control.faults import FaultError
from edgefn.control.views import ALIAS, CHANGED, alias_view
from edgefn.functions.documents import DocumentError, alias_from_document, alias_to_document
from edgefn.model.publishing import Alias

_ALL: Final = "/v1/functions/{function}/aliases"
_ONE: Final = f"{_ALL}/{{alias}}"
_MEMBERS: Final = frozenset({"targets", "sticky", "rollback", "description"})
WANTED: Final = table(
    {},
    {
        "targets": list_of(table({"version": WHOLE, "weight": WHOLE})),
        "sticky": table({"by": {"type": "string", "enum": ["none", "cookie", "header"]}}, {"name": STRING}),
        "rollback": {
            "type": ["object", "null"],
            "description": "When the newer version goes by itself: error_rate (0 to 1), invocations, window (s).",
        },
        "description": STRING,
    },
)


def alias_endpoints(desk: Desk) -> list[Endpoint]:
    """Return the endpoints."""

    async def listed(request: web.Request) -> web.Response:
        function = await desk.function(name_in(request, "function"))
        aliases = [alias_view(function.aliases[name]) for name in sorted(function.aliases)]
        return web.json_response({"aliases": aliases})

    async def one(request: web.Request) -> web.Response:
        return web.json_response(alias_view(await desk.alias(name_in(request, "function"), name_in(request, "alias"))))

    async def put(request: web.Request) -> web.Response:
        name, alias = name_in(request, "function"), name_in(request, "alias")
        told = await json_body(request, known=_MEMBERS)
        before = (await desk.function(name)).aliases.get(alias)
        kept = {} if before is None else {**alias_to_document(before), "previous": None}
        wanted = _wanted({**kept, **told, "function": name, "name": alias})
        request[TOUCHED].update(targets=[[target.version, target.weight] for target in wanted.targets])
        generation = await desk.publisher.set_alias(wanted)
        return _moved(await desk.alias(name, alias), generation)

    async def delete(request: web.Request) -> web.Response:
        name, alias = name_in(request, "function"), name_in(request, "alias")
        await desk.alias(name, alias)
        generation = await desk.publisher.delete_alias(name, alias, await desk.in_use())
        return web.json_response({"generation": generation})

    async def rollback(request: web.Request) -> web.Response:
        name, alias = name_in(request, "function"), name_in(request, "alias")
        await desk.alias(name, alias)
        after = await desk.publisher.rollback(name, alias)
        request[TOUCHED].update(targets=[[target.version, target.weight] for target in after.targets])
        return _moved(after, (await desk.publisher.catalog()).generation)

    moved = json_of(table({"alias": ALIAS, "generation": WHOLE}))
    read, deploy = Scope.READ, Scope.DEPLOY
    aliases = json_of(table({"aliases": list_of(ALIAS)}))
    says = "Make an alias or change it: what is left out stays as it is."
    back = "Take the newer of two versions out, or go back to the previous version."
    return [
        Endpoint("list-aliases", "GET", _ALL, read, "The aliases of a function.", published(listed), aliases),
        Endpoint("get-alias", "GET", _ONE, read, "One alias.", published(one), json_of(ALIAS)),
        Endpoint("set-alias", "PUT", _ONE, deploy, says, published(put), moved, json_of(WANTED)),
        Endpoint("delete-alias", "DELETE", _ONE, deploy, "Delete it.", published(delete), json_of(CHANGED)),
        Endpoint("roll-back", "POST", f"{_ONE}/rollback", deploy, back, published(rollback), moved),
    ]


def _wanted(document: Mapping[str, object]) -> Alias:
    try:
        return alias_from_document(document)
    except DocumentError as error:
        field = str(error).partition(":")[0] if ":" in str(error) else ""
        raise FaultError(400, "invalid-request", str(error), field=field) from error


def _moved(alias: Alias, generation: int) -> web.Response:
    return web.json_response({"alias": alias_view(alias), "generation": generation})
