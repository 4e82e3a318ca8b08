"""Reading Cache-Control (RFC 9111 section 5.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

MOST_SECONDS = 2**31
"""What every larger delta-seconds counts as (RFC 9111 section 1.2.2)."""

_MOST_DIGITS = 10
_BLANK = " \t"
_SHORT = 200
_ABOUT_FIELDS = frozenset({"no-cache", "private"})

# Any text is a sequence of such members, so nothing of it is passed over. A quote that isn't closed before the next
# comma or the end quotes nothing: what stands behind it may restrict us and must be seen.
_MEMBER = re.compile(r'([^=,]*+)(?:=(?:"((?:[^"\\]|\\.)*+)"[ \t]*+(?=,|\Z)|([^,]*+)))?+(?:,|\Z)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The directives by lower-case name, each with its argument (None: there was none).

    Of a directive that is given twice the first counts (RFC 9111 section 4.2.1), but for those that can name fields:
    they count together. `is_targeted`: they came in a targeted field, and so Expires says nothing (RFC 9213 section
    2.2).
    """

    directives: Mapping[str, str | None] = field(default_factory=dict)
    is_targeted: bool = False

    def __contains__(self, name: str) -> bool:
        return name in self.directives

    def seconds(self, name: str) -> int | None:
        """Return the directive's delta-seconds: None when it is absent, 0 when it is invalid, and so stale."""
        if name not in self.directives:
            return None
        return delta_seconds(self.directives[name]) or 0

    def fields(self, name: str) -> tuple[str, ...]:
        """Return the lower-case field names that the directive is about; none: it is about the whole response."""
        argument = self.directives.get(name)
        if not argument:
            return ()
        return tuple(field_name for part in argument.split(",") if (field_name := part.strip(_BLANK).lower()))

    def forbids(self, name: str) -> bool:
        """Return whether the directive is there and about the whole response (RFC 9111 section 5.2.2.4 and 5.2.2.7)."""
        return name in self.directives and not self.fields(name)


def parse(text: str | None) -> CacheControl:
    """Return the directives of a Cache-Control value, all of its lines joined. Never raises."""
    if not text:
        return _NONE
    return _remembered(text) if len(text) <= _SHORT else _parsed(text)


def _parsed(text: str) -> CacheControl:
    directives: dict[str, str | None] = {}
    for name, quoted, bare in _members(text):
        argument = bare.rstrip(_BLANK) if quoted is None and bare is not None else _unescaped(quoted)
        if name in _ABOUT_FIELDS and name in directives:
            argument = _together(directives[name], argument)
        elif name in directives:
            continue
        directives[name] = argument
    return CacheControl(directives)


def _together(one: str | None, other: str | None) -> str | None:
    """Return what two such directives are about: all that either names, the whole response if one names nothing."""
    return f"{one},{other}" if one and other else None


_NONE = CacheControl()
_remembered = lru_cache(512)(_parsed)  # an origin has few of them; long ones would make room for an attack


def _members(text: str) -> list[tuple[str, str | None, str | None]]:
    """Return the lower-case name, the quoted and the bare argument of each member that has a name."""
    found: list[tuple[str, str | None, str | None]] = []
    for match in _MEMBER.finditer(text):
        stated, quoted, bare = match.groups()
        name = stated.strip(_BLANK).lower()
        if name and stated[-1] in _BLANK and (quoted is not None or bare is not None):
            found.append((name, None, ""))  # outside the grammar: it may restrict us, but grants nothing
        elif name:
            found.append((name, quoted, bare))
    return found


def _unescaped(quoted: str | None) -> str | None:
    return None if quoted is None else _ESCAPE.sub(r"\1", quoted)


def delta_seconds(text: str | None) -> int | None:
    """Return digits as a number of at most `MOST_SECONDS`, and None for anything else (RFC 9111 section 1.2.2)."""
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return MOST_SECONDS if len(digits) > _MOST_DIGITS else min(int(digits), MOST_SECONDS)
