"""Ranges of bytes: what a viewer asks for, and what a 206 brings (RFC 9110 section 14)."""

import re
from dataclasses import dataclass

from edgefn.model.headers import Headers
from edgefn.rules.http_date import parse

_RANGE = re.compile(r"bytes=[ \t,]*(?:(\d+)-(\d*)|-(\d+))[ \t,]*", re.ASCII | re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII | re.IGNORECASE)
_MOST_DIGITS = 18
_STRONG_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.last - self.first + 1

    def covers(self, other: "Span") -> bool:
        """Return whether all of `other` lies in it."""
        return self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """The range begins behind the end."""


def asked_span(asked: Headers, total: int) -> Span | Unsatisfiable | None:
    """Return the bytes, of `total` ones, that Range asks for; None: it does not count, the whole is the answer.

    That is so for several ranges, other units and what is outside the grammar (RFC 9110 section 14.2).
    """
    lines = asked.get_all("range")
    match = _RANGE.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None:
        return None
    if match[3] is not None:
        return _suffix(_number(match[3]), total)
    first = _number(match[1])
    last = _number(match[2]) if match[2] else total - 1
    if match[2] and last < first:
        return None
    return Span(first, min(last, total - 1)) if first < total else Unsatisfiable()


def _suffix(length: int, total: int) -> Span | Unsatisfiable | None:
    if length == 0:
        return Unsatisfiable()
    return Span(max(0, total - length), total - 1) if total else None


def _number(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    return 10**_MOST_DIGITS if len(significant) > _MOST_DIGITS else int(significant)


def received_span(headers: Headers) -> tuple[Span, int] | None:
    """Return the bytes that a 206 brings, and how many there are in all; None unless Content-Range says both."""
    lines = headers.get_all("content-range")
    match = _CONTENT_RANGE.fullmatch(lines[0].strip(" \t")) if len(lines) == 1 else None
    if match is None:
        return None
    span, total = Span(int(match[1]), int(match[2])), int(match[3])
    return (span, total) if span.first <= span.last < total else None


def content_range(span: Span, total: int) -> str:
    """Return what Content-Range says of these bytes."""
    return f"bytes {span.first}-{span.last}/{total}"


def if_range_holds(asked: Headers, stored: Headers, received_at: float) -> bool:
    """Return whether the viewer's parts are of what is stored, so that Range counts (RFC 9110 section 13.1.5).

    A tag is compared strongly; a date must be the very same, and Last-Modified a strong validator.
    """
    stated = asked.get_all("if-range")
    if not stated:
        return True
    if len(stated) > 1:
        return False
    value = stated[0].strip(" \t")
    if '"' in value:
        return value == strong_tag(stored)
    return value == stored.get("last-modified") and _is_strong_date(stored, received_at)


def strong_tag(headers: Headers) -> str | None:
    """Return the ETag if it is a strong validator (RFC 9110 section 8.8.1)."""
    tag = headers.get("etag")
    return tag if tag is not None and tag.startswith('"') else None


def _is_strong_date(stored: Headers, received_at: float) -> bool:
    """Return whether the response was made long enough after the change (RFC 9110 section 8.8.2.2)."""
    changed_at, made_at = (parse(stored.get(name) or "", received_at) for name in ("last-modified", "date"))
    return changed_at is not None and made_at is not None and made_at - changed_at >= _STRONG_AFTER
