"""Header fields as they stood on the wire: every line, its order, its case, its bytes (as latin-1)."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

Line: TypeAlias = tuple[str, str]


class Headers:
    """Immutable field lines, looked up without regard to case (RFC 9110 section 5).

    Names and values are latin-1 text, so that any byte survives the way through the proxy.
    """

    __slots__ = ("_index", "_lines")

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines = tuple(lines)
        self._index: dict[str, list[str]] | None = None

    def _by_name(self) -> dict[str, list[str]]:
        if self._index is None:
            index: dict[str, list[str]] = {}
            for name, value in self._lines:
                index.setdefault(name.lower(), []).append(value)
            self._index = index
        return self._index

    def get(self, name: str) -> str | None:
        """Return the first line's value of the lower-case `name`, or None."""
        values = self._by_name().get(name)
        return values[0] if values else None

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return the value of each line of the lower-case `name`, in order; empty when absent."""
        return tuple(self._by_name().get(name, ()))

    def joined(self, name: str) -> str | None:
        """Return all lines of the lower-case `name` as one list value, or None (RFC 9110 section 5.3)."""
        values = self._by_name().get(name)
        return None if values is None else ", ".join(values)

    def names(self) -> Iterable[str]:
        """Return each name once, lower-case, in the order of first appearance."""
        return self._by_name().keys()

    def without(self, *names: str) -> "Headers":
        """Return these fields less all lines of the lower-case `names`."""
        if self._by_name().keys().isdisjoint(names):
            return self
        return Headers(line for line in self._lines if line[0].lower() not in names)

    def adding(self, *lines: Line) -> "Headers":
        """Return these fields with `lines` behind them."""
        return Headers((*self._lines, *lines))

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
        return name in self._by_name()

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


NO_HEADERS = Headers()
