"""Evaluates a prelude, or a function on top of it, and keeps the memory in which that ended.

What is evaluated is a stranger's code already: it runs as a fiber like any other guest, with a time limit.
"""

import asyncio
import struct
from collections.abc import Generator
from dataclasses import dataclass

from edgefn.sandbox.js.image import PAGE, memory_module
from edgefn.sandbox.js.machine import Image, Machine, input_of, set_scene, take_log
from edgefn.sandbox.wasm.abi import unpacked
from edgefn.sandbox.wasm.cell import Cell
from edgefn.sandbox.wasm.fibers import Fiber, Lane, Scheduler, Slices
from edgefn.sandbox.wasm.guest import Guest, GuestError

_HEAD = struct.Struct("<III")
_TOLD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Freezer:
    """Makes images. `memory` is the most bytes that one may have."""

    machine: Machine
    scheduler: Scheduler
    memory: int

    async def prelude(self, blank: Image, guest: Guest, source: bytes, seconds: float) -> Image:
        """Return the image of a runtime. Raises `GuestError`, `ExpiredError`, `CrowdedError`."""
        return await self._freeze(self._prelude(blank, guest, source), seconds)

    async def function(self, runtime: Image, guest: Guest, heap: int, seconds: float) -> Image:
        """Return the image of a function whose description is the guest's event. Raises as `prelude` does.

        What it logs goes to the guest's log. `heap` is what it may use at load, and again in each invocation.
        """
        return await self._freeze(self._function(runtime, guest, heap), seconds)

    async def _freeze(self, slices: Slices, seconds: float) -> Image:
        deadline = self.scheduler.now() + seconds
        frozen = await self.scheduler.run(Fiber(slices, Lane(1), deadline, seconds))
        page, input_at, input_size = _HEAD.unpack_from(frozen)
        source = await asyncio.to_thread(memory_module, frozen[_HEAD.size :])
        module = await asyncio.to_thread(self.machine.cells.engine.compile, source)
        return self.machine.image(module, page, input_at, input_size)

    def _prelude(self, blank: Image, guest: Guest, source: bytes) -> Slices:
        machine = self.machine
        cell = machine.cells.open(guest, self.memory)
        try:
            machine.enter(cell, blank)
            yield from machine.call(cell, "_initialize", results=0)
            page = yield from machine.number(cell, "shared")
            if (yield from machine.number(cell, "init")):
                raise GuestError("Runtime.OutOfMemory", "the JavaScript engine does not start in so little memory")
            image = Image(blank.pre, blank.pointer, page, *input_of(cell, page))
            set_scene(cell, image, guest)
            yield from machine.put(cell, image, source)
            unpacked(cell, (yield from machine.call(cell, "prepare", len(source))), _TOLD)
            return (yield from self._rested(cell, page))
        finally:
            cell.close()

    def _function(self, runtime: Image, guest: Guest, heap: int) -> Slices:
        machine = self.machine
        cell = machine.cells.open(guest, self.memory)
        document = guest.invocation.event
        try:
            machine.enter(cell, runtime)
            try:
                set_scene(cell, runtime, guest)
                yield from machine.put(cell, runtime, document)
                unpacked(cell, (yield from machine.call(cell, "load", len(document), heap)), _TOLD)
            finally:
                take_log(cell, runtime, guest)
            return (yield from self._rested(cell, runtime.page))
        finally:
            cell.close()

    def _rested(self, cell: Cell, page: int) -> Generator[None, None, bytes]:
        pages = yield from self.machine.number(cell, "rest")
        return _HEAD.pack(page, *input_of(cell, page)) + cell.read(0, pages * PAGE)
