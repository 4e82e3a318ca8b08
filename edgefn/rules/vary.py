"""Which request fields a response was chosen by (RFC 9111 section 4.1)."""

import re
from typing import TypeAlias

from edgefn.model.headers import Headers

Selected: TypeAlias = tuple[tuple[str, str | None], ...]
"""Lower-case names, in order of the alphabet, each with the request's joined value (None: absent)."""

_LISTS = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})
_BLANKS = re.compile(r"[ \t]*([,;])[ \t]*")


def nominated(response: Headers) -> tuple[str, ...] | None:
    """Return the lower-case names in Vary, each once; None when one is `*`, which no request matches."""
    text = response.joined("vary")
    if text is None:
        return ()
    names = {member.strip(" \t").lower() for member in text.split(",")} - {""}
    return None if "*" in names else tuple(sorted(names))


def selected(names: tuple[str, ...], request: Headers) -> Selected:
    """Return the request's values of the nominated fields, without differences that mean nothing."""
    return tuple((name, _value(name, request)) for name in names)


def matches(stored: Selected, request: Headers) -> bool:
    """Return whether the request has just these values; an absent field equals only an absent one."""
    return all(_value(name, request) == value for name, value in stored)


def _value(name: str, request: Headers) -> str | None:
    """Return the joined value; of a list of preferences in lower case and without blanks around its separators.

    No order is changed: origins take the order of equal weights for a preference (RFC 9110 section 12.5.4).
    """
    value = request.joined(name)
    if value is None or name not in _LISTS or '"' in value:
        return value
    return _BLANKS.sub(r"\1", value.strip(" \t")).lower()
