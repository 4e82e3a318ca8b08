"""From a function's files to a program: evaluate them once, keep the image."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from wasmtime import WasmtimeError

from edgefn.sandbox.base import Code, Invocation
from edgefn.sandbox.js.image import code_module, initial_memory, memory_module
from edgefn.sandbox.js.machine import Image, Machine
from edgefn.sandbox.js.profiles import MB, PROFILES, Profile
from edgefn.sandbox.js.program import BrokenProgram, JsKind, JsProgram, told
from edgefn.sandbox.js.snapshot import Freezer
from edgefn.sandbox.js.sources import described
from edgefn.sandbox.js.values import KeyValues
from edgefn.sandbox.wasm.binary import BinaryError
from edgefn.sandbox.wasm.compile import CompileError
from edgefn.sandbox.wasm.fibers import CrowdedError, ExpiredError
from edgefn.sandbox.wasm.guest import Grants, Guest, GuestError, GuestLog, LogLimits
from edgefn.sandbox.wasm.loader import load_module
from edgefn.sandbox.wasm.program import LoadError, Program
from edgefn.sandbox.wasm.room import EngineRoom
from edgefn.sandbox.wasm.standing import Stand

ENGINE = Path(__file__).parent / "engine" / "build" / "engine.wasm"
"""The engine, built by `.ci/build_engine.py`; wheels bring it."""

_PRELUDE_TIMEOUT = 10.0

ValuesOf = Callable[[Code], KeyValues | None]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all runtimes share: the machine, and blank memory to begin with."""

    machine: Machine
    blank: Image


@dataclass(slots=True)
class JsLoader:
    """A `Loader` for all runtimes of `PROFILES`. `values_of` gives a function's key-value store, if it has one."""

    room: EngineRoom
    values_of: ValuesOf = lambda _code: None
    engine: Path = ENGINE
    _workshop: Workshop | None = None
    _runtimes: dict[str, Image] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load(self, code: Code, memory: int) -> Program:
        """Return the program, whose guests may have `memory` bytes. Raises `LoadError`.

        A function whose own code fails is a program that fails to start.
        """
        profile = PROFILES[code.runtime]
        try:
            runtime = await self._runtime(code.runtime, profile)
            document = await asyncio.to_thread(described, code, whole_bundle=profile.whole_bundle)
            return await self._function(code, profile, runtime, document)
        except (BinaryError, CompileError, WasmtimeError, ValueError) as error:
            raise LoadError(f"the JavaScript engine can't be used: {error}") from error
        except OSError as error:
            raise LoadError(f"{error.filename}: {error.strerror or error}") from error
        except CrowdedError as error:
            raise LoadError(str(error)) from error

    async def _function(self, code: Code, profile: Profile, runtime: Image, document: Mapping[str, object]) -> Program:
        values = self.values_of(code)
        guest = self._guest(orjson.dumps(document), profile.limits.log)
        seconds = min(code.init_timeout, profile.init)
        try:
            image = await self._freezer().function(runtime, guest, profile.heap, seconds)
        except GuestError as error:
            return BrokenProgram(told(error), tuple(guest.log.finish()))
        except ExpiredError:
            late = GuestError("Sandbox.Timedout", f"Init timed out after {seconds:.2f} seconds")
            return BrokenProgram(late, tuple(guest.log.finish()))
        timeout = code.timeout if profile.whole_bundle else None
        machine, memory = self._shop().machine, self._memory()
        stand = Stand(self.room.stands, JsKind(machine, image, values, timeout), memory)
        return JsProgram(machine, image, memory, values, timeout, tuple(guest.log.finish()), stand)

    async def _runtime(self, name: str, profile: Profile) -> Image:
        """Return the image of a runtime, made at its first use."""
        async with self._turn:
            if self._workshop is None:
                self._workshop = await self._open()
            if name not in self._runtimes:
                source = await asyncio.to_thread(profile.prelude)
                guest = self._guest(b"", profile.limits.log)
                try:
                    blank = self._workshop.blank
                    self._runtimes[name] = await self._freezer().prelude(blank, guest, source, _PRELUDE_TIMEOUT)
                except (GuestError, ExpiredError) as error:
                    raise LoadError(f"the runtime {name} does not start: {error}") from error
            return self._runtimes[name]

    async def _open(self) -> Workshop:
        try:
            source = await asyncio.to_thread(self.engine.read_bytes)
        except FileNotFoundError as error:
            raise LoadError("the JavaScript engine is not built; in a checkout, run `make engine`") from error
        cells = self.room.cells
        machine = Machine.of(cells, await load_module(cells, self.room.compiler, code_module(source)))
        blank = await asyncio.to_thread(cells.engine.compile, memory_module(initial_memory(source)))
        return Workshop(machine, machine.image(blank))

    def _shop(self) -> Workshop:
        if self._workshop is None:
            raise LoadError("the JavaScript engine is not open")
        return self._workshop

    def _freezer(self) -> Freezer:
        return Freezer(self._shop().machine, self.room.scheduler, self._memory())

    def _memory(self) -> int:
        """Return the most bytes of a guest. What a function may use of them, the engine in it bounds: its heap."""
        return min(16 * MB, self.room.engine.sizes.memory)

    def _guest(self, event: bytes, limits: LogLimits) -> Guest:
        senses = self.room.senses
        grants = Grants(senses.random, senses.monotonic)
        return Guest(Invocation("", event), grants, GuestLog(limits), senses.time(), senses.monotonic(), MB)
