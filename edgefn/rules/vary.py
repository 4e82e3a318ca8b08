"""Which request fields a response was chosen by (RFC 9111 section 4.1)."""

from typing import TypeAlias

from edgefn.model.headers import TOKEN, Headers
from edgefn.rules.preferences import PREFERENCES, tidied

Selected: TypeAlias = tuple[tuple[str, str | None], ...]
"""Lower-case names, in order of the alphabet, each with the request's joined value (None: absent)."""

# Origins get these from here, another one for each viewer or request: what was received of them tells nothing.
_OF_ONE_REQUEST = frozenset({"*", "x-amz-cf-id", "x-forwarded-for"})


def nominated(response: Headers) -> tuple[str, ...] | None:
    """Return the lower-case names in Vary, each once; None when one is `*`, or as good as that: no request matches.

    What is no name, such as `Accept Cookie`, may have meant any field.
    """
    text = response.joined("vary")
    if text is None:
        return ()
    names = {member.strip(" \t").lower() for member in text.split(",")} - {""}
    if not names.isdisjoint(_OF_ONE_REQUEST) or not all(map(TOKEN.fullmatch, names)):
        return None
    return tuple(sorted(names))


def selected(names: tuple[str, ...], request: Headers) -> Selected:
    """Return the request's values of the nominated fields, without differences that mean nothing."""
    return tuple((name, _value(name, request)) for name in names) if names else ()


def matches(stored: Selected, request: Headers) -> bool:
    """Return whether the request has just these values; an absent field equals only an absent one."""
    return all(_value(name, request) == value for name, value in stored)


def _value(name: str, request: Headers) -> str | None:
    """Return the joined value; of a list of preferences without differences that mean nothing."""
    value = request.joined(name)
    return value if value is None or name not in PREFERENCES else tidied(name, value)
