"""The kinds of value that are made of others: lists, maps, and things that may be written in two ways."""

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgefn.configuration.document import Items, Node, Scalar, Table
from edgefn.configuration.reading import Json, Kind, Reading, WrongError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T_co]):
    """A list of `least` to `most` members of one kind."""

    member: Kind[T_co]
    least: int = 0
    most: int = 1000

    @property
    def shape(self) -> str:
        """Name the member's kind."""
        return f"a list of {self.member.shape}"

    def read(self, node: Node, at: str, reading: Reading) -> tuple[T_co, ...]:
        """Return the members that are right."""
        if not isinstance(node, Items):
            raise WrongError(node.line, f"must be {self.shape}, in [ ] or one per line behind a -")
        if not self.least <= len(node.items) <= self.most:
            raise WrongError(node.line, f"has {len(node.items)} members; write {self._bounds}")
        read = [reading.attempt(self.member, item, f"{at}[{index}]") for index, item in enumerate(node.items)]
        return tuple(value for value in read if value is not None)

    @property
    def _bounds(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"

    def schema(self) -> Json:
        """Return an array."""
        return {"type": "array", "items": self.member.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class OneOrMany(Generic[T_co]):
    """One value, or a list of them."""

    member: Kind[T_co]

    @property
    def shape(self) -> str:
        """Name the member's kind."""
        return f"{self.member.shape}, or a list of them"

    def read(self, node: Node, at: str, reading: Reading) -> tuple[T_co, ...]:
        """Return the value or values."""
        if isinstance(node, Items):
            return ListOf(self.member, 1).read(node, at, reading)
        return (self.member.read(node, at, reading),)

    def schema(self) -> Json:
        """Return both ways to write it."""
        return {"oneOf": [self.member.schema(), ListOf(self.member, 1).schema()]}


@dataclass(frozen=True, slots=True)
class MapOf(Generic[T_co]):
    """A table of any keys that fit `names`; `naming` says in words which do."""

    member: Kind[T_co]
    names: str
    naming: str

    @property
    def shape(self) -> str:
        """Name what keys and values are."""
        return f"a table: {self.naming} -> {self.member.shape}"

    def read(self, node: Node, at: str, reading: Reading) -> dict[str, T_co]:
        """Return the members that are right, by key."""
        if not isinstance(node, Table):
            raise WrongError(node.line, f"must be {self.shape}")
        members: dict[str, T_co] = {}
        for entry in node.entries:
            path = f"{at}.{entry.key}"
            if not re.fullmatch(self.names, entry.key, re.ASCII):
                reading.wrong(entry.line, path, f'"{entry.key}" can\'t be a key here; write {self.naming}')
            value = reading.attempt(self.member, entry.value, path)
            if value is not None:
                members[entry.key] = value
        return members

    def schema(self) -> Json:
        """Return an object with a pattern for its keys."""
        return {
            "type": "object",
            "patternProperties": {f"^(?:{self.names})$": self.member.schema()},
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class Either(Generic[T_co]):
    """A value that may be written as one word, or as a table with more in it."""

    short: Kind[T_co]
    long: Kind[T_co]

    @property
    def shape(self) -> str:
        """Name both ways."""
        return f"{self.short.shape}, or {self.long.shape}"

    def read(self, node: Node, at: str, reading: Reading) -> T_co:
        """Return the value of a scalar by `short`, of anything else by `long`."""
        return (self.short if isinstance(node, Scalar) else self.long).read(node, at, reading)

    def schema(self) -> Json:
        """Return both ways."""
        return {"oneOf": [self.short.schema(), self.long.schema()]}
