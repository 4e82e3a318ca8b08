"""A viewer's conditions, held against a stored response (RFC 9111 section 4.3.2, RFC 9110 section 13)."""

import re

from edgefn.model.headers import Headers
from edgefn.rules.http_date import parse

# Blanks are outside the grammar, but origins make tags with them, and viewers send them back.
_OPAQUE = r'("[\t\x20\x21\x23-\x7e\x80-\xff]*+")'
_TAG = re.compile(rf"[ \t,]*+(?:W/)?{_OPAQUE}[ \t]*+(?=,|\Z)")
_WHOLE_TAG = re.compile(rf"(?:W/)?{_OPAQUE}")
_OF_THE_CONTENT = ("content-length", "content-encoding", "content-language", "content-range", "content-type", "trailer")


def is_not_modified(asked: Headers, stored: Headers, received_at: float, now: float) -> bool:
    """Return whether the viewer has what is stored already, so that 304 says it all.

    If-None-Match alone decides when it is there (RFC 9110 section 13.2.2). If-Match and If-Unmodified-Since are the
    origin's to evaluate, and so are left out of account.
    """
    if "if-none-match" in asked:
        return _is_listed(asked.joined("if-none-match") or "", stored.get("etag"))
    since = asked.get_all("if-modified-since")
    return len(since) == 1 and _is_unchanged_since(parse(since[0], now), stored, received_at)


def _is_listed(wanted: str, tag: str | None) -> bool:
    """Return whether `tag` is in the list by weak comparison (RFC 9110 section 8.8.3.2); `*` is any response."""
    if wanted.strip(" \t") == "*":
        return True
    match = None if tag is None else _WHOLE_TAG.fullmatch(tag)
    return match is not None and match[1] in _opaque_tags(wanted)


def _opaque_tags(text: str) -> set[str]:
    """Return the tags of a list, less W/, up to the first thing that is none."""
    tags: set[str] = set()
    match = _TAG.match(text)
    while match is not None:
        tags.add(match[1])
        match = _TAG.match(text, match.end())
    return tags


def _is_unchanged_since(since: float | None, stored: Headers, received_at: float) -> bool:
    """Return whether Last-Modified, else Date, else the receipt is no later than `since`; None is never met."""
    if since is None:
        return False
    stated = stored.get("last-modified") or stored.get("date")
    changed_at = None if stated is None else parse(stated, received_at)
    return (received_at if changed_at is None else changed_at) <= since


def not_modified_headers(headers: Headers) -> Headers:
    """Return the fields of a 304 in place of a response with these: those of its content stay out.

    Last-Modified too, when there is a better validator (RFC 9110 section 15.4.5).
    """
    return headers.without(*_OF_THE_CONTENT, *(("last-modified",) if "etag" in headers else ()))
