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
"""Ticks of a guest's first slice. The tick under way counts, so it has more than one and at most two milliseconds."""

TRAP = "Runtime.Trap"
NOT_STARTED = "Runtime.InstantiationError"
LIED = "Runtime.InvalidPointer"

MEMORY = 0
"""The slot of a cell's exports that holds the guest's memory."""

_EXPORTS = 12
_ARGUMENTS = 4
_WORDS = raw.RAW_VALUE_SIZE // 8
_INSTANCES = 2
_UNLIMITED = -1


class _Scratch(ctypes.Structure):
    """Native memory for the calls of one guest."""

    _fields_ = (
        ("trap", ctypes.c_void_p),
        ("error", ctypes.c_void_p),
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_size_t),
        ("instances", raw.Instance * _INSTANCES),
        ("arguments", raw.Value * _ARGUMENTS),
        ("values", ctypes.c_uint64 * (_ARGUMENTS * _WORDS)),
        ("result", raw.Value),
        ("exports", raw.Extern * _EXPORTS),
    )


@dataclass(slots=True)
class Cells:
    """The cells of an engine. A closed one is used again. `at_work` is the one whose slice it is."""

    engine: Engine
    at_work: "Cell | None" = None
    _free: "list[Cell]" = field(default_factory=list)
    _made: int = 0

    @property
    def in_use(self) -> int:
        """Return how many guests are alive."""
        return self._made - len(self._free)

    def open(self, guest: Guest, memory: int) -> "Cell":
        """Return a cell for `guest`, which may have `memory` bytes. Close it in any case."""
        if self._free:
            cell = self._free.pop()
        else:
            cell = Cell(self)
            self._made += 1
        cell.open(guest, memory)
        return cell

    def take_back(self, cell: "Cell") -> None:
        """Keep a closed cell for the next guest."""
        self._free.append(cell)


class Cell:
    """One guest's store. Exports are put into numbered slots first, and called or read there."""

    __slots__ = (
        "_arguments",
        "_at_arguments",
        "_at_error",
        "_at_exports",
        "_at_instances",
        "_at_name",
        "_at_name_size",
        "_at_result",
        "_at_trap",
        "_at_values",
        "_base",
        "_cells",
        "_context",
        "_memory",
        "_result",
        "_scratch",
        "_size",
        "_store",
        "_values",
        "guest",
    )

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        scratch = self._scratch = _Scratch()
        base = ctypes.addressof(scratch)
        self._at_trap = base + _Scratch.trap.offset
        self._at_error = base + _Scratch.error.offset
        self._at_name = base + _Scratch.name.offset
        self._at_name_size = base + _Scratch.name_size.offset
        self._at_arguments = base + _Scratch.arguments.offset
        self._at_result = base + _Scratch.result.offset
        self._at_values = base + _Scratch.values.offset
        self._values: ctypes.Array[ctypes.c_uint64] = scratch.values
        size = ctypes.sizeof(raw.Instance)
        self._at_instances = tuple(base + _Scratch.instances.offset + size * number for number in range(_INSTANCES))
        size = ctypes.sizeof(raw.Extern)
        self._at_exports = tuple(base + _Scratch.exports.offset + size * number for number in range(_EXPORTS))
        self._memory = self._at_exports[MEMORY] + raw.EXTERN_OFFSET
        self._arguments: tuple[raw.Value, ...] = tuple(scratch.arguments[number] for number in range(_ARGUMENTS))
        self._result: raw.Value = scratch.result
        self._store = self._context = 0
        self._base = self._size = 0
        self.guest: Guest | None = None

    def open(self, guest: Guest, memory: int) -> None:
        """Make the store, and let the guest's first slice begin: until `begin_slices`, it traps at the end of that."""
        self.guest = guest
        self._store = raw.store_new(self._cells.engine.pointer, None, None)
        self._context = raw.store_context(self._store)
        table = self._cells.engine.sizes.table
        raw.store_limiter(self._store, memory, table, _UNLIMITED, _UNLIMITED, _UNLIMITED)
        raw.set_epoch_deadline(self._context, FIRST_SLICE)

    def close(self) -> None:
        """Free the guest and note how much memory it had. No call may be under way."""
        if self.guest is not None:
            self.guest.memory = self._size
        self._base = self._size = 0
        raw.store_delete(self._store)
        self._store = self._context = 0
        self.guest = None
        self._cells.take_back(self)

    def instantiate(self, pre: int, into: int = 0) -> None:
        """Make an instance of a module that has no start section. Raises `GuestError`."""
        error = raw.instantiate(pre, self._context, self._at_instances[into], self._at_trap)
        if error or self._scratch.trap:
            self._scratch.error = error
            self._raise(NOT_STARTED)

    def start_now(self, pre: int) -> None:
        """Make an instance, with a start section that ends within the first slice. Raises `GuestError`."""
        error = raw.start_now(pre, self._context, self._at_instances[0], self._at_trap)
        if error or self._scratch.trap:
            self._scratch.error = error
            self._raise(NOT_STARTED)

    def instantiate_in_slices(self, pre: int, into: int = 0) -> Generator[None]:
        """Make an instance, running the module's start section. Raises `GuestError`."""
        self.begin_slices()
        at = self._at_instances[into]
        yield from self._finish(raw.instantiate_async(pre, self._context, at, self._at_trap, self._at_error))
        self._raise_if_failed(NOT_STARTED)

    def instantiate_on_memory(self, module: int, into: int) -> None:
        """Make an instance of a module whose one import is a memory: give it ours. Raises `GuestError`."""
        at = self._at_instances[into]
        error = raw.instance_new(self._context, module, self._at_exports[MEMORY], 1, at, self._at_trap)
        if error or self._scratch.trap:
            self._scratch.error = error
            self._raise(NOT_STARTED)

    def begin_slices(self) -> None:
        """Let the guest yield at the end of its slices. No more instances can be made without slices."""
        raw.yield_at_deadline(self._context, 1)

    def export(self, index: int, slot: int, instance: int = 0) -> None:
        """Put the export with this index into a slot; `MEMORY` is for the memory."""
        at = self._at_exports[slot]
        raw.export_nth(self._context, self._at_instances[instance], index, self._at_name, self._at_name_size, at)
        if slot == MEMORY:
            # It stays where it is: its addresses are reserved up to its largest size.
            self._base = raw.memory_data(self._context, self._memory)
            self._size = raw.memory_size(self._context, self._memory)

    def call(self, slot: int, *arguments: int, results: int = 1) -> Generator[None, None, int]:
        """Call a function that takes i32s; return its i32 or i64, sign as it comes, or 0. Raises `GuestError`.

        It yields when the slice ends, and goes on with the next one.
        """
        for value, number in zip(self._arguments, arguments, strict=False):
            value.bits = number
        yield from self._finish(
            raw.call_async(
                self._context,
                self._at_exports[slot] + raw.EXTERN_OFFSET,
                self._at_arguments,
                len(arguments),
                self._at_result,
                results,
                self._at_trap,
                self._at_error,
            )
        )
        self._raise_if_failed(TRAP)
        bits: int = self._result.bits if results else 0
        return bits

    @property
    def place(self) -> tuple[int, int]:
        """Return the address of the guest's memory, and its size."""
        return self._base, self._size

    def let_in(self, guest: Guest) -> None:
        """Give an instance that stands ready its next guest, whose one slice begins now."""
        self.guest = guest
        raw.set_epoch_deadline(self._context, FIRST_SLICE)

    def call_now(self, slot: int, *arguments: int) -> int:
        """Call a function that takes i32s and ends within its slice; return the bits of its result.

        Raises `GuestError`, also at the end of the slice: nobody can go on with it then. Only before `begin_slices`.
        """
        values = self._values
        at = 0
        for number in arguments:
            values[at] = number
            at += _WORDS
        cells = self._cells
        cells.at_work = self
        error = raw.call_now(
            self._context,
            self._at_exports[slot] + raw.EXTERN_OFFSET,
            self._at_values,
            len(arguments) or 1,
            self._at_trap,
        )
        cells.at_work = None
        if error or self._scratch.trap:
            self._scratch.error = error
            self._raise(TRAP)
        bits: int = values[0]
        return bits

    def global_in(self, slot: int) -> raw.Value:
        """Return the value of a global."""
        value = raw.Value()
        raw.global_get(self._context, self._at_exports[slot] + raw.EXTERN_OFFSET, ctypes.addressof(value))
        return value

    def set_global(self, slot: int, value: int) -> None:
        """Set a global to the value at an address, which is one of its own."""
        raw.global_set(self._context, self._at_exports[slot] + raw.EXTERN_OFFSET, value)

    def measure(self) -> int:
        """Return how large the guest's memory is by now."""
        self._size = raw.memory_size(self._context, self._memory)
        return self._size

    def read(self, pointer: int, length: int) -> bytes:
        """Return bytes of the guest's memory. Raises `GuestError` if they are not all in it."""
        if pointer + length > self._size and pointer + length > self.measure():
            raise GuestError(LIED, f"{length} bytes at {pointer} are not in the function's memory")
        return ctypes.string_at(self._base + pointer, length)

    def write(self, pointer: int, data: bytes) -> None:
        """Put bytes into the guest's memory. Raises `GuestError` if they do not all fit in it."""
        if pointer + len(data) > self._size and pointer + len(data) > self.measure():
            raise GuestError(LIED, f"{len(data)} bytes at {pointer} are not in the function's memory")
        ctypes.memmove(self._base + pointer, data, len(data))

    def _finish(self, future: int) -> Generator[None]:
        """Poll a future until it is done. Closing the generator stops the guest where it is."""
        cells = self._cells
        try:
            cells.at_work = self
            while not raw.future_poll(future):
                cells.at_work = None
                yield
                cells.at_work = self
        finally:
            cells.at_work = None
            raw.future_delete(future)
            if self._base:  # also when it was stopped: its log may lie in memory that it got meanwhile
                self._size = raw.memory_size(self._context, self._memory)

    def _raise_if_failed(self, kind: str) -> None:
        if self._scratch.trap or self._scratch.error:
            self._raise(kind)

    def _raise(self, kind: str) -> None:
        """Raise what the trap or the error says, and free both."""
        trap, error = self._scratch.trap, self._scratch.error
        self._scratch.trap = self._scratch.error = None
        told, trace = raw.take_trap(trap) if trap else ("", ())
        if error:
            told = raw.take_error(error)
        raise GuestError(kind, told, trace)
