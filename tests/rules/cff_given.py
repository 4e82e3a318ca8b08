"""CloudFront Functions of a few lines of Python, run on their events as if a sandbox had done it."""

from collections.abc import Callable

import orjson

from edgefn.model.headers import Line
from edgefn.model.message import Request, Response
from edgefn.model.settings import QuotaProfile
from edgefn.rules.cff_contract import Violation, judge_request, judge_response
from edgefn.rules.cff_event import request_event, response_event
from edgefn.rules.cff_origin import NO_ORIGINS, KnownOrigins
from edgefn.rules.quotas import quotas
from tests.rules.contract_given import CONFIG, VR, VS, given_request

Function = Callable[[dict], object]
"""Gets the whole event, returns a result; it may change what it got."""


def shown_request(sent: Request) -> dict:
    return orjson.loads(request_event(VR, CONFIG, sent, None))


def shown_response(sent: Response) -> dict:
    return orjson.loads(response_event(VS, CONFIG, given_request(), sent))


def on_request(sent: Request, function: Function, known: KnownOrigins = NO_ORIGINS) -> Request | Response | Violation:
    result = orjson.dumps(function(shown_request(sent)))
    return judge_request(VR, sent, None, result, quotas(QuotaProfile.AWS_2025, VR), known)


def on_response(sent: Response, function: Function, method: str = "GET") -> Response | Violation:
    result = orjson.dumps(function(shown_response(sent)))
    return judge_response(VS, given_request(method=method), sent, result, quotas(QuotaProfile.AWS_2025, VS))


def changing(part: str, change: Callable[[dict], object]) -> Function:
    """Return the function that changes its event's `part` in place and returns it."""

    def function(event: dict) -> object:
        change(event[part])
        return event[part]

    return function


def asked(*lines: Line, **given: str | None) -> Request:
    return given_request(*(("Host", "example.com"), *lines), **given)  # type: ignore[arg-type]
