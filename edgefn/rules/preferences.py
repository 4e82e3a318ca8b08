"""What a viewer prefers, without the differences that mean nothing (RFC 9110 sections 12.4.2 and 12.5)."""

import re
from functools import lru_cache
from typing import Final

_IN_ANY_ORDER: Final = frozenset({"accept-charset", "accept-encoding"})
_BY_WEIGHT: Final = frozenset({*_IN_ANY_ORDER, "accept-language"})
PREFERENCES: Final = frozenset({*_BY_WEIGHT, "accept"})
"""The lower-case names of the fields that are lists of preferences."""

_MEMBER = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]++)(?:[ \t]*+;[ \t]*+q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?", re.ASCII | re.IGNORECASE
)
_BLANKS = re.compile(r"[ \t]*([,;])[ \t]*")
_SHORT = 200


def tidied(name: str, value: str) -> str:
    """Return the `value` of the field with this lower-case name so that equal ones prefer the same.

    Of codings, charsets and languages neither case nor the order of different weights matters, and of the former two
    not that of equal weights either; some origins take that of languages for a preference (section 12.5.4). In Accept,
    whose parameters may tell cases apart, only blanks mean nothing.
    """
    return _remembered(name, value) if len(value) <= _SHORT else _tidied(name, value)


def weighed(member: str) -> tuple[str, float] | None:
    """Return the lower-case name and the weight of a member of such a list; None for what is outside the grammar."""
    match = _MEMBER.fullmatch(member)
    return None if match is None else (match[1].lower(), float(match[2] or 1))


def _tidied(name: str, value: str) -> str:
    if '"' in value:
        return value
    text = _BLANKS.sub(r"\1", value.strip(" \t"))
    return _ordered(name, text) or text.lower() if name in _BY_WEIGHT else text


_remembered = lru_cache(1024)(_tidied)  # browsers send one of few; long ones would make room for an attack


def _ordered(name: str, text: str) -> str | None:
    """Return the members, the most wanted first; None for what is outside the grammar."""
    members = [weighed(member) for member in text.split(",") if member]
    known = [member for member in members if member is not None]
    if len(known) < len(members):
        return None
    if name in _IN_ANY_ORDER:
        known.sort()
    known.sort(key=lambda member: -member[1])  # equal ones stay as they are
    return ",".join(f"{what};q={weight:g}" for what, weight in known)
