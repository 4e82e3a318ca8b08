"""Hooks: a function at a moment of the walk. Builds the event, runs it, and lets the contract judge the result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgefn.functions.runner import Runner
from edgefn.model.errors import FunctionError
from edgefn.model.hook import Event, Quotas
from edgefn.model.message import Request, Response
from edgefn.model.trail import HookRun, Trail
from edgefn.proxy.dialects import LAMBDA, Dialect
from edgefn.proxy.exposing import expose
from edgefn.proxy.viewer_facts import ViewerFacts
from edgefn.rules.event import EventConfig
from edgefn.rules.response_headers import generated
from edgefn.rules.violation import Violation
from edgefn.sandbox.base import Failed, Outcome, OverLimit, Returned, TimedOut


@dataclass(frozen=True, slots=True)
class Hook:
    """A function bound to one event of one route. `now` is the monotonic clock, in seconds."""

    event: Event
    runner: Runner
    include_body: bool
    quotas: Quotas
    config: EventConfig
    now: Callable[[], float]
    dialect: Dialect = LAMBDA

    async def on_request(self, request: Request) -> Request | Response:
        """Run a viewer-request or origin-request function. Raises `FunctionError`."""
        exposed = None
        if self.include_body:
            body, exposed = await expose(request.body, self.quotas.body_exposed)
            request = replace(request, body=body)
        event = self.dialect.request_event(self.event, self.config, request, exposed)
        result = await self._run(event, None if exposed is None else exposed.data, request.trail)
        judged = self.dialect.judge_request(self.event, request, exposed, result, self.quotas)
        if isinstance(judged, Violation):
            raise self._violated(judged)
        if judged.body is not request.body:
            request.body.close()
        return judged

    async def on_response(self, asked: Request, response: Response) -> Response:
        """Run an origin-response or viewer-response function. Raises `FunctionError`."""
        event = self.dialect.response_event(self.event, self.config, asked, response)
        try:
            result = await self._run(event, None, asked.trail)
            judged = self.dialect.judge_response(self.event, asked, response, result, self.quotas)
        except BaseException:
            response.body.close()
            raise
        if isinstance(judged, Violation):
            response.body.close()
            raise self._violated(judged)
        if judged.body is not response.body:
            response.body.close()
        return judged

    async def _run(self, event: bytes, body: bytes | None, trail: Trail) -> bytes:
        began = self.now()
        outcome = await self.runner.run(event, body)
        trail.hooks.append(self._noted(outcome, self.now() - began))
        return self._result(outcome)

    def _noted(self, outcome: Outcome, seconds: float) -> HookRun:
        label, name = self.runner.label, type(outcome).__name__
        if isinstance(outcome, OverLimit):
            return HookRun(self.event, label, name, seconds)
        usage = outcome.usage
        return HookRun(self.event, label, name, seconds, usage.cpu, usage.memory, usage.init is not None)

    def _result(self, outcome: Outcome) -> bytes:
        label = self.runner.label
        match outcome:
            case Returned(result=result):
                return result
            case Failed(type=kind, message=message):
                raise FunctionError(self.dialect.execution, label, self.dialect.invalid, rule=f"{kind}: {message}")
            case TimedOut():
                timed_out = f"Task timed out after {self.runner.code.timeout:.2f} seconds"
                raise FunctionError(self.dialect.execution, label, self.dialect.invalid, rule=timed_out)
            case OverLimit(reason=reason):
                raise FunctionError(self.dialect.limit, label, self.dialect.throttled, rule=reason)

    def _violated(self, violation: Violation) -> FunctionError:
        return FunctionError(
            self.dialect.validation,
            self.runner.label,
            violation.sentence,
            field=violation.field,
            rule=violation.rule,
        )


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one route; None where it has none. `facts` adds the route's CloudFront-* headers to a request."""

    at_viewer_request: Hook | None = None
    at_origin_request: Hook | None = None
    at_origin_response: Hook | None = None
    at_viewer_response: Hook | None = None
    facts: ViewerFacts | None = None

    @classmethod
    def of(cls, bound: Mapping[Event, Hook], facts: ViewerFacts | None = None) -> "Hooks":
        """Return the hooks in `bound`, each at its event."""
        return cls(
            bound.get(Event.VIEWER_REQUEST),
            bound.get(Event.ORIGIN_REQUEST),
            bound.get(Event.ORIGIN_RESPONSE),
            bound.get(Event.VIEWER_RESPONSE),
            facts,
        )

    @property
    def on_viewer_side(self) -> bool:
        """Return whether a function runs on every request, hit or miss."""
        return self.at_viewer_request is not None or self.at_viewer_response is not None

    async def viewer_request(self, request: Request) -> Request | Response:
        """Return what to look up, or the answer."""
        if self.at_viewer_request is None:
            return request
        asked = await self.at_viewer_request.on_request(self._shown(self.at_viewer_request, request, request))
        if isinstance(asked, Response):
            request.trail.result = self.at_viewer_request.dialect.generated
            return replace(asked, headers=generated(asked.headers))
        return asked

    async def origin_request(self, request: Request) -> Request | Response:
        """Return what to send, or the answer in the origin's stead."""
        if self.at_origin_request is None:
            return request
        asked = await self.at_origin_request.on_request(request)
        if isinstance(asked, Response):
            request.trail.detail = "MissGeneratedResponse"
            return replace(asked, headers=generated(asked.headers), from_origin_error=asked.status >= 400)
        return asked

    async def origin_response(self, asked: Request, response: Response) -> Response:
        """Return what to store."""
        if self.at_origin_response is None or response.tunnel is not None:
            return response
        return await self.at_origin_response.on_response(asked, response)

    async def viewer_response(self, asked: Request, response: Response, request: Request) -> Response:
        """Return what to send. `request` is what came in."""
        hook = self.at_viewer_response
        if hook is None or response.tunnel is not None:
            return response
        return await hook.on_response(self._shown(hook, asked, request), response)

    def _shown(self, hook: Hook, asked: Request, request: Request) -> Request:
        if self.facts is None or not hook.dialect.sees_facts:
            return asked
        return self.facts.shown(asked, request)
