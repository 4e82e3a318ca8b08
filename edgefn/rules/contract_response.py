"""What a function may answer with: a response of its own, or a changed one."""

import re
from collections.abc import Mapping
from dataclasses import replace

from edgefn.model.headers import CONTROL, Headers
from edgefn.model.hook import Event, Quotas
from edgefn.model.message import BytesBody, Request, Response, usual_reason
from edgefn.rules.contract_body import BODILESS, check_length, decoded, framed, is_too_large
from edgefn.rules.contract_headers import Changes, allowed, changes, judge_headers, merged, message_field, new_headers
from edgefn.rules.event import as_text, as_wire
from edgefn.rules.violation import BODY, FAILED, READ_ONLY_HEADER, STATUS, ViolatedError

_STATUS = re.compile(r"[2-5][0-9]{2}")


def generated_response(event: Event, asked: Request, result: Mapping[str, object], quotas: Quotas) -> Response:
    """Return the response that a function gives in place of the origin (AWS: generating HTTP responses).

    Raises `ViolatedError`.
    """
    status = _status(result)
    reason = _new_reason(result, status)
    headers = new_headers(result.get("headers", {}))
    if "transfer-encoding" in headers:
        raise ViolatedError("headers.transfer-encoding", "the function tried to add read-only header", READ_ONLY_HEADER)
    body = _body(result) or b""
    _check_size(headers, body, quotas)
    if status == 204 and body and event is Event.VIEWER_REQUEST:
        raise ViolatedError("body", "the function returned a body with status 204", BODY)
    if status in BODILESS:
        body = b""
    claimed = headers.get_all("content-length")
    check_length(claimed, str(len(body)), answers_head=asked.method == "HEAD" and not body)
    if not claimed or status in BODILESS:
        headers = framed(headers, status, len(body))
    return Response(status, reason, headers, BytesBody(body))


def changed_origin_response(asked: Request, sent: Response, result: Mapping[str, object], quotas: Quotas) -> Response:
    """Return `sent` with the status, headers and body of origin-response's `result`.

    No `body` keeps the original one, an empty one removes it. `sent.body` isn't closed when another takes its place.
    Raises `ViolatedError`.
    """
    status = _status(result, sent.status)
    reason = _reason(result, status, sent)
    body = _body(result)
    if body is None and status != sent.status and BODILESS & {status, sent.status}:
        body = b""  # to or from a status without a body, the lengths in the headers would lie
    found = allowed(
        Event.ORIGIN_RESPONSE, sent.headers, changes(message_field(sent.headers), result.get("headers", {}))
    )
    length = _declared(sent) if body is None else str(len(body))
    headers = merged(
        sent.headers, _without_false_length(found, length, answers_head=asked.method == "HEAD" and not body)
    )
    if body is None:
        return replace(sent, status=status, reason=reason, headers=headers)
    _check_size(headers, body, quotas)
    body = b"" if status in BODILESS else body
    headers = framed(headers, status, len(body))
    return replace(sent, status=status, reason=reason, headers=headers, body=BytesBody(body))


def changed_viewer_response(sent: Response, result: Mapping[str, object]) -> Response:
    """Return `sent` with the headers of viewer-response's `result`; its status and body don't count.

    Raises `ViolatedError`, also for a status or a description of the wrong shape.
    """
    _status(result, sent.status)
    _reason(result, sent.status, sent)
    headers = judge_headers(Event.VIEWER_RESPONSE, sent.headers, result.get("headers", {}))
    return sent if headers is sent.headers else replace(sent, headers=headers)


def _status(result: Mapping[str, object], sent: int | None = None) -> int:
    status = result.get("status")
    text = str(status) if isinstance(status, int) and not isinstance(status, bool) else status
    if not isinstance(text, str):
        raise ViolatedError("status", "the function returned a status that is neither a string nor a number", STATUS)
    if sent is not None and text == str(sent):
        return sent
    if not _STATUS.fullmatch(text):
        raise ViolatedError("status", "the function returned a status that is not from 200 to 599", STATUS)
    return int(text)


def _reason(result: Mapping[str, object], status: int, sent: Response) -> str:
    unchanged = result.get("statusDescription") == as_text(sent.reason)
    return sent.reason if unchanged else _new_reason(result, status)


def _new_reason(result: Mapping[str, object], status: int) -> str:
    if "statusDescription" not in result:
        return usual_reason(status)
    reason = result["statusDescription"]
    if not isinstance(reason, str) or CONTROL.search(reason):
        rule = "the function returned an invalid status description"
        raise ViolatedError("statusDescription", rule, FAILED + "The status description is invalid.")
    return as_wire(reason)


def _body(result: Mapping[str, object]) -> bytes | None:
    if "body" not in result:
        return None
    body = result["body"]
    if not isinstance(body, str):
        raise ViolatedError("body", "the function returned a body that is not a string", BODY)
    return decoded("body", body, result.get("bodyEncoding", "text"))


def _check_size(headers: Headers, body: bytes, quotas: Quotas) -> None:
    if is_too_large(headers, body, quotas):
        raise ViolatedError("body", "the function returned a response that exceeds the maximum size", BODY)


def _declared(sent: Response) -> str:
    """Return the length of the original body, "" when it will only be known at its end."""
    declared = sent.headers.get("content-length")
    if declared is not None:
        return declared
    return "" if sent.body.length is None else str(sent.body.length)


def _without_false_length(found: Changes, length: str, *, answers_head: bool) -> Changes:
    """Return `found` without a deletion of Content-Length: the length is ours to tell.

    Raises `ViolatedError` when the function set another length than the body has.
    """
    if "content-length" not in found:
        return found
    lines = found["content-length"]
    check_length(tuple(value for _, value in lines), length, answers_head=answers_head)
    return found if lines else {name: kept for name, kept in found.items() if name != "content-length"}
