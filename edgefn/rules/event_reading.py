"""An event read back into messages: what the contract says of a result where the event's document is all there is."""

import json
from collections.abc import Mapping
from typing import Final

from edgefn.model.headers import Headers, Line
from edgefn.model.hook import Event
from edgefn.model.message import BytesBody, Request, Response, Viewer
from edgefn.model.origin import Origin, OriginKind
from edgefn.model.settings import QuotaProfile
from edgefn.model.trail import Trail
from edgefn.rules.contract import Violation, judge_request, judge_response
from edgefn.rules.event import ExposedBody, as_text, as_wire, shown_headers, shown_origin
from edgefn.rules.quotas import quotas

_OF_REQUESTS: Final = frozenset({Event.VIEWER_REQUEST, Event.ORIGIN_REQUEST})


class _UnlikeError(Exception):
    """The document is none that a location would make."""


def refused(event: bytes, result: bytes) -> Violation | None:
    """Return the rule that the JSON `result` to a Lambda@Edge event breaks; None where it breaks none.

    None as well for an event that no location would send: one of a part only, or one that is no Lambda@Edge event.
    """
    try:
        cf = _table(_first(_table(json.loads(event)).get("Records")).get("cf"))
        kind = Event(_text(_table(cf.get("config")).get("eventType")))
        asked = _request(_table(cf.get("request")), bound=kind is not Event.VIEWER_REQUEST)
        if kind in _OF_REQUESTS:
            exposed = ExposedBody(b"", truncated=False) if "body" in _table(cf["request"]) else None
            judged = judge_request(kind, asked, exposed, result, quotas(QuotaProfile.AWS_2025, kind))
        else:
            sent = _response(_table(cf.get("response")))
            judged = judge_response(kind, asked, sent, result, quotas(QuotaProfile.AWS_2025, kind))
    except (ValueError, RecursionError, _UnlikeError):
        return None
    return judged if isinstance(judged, Violation) else None


def _request(shown: Mapping[str, object], *, bound: bool) -> Request:
    query = _text(shown.get("querystring"))
    return Request(
        method=_text(shown.get("method")),
        path=as_wire(_text(shown.get("uri"))),
        query=as_wire(query) or None,
        headers=_headers(shown.get("headers")),
        body=BytesBody(b""),
        viewer=Viewer(_text(shown.get("clientIp")), 0),
        id="",
        trail=Trail(),
        origin=_origin(_table(shown.get("origin"))) if bound and "origin" in shown else None,
    )


def _response(shown: Mapping[str, object]) -> Response:
    headers, status = _headers(shown.get("headers")), _text(shown.get("status"))
    if not status.isdecimal():
        raise _UnlikeError
    body, declared = BytesBody(b""), headers.get_all("content-length")
    body.length = int(declared[0]) if declared and declared[0].isdecimal() else None
    return Response(int(status), as_wire(_text(shown.get("statusDescription", ""))), headers, body)


def _headers(shown: object) -> Headers:
    lines: list[Line] = []
    for name, found in _table(shown).items():
        for entry in found if isinstance(found, list) else ():
            line = _table(entry)
            lines.append((_text(line.get("key", name)), as_wire(_text(line.get("value")))))
    headers = Headers(lines)
    if _values(shown_headers(headers)) != _values(_table(shown)):
        raise _UnlikeError
    return headers


def _values(shown: Mapping[str, object]) -> dict[str, list[str]]:
    return {
        name: [_text(_table(entry).get("value")) for entry in entries]
        for name, entries in shown.items()
        if isinstance(entries, list)
    }


def _origin(shown: Mapping[str, object]) -> Origin:
    for kind in OriginKind:
        if kind.value in shown:
            origin = _origin_of(kind, _table(shown[kind.value]))
            if shown_origin(origin) != shown:
                raise _UnlikeError
            return origin
    raise _UnlikeError


def _origin_of(kind: OriginKind, shown: Mapping[str, object]) -> Origin:
    completion = shown.get("responseCompletionTimeout")
    ciphers = shown.get("sslProtocols", ["TLSv1.2"])
    return Origin(
        id="",
        domain=_text(shown.get("domainName")),
        port=int(_number(shown.get("port", 443))),
        protocol=_text(shown.get("protocol", "https")),
        kind=kind,
        path=as_wire(_text(shown.get("path"))),
        custom_headers=_headers(shown.get("customHeaders")),
        response_timeout=_number(shown.get("readTimeout")),
        completion_timeout=None if completion is None else _number(completion),
        keepalive_timeout=_number(shown.get("keepaliveTimeout", 5)),
        ssl_protocols=tuple(map(_text, ciphers)) if isinstance(ciphers, list) else (),
        region=_text(shown.get("region", "")),
        auth_method=_text(shown.get("authMethod", "none")),
    )


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _UnlikeError
    return value


def _first(value: object) -> Mapping[str, object]:
    if not isinstance(value, list) or len(value) != 1:
        raise _UnlikeError
    return _table(value[0])


def _text(value: object) -> str:
    if not isinstance(value, str) or as_text(as_wire(value)) != value:
        raise _UnlikeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnlikeError
    return value
