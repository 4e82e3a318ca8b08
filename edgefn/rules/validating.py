"""Asking the origin whether a stored response still holds, and what its answer changes (RFC 9111 section 4.3)."""

from collections.abc import Sequence

from edgefn.model.headers import Headers, Line
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.ranges import strong_tag

_OF_THE_VIEWER = ("if-none-match", "if-modified-since", "range", "if-range")
_PRECONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since")
_CONDITIONS = (*_PRECONDITIONS, "range", "if-range")
_NOT_UPDATED = frozenset({"content-encoding", "content-length", "content-range", "content-type"})
_WEAK = "W/"


def has_validator(headers: Headers) -> bool:
    """Return whether the origin can be asked if the response still holds."""
    return "etag" in headers or "last-modified" in headers


def asking_about(asked: Headers, stored: Headers) -> Headers:
    """Return the viewer's fields with the conditions of the cache in place of its own (RFC 9111 section 4.3.1).

    If-Match and If-Unmodified-Since stay: they are the origin's to evaluate. Range goes: a 304 answers for the whole.
    """
    lines: list[Line] = []
    tag, changed_at = stored.get("etag"), stored.get("last-modified")
    if tag is not None:
        lines.append(("If-None-Match", tag))
    if changed_at is not None:
        lines.append(("If-Modified-Since", changed_at))
    return asked.without(*_OF_THE_VIEWER).adding(*lines)


def without_conditions(asked: Headers, *, of_a_part: bool = False) -> Headers:
    """Return the viewer's fields for a request whose answer is the whole, or the part, whatever the viewer has."""
    return asked.without(*(_PRECONDITIONS if of_a_part else _CONDITIONS))


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
