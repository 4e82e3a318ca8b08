"""The contract with CloudFront Functions: judges what comes back from one (AWS: restrictions on edge functions).

The front door, with the same two verbs as `contract`; the parts are in `cff_headers`, `cff_query` and `cff_origin`.
A function that returns its request or response as it was leaves the message as it was, to the byte.
"""

import binascii
from collections.abc import Mapping
from dataclasses import replace

import orjson

from edgefn.model.headers import CONTROL, Headers
from edgefn.model.hook import Event, Quotas
from edgefn.model.message import BytesBody, Request, Response, usual_reason
from edgefn.rules.cff_headers import judged_headers, new_headers, shown_cookies, with_cookies, with_set_cookies
from edgefn.rules.cff_origin import NO_ORIGINS, KnownOrigins, judged_choice
from edgefn.rules.cff_query import query_of
from edgefn.rules.cff_violation import BODY, DESCRIPTION, INVALID, QUERY, RESULT, STATUS, URI, in_our_words, invalid
from edgefn.rules.contract_body import BODILESS, framed, is_too_large
from edgefn.rules.contract_target import judge_target
from edgefn.rules.event import ExposedBody, as_text, as_wire
from edgefn.rules.violation import ViolatedError, Violation

__all__ = ["Violation", "custom_data", "judge_request", "judge_response"]

_MAX_CUSTOM = 800
"""Bytes of custom data for the log (AWS: general helper methods)."""


def judge_request(
    event: Event,
    sent: Request,
    exposed: ExposedBody | None,
    result: bytes,
    quotas: Quotas,
    origins: KnownOrigins = NO_ORIGINS,
) -> Request | Response | Violation:
    """Return what the JSON `result` of viewer-request makes of `sent`; with a `statusCode` it is a response.

    `origins` are those that the function may choose from. These functions see no body, and so have no `exposed` one.
    """
    del exposed
    try:
        answer = _object(result, {"statusCode", "uri", "headers", "querystring", "cookies", "method"})
        if "statusCode" in answer:
            return _generated(answer, quotas)
        return _changed_request(event, sent, answer, origins)
    except ViolatedError as violated:
        return in_our_words(violated.violation, f"{INVALID}.")


def judge_response(event: Event, asked: Request, sent: Response, result: bytes, quotas: Quotas) -> Response | Violation:
    """Return what the JSON `result` of viewer-response makes of `sent`, the answer to `asked`.

    Whoever called closes the body of `sent` when the outcome has another.
    """
    try:
        answer = _object(result, {"statusCode", "headers", "cookies"})
        return _changed_response(event, asked, sent, answer, quotas)
    except ViolatedError as violated:
        return in_our_words(violated.violation, f"{INVALID}.")


def custom_data(result: bytes) -> str:
    """Return what the function said beside its JSON `result` for the access log, "" where it said nothing."""
    if b'"edge":' not in result:
        return ""
    try:
        parsed: object = orjson.loads(result)
    except orjson.JSONDecodeError:
        return ""
    match parsed:
        case {"edge": {"log": str(text)}}:
            return text.encode()[:_MAX_CUSTOM].decode(errors="ignore")
        case _:
            return ""


def _object(result: bytes, some_of: set[str]) -> Mapping[str, object]:
    try:
        parsed: object = orjson.loads(result)
    except orjson.JSONDecodeError:
        raise invalid("result", "no valid JSON", RESULT) from None
    if not isinstance(parsed, dict):
        raise invalid("result", "no object", RESULT)
    if "context" in parsed and ("request" in parsed or "response" in parsed):
        raise invalid("result", "the whole event", RESULT)
    if not some_of & parsed.keys():
        raise invalid("result", "neither a request nor a response", RESULT)
    return parsed


def _changed_request(event: Event, sent: Request, answer: Mapping[str, object], origins: KnownOrigins) -> Request:
    path, query = _target(sent, answer)
    headers = judged_headers(event, sent.headers, answer.get("headers"))
    cookies = answer.get("cookies", {})
    if cookies != shown_cookies(sent.headers):  # which have no part in what `headers` has changed
        headers = with_cookies(headers, cookies)
    choice = judged_choice(answer.get("edge"), origins)
    if (path, query, choice) == (sent.path, sent.query, sent.choice) and headers is sent.headers:
        return sent
    return sent.rewritten(path, query, headers, sent.body, sent.origin, choice)


def _target(sent: Request, answer: Mapping[str, object]) -> tuple[str, str | None]:
    """Return path and query. `querystring` is an object, or the raw text where its order matters."""
    given = answer.get("querystring", {})
    raw = given if isinstance(given, str) else as_text(query_of(sent.query, given) or "")
    try:
        return judge_target(sent, {"uri": answer.get("uri"), "querystring": raw})
    except ViolatedError as violated:
        sentence = QUERY if violated.violation.field == "querystring" else URI
        broken = in_our_words(violated.violation, sentence)
        raise ViolatedError(broken.field, broken.rule, broken.sentence) from None


def _generated(answer: Mapping[str, object], quotas: Quotas) -> Response:
    status = _status(answer)
    headers = with_set_cookies(new_headers(answer.get("headers", {})), answer.get("cookies", {}))
    body = b"" if status in BODILESS else _body(answer) or b""
    _check_size(headers, body, quotas)
    return Response(status, _description(answer, status), framed(headers, status, len(body)), BytesBody(body))


def _changed_response(
    event: Event, asked: Request, sent: Response, answer: Mapping[str, object], quotas: Quotas
) -> Response:
    status = _status(answer)
    unchanged = status == sent.status and answer.get("statusDescription") == as_text(sent.reason)
    reason = sent.reason if unchanged else _description(answer, status)
    headers = judged_headers(event, sent.headers, answer.get("headers"))
    headers = with_set_cookies(headers, answer.get("cookies", {}))
    body = _body(answer)
    if body is None and status != sent.status and BODILESS & {status, sent.status}:
        body = b""  # to or from a status without a body, the lengths in the headers would lie
    if body is None:
        same = unchanged and headers is sent.headers
        return sent if same else replace(sent, status=status, reason=reason, headers=headers)
    _check_size(headers, body, quotas)
    body = b"" if status in BODILESS or asked.method == "HEAD" else body
    return replace(sent, status=status, reason=reason, headers=framed(headers, status, len(body)), body=BytesBody(body))


def _status(answer: Mapping[str, object]) -> int:
    status = answer.get("statusCode")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise invalid("statusCode", "a statusCode that is not an integer from 200 to 599", STATUS)
    return status


def _description(answer: Mapping[str, object], status: int) -> str:
    description = answer.get("statusDescription")
    if description is None:
        return usual_reason(status)
    if not isinstance(description, str) or CONTROL.search(description):
        raise invalid("statusDescription", "an invalid statusDescription", DESCRIPTION)
    return as_wire(description)


def _body(answer: Mapping[str, object]) -> bytes | None:
    """Return the new body: text, or an object with `encoding` and `data`; None where there is no `body`."""
    match answer.get("body"):
        case None:
            return None
        case str(text):
            return text.encode()
        case {"data": str(data), **rest}:
            return _decoded(data, rest.get("encoding", "text"))
        case _:
            raise invalid("body", "a body that is neither a string nor an object with data", BODY)


def _decoded(data: str, encoding: object) -> bytes:
    if encoding == "text":
        return data.encode()
    if encoding != "base64":
        raise invalid("body.encoding", "a body encoding that is neither text nor base64", BODY)
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        raise invalid("body.data", "a body that is not valid base64", BODY) from None


def _check_size(headers: Headers, body: bytes, quotas: Quotas) -> None:
    if is_too_large(headers, body, quotas):
        raise invalid("body", "a response that exceeds the maximum size", BODY)
