"""The endpoints about tokens: who may use the control API, besides the operator."""

import re
from typing import Final

from aiohttp import web

from edgefn.control.asking import TOUCHED, json_body
from edgefn.control.endpoints import NUMBER, STRING, Endpoint, Scope, json_of, list_of, table
from edgefn.control.faults import FaultError, invalid, unknown
from edgefn.control.tokens import MOST_TOKENS, Tokens

_GIVEN: Final = (Scope.READ, Scope.DEPLOY, Scope.PURGE, Scope.ADMIN)
"""The scopes that may be asked for. The others are those of locations, which get theirs in another way."""

SCOPE: Final = {"type": "string", "enum": [scope.value for scope in _GIVEN]}
_MEMBERS: Final = {"name": STRING, "scopes": list_of(SCOPE), "created": NUMBER, "expires": {"type": ["number", "null"]}}
TOKEN: Final = table(_MEMBERS)
ISSUED: Final = table({**_MEMBERS, "token": STRING})
WANTED: Final = table(
    {"name": STRING, "scopes": list_of(SCOPE)},
    {"lifetime": {"type": "number", "description": "Seconds; without it the token has no end."}},
)
LISTED: Final = table({"tokens": list_of(TOKEN)})
REVOKED: Final = table({"revoked": STRING})
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


def token_endpoints(tokens: Tokens) -> list[Endpoint]:
    """Return the endpoints."""

    async def listed(_: web.Request) -> web.Response:
        return web.json_response({"tokens": [holder.document() for holder in tokens.all()]})

    async def issue(request: web.Request) -> web.Response:
        wanted = await json_body(request, known={"name", "scopes", "lifetime"})
        name, scopes, lifetime = (
            _name(wanted.get("name")),
            _scopes(wanted.get("scopes")),
            _lifetime(wanted.get("lifetime")),
        )
        request[TOUCHED].update(name=name, scopes=[scope.value for scope in scopes])
        issued = tokens.issue(name, scopes, lifetime)
        if issued is None:
            told = (
                f"there is a token {name!r} already, or there are {MOST_TOKENS}; revoke it first, or take another name"
            )
            raise FaultError(409, "name-taken", told, field="name")
        holder, secret = issued
        return web.json_response({**holder.document(), "token": secret}, status=201)

    async def revoke(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not tokens.revoke(name):
            raise unknown("token", f"there is no token {name!r}; `edgefn token list` shows them")
        return web.json_response({"revoked": name})

    path, admin = "/v1/tokens", Scope.ADMIN
    makes, forgets = "Make a token; it is told this once.", "Make a token worthless."
    return [
        Endpoint("list-tokens", "GET", path, admin, "All tokens but the operator's.", listed, json_of(LISTED)),
        Endpoint("issue-token", "POST", path, admin, makes, issue, json_of(ISSUED), json_of(WANTED), status=201),
        Endpoint("revoke-token", "DELETE", f"{path}/{{name}}", admin, forgets, revoke, json_of(REVOKED)),
    ]


def _name(given: object) -> str:
    if isinstance(given, str) and re.fullmatch(_NAME, given):
        return given
    raise invalid("name", "must be 1 to 64 letters, digits and . _ @ -, a letter or digit first")


def _scopes(given: object) -> list[Scope]:
    known = [scope.value for scope in _GIVEN]
    if isinstance(given, list) and given and all(scope in known for scope in given):
        return [Scope(scope) for scope in given]
    raise invalid("scopes", f"must be a list of {', '.join(known)}")


def _lifetime(given: object) -> float | None:
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool) and 1 <= given <= 10**9):
        return given
    raise invalid("lifetime", "must be seconds, from 1 to 1,000,000,000; leave it out for a token without an end")
