"""The machinery of the field tables: a `Section` of `Field`s reads one table of the document and reports every problem.

The same tables make the JSON Schema and the reference in the documentation. What the fields are stands elsewhere.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

from edgefn.configuration.document import Entry, Node, Scalar, Table
from edgefn.model.settings import FunctionSettings, QuotaProfile

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Json: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Declared:
    """What the whole document declares, for the checks that need more than their own line.

    The names include those whose own settings are wrong; `functions` holds the sound ones only. `function_names` is
    None where it is not known which functions there are: a published configuration may name those of each location.
    """

    origins: tuple[str, ...]
    groups: tuple[str, ...]
    function_names: tuple[str, ...] | None
    stores: tuple[str, ...]
    functions: Mapping[str, FunctionSettings]
    quotas: QuotaProfile


class WrongError(Exception):
    """A value is wrong: `what` says how and what would be right. Empty when that has been reported already."""

    def __init__(self, line: int, what: str = "") -> None:
        super().__init__(what)
        self.line = line
        self.what = what


@dataclass(slots=True)
class Reading:
    """One pass over one document. Collects problems by line, and the checks to make when all has been read."""

    base: str
    problems: list[tuple[int, str]] = field(default_factory=list)
    checks: list[Callable[[Declared], None]] = field(default_factory=list)

    def wrong(self, line: int, at: str, what: str) -> None:
        """Report `what` is wrong with the key path `at`, and what would be right."""
        self.problems.append((line, f"{at}: {what}" if at else what))

    def attempt(self, kind: "Kind[T]", node: Node, at: str) -> T | None:
        """Return the value of `node`, or None after reporting what is wrong with it."""
        try:
            return kind.read(node, at, self)
        except WrongError as error:
            if error.what:
                self.wrong(error.line, at, error.what)
            return None

    def absolute(self, path: str) -> str:
        """Return `path` as seen from the directory that the configuration is relative to."""
        return posixpath.normpath(posixpath.join(self.base, path))


class Kind(Protocol[T_co]):
    """One kind of value."""

    @property
    def shape(self) -> str:
        """Say in a few words what is right, for the documentation."""

    def read(self, node: Node, at: str, reading: Reading) -> T_co:
        """Return the value of `node`. Raises `WrongError`, or reports the problems of parts and leaves them out."""

    def schema(self) -> Json:
        """Return the JSON Schema of what `read` accepts."""


@dataclass(frozen=True, slots=True, eq=False)
class Field(Generic[T_co]):
    """One key of a section. `default` is written as in the file; without one the key is required or may be absent."""

    key: str
    kind: Kind[T_co]
    help: str
    default: str | None = None
    required: bool = False


class Values:
    """What was read of one section. A wrong value counts as not given; `complete` says that all required are there."""

    __slots__ = ("_at", "_entries", "_reading", "_values", "complete", "line")

    def __init__(self, entries: Mapping[str, Entry], line: int, at: str, reading: Reading) -> None:
        self._entries = entries
        self._at = at
        self._reading = reading
        self._values: dict[str, object] = {}
        self.line = line
        self.complete = True

    def read(self, wanted: Field[object]) -> None:
        """Take the value of one field: the file's, else the default."""
        entry = self._entries.get(wanted.key)
        at = self.at(wanted)
        if entry is not None:
            value = self._reading.attempt(wanted.kind, entry.value, at)
            if value is not None:
                self._values[wanted.key] = value
                return
        elif wanted.required:
            self._reading.wrong(self.line, at, f"is missing; write {wanted.kind.shape}")
        if wanted.default is not None:
            self._values[wanted.key] = wanted.kind.read(Scalar(wanted.default, self.line), at, self._reading)
        self.complete = self.complete and not wanted.required

    def __getitem__(self, wanted: Field[T]) -> T:
        """Return the value of a field that is required or has a default."""
        return cast("T", self._values[wanted.key])

    def get(self, wanted: Field[T]) -> T | None:
        """Return the value of any field; None when it is absent or wrong."""
        return cast("T | None", self._values.get(wanted.key))

    def given(self, wanted: Field[object]) -> Node | None:
        """Return what the file says for a field, or None."""
        entry = self._entries.get(wanted.key)
        return None if entry is None else entry.value

    def names(self, wanted: Field[object]) -> tuple[str, ...]:
        """Return the keys of the table that the file has for a field."""
        node = self.given(wanted)
        return tuple(entry.key for entry in node.entries) if isinstance(node, Table) else ()

    def at(self, wanted: Field[object]) -> str:
        """Return the key path of a field."""
        return f"{self._at}.{wanted.key}" if self._at else wanted.key

    def absolute(self, path: str) -> str:
        """Return `path` as seen from the configuration's directory."""
        return self._reading.absolute(path)

    def wrong(self, wanted: Field[object], what: str) -> None:
        """Report a problem with a field that shows only beside the others."""
        entry = self._entries.get(wanted.key)
        self._reading.wrong(self.line if entry is None else entry.line, self.at(wanted), what)

    def later(self, check: Callable[[Declared], None]) -> None:
        """Have `check` made when the whole document has been read."""
        self._reading.checks.append(check)


class Section(Generic[T_co]):
    """A table with known keys. `build` makes the value of what was read; it may report problems of its own."""

    def __init__(self, name: str, fields: type, build: Callable[[Values], T_co]) -> None:
        self.name = name
        self.fields: tuple[Field[object], ...] = tuple(f for f in vars(fields).values() if isinstance(f, Field))
        self._build = build

    @property
    def shape(self) -> str:
        """Name the section."""
        return f"the table `{self.name}`"

    def read(self, node: Node, at: str, reading: Reading) -> T_co:
        """Return what `build` makes of the table. Raises `WrongError` when something that it needs is missing."""
        values = self.values(node, at, reading)
        if not values.complete:
            raise WrongError(node.line)
        return self._build(values)

    def values(self, node: Node, at: str, reading: Reading) -> Values:
        """Return what can be read of the fields."""
        if not isinstance(node, Table):
            keys = ", ".join(known.key for known in self.fields[:4])
            raise WrongError(node.line, f"must be a table with keys such as {keys}")
        entries = {entry.key: entry for entry in node.entries}
        keys_known = [known.key for known in self.fields]
        for entry in node.entries:
            if entry.key not in keys_known:
                path = f"{at}.{entry.key}" if at else entry.key
                deeper = list(self.places(entry.key))
                meant = f"did you mean {' or '.join(deeper)}?" if deeper else did_you_mean(entry.key, keys_known)
                reading.wrong(entry.line, path, f"is not a setting; {meant}")
        values = Values(entries, node.line, at, reading)
        for known in self.fields:
            values.read(known)
        return values

    def places(self, key: str) -> Iterator[str]:
        """Yield where `key` is a setting in the tables of this one, to any depth."""
        for known in self.fields:
            if isinstance(known.kind, Section):
                yield from (f"{known.key}.{field.key}" for field in known.kind.fields if field.key == key)
                yield from (f"{known.key}.{place}" for place in known.kind.places(key))

    def schema(self) -> Json:
        """Return the JSON Schema of the table."""
        properties: Json = {}
        for known in self.fields:
            described: Json = {**known.kind.schema(), "description": known.help}
            if known.default is not None:
                described["default"] = json_default(known.default)
            properties[known.key] = described
        required = [known.key for known in self.fields if known.required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def json_default(text: str) -> object:
    """Return a default as JSON has it."""
    match text:
        case "true" | "false":
            return text == "true"
        case _ if text.isdecimal():
            return int(text)
        case _:
            return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known names nearest to `word`, or all of them when none is near."""
    choices = list(known)
    near = get_close_matches(word, choices, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there is {', '.join(choices)}" if choices else "none is declared"
