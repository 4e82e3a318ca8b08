"""The endpoints about what the locations of a site share: looking at it, putting it in force, going back."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from edgefn.configuration.sharing import shown
from edgefn.control.asking import TOUCHED, json_body, name_in, truth_in
from edgefn.control.desk import Desk, published
from edgefn.control.endpoints import (
    ANYTHING,
    NUMBER,
    STRING,
    TRUTH,
    WHOLE,
    Endpoint,
    Json,
    Parameter,
    Scope,
    json_of,
    list_of,
    table,
)
from edgefn.control.faults import FaultError, invalid, unknown
from edgefn.functions.committing import Planner
from edgefn.functions.configurations import read
from edgefn.functions.configuring import Turned
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import Configuration, Revision

_ALL: Final = "/v1/configurations"
_ONE: Final = f"{_ALL}/{{site}}"
_TAG: Final = re.compile(r'"([0-9]{1,15})"')

_REVISION: Final = table({"revision": WHOLE, "published": NUMBER, "description": STRING})
_DIFFERENCE: Final = table({"path": STRING, "old": {"type": ["string", "null"]}, "new": {"type": ["string", "null"]}})
_SITE: Final = table({"site": STRING, "revision": WHOLE, "revisions": list_of(_REVISION)})
_SHARED: Final = {**ANYTHING, "description": "As in the configuration file; without values of headers for origins."}
_CONFIGURATION: Final = table({"site": STRING, "revision": WHOLE, "revisions": list_of(_REVISION), "shared": _SHARED})
_TURNED: Final = table(
    {"site": STRING, "before": WHOLE, "revision": WHOLE, "is_new": TRUTH, "changes": list_of(_DIFFERENCE)},
    {"generation": WHOLE},
)


def configuration_endpoints(desk: Desk) -> list[Endpoint]:
    """Return the endpoints."""
    counter = _Counter(desk)
    dry = (Parameter("dry_run", "true: say what would change, and change nothing.", TRUTH),)
    turned, wanted = json_of(_TURNED), json_of(table({"shared": ANYTHING}, {"description": STRING}))
    lists, says = "What is published for each site.", "What is in force, and the revisions that are kept."
    puts = "Put a configuration in force for all locations of a site. If-Match: the revision that it replaces."
    backs = "Put an older revision in force again: the one before, or the one that is named."
    sites = json_of(table({"configurations": list_of(_SITE)}))
    named = json_of(table({}, {"revision": WHOLE}))
    read_, deploy, list_, get = Scope.READ, Scope.DEPLOY, published(counter.list), published(counter.get)
    deleted = json_of(table({"site": STRING, "before": WHOLE, "revisions": list_of(WHOLE), "generation": WHOLE}))
    deletes = "Delete what is published for a site, with all its revisions, unless a location has it in use."
    put, back, rollback = published(counter.put), published(counter.back), f"{_ONE}/rollback"
    return [
        Endpoint("list-configurations", "GET", _ALL, read_, lists, list_, sites),
        Endpoint("get-configuration", "GET", _ONE, read_, says, get, json_of(_CONFIGURATION)),
        Endpoint("configure", "PUT", _ONE, deploy, puts, put, turned, wanted, query=dry),
        Endpoint("configure-back", "POST", rollback, deploy, backs, back, turned, named, query=dry),
        Endpoint("unconfigure", "DELETE", _ONE, deploy, deletes, published(counter.delete), deleted, query=dry),
    ]


@dataclass(frozen=True, slots=True)
class _Counter:
    """Takes what is brought to the desk."""

    desk: Desk

    async def list(self, _: web.Request) -> web.Response:
        """Tell what is published for each site."""
        sites = (await self.desk.publisher.catalog()).configurations
        there = [sites[name] for name in sorted(sites) if not sites[name].is_deleted]
        return web.json_response({"configurations": [_site_view(each) for each in there]})

    async def get(self, request: web.Request) -> web.Response:
        """Tell what is in force for a site."""
        site = name_in(request, "site")
        known = (await self.desk.publisher.catalog()).configurations.get(site)
        if known is None or known.in_force is None:
            told = f"nothing is published for a site {site!r}; `edgefn apply CONFIG` publishes its configuration"
            raise unknown("configuration", told)
        view = {**_site_view(known), "shared": shown(read(known.in_force))}
        return web.json_response(view, headers=_tagged(known.current))

    async def put(self, request: web.Request) -> web.Response:
        """Put a configuration in force."""
        site, expected = name_in(request, "site"), _expected(request)
        told = await json_body(request, known={"shared", "description"})
        shared, description = told.get("shared"), told.get("description", "")
        if not isinstance(shared, dict):
            raise invalid("shared", "must be an object with what locations share, such as origins and routes")
        if not isinstance(description, str):
            raise invalid("description", "must be a text")
        with _unsound():
            plan = self.desk.configurer.plan(site, shared, description, expected)
        return await self._turn(request, site, plan)

    async def back(self, request: web.Request) -> web.Response:
        """Put an older revision in force again."""
        site, expected = name_in(request, "site"), _expected(request)
        number = (await json_body(request, known={"revision"})).get("revision")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise invalid("revision", "must be the number of a revision; leave it out for the one before")
        return await self._turn(request, site, self.desk.configurer.plan_back(site, number, expected))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete all that is published for a site."""
        site, expected, is_trial = name_in(request, "site"), _expected(request), truth_in(request, "dry_run")
        before, generation = await self.desk.configurer.delete(site, expected, only_try=is_trial)
        request[TOUCHED].update(revision=before.current, dry_run=is_trial)
        told = {"site": site, "before": before.current, "revisions": sorted(before.revisions)}
        return web.json_response({**told, "generation": generation})

    async def _turn(self, request: web.Request, site: str, plan: Planner[Turned]) -> web.Response:
        is_trial, configurer = truth_in(request, "dry_run"), self.desk.configurer
        with _unsound():
            turned = await (configurer.try_out(plan) if is_trial else configurer.carry_out(plan))
        request[TOUCHED].update(revision=turned.after.number, dry_run=is_trial)
        in_force = _number(turned.before) if is_trial else turned.after.number
        return web.json_response(_turned_view(site, turned), headers=_tagged(in_force))


@contextmanager
def _unsound() -> Iterator[None]:
    """Turn what is wrong with a configuration into a refusal."""
    try:
        yield
    except SettingsError as error:
        told = "the configuration is not published, nothing was changed"
        raise FaultError(422, "invalid-configuration", told, problems=error.problems) from error


def _tagged(revision: int) -> dict[str, str]:
    return {"ETag": f'"{revision}"'}


def _expected(request: web.Request) -> int | None:
    """Return the revision that must be in force, 0 for none, None for whichever (RFC 9110 section 13.1)."""
    given = request.headers.get("If-Match")
    if request.headers.get("If-None-Match") == "*":
        return 0
    if given is None or given.strip() == "*":
        return None
    tag = _TAG.fullmatch(given.strip())
    if tag is None:
        raise invalid("If-Match", f'{given[:80]!r} is no revision; write it as the ETag has it, such as "7"')
    return int(tag[1])


def _number(revision: Revision | None) -> int:
    return 0 if revision is None else revision.number


def _site_view(known: Configuration) -> Json:
    revisions = [known.revisions[number] for number in sorted(known.revisions, reverse=True)]
    return {
        "site": known.site,
        "revision": known.current,
        "revisions": [
            {"revision": each.number, "published": each.published, "description": each.description}
            for each in revisions
        ],
    }


def _turned_view(site: str, turned: Turned) -> Json:
    return {
        "site": site,
        "before": _number(turned.before),
        "revision": turned.after.number,
        "is_new": turned.before != turned.after,
        "changes": [{"path": each.path, "old": each.old, "new": each.new} for each in turned.differences],
        "generation": turned.generation,
    }
