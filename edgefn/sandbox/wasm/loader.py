"""From a function's files to a program: find its module, compile it, link it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from wasmtime import Module, WasmtimeError

from edgefn.sandbox.base import Code
from edgefn.sandbox.wasm.abi import link, program_of
from edgefn.sandbox.wasm.binary import BinaryError, shape_of
from edgefn.sandbox.wasm.cell import Cells
from edgefn.sandbox.wasm.compile import CompileError, Compiler
from edgefn.sandbox.wasm.imports import Imports, LinkError
from edgefn.sandbox.wasm.program import LoadError, Program
from edgefn.sandbox.wasm.standing import Stands
from edgefn.sandbox.wasm.state import shown

_SUFFIX = ".wasm"
_MODULE_SIZE = 64 * 1024**2
_MOST_NAMES = 2_000
"""Imports, and exports: they are looked through on the event loop."""


@dataclass(frozen=True, slots=True)
class WasmLoader:
    """Loads functions of runtime `wasm`."""

    stands: Stands
    compiler: Compiler
    imports: Imports

    async def load(self, code: Code, memory: int) -> Program:
        """Return the program, whose guests may have `memory` bytes. Raises `LoadError`."""
        path = module_path(code)
        try:
            source = await asyncio.to_thread(path.read_bytes)
            return await self._program(source, memory)
        except (BinaryError, CompileError, LinkError, LoadError, WasmtimeError) as error:
            raise LoadError(f"{path.name}: {error}") from error
        except OSError as error:
            raise LoadError(f"{path.name}: {error.strerror or error}") from error

    async def _program(self, source: bytes, memory: int) -> Program:
        if len(source) > _MODULE_SIZE:
            raise LoadError(f"it is larger than {_MODULE_SIZE // 1024**2} MB")
        shape = shape_of(source)
        for what, count in (("imports", shape.imports), ("exports", shape.exports)):
            if count > _MOST_NAMES:
                raise LoadError(f"it has {count:,} {what}; edgefn takes {_MOST_NAMES:,} at most")
        found = await asyncio.to_thread(shown, source)
        module = await load_module(self.stands.cells, self.compiler, source if found is None else found.source)
        asks_when_it_starts = shape.starts and shape.imports  # each instance may hear something else then
        state = None if found is None or asks_when_it_starts else found.globals
        linked = link(module, self.imports, starts=shape.starts, state=state)
        return program_of(linked, self.stands, memory)


async def load_module(cells: Cells, compiler: Compiler, source: bytes) -> Module:
    """Return a module, compiled or found in the cache; what the engine rejects there is compiled anew.

    Raises `CompileError`, `wasmtime.WasmtimeError`, `OSError`.
    """
    code = await compiler.code_of(source)
    try:
        return await asyncio.to_thread(cells.engine.load, code)
    except WasmtimeError:
        code = await compiler.code_of(source, fresh=True)
        return await asyncio.to_thread(cells.engine.load, code)


def module_path(code: Code) -> Path:
    """Return which file is the function's module: the only one in its bundle, or the one that the handler names.

    Raises `LoadError`.
    """
    root = Path(code.root)
    modules = sorted(path for path in root.glob(f"*{_SUFFIX}") if path.is_file())
    named = root / f"{code.handler.rpartition('.')[0]}{_SUFFIX}"
    if named in modules:
        return named
    if len(modules) == 1:
        return modules[0]
    names = ", ".join(path.name for path in modules) or "none"
    raise LoadError(f"its bundle must have one {_SUFFIX} file, or the one that handler {code.handler!r} names: {names}")
