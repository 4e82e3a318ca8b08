"""JavaScript cut into tokens: enough to find which words and signs a program uses, and where. Nothing is understood."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a token is."""

    NAME = auto()
    NUMBER = auto()
    TEXT = auto()
    REGEX = auto()
    SIGN = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of source. `line` and `column` count from 1; `after_newline`: it is the first of its line."""

    kind: Kind
    text: str
    line: int
    column: int
    after_newline: bool = False


_BLANK = re.compile(r"\s+|//[^\n\u2028\u2029]*|/\*.*?(?:\*/|\Z)|\A#![^\n]*", re.S)
_NAME = re.compile(r"[#@]?[\w$\\][\w$\\\u200c\u200d]*")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]+n?|0[oO][0-7_]+n?|0[bB][01_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?n?"
)
_TEXT = re.compile(r"\"(?:[^\"\\\n]|\\.)*(?:\"|$)|'(?:[^'\\\n]|\\.)*(?:'|$)", re.S | re.M)
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_SIGN = re.compile(
    r"\.\.\.|=>|\?\?=|\?\?|\?\.(?!\d)|\*\*=|\*\*|===|!==|==|!=|<=|>=|&&=|\|\|=|&&|\|\||\+\+|--|>>>=|>>>|<<=|>>=|<<|>>|[-+*/%&|^]=|."
)
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.S)

_ENDS_VALUE = {")", "]", "}"}
_BEFORE_REGEX = frozenset(
    {
        "await",
        "case",
        "delete",
        "do",
        "else",
        "in",
        "instanceof",
        "new",
        "of",
        "return",
        "throw",
        "typeof",
        "void",
        "yield",
    }
)


def tokens(source: str) -> Iterator[Token]:
    """Yield the tokens of source text, comments left out. What can't be a token is a sign of one character."""
    return _Scanner(source).scan()


class _Scanner:
    def __init__(self, source: str) -> None:
        self._source = source
        self._starts = [0, *(match.end() for match in re.finditer(r"\n", source))]
        self._line = 0
        self._at = 0
        self._last: Token | None = None
        self._braces: list[bool] = []  # for each open brace: does it belong to a template?

    def scan(self) -> Iterator[Token]:
        source = self._source
        newline = True
        while self._at < len(source):
            blank = _BLANK.match(source, self._at)
            if blank is not None:
                newline = newline or "\n" in blank[0]
                self._at = blank.end()
                continue
            token = self._token(newline)
            newline = False
            self._last = token
            yield token

    def _token(self, newline: bool) -> Token:  # noqa: FBT001  # private, one caller
        source, at = self._source, self._at
        character = source[at]
        if character in "\"'" and (text := _TEXT.match(source, at)):
            return self._made(Kind.TEXT, text.end(), newline)
        if character == "`":
            return self._template(at + 1, newline)
        if character == "}" and self._braces and self._braces.pop():
            return self._template(at + 1, newline)
        if (number := _NUMBER.match(source, at)) and (character.isdigit() or character == "."):
            return self._made(Kind.NUMBER, number.end(), newline)
        if name := _NAME.match(source, at):
            return self._made(Kind.NAME, name.end(), newline)
        if character == "/" and not self._after_value() and (regex := _REGEX.match(source, at)):
            return self._made(Kind.REGEX, regex.end(), newline)
        if character == "{":
            self._braces.append(False)
        sign = _SIGN.match(source, at)
        return self._made(Kind.SIGN, at + 1 if sign is None else sign.end(), newline)

    def _template(self, start: int, newline: bool) -> Token:  # noqa: FBT001  # private
        """Return the piece of a template up to its end, or to where an expression begins in it."""
        match = _TEMPLATE.match(self._source, start)
        end = start if match is None else match.end()
        if self._source.startswith("${", end):
            self._braces.append(True)
            return self._made(Kind.TEXT, end + 2, newline)
        return self._made(Kind.TEXT, end + 1, newline)

    def _made(self, kind: Kind, end: int, newline: bool) -> Token:  # noqa: FBT001  # private
        at = self._at
        while self._line + 1 < len(self._starts) and self._starts[self._line + 1] <= at:
            self._line += 1
        self._at = end
        return Token(kind, self._source[at:end], self._line + 1, at - self._starts[self._line] + 1, newline)

    def _after_value(self) -> bool:
        """Return whether a slash here divides: what stands before it is a value."""
        last = self._last
        if last is None:
            return False
        match last.kind:
            case Kind.NAME:
                return last.text not in _BEFORE_REGEX
            case Kind.SIGN:
                return last.text in _ENDS_VALUE
            case Kind.NUMBER | Kind.REGEX:
                return True
            case Kind.TEXT:
                return not last.text.endswith("${")
