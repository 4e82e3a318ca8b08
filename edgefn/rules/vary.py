"""Which request fields a response was chosen by (RFC 9111 section 4.1)."""

from typing import TypeAlias

from edgefn.model.headers import Headers

Selected: TypeAlias = tuple[tuple[str, str | None], ...]
"""Lower-case names, in order of the alphabet, each with the request's joined value (None: absent)."""


def nominated(response: Headers) -> tuple[str, ...] | None:
    """Return the lower-case names in Vary, each once; None when one is `*`, which no request matches."""
    text = response.joined("vary")
    if text is None:
        return ()
    names = {member.strip(" \t").lower() for member in text.split(",")} - {""}
    return None if "*" in names else tuple(sorted(names))


def selected(names: tuple[str, ...], request: Headers) -> Selected:
    """Return the request's values of the nominated fields."""
    return tuple((name, request.joined(name)) for name in names)


def matches(stored: Selected, request: Headers) -> bool:
    """Return whether the request has just these values; an absent field equals only an absent one."""
    return all(request.joined(name) == value for name, value in stored)
