"""Which directives of a response hold here: those of a targeted field, else Cache-Control's (RFC 9213)."""

from collections.abc import Mapping

from edgefn.model.headers import Headers
from edgefn.rules.cache_control import MOST_SECONDS, CacheControl, parse
from edgefn.rules.structured_fields import Member, Token, parse_dictionary

_IN_SECONDS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})


def in_force(headers: Headers, targeted: tuple[str, ...]) -> CacheControl:
    """Return the directives of the first of the `targeted` fields that is there, valid and not empty.

    Without one, those of Cache-Control (RFC 9213 section 2.2). `targeted` are lower-case names.
    """
    for name in targeted:
        text = headers.joined(name)
        members = None if text is None else parse_dictionary(text)
        if members:
            return CacheControl(_directives(members), is_targeted=True)
    return parse(headers.joined("cache-control"))


def _directives(members: Mapping[str, Member]) -> dict[str, str | None]:
    """Return the members as directives. One whose value has the wrong type is none, unless it restricts us."""
    found: dict[str, str | None] = {}
    for name, value in members.items():
        if value is False:
            continue
        if name not in _IN_SECONDS:
            found[name] = _argument(value)
        elif isinstance(value, int) and value is not True:
            found[name] = str(min(value, MOST_SECONDS))
    return found


def _argument(value: Member) -> str | None:
    match value:
        case Token(text=text):
            return text
        case str():
            return value
        case _:
            return None
