"""What a function may do to a body, and to the Content-Length that goes with it."""

import binascii
from collections.abc import Mapping
from typing import Final

from edgefn.model.headers import Headers
from edgefn.model.hook import Quotas
from edgefn.rules.violation import BODY, FAILED, ViolatedError

BODILESS: Final = frozenset({204, 304})
"""The statuses that have no body (RFC 9110 section 6.4.1)."""

_CONTENT_LENGTH = FAILED + "The function returned a Content-Length that differs from the length of the body."


def replacement(result: object, *, exposed: bool, quotas: Quotas) -> bytes | None:
    """Return the body that a request's `result["body"]` puts in the place of the original, or None: it stays.

    Raises `ViolatedError` for a body where none was shown, one of the wrong shape, or one beyond its quota.
    """
    if result is None:
        return None
    if not exposed:
        raise ViolatedError("body", "the function returned a body, but does not include the body", BODY)
    if not isinstance(result, dict):
        raise ViolatedError("body", "the function returned a body that is not an object", BODY)
    match result.get("action", "read-only"):
        case "read-only":
            return None
        case "replace":
            return _replaced(result, quotas)
        case _:
            raise ViolatedError("body.action", "the function returned an invalid body action", BODY)


def decoded(field: str, data: str, encoding: object) -> bytes:
    """Return the bytes of `data`, which is "text" or "base64". Raises `ViolatedError`."""
    match encoding:
        case "text":
            return data.encode()
        case "base64":
            try:
                return binascii.a2b_base64(data, strict_mode=True)
            except ValueError:
                raise ViolatedError(field, "the function returned a body that is not valid base64", BODY) from None
        case _:
            raise ViolatedError(field, "the function returned an invalid body encoding", BODY)


def resized(headers: Headers, size: int) -> Headers:
    """Return `headers` for a new body of `size` bytes: nothing is left that described the old one's framing."""
    return headers.without("transfer-encoding", "trailer").replacing("Content-Length", str(size))


def framed(headers: Headers, status: int, size: int) -> Headers:
    """Return the same for a response; one without a body tells no length."""
    changed = resized(headers, size)
    return changed.without("content-length") if status in BODILESS else changed


def is_too_large(headers: Headers, body: bytes, quotas: Quotas) -> bool:
    """Return whether `body` and the header lines, each with its ": " and line end, are beyond the quota."""
    return sum(len(name) + len(value) + 4 for name, value in headers) + len(body) > quotas.generated


def check_length(claimed: tuple[str, ...], length: str, *, answers_head: bool) -> None:
    """Raise `ViolatedError` unless the Content-Length lines that a function set say `length`; "" is an unknown one.

    The answer to HEAD may tell the length of a body that isn't there (RFC 9110 section 9.3.2).
    """
    if not claimed or claimed == (length,):
        return
    if answers_head and len(claimed) == 1 and claimed[0].isascii() and claimed[0].isdigit():
        return
    raise ViolatedError(
        "headers.content-length", "the function returned a conflicting header, Content-Length", _CONTENT_LENGTH
    )


def _replaced(body: Mapping[str, object], quotas: Quotas) -> bytes:
    data, encoding = body.get("data"), body.get("encoding", "base64")
    if not isinstance(data, str):
        raise ViolatedError("body.data", "the function returned a body that is not a string", BODY)
    if encoding == "base64" and len(data) > quotas.body_base64:
        raise _too_big("body.data")
    taken = decoded("body.data", data, encoding)
    if encoding == "text" and len(taken) > quotas.body_text:
        raise _too_big("body.data")
    return taken


def _too_big(field: str) -> ViolatedError:
    return ViolatedError(field, "the function returned a body that exceeds the maximum size", BODY)
