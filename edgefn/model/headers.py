"""Header fields as they stood on the wire: every line, its order, its case, its bytes (as latin-1)."""

import re
from collections.abc import Iterable, Iterator, KeysView, Sequence, Set
from typing import Final, TypeAlias

TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a field's name is, as a whole (RFC 9110 section 5.6.2)."""

CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no field's value holds, and no reason phrase (RFC 9110 section 5.5)."""

Line: TypeAlias = tuple[str, str]
_Index: TypeAlias = dict[str, str | tuple[str, ...]]  # a tuple only of several lines: most names have one


class Headers:
    """Immutable field lines, looked up without regard to case (RFC 9110 section 5).

    Names and values are latin-1 text, so that any byte survives the way through the proxy.
    """

    __slots__ = ("_base", "_index", "_lines", "_written", "memo")

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._lines = tuple(lines)
        self._index: _Index | None = None
        self._base: Headers | None = None  # what the first lines are by themselves: it knows, or will, much of the rest
        self._written: tuple[Set[str], str, int] | None = None
        self.memo: object = None  # what somebody made of exactly these lines, to be found when they come again

    def _by_name(self) -> _Index:
        """Return the index, made when it is first asked for. `self._index or` before a call spares most of them."""
        if self._index is None:
            base = self._base
            known = {} if base is None else base._by_name()  # noqa: SLF001  # it is one of us
            self._index = _with_lines(known, self._own())
        return self._index

    def _own(self) -> tuple[Line, ...]:
        """Return the lines that are not those of `_base`."""
        return self._lines if self._base is None else self._lines[len(self._base) :]

    def get(self, name: str) -> str | None:
        """Return the first line's value of the lower-case `name`, or None."""
        values = (self._index or self._by_name()).get(name)
        return values[0] if isinstance(values, tuple) else values

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return the value of each line of the lower-case `name`, in order; empty when absent."""
        values = (self._index or self._by_name()).get(name, ())
        return values if isinstance(values, tuple) else (values,)

    def joined(self, name: str) -> str | None:
        """Return all lines of the lower-case `name` as one list value, or None (RFC 9110 section 5.3)."""
        values = (self._index or self._by_name()).get(name)
        return ", ".join(values) if isinstance(values, tuple) else values

    def names(self) -> KeysView[str]:
        """Return each name once, lower-case, in the order of first appearance."""
        return (self._index or self._by_name()).keys()

    def without(self, *names: str) -> "Headers":
        """Return these fields less all lines of the lower-case `names`."""
        return self.less(frozenset(names))

    def less(self, names: Set[str]) -> "Headers":
        """Return these fields less all lines of the lower-case `names`."""
        index = self._index or self._by_name()
        gone = [name for name in index if name in names]
        if not gone:
            return self
        fewer = Headers([line for line in self._lines if line[0].lower() not in names])
        fewer._index = left = index.copy()
        for name in gone:
            del left[name]
        return fewer

    def adding(self, *lines: Line) -> "Headers":
        """Return these fields with `lines` behind them."""
        more = Headers(self._lines + lines)
        more._base = self
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

    def written(self, less: frozenset[str]) -> tuple[str, int]:
        """Return the lines as they go on the wire, but for the lower-case names `less`, and how many they are.

        It is remembered, so that what is sent often with a few other lines behind is put together once.
        """
        known = self._written
        if known is None or known[0] is not less:
            begun, covered = ("", 0) if self._base is None else self._base.written(less)
            own = [f"{name}: {value}\r\n" for name, value in self._own() if name.lower() not in less]
            known = self._written = (less, begun + "".join(own), covered + len(own))
        return known[1], known[2]

    def __contains__(self, name: str) -> bool:
        index = self._index
        if index is not None or self._base is None:
            return name in (index or self._by_name())
        if name in self._base:
            return True
        for line in self._own():  # noqa: SIM110  # a generator costs more than the loop
            if line[0].lower() == name:
                return True
        return False

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
    behind: _Index = {name.lower(): value for name, value in lines}
    if len(behind) == len(lines):
        if not index:
            return behind
        if index.keys().isdisjoint(behind):
            return index | behind
    gathered = {name: [values] if isinstance(values, str) else [*values] for name, values in index.items()}
    for name, value in lines:
        gathered.setdefault(name.lower(), []).append(value)
    return {name: values[0] if len(values) == 1 else tuple(values) for name, values in gathered.items()}


NO_HEADERS = Headers()
