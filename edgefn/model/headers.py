"""Header fields as they stood on the wire: every line, its order, its case, its bytes (as latin-1)."""

from collections.abc import Iterable, Iterator, KeysView, Sequence, Set
from typing import TypeAlias

Line: TypeAlias = tuple[str, str]
_Index: TypeAlias = dict[str, tuple[str, ...]]


class Headers:
    """Immutable field lines, looked up without regard to case (RFC 9110 section 5).

    Names and values are latin-1 text, so that any byte survives the way through the proxy.
    """

    __slots__ = ("_begun", "_index", "_lines")

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines = tuple(lines)
        self._index: _Index | None = None
        self._begun: tuple[_Index, int] | None = None  # the index of the first few lines; it belongs to others too

    def _by_name(self) -> _Index:
        """Return the index, made when it is first asked for. `self._index or` before a call spares most of them."""
        if self._index is None:
            known, covered = self._begun or ({}, 0)
            self._index = _with_lines(known, self._lines[covered:])
        return self._index

    def get(self, name: str) -> str | None:
        """Return the first line's value of the lower-case `name`, or None."""
        values = (self._index or self._by_name()).get(name)
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return the value of each line of the lower-case `name`, in order; empty when absent."""
        return (self._index or self._by_name()).get(name, ())

    def joined(self, name: str) -> str | None:
        """Return all lines of the lower-case `name` as one list value, or None (RFC 9110 section 5.3)."""
        values = (self._index or self._by_name()).get(name)
        return None if values is None else ", ".join(values)

    def names(self) -> KeysView[str]:
        """Return each name once, lower-case, in the order of first appearance."""
        return (self._index or self._by_name()).keys()

    def without(self, *names: str) -> "Headers":
        """Return these fields less all lines of the lower-case `names`."""
        return self.less(frozenset(names))

    def less(self, names: Set[str]) -> "Headers":
        """Return these fields less all lines of the lower-case `names`."""
        index = self._index or self._by_name()
        if index.keys().isdisjoint(names):
            return self
        fewer = Headers([line for line in self._lines if line[0].lower() not in names])
        fewer._index = {name: values for name, values in index.items() if name not in names}
        return fewer

    def adding(self, *lines: Line) -> "Headers":
        """Return these fields with `lines` behind them."""
        more = Headers(self._lines + lines)
        more._begun = self._begun if self._index is None else (self._index, len(self._lines))
        return more

    def replacing(self, name: str, value: str) -> "Headers":
        """Return these fields with exactly one line `name: value`, in the place of the first such line."""
        lowered = name.lower()
        if lowered not in self._by_name():
            return self.adding((name, value))
        lines: list[Line] = []
        placed = False
        for line in self._lines:
            if line[0].lower() != lowered:
                lines.append(line)
            elif not placed:
                lines.append((name, value))
                placed = True
        return Headers(lines)

    def __contains__(self, name: str) -> bool:
        index = self._index
        if index is None:
            if self._begun is not None and name in self._begun[0]:
                return True  # the lines behind are of no matter
            index = self._by_name()
        return name in index

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._lines == other._lines

    def __hash__(self) -> int:
        return hash(self._lines)

    def __repr__(self) -> str:
        return f"Headers({list(self._lines)!r})"


def _with_lines(index: _Index, lines: Sequence[Line]) -> _Index:
    """Return `index` with `lines` behind."""
    behind: _Index = {name.lower(): (value,) for name, value in lines}
    if len(behind) == len(lines):
        if not index:
            return behind
        if index.keys().isdisjoint(behind):
            return index | behind
    gathered = {name: [*values] for name, values in index.items()}
    for name, value in lines:
        gathered.setdefault(name.lower(), []).append(value)
    return {name: tuple(values) for name, values in gathered.items()}


NO_HEADERS = Headers()
