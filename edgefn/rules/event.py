"""The documents that functions get (AWS: Lambda@Edge event structure). What comes back is judged by `contract`."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import orjson

from edgefn.model.headers import Headers, Line
from edgefn.model.hook import Event
from edgefn.model.message import Request, Response
from edgefn.model.origin import Origin, OriginKind
from edgefn.rules.edge_headers import is_hidden

HeaderMap: TypeAlias = dict[str, list[dict[str, str]]]
Document: TypeAlias = dict[str, object]

REMEMBERED = 128
"""Headers whose map is kept. A few KB each."""


@dataclass(frozen=True, slots=True)
class EventConfig:
    """What the `config` of every event says about this location."""

    distribution_domain: str
    distribution_id: str


@dataclass(frozen=True, slots=True)
class ExposedBody:
    """What an event with `include_body` shows of the request's body, as raw bytes."""

    data: bytes
    truncated: bool


def request_event(event: Event, config: EventConfig, request: Request, body: ExposedBody | None) -> bytes:
    """Return the JSON for viewer-request or origin-request.

    The body's `data` is left empty: the sandbox fills it in from the raw bytes.
    """
    shown = _request(request, with_origin=event is Event.ORIGIN_REQUEST)
    if body is not None:
        shown["body"] = {"inputTruncated": body.truncated, "action": "read-only", "encoding": "base64", "data": ""}
    return _document({"config": _config(event, config, request), "request": shown})


def response_event(event: Event, config: EventConfig, request: Request, response: Response) -> bytes:
    """Return the JSON for origin-response or viewer-response; neither shows a body."""
    return _document(
        {
            "config": _config(event, config, request),
            "request": _request(request, with_origin=event is Event.ORIGIN_RESPONSE),
            "response": {
                "headers": shown_headers(response.headers),
                "status": str(response.status),
                "statusDescription": as_text(response.reason),
            },
        }
    )


def as_text(wire: str) -> str:
    """Return what functions see of `wire` (latin-1 text): its bytes read as UTF-8, or latin-1 if they are not."""
    if wire.isascii():
        return wire
    try:
        return wire.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return wire


def as_wire(text: str) -> str:
    """Return what a function's new `text` is on the wire: its UTF-8 bytes, as latin-1 text."""
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")


def header_map(lines: Iterable[Line]) -> HeaderMap:
    """Return `lines` by lower-case name; each keeps its own case as `key`."""
    found: HeaderMap = {}
    for key, value in lines:
        found.setdefault(key.lower(), []).append({"key": key, "value": as_text(value)})
    return found


@lru_cache(REMEMBERED)
def shown_headers(headers: Headers) -> HeaderMap:
    """Return those of `headers` that functions may see.

    Not to be changed: whoever shows the same headers again gets the same map. Viewers repeat theirs from request to
    request, and what comes back from a function is compared with what it was shown.
    """
    return header_map([line for line in headers if not is_hidden(line[0].lower())])


def shown_origin(origin: Origin) -> dict[str, Document]:
    """Return `origin` in its one of two shapes, by the name of that shape."""
    shown: Document = {
        "customHeaders": header_map(origin.custom_headers),
        "domainName": origin.domain,
        "path": as_text(origin.path),
        "readTimeout": _number(origin.response_timeout),
    }
    if origin.completion_timeout is not None:
        shown["responseCompletionTimeout"] = _number(origin.completion_timeout)
    match origin.kind:
        case OriginKind.CUSTOM:
            shown["keepaliveTimeout"] = _number(origin.keepalive_timeout)
            shown["port"] = origin.port
            shown["protocol"] = origin.protocol
            shown["sslProtocols"] = list(origin.ssl_protocols)
        case OriginKind.S3:
            shown["authMethod"] = origin.auth_method
            shown["region"] = origin.region
    return {origin.kind.value: shown}


def _request(request: Request, *, with_origin: bool) -> Document:
    shown: Document = {
        "clientIp": request.viewer.ip,
        "headers": shown_headers(request.headers),
        "method": request.method,
        "querystring": as_text(request.query or ""),
        "uri": as_text(request.path),
    }
    if with_origin and request.origin is not None:
        shown["origin"] = shown_origin(request.origin)
    return shown


def _config(event: Event, config: EventConfig, request: Request) -> Document:
    return {
        "distributionDomainName": config.distribution_domain,
        "distributionId": config.distribution_id,
        "eventType": event.value,
        "requestId": request.id,
    }


def _document(cf: Document) -> bytes:
    return orjson.dumps({"Records": [{"cf": cf}]})


def _number(seconds: float) -> float:
    """Return whole seconds without a decimal point, as AWS shows them."""
    whole = int(seconds)
    return whole if whole == seconds else seconds
