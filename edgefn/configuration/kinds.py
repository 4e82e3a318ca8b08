"""The kinds of value that are written as one word: text, numbers, durations, sizes, addresses."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from edgefn.configuration.document import Node, Scalar
from edgefn.configuration.quantities import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from edgefn.configuration.reading import Json, Reading, WrongError, did_you_mean

E = TypeVar("E", bound=StrEnum)

MEGABYTE: Final = 1024 * 1024


def word(node: Node, shape: str) -> str:
    """Return the text of a scalar. Raises `WrongError` for an empty one, a list or a table."""
    if isinstance(node, Scalar) and not node.null:
        return node.text
    found = "is empty" if isinstance(node, Scalar) else "can't be a list or a table"
    raise WrongError(node.line, f"{found}; write {shape}")


@dataclass(frozen=True, slots=True)
class Text:
    """Text that matches `pattern` as a whole. What is wrong with a secret one is told without it."""

    shape: str
    pattern: str = r".+"
    is_secret: bool = False

    def read(self, node: Node, at: str, reading: Reading) -> str:
        """Return the text as it was written."""
        text = word(node, self.shape)
        if re.fullmatch(self.pattern, text, re.ASCII):
            return text
        shown = "what stands here" if self.is_secret else f'"{text}"'
        raise WrongError(node.line, f"{shown} does not fit; write {self.shape}")

    def schema(self) -> Json:
        """Return a string with a pattern; numbers are text too."""
        return {"type": ["string", "number"], "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path, relative to the configuration's directory. The words in `special` are no paths."""

    shape: str = "a path"
    special: tuple[str, ...] = ()

    def read(self, node: Node, at: str, reading: Reading) -> str:
        """Return the path seen from the configuration's directory, or the special word."""
        text = word(node, self.shape)
        if text in self.special:
            return text
        if not text or "\0" in text:
            raise WrongError(node.line, f"is empty; write {self.shape}")
        return reading.absolute(text)

    def schema(self) -> Json:
        """Return a string."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`; `otherwise` says what else is right."""

    least: int
    most: int
    otherwise: str = ""

    @property
    def shape(self) -> str:
        """Name the bounds."""
        return f"a whole number from {self.least} to {self.most}{self.otherwise}"

    def read(self, node: Node, at: str, reading: Reading) -> int:
        """Return the number."""
        text = word(node, self.shape)
        number = int(text) if re.fullmatch(r"\d{1,15}", text, re.ASCII) else -1
        if self.least <= number <= self.most:
            return number
        raise WrongError(node.line, f'"{text}" does not fit; write {self.shape}')

    def schema(self) -> Json:
        """Return an integer with bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes; 0 stands for `auto`."""

    number: Whole = Whole(1, 256, ", or auto")

    @property
    def shape(self) -> str:
        """Name the bounds and the word."""
        return self.number.shape

    def read(self, node: Node, at: str, reading: Reading) -> int:
        """Return the number, 0 for `auto`."""
        if isinstance(node, Scalar) and node.text == "auto":
            return 0
        return self.number.read(node, at, reading)

    def schema(self) -> Json:
        """Return a number or the word."""
        return {"oneOf": [self.number.schema(), {"const": "auto"}]}


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no, written `true` or `false`."""

    shape: str = "true or false"

    def read(self, node: Node, at: str, reading: Reading) -> bool:
        """Return the truth value."""
        text = word(node, self.shape)
        if text in {"true", "false"}:
            return text == "true"
        raise WrongError(node.line, f'"{text}" does not fit; write {self.shape}')

    def schema(self) -> Json:
        """Return a boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Duration:
    """A time span from `least` to `most`, in seconds."""

    least: float
    most: float

    @property
    def shape(self) -> str:
        """Name the bounds."""
        return f"a duration from {format_duration(self.least)} to {format_duration(self.most)}"

    def read(self, node: Node, at: str, reading: Reading) -> float:
        """Return the seconds."""
        text = word(node, self.shape)
        seconds = parse_duration(text)
        if seconds is None:
            hint = f"{text}s" if re.fullmatch(r"[0-9.]+", text) else "5s, 250ms, 1m, 1h or 365d"
            raise WrongError(node.line, f'"{text}" is not a duration; write one with its unit, as {hint}')
        if not self.least <= seconds <= self.most:
            raise WrongError(node.line, f'"{text}" does not fit; write {self.shape}')
        return seconds

    def schema(self) -> Json:
        """Return a string with a pattern, or the number 0."""
        return {"oneOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}]}


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes from `least` to `most`; read as a number of `unit`s, of which it must be a multiple."""

    least: int
    most: int
    unit: int = 1

    @property
    def shape(self) -> str:
        """Name the bounds."""
        whole = f", in whole {format_size(self.unit)[1:]}" if self.unit > 1 else ""
        return f"a size from {format_size(self.least)} to {format_size(self.most)}{whole}"

    def read(self, node: Node, at: str, reading: Reading) -> int:
        """Return the size in units."""
        text = word(node, self.shape)
        size = parse_size(text)
        if size is None:
            hint = f"{text}MB" if re.fullmatch(r"[0-9]+", text) else "512KB, 128MB or 2GB"
            raise WrongError(node.line, f'"{text}" is not a size; write one with its unit, as {hint}')
        if not self.least <= size <= self.most or size % self.unit:
            raise WrongError(node.line, f'"{text}" does not fit; write {self.shape}')
        return size // self.unit

    def schema(self) -> Json:
        """Return a string with a pattern, or the number 0."""
        return {"oneOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"const": 0}]}


class Choice(Generic[E]):
    """One member of an enumeration."""

    def __init__(self, members: type[E]) -> None:
        self._members = members

    @property
    def shape(self) -> str:
        """Name the members."""
        *head, last = (member.value for member in self._members)
        return f"{', '.join(head)} or {last}"

    def read(self, node: Node, at: str, reading: Reading) -> E:
        """Return the member."""
        text = word(node, self.shape)
        known = [member.value for member in self._members]
        if text in known:
            return self._members(text)
        raise WrongError(node.line, f'"{text}" is not known; {did_you_mean(text, known)}')

    def schema(self) -> Json:
        """Return the members."""
        return {"enum": [member.value for member in self._members]}


@dataclass(frozen=True, slots=True)
class Judged:
    """Text that a rule judges: `flaw` returns what is wrong and what would be right, or None."""

    shape: str
    flaw: Callable[[str], str | None]
    known: Iterable[str] = ()

    def read(self, node: Node, at: str, reading: Reading) -> str:
        """Return the text, unless the rule finds a flaw."""
        text = word(node, self.shape)
        flaw = self.flaw(text)
        if flaw is not None:
            raise WrongError(node.line, flaw)
        return text

    def schema(self) -> Json:
        """Return a string, with the known values as examples."""
        examples = list(self.known)
        return {"type": "string", "examples": examples} if examples else {"type": "string"}


_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})", re.ASCII)


def parse_address(text: str) -> tuple[str, int] | None:
    """Return host and port of `127.0.0.1:8080`, `localhost:8080` or `[::1]:8080`; None when it is no address."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65_535:
        return None
    return match[1] or match[2], int(match[3])


@dataclass(frozen=True, slots=True)
class Address:
    """A `host:port`; an IPv6 host in brackets. Port 0 lets the system choose where `least_port` is 0."""

    shape: str = "host:port, such as 127.0.0.1:8080 or [::1]:8080"
    least_port: int = 0

    def read(self, node: Node, at: str, reading: Reading) -> tuple[str, int]:
        """Return host and port."""
        text = word(node, self.shape)
        address = parse_address(text)
        if address is None or address[1] < self.least_port:
            raise WrongError(node.line, f'"{text}" is not an address; write {self.shape}')
        return address

    def schema(self) -> Json:
        """Return a string with a pattern."""
        return {"type": "string", "pattern": f"^(?:{_ADDRESS.pattern})$"}


@dataclass(frozen=True, slots=True)
class AddressText:
    """An address that is kept as it was written."""

    shape: str = "host:port, such as 127.0.0.1:9000"

    def read(self, node: Node, at: str, reading: Reading) -> str:
        """Return the text of the address."""
        Address(self.shape, least_port=1).read(node, at, reading)
        return word(node, self.shape)

    def schema(self) -> Json:
        """Return a string with a pattern."""
        return Address().schema()
