"""Messages for the tests of the contract, and functions of a few lines to run on their events."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import orjson

from edgefn.model.headers import Headers, Line
from edgefn.model.hook import Event
from edgefn.model.message import Body, BytesBody, Request, Response, Viewer, no_body
from edgefn.model.origin import Origin, OriginKind
from edgefn.model.settings import QuotaProfile
from edgefn.model.trail import Trail
from edgefn.rules.contract import Violation, judge_request, judge_response
from edgefn.rules.event import EventConfig, ExposedBody, request_event, response_event
from edgefn.rules.quotas import quotas

VR, OQ, OR, VS = Event.VIEWER_REQUEST, Event.ORIGIN_REQUEST, Event.ORIGIN_RESPONSE, Event.VIEWER_RESPONSE
CONFIG = EventConfig("d111111abcdef8.cloudfront.net", "EDFDVBD6EXAMPLE")
CUSTOM = Origin(
    id="app",
    domain="127.0.0.1",
    port=9000,
    custom_headers=Headers([("X-Secret", "s3cret")]),
    tls_verify=False,
    tls_ca="/ca.pem",
    address="127.0.0.1:9001",
)
BUCKET = Origin(
    id="files",
    domain="files.s3.amazonaws.com",
    port=443,
    protocol="https",
    kind=OriginKind.S3,
    region="eu-central-1",
    auth_method="origin-access-identity",
)

Function = Callable[[dict], object]
"""Gets the event's `cf`, returns a result; it may change what it got."""


def given_request(
    *lines: Line, path: str = "/a", query: str | None = None, body: Body | None = None, method: str = "GET"
) -> Request:
    return Request(
        method=method,
        path=path,
        query=query,
        headers=Headers(lines or [("Host", "example.com"), ("Accept", "*/*")]),
        body=no_body() if body is None else body,
        viewer=Viewer("192.0.2.1", 55_555),
        id="4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        trail=Trail(),
    )


def bound(request: Request, origin: Origin = CUSTOM) -> Request:
    return replace(request, origin=origin)


def given_response(*lines: Line, status: int = 200, reason: str = "OK", body: bytes = b"original") -> Response:
    return Response(status, reason, Headers(lines or [("Content-Type", "text/plain")]), BytesBody(body))


def run_on_request(
    event: Event, sent: Request, function: Function, exposed: ExposedBody | None = None
) -> Request | Response | Violation:
    """Return what the contract makes of `function` at `event`, as if a sandbox had run it."""
    document = orjson.loads(request_event(event, CONFIG, sent, exposed))
    result = orjson.dumps(function(document["Records"][0]["cf"]))
    return judge_request(event, sent, exposed, result, quotas(QuotaProfile.AWS_2025, event))


def run_on_response(event: Event, sent: Response, function: Function, method: str = "GET") -> Response | Violation:
    asked = bound(given_request(method=method))
    document = orjson.loads(response_event(event, CONFIG, asked, sent))
    result = orjson.dumps(function(document["Records"][0]["cf"]))
    return judge_response(event, asked, sent, result, quotas(QuotaProfile.AWS_2025, event))


def changing(part: str, change: Callable[[dict], object]) -> Function:
    """Return the function that changes its event's `part` in place and returns it."""

    def function(cf: dict) -> object:
        change(cf[part])
        return cf[part]

    return function


def setting(part: str, **values: object) -> Function:
    return changing(part, lambda shown: shown.update(values))


def with_header(part: str, name: str, *values: str) -> Function:
    """Return the function that sets `name` in the headers of `part`, without a key; no values delete it."""

    def change(shown: dict) -> None:
        if values:
            shown["headers"][name] = [{"value": value} for value in values]
        else:
            shown["headers"].pop(name)

    return changing(part, change)


def taken(outcome: Request | Response | Violation) -> Request:
    assert isinstance(outcome, Request), outcome
    return outcome


def answered(outcome: Request | Response | Violation) -> Response:
    assert isinstance(outcome, Response), outcome
    return outcome


def refused(outcome: Request | Response | Violation) -> Violation:
    assert isinstance(outcome, Violation), outcome
    return outcome


def lines_of(message: Request | Response) -> Iterable[Line]:
    return tuple(message.headers)
