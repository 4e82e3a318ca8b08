"""Hooks: a function at a moment of the walk. Builds the event, runs it, and lets the contract judge the result."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, TypeVar

from edgefn.functions.callee import Callee
from edgefn.functions.runner import Ran, Runner
from edgefn.model.errors import FunctionError
from edgefn.model.hook import Event, Quotas
from edgefn.model.message import Request, Response
from edgefn.model.settings import OnFailure
from edgefn.model.trail import HookRun, Trail
from edgefn.proxy.dialects import Dialect, Dialects
from edgefn.proxy.exposing import expose
from edgefn.proxy.passages import Passed, Steadiness
from edgefn.proxy.viewer_facts import ViewerFacts
from edgefn.rules.event import EventConfig, ExposedBody
from edgefn.rules.log_line import one_line
from edgefn.rules.response_headers import generated
from edgefn.rules.violation import Violation
from edgefn.sandbox.base import Failed, Outcome, OverLimit, Returned, TimedOut

T = TypeVar("T")

Showing: TypeAlias = Callable[[Request], Request]
"""Adds to a request what the edge knows of its viewer, for functions that may see it."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A function bound to one event of one route. `now` is the monotonic clock, in seconds."""

    event: Event
    callee: Callee
    include_body: bool
    on_failure: OnFailure
    quotas: Quotas
    config: EventConfig
    now: Callable[[], float]
    dialects: Dialects
    steadiness: Steadiness = field(default_factory=Steadiness)

    def sole_runner(self) -> Runner | None:
        """Return the runner that every request gets, None where that depends on the request."""
        return self.callee.sole

    async def on_request(self, request: Request, showing: Showing | None = None) -> Request | Response:
        """Run a viewer-request or origin-request function. Raises `FunctionError`."""
        exposed = None
        if self.include_body:
            body, exposed = await expose(request.body, self.quotas.body_exposed)
            request = replace(request, body=body)
        judged = await self._guarded(request, partial(self._asked, request, exposed, showing))
        if judged is None:
            return request
        if judged.body is not request.body:
            request.body.close()
        return judged

    def on_request_now(self, request: Request, showing: Showing | None = None) -> Passed | None:
        """Return what comes of `request`, where the function ends well at once; None: nothing has been done yet."""
        runner = None if self.include_body else self.callee.choose(request)
        if runner is None or not runner.may_answer_at_once:
            return None
        dialect = self.dialects.of(runner.code.runtime)
        shown = showing(request) if dialect.sees_facts and showing is not None else request
        event = dialect.request_event(self.event, self.config, shown, None)
        ran = runner.run_now(event)
        if ran is None:
            return None
        result = ran.done.outcome.result
        judged = dialect.judge_request(self.event, shown, None, result, self.quotas)
        if isinstance(judged, Violation):
            return None
        self.took(runner, ran, request.id, request.trail)
        if isinstance(judged, Response) and self.event.is_viewer:
            request.trail.result = dialect.generated
        if judged.body is not request.body:
            request.body.close()
        return Passed(judged, self, runner, event, result)

    def on_response_now(self, asked: Request, response: Response, showing: Showing | None = None) -> Response | None:
        """Return what `on_response` would, where the function ends well at once; None: nothing has been done yet."""
        runner = self.callee.choose(asked)
        if runner is None or not runner.may_answer_at_once:
            return None
        dialect = self.dialects.of(runner.code.runtime)
        shown = showing(asked) if dialect.sees_facts and showing is not None else asked
        ran = runner.run_now(dialect.response_event(self.event, self.config, shown, response))
        if ran is None:
            return None
        judged = dialect.judge_response(self.event, shown, response, ran.done.outcome.result, self.quotas)
        if isinstance(judged, Violation):
            return None
        self.took(runner, ran, asked.id, asked.trail)
        if judged.body is not response.body:
            response.body.close()
        return judged

    def took(self, runner: Runner, ran: Ran, request: str, trail: Trail | None) -> None:
        """Take note of an event that was run at once, for the request of this id."""
        runner.log(ran, request)
        self.callee.count(runner, failed=False)
        if trail is not None:
            outcome = ran.done.outcome
            trail.hooks.append(_noted(self.event, runner.label, outcome, outcome.usage.wall))
            trail.custom = self.dialects.of(runner.code.runtime).custom_data(outcome.result) or trail.custom

    async def on_response(self, asked: Request, response: Response, showing: Showing | None = None) -> Response:
        """Run an origin-response or viewer-response function. Raises `FunctionError`."""
        try:
            judged = await self._guarded(asked, partial(self._answered, asked, response, showing))
        except BaseException:
            response.body.close()
            raise
        if judged is None:
            return response
        if judged.body is not response.body:
            response.body.close()
        return judged

    async def _guarded(self, request: Request, attempt: Callable[[Runner], Awaitable[T]]) -> T | None:
        """Return what came of the function, or of its last good version; None where it is to be left out."""
        try:
            runner = self.callee.choose(request)
            if runner is None:
                raise self._unpublished()
            try:
                return await self._counted(runner, attempt)
            except FunctionError as error:
                before = self.callee.before(runner) if self.on_failure is OnFailure.PREVIOUS else None
                if before is None:
                    raise
                request.trail.detail = one_line(f"{runner.label} failed, {before.label} ran: {error.kind} {error.rule}")
                return await self._counted(before, attempt)
        except FunctionError as error:
            error.prefers_stale = self.on_failure is OnFailure.STALE
            if self.on_failure is not OnFailure.OPEN:
                raise
            request.trail.detail = one_line(f"{error.function} failed, left out: {error.kind} {error.rule}")
            return None

    async def _counted(self, runner: Runner, attempt: Callable[[Runner], Awaitable[T]]) -> T:
        try:
            result = await attempt(runner)
        except FunctionError as error:
            if not error.is_for_lack_of_room:
                self.callee.count(runner, failed=True)
            raise
        self.callee.count(runner, failed=False)
        return result

    async def _asked(
        self, request: Request, exposed: ExposedBody | None, showing: Showing | None, runner: Runner
    ) -> Request | Response:
        dialect = self.dialects.of(runner.code.runtime)
        if dialect.sees_facts and showing is not None:
            request = showing(request)
        event = dialect.request_event(self.event, self.config, request, exposed)
        result = await self._run(runner, event, None if exposed is None else exposed.data, request)
        judged = dialect.judge_request(self.event, request, exposed, result, self.quotas)
        if isinstance(judged, Violation):
            raise _violated(runner, dialect, judged)
        if isinstance(judged, Response) and self.event.is_viewer:
            request.trail.result = dialect.generated
        return judged

    async def _answered(self, asked: Request, response: Response, showing: Showing | None, runner: Runner) -> Response:
        dialect = self.dialects.of(runner.code.runtime)
        if dialect.sees_facts and showing is not None:
            asked = showing(asked)
        event = dialect.response_event(self.event, self.config, asked, response)
        result = await self._run(runner, event, None, asked)
        judged = dialect.judge_response(self.event, asked, response, result, self.quotas)
        if isinstance(judged, Violation):
            raise _violated(runner, dialect, judged)
        return judged

    async def _run(self, runner: Runner, event: bytes, body: bytes | None, request: Request) -> bytes:
        began = self.now()
        outcome = await runner.run(event, body, request.id)
        request.trail.hooks.append(_noted(self.event, runner.label, outcome, self.now() - began))
        dialect = self.dialects.of(runner.code.runtime)
        result = _result(outcome, runner, dialect)
        request.trail.custom = dialect.custom_data(result) or request.trail.custom
        return result

    def _unpublished(self) -> FunctionError:
        dialect, label = self.dialects.lambda_edge, self.callee.label
        return FunctionError(dialect.execution, label, dialect.invalid, rule="nothing is published under this name")


def _noted(event: Event, label: str, outcome: Outcome, seconds: float) -> HookRun:
    name = type(outcome).__name__
    if isinstance(outcome, OverLimit):
        return HookRun(event, label, name, seconds)
    usage = outcome.usage
    return HookRun(event, label, name, seconds, usage.cpu, usage.memory, usage.init is not None)


def _result(outcome: Outcome, runner: Runner, dialect: Dialect) -> bytes:
    match outcome:
        case Returned(result=result):
            return result
        case Failed(type=kind, message=message):
            raise FunctionError(dialect.execution, runner.label, dialect.invalid, rule=f"{kind}: {message}")
        case TimedOut():
            told = outcome.told(runner.code.timeout)
            raise FunctionError(dialect.execution, runner.label, dialect.invalid, rule=told)
        case OverLimit(reason=reason):
            raise FunctionError(dialect.limit, runner.label, dialect.throttled, rule=reason)


def _violated(runner: Runner, dialect: Dialect, violation: Violation) -> FunctionError:
    return FunctionError(
        dialect.validation, runner.label, violation.sentence, field=violation.field, rule=violation.rule
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
        asked = await self.at_viewer_request.on_request(request, self._showing(request))
        if isinstance(asked, Response):
            return replace(asked, headers=generated(asked.headers))
        return asked

    def viewer_request_now(self, request: Request) -> Passed | None:
        """Return what comes of `request`, if that needs no waiting."""
        if self.at_viewer_request is None:
            return Passed(request)
        passed = self.at_viewer_request.on_request_now(request, self._showing(request))
        if passed is not None and isinstance(passed.asked, Response):
            return Passed(replace(passed.asked, headers=generated(passed.asked.headers)))
        return passed

    def viewer_response_now(self, asked: Request, response: Response, request: Request) -> Response | None:
        """Return what `viewer_response` would, if it needs no waiting."""
        if self.at_viewer_response is None:
            return response
        return self.at_viewer_response.on_response_now(asked, response, self._showing(request))

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
        try:
            return await self.at_origin_response.on_response(asked, response)
        except FunctionError as error:
            error.origin_status = response.origin_status
            raise

    async def viewer_response(self, asked: Request, response: Response, request: Request) -> Response:
        """Return what to send. `request` is what came in."""
        hook = self.at_viewer_response
        if hook is None or response.tunnel is not None:
            return response
        return await hook.on_response(asked, response, self._showing(request))

    def _showing(self, request: Request) -> Showing | None:
        """Return what puts the facts about the viewer of `request` into a request."""
        facts = self.facts
        return None if facts is None else lambda asked: facts.shown(asked, request)
