"""Where one guest lives: a store with its instances, and what it takes to call into them.

Nothing that a guest says is believed: each pointer and length is checked against the size of its memory.
"""

import ctypes
from collections.abc import Generator
from dataclasses import dataclass, field

from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.engine import Engine
from edgefn.sandbox.wasm.guest import Guest, GuestError

FIRST_SLICE = 2
"""Ticks of a call's first slice. The tick under way counts, so it has more than one and at most two milliseconds."""

_FAR = 1 << 40
_ARGUMENTS = 4
_EXPORTS = 6
_INSTANCES = 2

TRAP = "Runtime.Trap"
NOT_STARTED = "Runtime.InstantiationError"
LIED = "Runtime.InvalidPointer"


class _Scratch(ctypes.Structure):
    """Native memory for the calls of one guest."""

    _fields_ = (
        ("trap", ctypes.c_uint64),
        ("error", ctypes.c_uint64),
        ("name", ctypes.c_uint64),
        ("name_size", ctypes.c_size_t),
        ("instances", raw.Instance * _INSTANCES),
        ("arguments", raw.Value * _ARGUMENTS),
        ("result", raw.Value),
        ("exports", raw.Extern * _EXPORTS),
    )


@dataclass(slots=True)
class Desk:
    """Whose slice it is: host functions look here for the guest that calls them."""

    cell: "Cell | None" = None


@dataclass(slots=True)
class Cells:
    """The cells of an engine. A closed one is used again."""

    engine: Engine
    desk: Desk = field(default_factory=Desk)
    _free: "list[Cell]" = field(default_factory=list)
    _made: int = 0

    @property
    def in_use(self) -> int:
        """Return how many guests are alive."""
        return self._made - len(self._free)

    def open(self, guest: Guest, memory: int) -> "Cell":
        """Return a cell for `guest`, which may have `memory` bytes. Close it in any case."""
        if not self._free:
            self._made += 1
            self._free.append(Cell(self))
        cell = self._free.pop()
        cell.open(guest, memory)
        return cell

    def give_back(self, cell: "Cell") -> None:
        """Keep a closed cell for the next guest."""
        self._free.append(cell)


class Cell:
    """One guest's store. Slots of exports are numbered; slot 0 is the guest's memory."""

    __slots__ = ("_arguments", "_cells", "_context", "_exports", "_memory", "_result", "_scratch", "_store", "guest", "at")

    MEMORY = 0

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._scratch = _Scratch()
        self._arguments = tuple(self._scratch.arguments[number] for number in range(_ARGUMENTS))
        self._result = self._scratch.result
        base = ctypes.addressof(self._scratch)
        self.at = _addresses(base)
        self._store = 0
        self._context = 0
        self.guest: Guest | None = None
