"""The two kinds of functions that AWS has at its edge: their events, their rules, and what their failures are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from edgefn.model.errors import FunctionFault
from edgefn.model.hook import Event, Quotas
from edgefn.model.message import Request, Response
from edgefn.model.settings import CLOUDFRONT_JS
from edgefn.model.trail import Result
from edgefn.rules import cff_contract, cff_event, contract, event
from edgefn.rules.cff_origin import KnownOrigins
from edgefn.rules.event import EventConfig, ExposedBody
from edgefn.rules.violation import Violation

_FUNCTION = "The CloudFront function associated with the CloudFront distribution"
_LAMBDA = "The Lambda function associated with the CloudFront distribution"


def _nothing(_result: bytes) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of function is spoken to, judged, and blamed."""

    request_event: Callable[[Event, EventConfig, Request, ExposedBody | None], bytes]
    response_event: Callable[[Event, EventConfig, Request, Response], bytes]
    judge_request: Callable[[Event, Request, ExposedBody | None, bytes, Quotas], Request | Response | Violation]
    judge_response: Callable[[Event, Request, Response, bytes, Quotas], Response | Violation]
    execution: FunctionFault
    validation: FunctionFault
    limit: FunctionFault
    generated: Result
    """X-Cache of its own responses at viewer-request."""
    invalid: str
    """What viewers are told of one that failed; `throttled` of one that there was no room for."""
    throttled: str
    sees_facts: bool = False
    """At viewer events it gets the CloudFront-* headers of its route, which the other kind never does there."""
    custom_data: Callable[[bytes], str] = _nothing
    """Returns what it says beside a result, for the access log."""


LAMBDA = Dialect(
    event.request_event,
    event.response_event,
    contract.judge_request,
    contract.judge_response,
    FunctionFault.EXECUTION,
    FunctionFault.VALIDATION,
    FunctionFault.LIMIT,
    Result.LAMBDA_GENERATED_RESPONSE,
    f"{_LAMBDA} is invalid or doesn't have the required permissions.",
    f"{_LAMBDA} was throttled.",
)


@dataclass(frozen=True, slots=True)
class Dialects:
    """The dialects of one route."""

    cloudfront: Dialect
    lambda_edge: Dialect = LAMBDA

    def of(self, runtime: str) -> Dialect:
        """Return the dialect of functions with this runtime."""
        return self.cloudfront if runtime.startswith(CLOUDFRONT_JS) else self.lambda_edge


def cloudfront(origins: KnownOrigins, location: cff_event.EdgeLocation) -> Dialect:
    """Return the dialect of CloudFront Functions on a route that has these origins to choose from."""
    return Dialect(
        partial(cff_event.request_event, location=location),
        cff_event.response_event,
        partial(cff_contract.judge_request, origins=origins),
        cff_contract.judge_response,
        FunctionFault.CLOUDFRONT_EXECUTION,
        FunctionFault.CLOUDFRONT_VALIDATION,
        FunctionFault.CLOUDFRONT_THROTTLED,
        Result.FUNCTION_GENERATED_RESPONSE,
        f"{_FUNCTION} is invalid or could not run.",
        f"{_FUNCTION} was throttled.",
        sees_facts=True,
        custom_data=cff_contract.custom_data,
    )
