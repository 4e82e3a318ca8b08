"""How the host speaks with a guest of runtime `wasm`: as a reactor (`alloc`, `handle`) or a WASI command (`_start`)."""

import base64
import ctypes
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import orjson
from wasmtime import FuncType, InstancePre, MemoryType, Module

from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.cell import MEMORY, Cell, Cells
from edgefn.sandbox.wasm.fibers import Slices
from edgefn.sandbox.wasm.guest import Guest, GuestError
from edgefn.sandbox.wasm.imports import Imports, signature
from edgefn.sandbox.wasm.program import LoadError, Program
from edgefn.sandbox.wasm.standing import Stand, Stands

TOO_LARGE = "Function.ResponseSizeTooLarge"
EXITED = "Runtime.ExitError"
_BAD_ALLOC = "Runtime.OutOfMemory"

_ALLOC, _HANDLE, _INITIALIZE, _FIRST_GLOBAL = 1, 2, 3, 4
_U32 = 0xFFFFFFFF
_FAILED = 0x80000000
_LENGTH = 0x7FFFFFFF
_ERROR_SIZE = 64 * 1024

_TYPES = {
    "alloc": ("i32", "i32"),
    "handle": ("i32 i32", "i64"),
    "handle_with_body": ("i32 i32 i32 i32", "i64"),
    "_initialize": ("", ""),
    "_start": ("", ""),
}
"""The functions of the ABI: parameters and results."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A module with its imports resolved, and the numbers of its exports. `starts`: it has a start section.

    `pointer` is the address of `pre`, good while that lives. `globals` are the exports that are its hidden state, None
    where it may have more of that.
    """

    pre: InstancePre
    pointer: int
    exports: Mapping[str, int]
    starts: bool
    globals: Sequence[str] | None = None


def link(module: Module, imports: Imports, *, starts: bool, state: Sequence[str] | None = None) -> Linked:
    """Return a module linked to what it imports. Raises `LoadError`, `LinkError`, `wasmtime.WasmtimeError`."""
    exports = exports_of(module)
    pre = imports.link(module)
    return Linked(pre, raw.address(pre.ptr()), exports, starts, state)


def exports_of(module: Module) -> dict[str, int]:
    """Return the numbers of a module's exports. Raises `LoadError` where one of the ABI's names has another type."""
    numbers = {}
    for number, export in enumerate(module.exports):
        numbers[export.name] = number
        expected = _TYPES.get(export.name)
        if expected is not None:
            found = signature(export.type) if isinstance(export.type, FuncType) else None
            if found != expected:
                raise LoadError(f"its export {export.name} must be a function ({expected[0]}) -> ({expected[1]})")
        if export.name == "memory" and not isinstance(export.type, MemoryType):
            raise LoadError("its export memory must be a memory")
    return numbers


def program_of(linked: Linked, stands: Stands, memory: int) -> Program:
    """Return the program that a module is, by what it exports. Raises `LoadError` where it is none."""
    cells = stands.cells
    exports = linked.exports
    if "memory" not in exports:
        raise LoadError("it must export its memory as `memory`")
    if "handle" in exports or "handle_with_body" in exports:
        if "alloc" not in exports:
            raise LoadError("a module that exports handle must export alloc, too")
        stand = Stand(stands, ReactorKind(linked), memory) if linked.globals is not None else None
        return Reactor(linked, cells, memory, stand)
    if "_start" in exports:
        return Command(linked, cells, memory)
    raise LoadError("it exports neither `handle` (with `alloc`) nor `_start`")


@dataclass(frozen=True, slots=True)
class Reactor:
    """A module with `alloc` and `handle`, and an `_initialize` which then is called first."""

    linked: Linked
    cells: Cells
    memory: int
    stand: Stand | None = None

    def start(self, guest: Guest) -> Slices:
        """Return a fiber that instantiates and initializes."""
        cell = self.cells.open(guest, self.memory)
        try:
            yield from self._enter(cell)
        finally:
            cell.close()
        return b""

    def run(self, guest: Guest) -> Slices:
        """Return a fiber that handles the event."""
        cell = self.cells.open(guest, self.memory)
        try:
            yield from self._enter(cell)
            packed = yield from self._handle(cell, guest)
            return unpacked(cell, packed, guest.result_limit)
        except GuestError as error:
            raise _told(error, guest) from None
        finally:
            cell.close()

    def _enter(self, cell: Cell) -> Generator[None]:
        exports = self.linked.exports
        yield from enter(cell, self.linked)
        if "_initialize" in exports:
            cell.export(exports["_initialize"], _INITIALIZE)
            yield from cell.call(_INITIALIZE, results=0)

    def _handle(self, cell: Cell, guest: Guest) -> Generator[None, None, int]:
        exports = self.linked.exports
        event, body = guest.invocation.event, guest.invocation.body
        cell.export(exports["alloc"], _ALLOC)
        apart = "handle_with_body" in exports and (body is not None or "handle" not in exports)
        cell.export(exports["handle_with_body" if apart else "handle"], _HANDLE)
        if not apart and body is not None:
            event = with_body(event, body)
        given = yield from _put(cell, event)
        if not apart:
            return (yield from cell.call(_HANDLE, *given))
        beside = (yield from _put(cell, body)) if body else (0, 0)
        return (yield from cell.call(_HANDLE, *given, *beside))


@dataclass(slots=True, eq=False)
class ReactorKind:
    """How an instance of a reactor stands ready. `_begin` is what its globals begin with, once that has been seen."""

    linked: Linked
    _begin: tuple[tuple[int, raw.Value, int], ...] | None = None

    def make(self, cell: Cell) -> None:
        """Make an instance."""
        linked, exports = self.linked, self.linked.exports
        if linked.starts:
            cell.start_now(linked.pointer)
        else:
            cell.instantiate(linked.pointer)
        cell.export(exports["memory"], MEMORY)
        cell.export(exports["alloc"], _ALLOC)
        cell.export(exports.get("handle", exports.get("handle_with_body", 0)), _HANDLE)
        if "_initialize" in exports:
            cell.export(exports["_initialize"], _INITIALIZE)
        slots = tuple(enumerate(linked.globals or (), _FIRST_GLOBAL))
        for slot, name in slots:
            cell.export(exports[name], slot)
        if self._begin is None:
            values = [(slot, cell.global_in(slot)) for slot, _ in slots]
            self._begin = tuple((slot, value, ctypes.addressof(value)) for slot, value in values)

    def run(self, cell: Cell, guest: Guest) -> bytes:
        """Return the result of an event without a body. Raises `GuestError`."""
        exports, event = self.linked.exports, guest.invocation.event
        for slot, _, at in self._begin or ():
            cell.set_global(slot, at)
        if "_initialize" in exports:
            cell.call_now(_INITIALIZE)
        pointer = cell.call_now(_ALLOC, len(event)) & _U32
        if pointer == 0:
            raise GuestError(_BAD_ALLOC, f"alloc({len(event)}) returned no memory")
        cell.write(pointer, event)
        given = (pointer, len(event)) if "handle" in exports else (pointer, len(event), 0, 0)
        return unpacked(cell, cell.call_now(_HANDLE, *given), guest.result_limit)


@dataclass(frozen=True, slots=True)
class Command:
    """A WASI command: the event on its standard input, the result on its standard output, a log on standard error."""

    linked: Linked
    cells: Cells
    memory: int
    stand: Stand | None = None

    def start(self, guest: Guest) -> Slices:
        """Return a fiber that instantiates."""
        cell = self.cells.open(guest, self.memory)
        try:
            yield from enter(cell, self.linked)
        finally:
            cell.close()
        return b""

    def run(self, guest: Guest) -> Slices:
        """Return a fiber that runs the command to its exit."""
        event, body = guest.invocation.event, guest.invocation.body
        guest.input = event if body is None else with_body(event, body)
        cell = self.cells.open(guest, self.memory)
        try:
            yield from enter(cell, self.linked)
            cell.export(self.linked.exports["_start"], _HANDLE)
            yield from cell.call(_HANDLE, results=0)
        except GuestError as error:
            if guest.exit_code != 0:
                raise _told(error, guest) from None
        finally:
            cell.close()
        if len(guest.output) > guest.result_limit:
            raise too_large(guest.result_limit)
        return bytes(guest.output)


def enter(cell: Cell, linked: Linked) -> Generator[None]:
    """Make the instance and find its memory."""
    if linked.starts:
        yield from cell.instantiate_in_slices(linked.pointer)
    else:
        cell.instantiate(linked.pointer)
        cell.begin_slices()
    cell.export(linked.exports["memory"], MEMORY)


def _put(cell: Cell, data: bytes) -> Generator[None, None, tuple[int, int]]:
    """Put data into memory that the guest allocates; return where, and how long it is."""
    pointer = (yield from cell.call(_ALLOC, len(data))) & _U32
    if pointer == 0:
        raise GuestError(_BAD_ALLOC, f"alloc({len(data)}) returned no memory")
    cell.write(pointer, data)
    return pointer, len(data)


def unpacked(cell: Cell, packed: int, limit: int) -> bytes:
    """Return the result that a guest points to: pointer << 32 | failed << 31 | length. Raises `GuestError`."""
    pointer, length = packed >> 32 & _U32, packed & _LENGTH
    if length > limit:
        raise too_large(limit)
    result = cell.read(pointer, length)
    if packed & _FAILED:
        raise failure(result)
    return result


def failure(told: bytes) -> GuestError:
    """Return the error that a guest tells: AWS's document with errorType, errorMessage and trace, or plain text."""
    told = told[:_ERROR_SIZE]
    try:
        document: object = orjson.loads(told)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        message, *lines = told.decode("utf-8", "replace").splitlines() or [""]
        return GuestError("Error", message, tuple(lines))
    trace: object = document.get("trace")
    return GuestError(
        str(document.get("errorType", "Error")),
        str(document.get("errorMessage", "")),
        tuple(map(str, trace)) if isinstance(trace, list) else (),
    )


def too_large(limit: int) -> GuestError:
    """Return the error for a result beyond the limit, in AWS's words."""
    return GuestError(TOO_LARGE, f"Response payload size exceeded maximum allowed payload size ({limit} bytes).")


def _told(error: GuestError, guest: Guest) -> GuestError:
    """Return what a guest's end means: one that called `proc_exit` did not trap, it exited."""
    if guest.exit_code is None:
        return error
    return GuestError(EXITED, f"Runtime exited with error: exit status {guest.exit_code}")


def with_body(event: bytes, body: bytes) -> bytes:
    """Return a Lambda@Edge event with the body in it, base64-encoded; unchanged where it has no place for one."""
    document: object = orjson.loads(event)
    place: object = document
    for step in ("Records", 0, "cf", "request", "body"):
        if isinstance(place, list) and place and isinstance(step, int):
            place = place[step]
        elif isinstance(place, dict) and isinstance(step, str):
            place = place.get(step)
        else:
            return event
    if not isinstance(place, dict):
        return event
    place["data"] = base64.b64encode(body).decode()
    return orjson.dumps(document)
