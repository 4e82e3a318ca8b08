"""What guests can import: host functions, their types, and how a module is linked to them. Nothing else is given."""

import ctypes
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wasmtime import FuncType, InstancePre, Linker, Module, ValType

from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.cell import LIED, Cells
from edgefn.sandbox.wasm.guest import Guest, GuestError


class LinkError(Exception):
    """A module can't be linked. The message names what it imports."""


class Caller:
    """The guest that calls a host function, and its memory. Good for the one call."""

    __slots__ = ("_context", "_memory", "_size", "guest")

    def __init__(self, guest: Guest, caller: int, extern: raw.Extern) -> None:
        self.guest = guest
        self._context = raw.caller_context(caller)
        at = ctypes.addressof(extern)
        if not raw.caller_export(caller, b"memory", 6, at) or extern.kind != raw.EXTERN_MEMORY:
            raise GuestError(LIED, "a function that imports from the host must export its memory as `memory`")
        self._memory = raw.memory_data(self._context, at + raw.EXTERN_OFFSET)
        self._size = raw.memory_size(self._context, at + raw.EXTERN_OFFSET)

    def read(self, pointer: int, length: int, most: int | None = None) -> bytes:
        """Return (the first `most`) bytes of the guest's memory. Raises `GuestError` if they are not all in it."""
        self._check(pointer, length)
        return ctypes.string_at(self._memory + pointer, length if most is None else min(length, most))

    def write(self, pointer: int, data: bytes) -> None:
        """Put bytes into the guest's memory. Raises `GuestError` if they do not all fit in it."""
        self._check(pointer, len(data))
        ctypes.memmove(self._memory + pointer, data, len(data))

    def write_u32(self, pointer: int, value: int) -> None:
        """Put a 32-bit integer into the guest's memory. Raises `GuestError`."""
        self.write(pointer, value.to_bytes(4, "little"))

    def _check(self, pointer: int, length: int) -> None:
        if pointer + length > self._size:
            raise GuestError(LIED, f"{length} bytes at {pointer} are not in the function's memory")


HostBody = Callable[[Caller, tuple[int, ...]], int | float]
"""What a host function does: it gets unsigned integers. Its result is ignored where the type has none."""


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function that guests may import. Types are wasm's names, separated by spaces; `result` is one or none."""

    module: str
    name: str
    parameters: str
    result: str
    body: HostBody


_VALUE_TYPES: dict[str, Callable[[], ValType]] = {
    "i32": ValType.i32,
    "i64": ValType.i64,
    "f32": ValType.f32,
    "f64": ValType.f64,
}
_UNPACKED = {"i32": "I12x", "i64": "Q8x"}
_PACKED = {"i32": "<q", "i64": "<q", "f64": "<d"}


def signature(kind: FuncType) -> tuple[str, str]:
    """Return the parameters and the results of a type: the names of wasm's types, separated by spaces."""
    return " ".join(map(str, kind.params)), " ".join(map(str, kind.results))


def _callback(function: HostFunction, cells: Cells) -> "ctypes._CFunctionType":
    """Return what wasmtime calls. An exception in it becomes a trap: none may pass through native frames."""
    unpack = struct.Struct("<" + "".join(_UNPACKED[name] for name in function.parameters.split()))
    pack = struct.Struct(_PACKED[function.result]).pack if function.result else None
    body = function.body
    extern = raw.Extern()

    def call(_environment: object, caller: int, values: int, _count: int) -> int:
        try:
            if cells.at_work is None or cells.at_work.guest is None:
                raise GuestError(LIED, "called outside of an invocation")
            arguments = unpack.unpack(ctypes.string_at(values, unpack.size)) if unpack.size else ()
            result = body(Caller(cells.at_work.guest, caller, extern), arguments)
            if pack is not None:
                ctypes.memmove(values, pack(result), 8)
        except GuestError as error:
            told = error.message.encode()
        except Exception as error:  # noqa: BLE001  # whatever it is, the guest ends with it
            told = f"the host function {function.module}.{function.name} failed: {error!r}".encode()
        else:
            return 0
        return raw.trap_new(told, len(told))

    return raw.HostCall(call)


@dataclass(slots=True)
class Imports:
    """The host functions of a process. `stub` makes one for a name that may be imported, though it does nothing."""

    cells: Cells
    functions: Iterable[HostFunction]
    stub: Callable[[str, str, str, str], HostFunction | None]
    _known: dict[tuple[str, str], HostFunction] = field(init=False)
    _callbacks: "dict[HostFunction, ctypes._CFunctionType]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {(function.module, function.name): function for function in self.functions}

    def link(self, module: Module) -> InstancePre:
        """Return a module with its imports resolved. Raises `LinkError`, `wasmtime.WasmtimeError`."""
        linker = Linker(self.cells.engine.native)
        defined = set()
        for wanted in module.imports:
            full = (wanted.module, wanted.name or "")
            if not isinstance(wanted.type, FuncType):
                raise LinkError(f"it imports {full[0]}.{full[1]}, which is not a function: edgefn gives functions only")
            if full not in defined:
                defined.add(full)
                self._define(linker, self._find(*full, wanted.type))
        return linker.instantiate_pre(module)

    def _find(self, module: str, name: str, kind: FuncType) -> HostFunction:
        parameters, results = signature(kind)
        function = self._known.get((module, name)) or self.stub(module, name, parameters, results)
        if function is None:
            raise LinkError(f"it imports {module}.{name}, which edgefn does not have")
        if (function.parameters, function.result) != (parameters, results):
            ours = f"({function.parameters}) -> ({function.result})"
            raise LinkError(f"it imports {module}.{name} as ({parameters}) -> ({results}), but it is {ours}")
        return function

    def _define(self, linker: Linker, function: HostFunction) -> None:
        if function not in self._callbacks:
            self._callbacks[function] = _callback(function, self.cells)
        kind = FuncType(
            [_VALUE_TYPES[name]() for name in function.parameters.split()],
            [_VALUE_TYPES[name]() for name in function.result.split()],
        )
        module, name = function.module.encode(), function.name.encode()
        error = raw.linker_define(
            raw.address(linker.ptr()),
            module,
            len(module),
            name,
            len(name),
            raw.address(kind.ptr()),
            ctypes.cast(self._callbacks[function], ctypes.c_void_p).value or 0,
            None,
            None,
        )
        if error:
            raise LinkError(raw.take_error(error))
