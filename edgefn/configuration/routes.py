"""`routes`: which requests go where, by which rules, past which functions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgefn.configuration.caching import CACHE, FORWARD
from edgefn.configuration.document import Items, Node
from edgefn.configuration.kinds import Choice, Flag, Judged, word
from edgefn.configuration.origins import NAME
from edgefn.configuration.reading import (
    Declared,
    Field,
    Json,
    Reading,
    Section,
    Values,
    WrongError,
    did_you_mean,
)
from edgefn.configuration.shapes import Either
from edgefn.model.hook import Event
from edgefn.model.settings import (
    CachePolicy,
    Forwarding,
    HookSettings,
    OnFailure,
    RouteSettings,
    ViewerProtocol,
)
from edgefn.rules.hook_limits import hook_flaws

_MAX_PATTERN: Final = 255
_PATTERN: Final = re.compile(r"[A-Za-z0-9_\-.*$/~\"'@:+&?%!(),;=|\[\]{}]+")
_HOOK: Final = re.compile(r"([A-Za-z0-9_-]{1,64})(?::([A-Za-z0-9_-]{1,128}))?")
_HOOK_SHAPE: Final = "the name of a function, with :VERSION or :ALIAS if need be"


def pattern_flaw(text: str) -> str | None:
    """Return what is wrong with a path pattern, or None."""
    if len(text) > _MAX_PATTERN:
        return f"is {len(text)} characters; write at most {_MAX_PATTERN}"
    if not _PATTERN.fullmatch(text):
        return f'"{text}" is not a path pattern; write one such as /images/*.jpg, other characters percent-encoded'
    return None


@dataclass(frozen=True, slots=True)
class _OriginName:
    shape: str = "the name of an origin or of an origin group"

    def read(self, node: Node, at: str, reading: Reading) -> str:
        """Return the name, and have it looked up when all origins are known."""
        name = word(node, self.shape)

        def check(declared: Declared) -> None:
            known = (*declared.origins, *declared.groups)
            if name not in known:
                reading.wrong(node.line, at, f'there is no origin "{name}"; {did_you_mean(name, known)}')

        reading.checks.append(check)
        return name

    def schema(self) -> Json:
        """Return a string."""
        return {"type": "string", "pattern": f"^{NAME}$"}


@dataclass(frozen=True, slots=True)
class _FunctionName:
    """`name`, `name:version` or `name:alias`, for the hook at `event`."""

    event: Event
    shape: str = _HOOK_SHAPE

    def read(self, node: Node, at: str, reading: Reading) -> HookSettings:
        """Return the hook, and have the function looked up and measured when all are known."""
        text = word(node, self.shape)
        named = _HOOK.fullmatch(text)
        if named is None:
            raise WrongError(node.line, f'"{text}" is not a function; write {self.shape}')

        def check(declared: Declared) -> None:
            for flaw in _hook_flaws(named[1], named[2] or "", self.event, declared):
                reading.wrong(node.line, at, flaw)

        reading.checks.append(check)
        return HookSettings(named[1], named[2] or "")

    def schema(self) -> Json:
        """Return a string with a pattern."""
        return {"type": "string", "pattern": f"^{_HOOK.pattern}$"}


def _hook_flaws(name: str, qualifier: str, event: Event, declared: Declared) -> list[str]:
    if qualifier or declared.function_names is None:
        return []  # what it is will be known when it is opened
    if name not in declared.function_names:
        return [f'there is no function "{name}"; {did_you_mean(name, declared.function_names)}']
    function = declared.functions.get(name)
    return [] if function is None else hook_flaws(function, event, declared.quotas)


def _hook(event: Event) -> Either[HookSettings]:
    """Return how the hook at `event` is written: a name, or a table with `function` and `include_body`."""

    class Fields:
        function = Field("function", _FunctionName(event), "What runs: `name`, `name:7` or `name:live`.", required=True)
        include_body = Field("include_body", Flag(), "Whether the event shows the request's body.", "false")
        on_failure = Field(
            "on_failure",
            Choice(OnFailure),
            "What becomes of a request when the function fails: `fail` with AWS's error, `open`: go on without it, "
            "`stale`: serve a stale response if there is one, `previous`: run the last good version of the alias.",
            OnFailure.FAIL.value,
        )

    def build(values: Values) -> HookSettings:
        named = values[Fields.function]
        if values[Fields.include_body] and not event.is_request:
            values.wrong(Fields.include_body, f"{event} has no body to include; take it out")
        on_failure = values[Fields.on_failure]
        if on_failure is OnFailure.STALE and event.is_viewer:
            values.wrong(Fields.on_failure, f"{event} runs on hits too; write fail, open or previous")
        if on_failure is OnFailure.PREVIOUS and not named.qualifier:
            values.wrong(Fields.on_failure, "only an alias has a previous version; write function: NAME:ALIAS")
        return HookSettings(named.function, named.qualifier, values[Fields.include_body], on_failure)

    return Either(_FunctionName(event), Section("routes[].hooks.EVENT", Fields, build))


class _HookFields:
    viewer_request = Field("viewer-request", _hook(Event.VIEWER_REQUEST), "Runs on each request, before the cache.")
    origin_request = Field("origin-request", _hook(Event.ORIGIN_REQUEST), "Runs before the origin is asked.")
    origin_response = Field("origin-response", _hook(Event.ORIGIN_RESPONSE), "Runs before a response is stored.")
    viewer_response = Field("viewer-response", _hook(Event.VIEWER_RESPONSE), "Runs on each response, behind the cache.")


def _build_hooks(values: Values) -> dict[Event, HookSettings]:
    hooks = {
        Event.VIEWER_REQUEST: values.get(_HookFields.viewer_request),
        Event.ORIGIN_REQUEST: values.get(_HookFields.origin_request),
        Event.ORIGIN_RESPONSE: values.get(_HookFields.origin_response),
        Event.VIEWER_RESPONSE: values.get(_HookFields.viewer_response),
    }
    return {event: hook for event, hook in hooks.items() if hook is not None}


HOOKS: Final = Section("routes[].hooks", _HookFields, _build_hooks)


class _Fields:
    path = Field(
        "path",
        Judged("a path pattern such as /images/*.jpg", pattern_flaw),
        "`*` stands for any characters, `?` for exactly one; case counts.",
        required=True,
    )
    origin = Field("origin", _OriginName(), "The origin or origin group that answers.", required=True)
    viewer_protocol = Field(
        "viewer_protocol", Choice(ViewerProtocol), "What becomes of plain HTTP.", ViewerProtocol.ALLOW_ALL.value
    )
    cache = Field("cache", CACHE, "What is stored, and for how long.")
    forward = Field("forward", FORWARD, "What of the viewer's request the origin gets.")
    hooks = Field("hooks", HOOKS, "The functions that run, by event.")


def _build(values: Values) -> RouteSettings:
    return RouteSettings(
        path=values[_Fields.path],
        origin=values[_Fields.origin],
        viewer_protocol=values[_Fields.viewer_protocol],
        cache=values.get(_Fields.cache) or CachePolicy(),
        forwarding=values.get(_Fields.forward) or Forwarding(),
        hooks=values.get(_Fields.hooks) or {},
    )


ROUTE: Final = Section("routes[]", _Fields, _build)


@dataclass(frozen=True, slots=True)
class Routes:
    """The list of routes: the catch-all stands last, and no pattern twice."""

    shape: str = 'a list of routes; the last one has path: "*"'

    def read(self, node: Node, at: str, reading: Reading) -> tuple[RouteSettings, ...]:
        """Return the routes that are right."""
        if not isinstance(node, Items):
            raise WrongError(node.line, f"must be {self.shape}")
        routes: list[RouteSettings] = []
        for index, item in enumerate(node.items):
            path = f"{at}[{index}]"
            route = reading.attempt(ROUTE, item, path)
            if route is None:
                continue
            flaw = _order_flaw(route, routes)
            if flaw is not None:
                reading.wrong(item.line, f"{path}.path", flaw)
            routes.append(route)
        if len(routes) == len(node.items) and not any(map(is_catch_all, routes)):
            raise WrongError(node.line, 'there is no route for all other paths; add one with path: "*" at the end')
        return tuple(routes)

    def schema(self) -> Json:
        """Return an array."""
        return {"type": "array", "items": ROUTE.schema(), "minItems": 1}


def is_catch_all(route: RouteSettings) -> bool:
    """Return whether every path fits `route`."""
    return route.path in {"*", "/*"}


def _order_flaw(route: RouteSettings, before: Sequence[RouteSettings]) -> str | None:
    if any(is_catch_all(earlier) for earlier in before):
        return "no request gets here, since all fit the route before; move it up"
    if any(earlier.path.removeprefix("/") == route.path.removeprefix("/") for earlier in before):
        return f'"{route.path}" is here twice and the first one wins; take one out'
    return None
