"""The JavaScript engine of a process: its code, compiled once, and how the host speaks with an instance of it.

An instance is two: one of an image (memory only), one of the code on that memory. Guests fill a page of shared fields
(`engine/engine.h`); nothing in it is believed beyond what the checks of a `Cell` let through.
"""

import struct
from collections.abc import Generator
from dataclasses import dataclass

from wasmtime import InstancePre, Linker, Module

from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.cell import MEMORY, Cell, Cells
from edgefn.sandbox.wasm.guest import Guest, GuestError

ASKS = 1 << 30
"""The bit of a packed result that says: the guest waits for answers, and this is what it asks."""

_NAMES = ("_initialize", "shared", "init", "alloc", "prepare", "load", "rest", "handle", "resume")
_IMAGE, _CODE = 0, 1
_U32 = 0xFFFFFFFF
_ENTRANCE = struct.Struct("<d32sII")
_LOG = struct.Struct("<II")
_INPUT = struct.Struct("<II")
_LOG_OFFSET, _INPUT_OFFSET = 44, 52
_SEED_SIZE = 32


@dataclass(frozen=True, slots=True)
class Image:
    """Memory to begin with. `page` is where the shared fields are; `pointer` the address of `pre`."""

    pre: InstancePre
    pointer: int
    page: int = 0
    input_at: int = 0
    input_size: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """The engine's code, ready for instances."""

    cells: Cells
    code: Module
    pointer: int
    exports: dict[str, int]

    @classmethod
    def of(cls, cells: Cells, code: Module) -> "Machine":
        """Return the machine of a compiled code module. Raises `ValueError` where that is another engine."""
        exports = {export.name: number for number, export in enumerate(code.exports) if export.name in _NAMES}
        if len(exports) != len(_NAMES):
            raise ValueError("it is not the JavaScript engine of this version of edgefn")
        return cls(cells, code, raw.address(code.ptr()), exports)

    def image(self, module: Module, page: int = 0, input_at: int = 0, input_size: int = 0) -> Image:
        """Return the image that a module of memory is."""
        pre = Linker(self.cells.engine.native).instantiate_pre(module)
        return Image(pre, raw.address(pre.ptr()), page, input_at, input_size)

    def enter(self, cell: Cell, image: Image) -> None:
        """Make an instance in a cell; from here on the guest's time counts. Raises `GuestError`."""
        self.make(cell, image)
        cell.begin_slices()

    def make(self, cell: Cell, image: Image) -> None:
        """Make an instance in a cell. Raises `GuestError`."""
        cell.instantiate(image.pointer, _IMAGE)
        cell.export(0, MEMORY, _IMAGE)
        cell.instantiate_on_memory(self.pointer, _CODE)

    def export(self, cell: Cell, name: str, slot: int) -> None:
        """Put a function of the engine into a slot."""
        cell.export(self.exports[name], slot, _CODE)

    def call(self, cell: Cell, name: str, *arguments: int, results: int = 1) -> Generator[None, None, int]:
        """Call a function of the engine that returns an i64, or nothing. Raises `GuestError`."""
        cell.export(self.exports[name], _SLOT, _CODE)
        return (yield from cell.call(_SLOT, *arguments, results=results))

    def number(self, cell: Cell, name: str, *arguments: int) -> Generator[None, None, int]:
        """Call a function of the engine that returns an address or a count. Raises `GuestError`."""
        return (yield from self.call(cell, name, *arguments)) & _U32

    def put(self, cell: Cell, image: Image, data: bytes, beside: bytes = b"") -> Generator[None]:
        """Write the input: `data`, a zero byte, and what goes beside it. Raises `GuestError` where it is too much."""
        at, size = image.input_at, len(data) + 1 + len(beside)
        if size > image.input_size:
            at = yield from self.number(cell, "alloc", size)
            if at == 0:
                raise GuestError("Runtime.OutOfMemory", "the event does not fit into the function's memory")
        cell.write(at, data)
        if beside:
            cell.write(at + len(data) + 1, beside)


_SLOT = 1


def set_scene(cell: Cell, image: Image, guest: Guest) -> None:
    """Tell an instance the time, the seed of all its randomness, and how much it may log."""
    now = float(int(guest.now * 1000))
    cell.write(image.page, _ENTRANCE.pack(now, guest.grants.random(_SEED_SIZE), guest.log.room, 0))


def take_log(cell: Cell, image: Image, guest: Guest) -> None:
    """Take over what a guest has logged, also from one that was stopped. Never raises: it runs at every end."""
    try:
        size, at = _LOG.unpack(cell.read(image.page + _LOG_OFFSET, _LOG.size))
        if size:
            guest.log.write(cell.read(at, min(size, guest.log.room)))
    except GuestError as error:
        guest.log.message(f"... log lost: {error.message}".encode())


def input_of(cell: Cell, page: int) -> tuple[int, int]:
    """Return where an instance takes its input, and how many bytes fit there."""
    at, size = _INPUT.unpack(cell.read(page + _INPUT_OFFSET, _INPUT.size))
    return at, size
