"""Asking the origin whether a stored response still holds, and what its answer changes (RFC 9111 section 4.3)."""

from collections.abc import Sequence

from edgefn.model.headers import Headers, Line
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.ranges import received_span, strong_tag

_OF_THE_VIEWER = ("if-none-match", "if-modified-since")
_ABOUT_A_PART = ("range", "if-range")
_LARGE = 1_048_576
_PRECONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since")
_CONDITIONS = (*_PRECONDITIONS, *_ABOUT_A_PART)
_NOT_UPDATED = frozenset({"content-encoding", "content-length", "content-range", "content-type"})
_WEAK = "W/"
_PART, _NOT_MODIFIED = 206, 304


def has_validator(headers: Headers) -> bool:
    """Return whether the origin can be asked if the response still holds."""
    return "etag" in headers or "last-modified" in headers


def asking_about(asked: Headers, stored: Headers, size: int) -> Headers:
    """Return the viewer's fields with the conditions of the cache in place of its own (RFC 9111 section 4.3.1).

    If-Match and If-Unmodified-Since stay: they are the origin's to evaluate. So do Range and If-Range where what is
    stored has a large `size`, in bytes: should there be something new in its place, its viewer gets no more of that
    than it has asked for (RFC 9110 section 13.2.2). What is small is asked for as a whole.
    """
    lines: list[Line] = []
    tag, changed_at = stored.get("etag"), stored.get("last-modified")
    if tag is not None:
        lines.append(("If-None-Match", tag))
    if changed_at is not None:
        lines.append(("If-Modified-Since", changed_at))
    replaced = _OF_THE_VIEWER if size > _LARGE else (*_OF_THE_VIEWER, *_ABOUT_A_PART)
    return asked.without(*replaced).adding(*lines)


def without_conditions(asked: Headers, *, of_a_part: bool = False) -> Headers:
    """Return the viewer's fields for a request whose answer is the whole, or the part, whatever the viewer has."""
    return asked.without(*(_PRECONDITIONS if of_a_part else _CONDITIONS))


def confirms(status: int, answer: Headers, stored: Headers, size: int) -> bool:
    """Return whether the answer to that says that what is stored, of `size` bytes in all, still holds.

    An origin that looks at Range alone says so with a part of the very same (RFC 9110 section 15.3.7.3).
    """
    if status != _PART:
        return status == _NOT_MODIFIED
    tag, span = strong_tag(answer), received_span(answer)
    return tag is not None and tag == strong_tag(stored) and span is not None and span[1] == size


def confirmed(answer: Headers, stored: Sequence[Headers]) -> list[int]:
    """Return which of the `stored` responses a 304 with these fields is about (RFC 9111 section 4.3.4).

    Those with its strong validator, or the first with its weak one. Without any it is about the first: that is to be
    the one that was asked about.
    """
    strong = strong_tag(answer)
    if strong is not None:
        return [index for index, headers in enumerate(stored) if strong_tag(headers) == strong]
    if has_validator(answer):
        return [index for index, headers in enumerate(stored) if _is_same_weakly(answer, headers)][:1]
    return [0]


def _is_same_weakly(answer: Headers, stored: Headers) -> bool:
    tag = answer.get("etag")
    if tag is not None:
        known = stored.get("etag")
        return known is not None and tag.removeprefix(_WEAK) == known.removeprefix(_WEAK)
    return answer.get("last-modified") == stored.get("last-modified")


def agrees(answer: Headers, stored: Headers, size: int | None) -> bool:
    """Return whether the fields of an answer to HEAD fit a stored response of `size` bytes (RFC 9111 section 4.3.5).

    None is a size that tells nothing.
    """
    same = all(answer.get(name) == stored.get(name) for name in ("etag", "last-modified") if name in answer)
    length = answer.get("content-length")
    return same and (length is None or size is None or length.strip(" \t").lstrip("0") == (str(size) if size else ""))


def updated(stored: Headers, answer: Headers, received_at: float) -> Headers:
    """Return the `stored` fields with those of the `answer` in place of theirs (RFC 9111 section 3.2).

    But for the fields of the content, which the answer does not bring. An answer without Date is as of its receipt.
    """
    if "date" not in answer:
        answer = answer.adding(("Date", imf_fixdate(received_at)))
    new = [line for line in answer if line[0].lower() not in _NOT_UPDATED]
    return stored.without(*{name.lower() for name, _ in new}).adding(*new)
