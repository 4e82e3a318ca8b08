"""Dictionaries of structured fields, strictly: one error anywhere and there is none (RFC 8941 section 4.2.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Token:
    """A token, as opposed to a string."""

    text: str


Bare: TypeAlias = bool | int | float | str | bytes | Token
Member: TypeAlias = Bare | tuple[Bare, ...]
"""A dictionary's member without its parameters; a tuple is an inner list."""

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER = re.compile(r"(-?\d{1,15})(?![\d.])|(-?\d{1,12}\.\d{1,3})(?!\d)", re.ASCII)
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
_BYTES = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
_BOOLEAN = re.compile(r"\?([01])")
_SPACES = re.compile(r" *")
_COMMA = re.compile(r"[ \t]*,[ \t]*(?!\Z)")
_ESCAPE = re.compile(r"\\(.)")


class _NotStructuredError(Exception):
    """The text is outside the grammar."""


def parse_dictionary(text: str) -> Mapping[str, Member] | None:
    """Return the members, of those with one key the last; None when `text` is no dictionary. Never raises.

    Parameters are checked and dropped.
    """
    try:
        return _Reader(text.strip(" ")).dictionary()
    except _NotStructuredError:
        return None


class _Reader:
    """Reads `text` from front to back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        while self._at < len(self._text):
            key = self._must(_KEY)[0]
            members.pop(key, None)
            if self._takes("="):
                members[key] = self._member()
            else:
                members[key] = True
                self._parameters()
            if self._at < len(self._text):
                self._must(_COMMA)
        return members

    def _member(self) -> Member:
        value = self._inner_list() if self._takes("(") else self._bare()
        self._parameters()
        return value

    def _inner_list(self) -> tuple[Bare, ...]:
        items: list[Bare] = []
        self._must(_SPACES)
        while not self._takes(")"):
            items.append(self._bare())
            self._parameters()
            if not self._must(_SPACES)[0] and self._text[self._at : self._at + 1] != ")":
                raise _NotStructuredError
        return tuple(items)

    def _parameters(self) -> None:
        while self._takes(";"):
            self._must(_SPACES)
            self._must(_KEY)
            if self._takes("="):
                self._bare()

    def _bare(self) -> Bare:
        if found := self._may(_NUMBER):
            return int(found[1]) if found[1] else float(found[2])
        if found := self._may(_STRING):
            return _ESCAPE.sub(r"\1", found[1])
        if found := self._may(_TOKEN):
            return Token(found[0])
        if found := self._may(_BOOLEAN):
            return found[1] == "1"
        return self._must(_BYTES)[1].encode("ascii")

    def _takes(self, mark: str) -> bool:
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _may(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _must(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = self._may(pattern)
        if found is None:
            raise _NotStructuredError
        return found
