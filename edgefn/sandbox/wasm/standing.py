"""Instances that stand ready: for an event that ends within its first slice, the fresh instance is there already.

Afterwards its memory is put back to how it began, before anybody else gets in: then it is a fresh one again, for a
fraction of what it costs to make one. Only pages that were written to are put back, where the kernel tells which. After
anything unusual it is thrown away: an error, a trap, the end of the slice, memory that has grown.
"""

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from edgefn.sandbox.base import Invocation
from edgefn.sandbox.wasm.cell import Cell, Cells
from edgefn.sandbox.wasm.guest import Grants, Guest, GuestError, GuestLog, LogLimits
from edgefn.sandbox.wasm.written import PAGE, Pagemap, Written, faults, forget, same

_JOINED: Final = 4 * PAGE
"""Bytes between two ranges that are put back as one: a call for each costs as much."""

_NOBODY: Final = Guest(Invocation("", b""), Grants(bytes, float), GuestLog(LogLimits()), 0.0, 0.0, 0)


class Kind(Protocol):
    """What stands ready. One that has state outside of its memory puts that back itself, in `run`."""

    def make(self, cell: Cell) -> None:
        """Make a fresh instance, without slices. Raises `GuestError`."""

    def run(self, cell: Cell, guest: Guest) -> bytes:
        """Return the result of an event. Raises `GuestError`."""


@dataclass(slots=True)
class Stands:
    """The instances that stand ready in one process, `most` at one time; then the oldest one goes."""

    cells: Cells
    most: int
    pagemap: Pagemap = field(default_factory=Pagemap)
    _standing: "dict[Stand, None]" = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many instances stand ready."""
        return len(self._standing)

    def add(self, stand: "Stand") -> None:
        """Take note of one that has an instance now."""
        if len(self._standing) >= self.most:
            next(iter(self._standing)).clear()
        self._standing[stand] = None

    def remove(self, stand: "Stand") -> None:
        """Take note of one that has none any more."""
        self._standing.pop(stand, None)

    def close(self) -> None:
        """Throw all of them away."""
        for stand in tuple(self._standing):
            stand.clear()
        self.pagemap.close()


class Stand:
    """The place of one function: an instance, made at its first event. A guest may have `memory` bytes."""

    __slots__ = ("_cell", "_kind", "_memory", "_restorer", "_stands")

    def __init__(self, stands: Stands, kind: Kind, memory: int) -> None:
        self._stands = stands
        self._kind = kind
        self._memory = memory
        self._cell: Cell | None = None
        self._restorer: Restorer | None = None

    @property
    def is_ready(self) -> bool:
        """Return whether an instance stands here."""
        return self._cell is not None

    def run(self, guest: Guest) -> bytes | None:
        """Return the result of an event; None where it needs another slice, or failed: then nothing is left of it."""
        cell, restorer = self._cell, self._restorer
        if cell is None or restorer is None:
            try:
                cell, restorer = self._made()
            except GuestError:
                self.clear()
                return None
        is_fresh = False
        before = faults()
        cell.let_in(guest)
        try:
            result = self._kind.run(cell, guest)
            guest.memory = cell.measure()
            if guest.memory == restorer.size:
                restorer.restore(is_known=faults() == before)
                is_fresh = True
        except Exception:  # noqa: BLE001  # the long way meets it again, and tells
            return None
        finally:
            cell.guest = None
            if not is_fresh:
                self.clear()
        return result

    def clear(self) -> None:
        """Throw the instance away, if there is one."""
        cell, self._cell, self._restorer = self._cell, None, None
        if cell is not None:
            self._stands.remove(self)
            cell.close()

    def _made(self) -> "tuple[Cell, Restorer]":
        self._stands.add(self)
        self._cell = cell = self._fresh()
        self._restorer = restorer = Restorer(self._stands.pagemap, cell, self._fresh)
        return cell, restorer

    def _fresh(self) -> Cell:
        """Return a cell with a fresh instance. Raises `GuestError`."""
        cell = self._stands.cells.open(_NOBODY, self._memory)
        try:
            self._kind.make(cell)
        except BaseException:
            cell.close()
            raise
        return cell


class Restorer:
    """Puts the memory of an instance back to how it began. `fresh` makes another such instance, to see how that was."""

    __slots__ = ("_at", "_fresh", "_known", "_pieces", "_written", "size")

    def __init__(self, pagemap: Pagemap, cell: Cell, fresh: Callable[[], Cell]) -> None:
        self._fresh = fresh
        self._at, self.size = cell.place
        self._pieces: tuple[tuple[int, bytes, int], ...] = ()
        self._known = 0
        self._written: Written | None = Written(pagemap, self._at, self.size)
        if self._written.ranges() is None or not forget(self._at, self.size):
            self._put_back_all()
        else:
            self._begin(self._written)

    def restore(self, *, is_known: bool) -> None:
        """Put the memory back; `is_known`: no page was written to for the first time.

        Raises `GuestError` where it can't be seen how it was.
        """
        written = self._written
        if written is not None and not is_known and written.are_more_than(self._known):
            self._learn(written)
        for at, original, size in self._pieces:
            ctypes.memmove(at, original, size)

    def _begin(self, written: Written) -> None:
        """Put back what an instance begins with beyond what the kernel knows: what its start section wrote."""
        other = self._fresh()
        try:
            ours, theirs = self._at, other.place[0]
            if same(ours, theirs, self.size):
                return
            pages = [at for at in range(0, self.size, PAGE) if not same(ours + at, theirs + at, PAGE)]
        finally:
            other.close()
        self._remember(_joined((at, PAGE) for at in pages))
        self._count(written)

    def _learn(self, written: Written) -> None:
        """Take note of all that was written to."""
        found = written.ranges()
        if found is None:
            self._put_back_all()
            return
        self._remember(_joined(found))
        self._count(written)

    def _count(self, written: Written) -> None:
        self._known = sum(size for _, size in written.ranges() or ()) // PAGE

    def _put_back_all(self) -> None:
        """Put all of it back from now on."""
        self._written = None
        self._remember([(0, self.size)])

    def _remember(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Keep how these ranges began, and put them back."""
        other = self._fresh()
        try:
            original = other.place[0]
            self._pieces = tuple((self._at + at, ctypes.string_at(original + at, size), size) for at, size in ranges)
        finally:
            other.close()
        for at, content, size in self._pieces:
            ctypes.memmove(at, content, size)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges (offset, size) with those made one that are close to each other."""
    joined: list[tuple[int, int]] = []
    for at, size in ranges:
        if joined and at - sum(joined[-1]) <= _JOINED:
            joined[-1] = (joined[-1][0], at + size - joined[-1][0])
        else:
            joined.append((at, size))
    return joined
