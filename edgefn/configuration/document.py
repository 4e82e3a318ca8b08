"""YAML text -> a small tree of our own that knows its lines. What the keys mean is not known here.

Nothing is constructed from YAML's tags: a scalar stays the text that was written, so `no`, `1:30` and `007` keep
their meaning until a field says what it wants. Anchors, aliases and `<<` work; the tree they unfold to is bounded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml

from edgefn.model.errors import SettingsError

MAX_SIZE: Final = 1024 * 1024
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 32
NO_LINE: Final = 0
"""The line of what stands in no file."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "merge", "value"})

_CURES: Final = (
    ("expected <block end>", "let the keys of one table, and the dashes of one list, begin in the same column"),
    (
        "mapping values are not allowed",
        "let the keys of one table begin in the same column, with a blank after each colon",
    ),
    ("could not find expected ':'", "write a colon and a blank after each key"),
    ("'\\t'", "indent with blanks, not with tabs"),
    ("cannot start any token", "write such text in quotes"),
    ("expected alphabetic or numeric character", 'write text that begins with * in quotes: "*"'),
    ("undefined alias", 'write text that begins with * in quotes: "*.jpg"'),
    ("unexpected end of stream", "close the quotes"),
    ("expected ',' or", "write commas between the members, and close the bracket"),
)
"""Signs in what PyYAML says, and what would be right."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written; `null` for an empty one, `~` or `null`."""

    text: str
    line: int
    null: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple["Node", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a table; `line` is the key's."""

    key: str
    value: "Node"
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and values, in the order of the file; no key twice."""

    entries: tuple[Entry, ...]
    line: int


Node: TypeAlias = Scalar | Items | Table


def parse(text: str, filename: str, *, needs: str = "location, listen, origins and routes") -> Node:
    """Return the document in `text`, which `needs` some keys.

    Raises `SettingsError` with the first thing that is not sound YAML.
    """
    if len(text) > MAX_SIZE:
        raise SettingsError((f"{filename}:1: the file is longer than {MAX_SIZE} characters",))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SettingsError((_syntax_problem(error, filename),)) from error
    except RecursionError as error:
        raise SettingsError((f"{filename}:1: lists and tables are nested too deeply",)) from error
    if root is None:
        raise SettingsError((f"{filename}:1: the file is empty; write {needs}",))
    return _Unfolding(filename).node(root, 0)


def line_of(node: Node, path: str) -> int:
    """Return the line of what a path such as `functions.f.path` or `listen[0].certificates` leads to, or leads near."""
    match node:
        case Table(entries=entries):
            for entry in entries:
                rest = path.removeprefix(entry.key)
                if path.startswith(entry.key) and (not rest or rest[0] in ".["):
                    return line_of(entry.value, rest.removeprefix(".")) if rest else entry.line
        case Items(items=items):
            number, _, rest = path.removeprefix("[").partition("]")
            if path.startswith("[") and number.isdecimal() and int(number) < len(items):
                return line_of(items[int(number)], rest.removeprefix("."))
        case Scalar():
            pass
    return node.line


def _syntax_problem(error: yaml.YAMLError, filename: str) -> str:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    what = error.problem if isinstance(error, yaml.MarkedYAMLError) else str(error).splitlines()[0]
    line = 1 if mark is None else mark.line + 1
    cure = next((f"; {cure}" for sign, cure in _CURES if sign in f"{what}"), "")
    return f"{filename}:{line}: this is not YAML: {what}{cure}"


class _Unfolding:
    """Turns PyYAML's graph into our tree, alias by alias, and counts what comes out."""

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._nodes = 0

    def node(self, source: yaml.Node, depth: int) -> Node:
        line = source.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._problem(line, f"the file unfolds to more than {MAX_NODES} values; use fewer aliases")
        if depth > MAX_DEPTH:
            raise self._problem(line, f"lists and tables are nested more than {MAX_DEPTH} deep")
        tag = source.tag.removeprefix(_TAG)
        if isinstance(source, yaml.ScalarNode) and tag in _SCALARS:
            return Scalar(str(source.value), line, null=tag == "null")
        if isinstance(source, yaml.SequenceNode) and tag == "seq":
            members: list[yaml.Node] = source.value
            return Items(tuple(self.node(member, depth + 1) for member in members), line)
        if isinstance(source, yaml.MappingNode) and tag == "map":
            return Table(tuple(self._entries(source, depth)), line)
        raise self._problem(line, f'the tag "{source.tag}" means nothing here; take it out')

    def _entries(self, source: yaml.MappingNode, depth: int) -> Iterator[Entry]:
        pairs: list[tuple[yaml.Node, yaml.Node]] = source.value
        lines: dict[str, int] = {}
        merged: list[Entry] = []
        for name, value in pairs:
            if name.tag == f"{_TAG}merge":
                merged += self._merged(value, depth)
                continue
            key, line = self._key(name), name.start_mark.line + 1
            if key in lines:
                raise self._problem(line, f'"{key}" is here twice; the first one is in line {lines[key]}')
            lines[key] = line
            yield Entry(key, self.node(value, depth + 1), line)
        for entry in merged:
            if entry.key not in lines:
                lines[entry.key] = entry.line
                yield entry

    def _merged(self, source: yaml.Node, depth: int) -> Iterator[Entry]:
        """Yield what `<<` brings in: nearer tables first, so that they win."""
        unfolded = self.node(source, depth + 1)
        for table in unfolded.items if isinstance(unfolded, Items) else (unfolded,):
            if not isinstance(table, Table):
                raise self._problem(table.line, "<< takes a table, or a list of tables")
            yield from table.entries

    def _key(self, source: yaml.Node) -> str:
        if isinstance(source, yaml.ScalarNode):
            return str(source.value)
        raise self._problem(source.start_mark.line + 1, "a key must be plain text")

    def _problem(self, line: int, what: str) -> SettingsError:
        return SettingsError((f"{self._filename}:{line}: {what}",))


class NestingError(Exception):
    """A JSON value is nested too deeply to be a configuration."""


def node_of(value: object, line: int = NO_LINE, depth: int = 0) -> Node:
    """Return a JSON value as a document, all of it in `line`. Raises `NestingError`."""
    if depth > MAX_DEPTH:
        raise NestingError(f"tables and lists are nested more than {MAX_DEPTH} deep")
    match value:
        case None:
            return Scalar("null", line, null=True)
        case bool():
            return Scalar("true" if value else "false", line)
        case Mapping():
            return Table(
                tuple(Entry(str(key), node_of(each, line, depth + 1), line) for key, each in value.items()), line
            )
        case list() | tuple():
            return Items(tuple(node_of(each, line, depth + 1) for each in value), line)
        case _:
            return Scalar(str(value), line)


def json_of(node: Node) -> object:
    """Return a document as a JSON value: tables, lists, and texts as they were written."""
    match node:
        case Scalar():
            return None if node.null else node.text
        case Items():
            return [json_of(item) for item in node.items]
        case Table():
            return {entry.key: json_of(entry.value) for entry in node.entries}
