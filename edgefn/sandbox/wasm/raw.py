"""All raw calls into wasmtime's C API: typed names for the symbols, the layouts they work on, and a test of both.

wasmtime's public Python API has neither the pooling allocator nor asynchronous calls; its C API has them, and the
generated `wasmtime._bindings` declare it. That module is private, so the version is pinned exactly and importing
this one fails with a clear message on any other.

Pointers are plain integers here. Only `future_poll`, `call_now` and `start_now` run guest code and release the GIL for
that: the ticker is a Python thread and must get its turn. All else keeps the GIL, so that no other thread can take it
between two calls.
"""

import ctypes
from collections.abc import Callable
from importlib.metadata import version
from typing import TypeVar

from wasmtime import _bindings, _ffi

EXPECTED_VERSION = "50.0.1"
VERSION = version("wasmtime")

_S = TypeVar("_S", bound=ctypes.Structure)

_PLAIN = (ctypes.c_bool, ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64, ctypes.c_size_t)


def mismatch(what: str) -> ImportError:
    """Return the error that says why this wasmtime can't be used."""
    return ImportError(f"edgefn needs wasmtime {EXPECTED_VERSION} exactly, found {VERSION}: {what}")


if VERSION != EXPECTED_VERSION:
    raise mismatch("install the pinned version")


class Value(ctypes.Structure):
    """A `wasmtime_val_t`. `bits` holds integers of both sizes: the machines that wasmtime knows are little-endian."""

    _fields_ = (("kind", ctypes.c_uint8), ("bits", ctypes.c_int64), ("rest", ctypes.c_uint64 * 2))


class Extern(ctypes.Structure):
    """A `wasmtime_extern_t`: something that an instance exports. Calls take the address of `of`."""

    _fields_ = (("kind", ctypes.c_uint8), ("of", ctypes.c_uint64 * 3))


class Instance(ctypes.Structure):
    """A `wasmtime_instance_t`."""

    _fields_ = (("store", ctypes.c_uint64), ("index", ctypes.c_uint64))


EXTERN_MEMORY = 3
RAW_VALUE_SIZE = 16
EXTERN_OFFSET = 8

HostCall = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
"""A host function as wasmtime calls it: (environment, caller, raw values, how many) -> trap or NULL."""

_LAYOUTS = (
    (Value, _bindings.wasmtime_val_t, (("kind", "kind"), ("bits", "of"))),
    (Extern, _bindings.wasmtime_extern_t, (("kind", "kind"), ("of", "of"))),
    (Instance, _bindings.wasmtime_instance_t, (("store", "store_id"),)),
)


def _check_layouts() -> None:
    """Raise `ImportError` where our layouts differ from those of the bindings."""
    for ours, theirs, fields in _LAYOUTS:
        if ctypes.sizeof(ours) != ctypes.sizeof(theirs):
            raise mismatch(f"the size of {theirs.__name__} has changed")
        for our_name, their_name in fields:
            if getattr(ours, our_name).offset != getattr(theirs, their_name).offset:
                raise mismatch(f"the layout of {theirs.__name__} has changed")
    if ctypes.sizeof(_bindings.wasmtime_val_raw_t) != RAW_VALUE_SIZE:
        raise mismatch("the size of wasmtime_val_raw_t has changed")


_check_layouts()

_HOLDING = ctypes.PyDLL(str(_ffi.filename))
_RELEASING = ctypes.CDLL(str(_ffi.filename))


def _declare(library: ctypes.CDLL, name: str, arity: int) -> None:
    """Give a symbol the signature that the bindings declare, with all pointers as integers. Raises `ImportError`."""
    try:
        declared = getattr(_ffi.dll, name)
        function = getattr(library, name)
    except AttributeError:
        raise mismatch(f"it has no {name}") from None
    if declared.argtypes is None or len(declared.argtypes) != arity:
        raise mismatch(f"{name} takes other arguments")
    function.argtypes = [kind if kind in _PLAIN else ctypes.c_void_p for kind in declared.argtypes]
    result = declared.restype
    function.restype = result if result is None or result in _PLAIN else ctypes.c_void_p


_ARITIES = {
    "wasmtime_store_new": 3,
    "wasmtime_store_context": 1,
    "wasmtime_store_limiter": 6,
    "wasmtime_store_delete": 1,
    "wasmtime_context_set_epoch_deadline": 2,
    "wasmtime_context_epoch_deadline_async_yield_and_update": 2,
    "wasmtime_instance_pre_instantiate": 4,
    "wasmtime_instance_pre_instantiate_async": 5,
    "wasmtime_instance_new": 6,
    "wasmtime_instance_export_nth": 6,
    "wasmtime_func_call_async": 8,
    "wasmtime_call_future_delete": 1,
    "wasmtime_memory_data": 2,
    "wasmtime_memory_data_size": 2,
    "wasmtime_caller_context": 1,
    "wasmtime_caller_export_get": 4,
    "wasmtime_trap_new": 2,
    "wasm_trap_delete": 1,
    "wasmtime_error_delete": 1,
    "wasmtime_global_get": 3,
    "wasmtime_global_set": 3,
    "wasmtime_linker_define_func_unchecked": 9,
}
for _name, _arity in _ARITIES.items():
    _declare(_HOLDING, _name, _arity)
_declare(_RELEASING, "wasmtime_call_future_poll", 1)
_declare(_RELEASING, "wasmtime_func_call_unchecked", 5)
_declare(_RELEASING, "wasmtime_instance_pre_instantiate", 4)
_declare(_RELEASING, "wasmtime_engine_increment_epoch", 1)

store_new: Callable[[int, None, None], int] = _HOLDING.wasmtime_store_new
"""(engine, data, finalizer) -> store"""
store_context: Callable[[int], int] = _HOLDING.wasmtime_store_context
"""(store) -> context"""
store_limiter: Callable[[int, int, int, int, int, int], None] = _HOLDING.wasmtime_store_limiter
"""(store, memory bytes, table elements, instances, tables, memories); -1 is no limit"""
store_delete: Callable[[int], None] = _HOLDING.wasmtime_store_delete
set_epoch_deadline: Callable[[int, int], None] = _HOLDING.wasmtime_context_set_epoch_deadline
"""(context, ticks from now)"""
yield_at_deadline: Callable[[int, int], int | None] = _HOLDING.wasmtime_context_epoch_deadline_async_yield_and_update
"""(context, ticks of each further slice) -> error; sets what a deadline does, not the deadline"""
instantiate: Callable[[int, int, int, int], int | None] = _HOLDING.wasmtime_instance_pre_instantiate
"""(instance pre, context, &instance, &trap) -> error; only for modules without a start section"""
start_now: Callable[[int, int, int, int], int | None] = _RELEASING.wasmtime_instance_pre_instantiate
"""The same for a module with a start section, which runs until its end, or a trap at its deadline."""
instantiate_async: Callable[[int, int, int, int, int], int] = _HOLDING.wasmtime_instance_pre_instantiate_async
"""(instance pre, context, &instance, &trap, &error) -> future"""
instance_new: Callable[[int, int, int, int, int, int], int | None] = _HOLDING.wasmtime_instance_new
"""(context, module, imports, how many, &instance, &trap) -> error; only for modules without a start section"""
export_nth: Callable[[int, int, int, int, int, int], bool] = _HOLDING.wasmtime_instance_export_nth
"""(context, instance, index, &name, &name size, &extern) -> whether there is one"""
call_async: Callable[[int, int, int, int, int, int, int, int], int] = _HOLDING.wasmtime_func_call_async
"""(context, function, arguments, how many, results, how many, &trap, &error) -> future"""
future_poll: Callable[[int], bool] = _RELEASING.wasmtime_call_future_poll
"""(future) -> whether it is done; runs the guest until its end or its deadline"""
call_now: Callable[[int, int, int, int, int], int | None] = _RELEASING.wasmtime_func_call_unchecked
"""(context, function, raw values, how many, &trap) -> error; runs the guest until its end, or a trap at its deadline"""
future_delete: Callable[[int], None] = _HOLDING.wasmtime_call_future_delete
memory_data: Callable[[int, int], int] = _HOLDING.wasmtime_memory_data
memory_size: Callable[[int, int], int] = _HOLDING.wasmtime_memory_data_size
caller_context: Callable[[int], int] = _HOLDING.wasmtime_caller_context
caller_export: Callable[[int, bytes, int, int], bool] = _HOLDING.wasmtime_caller_export_get
"""(caller, name, name size, &extern) -> whether there is one"""
trap_new: Callable[[bytes, int], int] = _HOLDING.wasmtime_trap_new
global_get: Callable[[int, int, int], None] = _HOLDING.wasmtime_global_get
"""(context, global, &value)"""
global_set: Callable[[int, int, int], int | None] = _HOLDING.wasmtime_global_set
"""(context, global, &value) -> error"""
linker_define: Callable[[int, bytes, int, bytes, int, int, int, None, None], int | None] = (
    _HOLDING.wasmtime_linker_define_func_unchecked
)
"""(linker, module, size, name, size, function type, host call, environment, finalizer) -> error"""
increment_epoch: Callable[[int], None] = _RELEASING.wasmtime_engine_increment_epoch


def address(managed: "ctypes._Pointer[_S]") -> int:
    """Return the address that a pointer of wasmtime's wrapper objects holds."""
    return ctypes.cast(managed, ctypes.c_void_p).value or 0


def take_error(error: int) -> str:
    """Return the message of an error, and free it."""
    pointer = ctypes.cast(error, ctypes.POINTER(_bindings.wasmtime_error_t))
    message = _bindings.wasm_byte_vec_t()
    _bindings.wasmtime_error_message(pointer, ctypes.byref(message))
    text = _text(message)
    _bindings.wasm_byte_vec_delete(ctypes.byref(message))
    _bindings.wasmtime_error_delete(pointer)
    return text


def take_trap(trap: int) -> tuple[str, tuple[str, ...]]:
    """Return the message of a trap and the guest's frames, innermost first, and free it."""
    pointer = ctypes.cast(trap, ctypes.POINTER(_bindings.wasm_trap_t))
    message = _bindings.wasm_byte_vec_t()
    _bindings.wasm_trap_message(pointer, ctypes.byref(message))
    text = _text(message).removesuffix("\0")
    _bindings.wasm_byte_vec_delete(ctypes.byref(message))
    frames = _bindings.wasm_frame_vec_t()
    _bindings.wasm_trap_trace(pointer, ctypes.byref(frames))
    trace = tuple(_frame(frames.data[number]) for number in range(min(frames.size, _FRAMES_TOLD)))
    _bindings.wasm_frame_vec_delete(ctypes.byref(frames))
    _bindings.wasm_trap_delete(pointer)
    return text, trace


_FRAMES_TOLD = 20
_NAME_TOLD = 200


def _text(message: _bindings.wasm_byte_vec_t) -> str:
    return ctypes.string_at(message.data, message.size).decode("utf-8", "replace") if message.size else ""


def _frame(frame: "ctypes._Pointer[_bindings.wasm_frame_t]") -> str:
    named = _bindings.wasmtime_frame_func_name(frame)
    index = int(_bindings.wasm_frame_func_index(frame))
    offset = int(_bindings.wasm_frame_module_offset(frame))
    function = _text(named.contents)[:_NAME_TOLD] if address(named) else f"function {index}"
    return f"at {function} (0x{offset:x})"
