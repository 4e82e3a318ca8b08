"""Sample events, made by the same code that makes real ones."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgefn.model.headers import Headers
from edgefn.model.hook import Event
from edgefn.model.message import Request, Response, Viewer, no_body
from edgefn.model.origin import Origin, OriginKind
from edgefn.model.trail import Trail
from edgefn.rules import cff_event
from edgefn.rules.event import EventConfig, ExposedBody, request_event, response_event

_CONFIG = EventConfig("d111111abcdef8.cloudfront.net", "EDFDVBD6EXAMPLE")
_FORM = b"name=Ada&language=en"

_VIEWER_HEADERS = Headers(
    [
        ("Host", "d111111abcdef8.cloudfront.net"),
        ("User-Agent", "curl/8.9.1"),
        ("Accept", "*/*"),
        ("Accept-Language", "en, de;q=0.8"),
        ("Cookie", "session=abc; theme=dark"),
    ]
)

_ORIGIN_HEADERS = Headers(
    [
        ("X-Forwarded-For", "203.0.113.178"),
        ("User-Agent", "Amazon CloudFront"),
        ("Via", "1.1 2afae0d44e2540f472c0635ab62c232b.cloudfront.net (CloudFront)"),
        ("Host", "example.org"),
        ("Cache-Control", "no-cache"),
    ]
)

_CUSTOM = Origin(id="app", domain="example.org", port=443, protocol="https")
_S3 = Origin(
    id="bucket",
    domain="my-bucket.s3.us-east-1.amazonaws.com",
    port=443,
    protocol="https",
    kind=OriginKind.S3,
    region="us-east-1",
)

_REQUEST = Request(
    method="GET",
    path="/articles/first.html",
    query="page=1",
    headers=_VIEWER_HEADERS,
    body=no_body(),
    viewer=Viewer("203.0.113.178", 51234),
    id="4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
    trail=Trail(),
)
_OUTGOING = replace(_REQUEST, headers=_ORIGIN_HEADERS, origin=_CUSTOM)
_POSTED = replace(
    _REQUEST,
    method="POST",
    path="/sign-up",
    query=None,
    headers=_VIEWER_HEADERS.adding(
        ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(_FORM)))
    ),
)
_RESPONSE = Response(
    200,
    "OK",
    Headers(
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", "1270"),
            ("Cache-Control", "max-age=60"),
            ("Date", "Fri, 20 Nov 2026 10:00:00 GMT"),
            ("Server", "demo"),
            ("Via", "1.1 2afae0d44e2540f472c0635ab62c232b.cloudfront.net (CloudFront)"),
        ]
    ),
)
_NOT_FOUND = replace(_RESPONSE, status=404, reason="Not Found")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: a line about it, and what makes it."""

    about: str
    make: Callable[[], bytes]
    body: bytes | None = None

    def event(self) -> bytes:
        """Return the event as JSON, its body filled in."""
        made = self.make()
        if self.body is None:
            return made
        return made.replace(b'"data":""', b'"data":"' + base64.b64encode(self.body) + b'"')


def _request(event: Event, request: Request) -> Callable[[], bytes]:
    return lambda: request_event(event, _CONFIG, request, None)


def _posted(event: Event, request: Request) -> Callable[[], bytes]:
    return lambda: request_event(event, _CONFIG, request, ExposedBody(_FORM, truncated=False))


def _response(event: Event, request: Request, response: Response) -> Callable[[], bytes]:
    return lambda: response_event(event, _CONFIG, request, response)


def _as_documented(event: bytes) -> bytes:
    """Return the event of a CloudFront Function without what travels beside it, for the module `cloudfront`."""
    document: object = json.loads(event)
    if isinstance(document, dict):
        document.pop("edge", None)
    return json.dumps(document).encode()


SAMPLES = {
    "viewer-request": Sample("a page is asked for", _request(Event.VIEWER_REQUEST, _REQUEST)),
    "viewer-request-body": Sample("a form is posted, with include_body", _posted(Event.VIEWER_REQUEST, _POSTED), _FORM),
    "origin-request": Sample("a miss, on its way to a custom origin", _request(Event.ORIGIN_REQUEST, _OUTGOING)),
    "origin-request-s3": Sample(
        "a miss, on its way to a bucket", _request(Event.ORIGIN_REQUEST, replace(_OUTGOING, origin=_S3))
    ),
    "origin-request-body": Sample(
        "a posted form on its way to the origin, with include_body",
        _posted(Event.ORIGIN_REQUEST, replace(_POSTED, origin=_CUSTOM)),
        _FORM,
    ),
    "origin-response": Sample("the origin answered", _response(Event.ORIGIN_RESPONSE, _OUTGOING, _RESPONSE)),
    "origin-response-404": Sample(
        "the origin has no such page", _response(Event.ORIGIN_RESPONSE, _OUTGOING, _NOT_FOUND)
    ),
    "viewer-response": Sample("a response on its way out", _response(Event.VIEWER_RESPONSE, _REQUEST, _RESPONSE)),
    "cloudfront-viewer-request": Sample(
        "a page is asked for, as a CloudFront Function sees it",
        lambda: _as_documented(cff_event.request_event(Event.VIEWER_REQUEST, _CONFIG, _REQUEST, None)),
    ),
    "cloudfront-viewer-response": Sample(
        "a response on its way out, as a CloudFront Function sees it",
        lambda: cff_event.response_event(Event.VIEWER_RESPONSE, _CONFIG, _REQUEST, _RESPONSE),
    ),
}
