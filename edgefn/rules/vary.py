"""Which request fields a response was chosen by (RFC 9111 section 4.1)."""

import re
from typing import TypeAlias

from edgefn.model.headers import Headers

Selected: TypeAlias = tuple[tuple[str, str | None], ...]
"""Lower-case names, in order of the alphabet, each with the request's joined value (None: absent)."""

_IN_ANY_CASE = frozenset({"accept-charset", "accept-encoding", "accept-language"})
_LISTS = _IN_ANY_CASE | {"accept"}  # whose parameters may tell cases apart
# Origins get these from here, another one for each viewer or request: what was received of them tells nothing.
_OF_ONE_REQUEST = frozenset({"*", "x-amz-cf-id", "x-forwarded-for"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BLANKS = re.compile(r"[ \t]*([,;])[ \t]*")


def nominated(response: Headers) -> tuple[str, ...] | None:
    """Return the lower-case names in Vary, each once; None when one is `*`, or as good as that: no request matches.

    What is no name, such as `Accept Cookie`, may have meant any field.
    """
    text = response.joined("vary")
    if text is None:
        return ()
    names = {member.strip(" \t").lower() for member in text.split(",")} - {""}
    if not names.isdisjoint(_OF_ONE_REQUEST) or not all(map(_TOKEN.fullmatch, names)):
        return None
    return tuple(sorted(names))


def selected(names: tuple[str, ...], request: Headers) -> Selected:
    """Return the request's values of the nominated fields, without differences that mean nothing."""
    return tuple((name, _value(name, request)) for name in names) if names else ()


def matches(stored: Selected, request: Headers) -> bool:
    """Return whether the request has just these values; an absent field equals only an absent one."""
    return all(_value(name, request) == value for name, value in stored)


def _value(name: str, request: Headers) -> str | None:
    """Return the joined value; of a list of preferences without blanks around its separators, and cases that mean none.

    No order is changed: origins take the order of equal weights for a preference (RFC 9110 section 12.5.4).
    """
    value = request.joined(name)
    if value is None or name not in _LISTS or '"' in value:
        return value
    tidy = _BLANKS.sub(r"\1", value.strip(" \t"))
    return tidy.lower() if name in _IN_ANY_CASE else tidy
