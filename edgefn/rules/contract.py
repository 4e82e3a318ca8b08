"""The contract with functions: judges what comes back from one (AWS: restrictions on edge functions).

The front door; the parts are in `contract_headers`, `contract_target`, `contract_body`, `contract_origin` and
`contract_response`. A function that returns its event as it was leaves the message as it was, to the byte.
"""

import re
from collections.abc import Mapping

import orjson

from edgefn.model.headers import Headers
from edgefn.model.hook import Event, Quotas
from edgefn.model.message import Body, BytesBody, Request, Response
from edgefn.model.origin import Origin
from edgefn.rules.contract_body import replacement, resized
from edgefn.rules.contract_headers import judge_headers
from edgefn.rules.contract_origin import check_overlap, judge_origin
from edgefn.rules.contract_response import changed_origin_response, changed_viewer_response, generated_response
from edgefn.rules.contract_target import judge_target
from edgefn.rules.event import ExposedBody
from edgefn.rules.violation import HEADER, RESULT, ViolatedError, Violation

__all__ = ["Violation", "judge_request", "judge_response"]

_HOST = re.compile(r"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]+")


def judge_request(
    event: Event, sent: Request, exposed: ExposedBody | None, result: bytes, quotas: Quotas
) -> Request | Response | Violation:
    """Return what the JSON `result` of viewer-request or origin-request makes of `sent`.

    A result with a `status` is a response. The request keeps the body of `sent` unless the function replaced it;
    whoever called then closes the original.
    """
    try:
        answer = _object(result)
        if "status" in answer:
            return generated_response(event, sent, answer, quotas)
        return _changed_request(
            event, sent, answer, replacement(answer.get("body"), exposed=exposed is not None, quotas=quotas)
        )
    except ViolatedError as violated:
        return violated.violation


def judge_response(event: Event, asked: Request, sent: Response, result: bytes, quotas: Quotas) -> Response | Violation:
    """Return what the JSON `result` of origin-response or viewer-response makes of `sent`, the answer to `asked`.

    Whoever called closes the body of `sent` when the outcome has another.
    """
    try:
        answer = _object(result)
        if event is Event.ORIGIN_RESPONSE:
            return changed_origin_response(asked, sent, answer, quotas)
        return changed_viewer_response(sent, answer)
    except ViolatedError as violated:
        return violated.violation


def _object(result: bytes) -> Mapping[str, object]:
    try:
        parsed: object = orjson.loads(result)
    except orjson.JSONDecodeError:
        raise ViolatedError("result", "the function returned no valid JSON", RESULT) from None
    if not isinstance(parsed, dict):
        raise ViolatedError("result", "the function did not return an object", RESULT)
    if "Records" in parsed:
        raise ViolatedError("result", "the function returned the whole event", RESULT)
    if not {"uri", "headers", "status"} & parsed.keys():
        raise ViolatedError("result", "the function returned neither a request nor a response", RESULT)
    return parsed


def _changed_request(event: Event, sent: Request, result: Mapping[str, object], body: bytes | None) -> Request:
    path, query = judge_target(sent, result)
    headers = judge_headers(event, sent.headers, result.get("headers"))
    origin = sent.origin
    if event is Event.ORIGIN_REQUEST:
        origin = judge_origin(sent.origin, result.get("origin"))
        headers = _with_host(sent, headers, origin)
        check_overlap(sent, headers, origin)
    if body is not None:
        headers = resized(headers, len(body))
    new_body: Body = sent.body if body is None else BytesBody(body)
    return sent.rewritten(path, query, headers, new_body, origin, sent.choice)


def _with_host(sent: Request, headers: Headers, origin: Origin | None) -> Headers:
    """Return `headers` with one Host: the origin's own when the function deleted it (RFC 9110 section 7.2).

    Raises `ViolatedError` when the function set it to something that is no host.
    """
    hosts = headers.get_all("host")
    if hosts == sent.headers.get_all("host"):
        return headers
    if not hosts:
        return headers if origin is None else headers.adding(("Host", origin.authority))
    if len(hosts) > 1 or not _HOST.fullmatch(hosts[0]):
        raise ViolatedError("headers.host", "the function returned an invalid header, Host", HEADER)
    return headers
