"""The one wasmtime engine of a process: what code may use, how it is compiled, and the pool its instances live in."""

import faulthandler
from dataclasses import dataclass

from wasmtime import Config, Module, _bindings
from wasmtime import Engine as NativeEngine

from edgefn.sandbox.wasm import raw

MB = 1024 * 1024

CODE_SHAPE = f"{raw.VERSION}/2"
"""Compiled code is good for one version of wasmtime and one `code_config`: count up when that changes."""

_WASM_STACK = 512 * 1024
_FIBER_STACK = 2 * MB
_INSTANCE_SIZE = MB
_RESERVED_PER_MEMORY = 4 * 1024 * MB

_STDERR = 2


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much room the guests of a process have.

    `slots` is how many instances may be alive or kept warm: at least functions plus guests at one time. `memory` is the
    most bytes of linear memory that one guest may have. `keep_resident` bytes of a slot stay in RAM between two guests:
    at least what a usual guest touches, or each call pays for page faults. `table` counts elements.
    """

    slots: int = 128
    memory: int = 16 * MB
    keep_resident: int = MB
    table: int = 20_000


def code_config() -> Config:
    """Return what decides the machine code: what a guest may use, and how it is interrupted and bounded.

    No threads: an atomic wait would block the event loop. One 32-bit memory, so that its bounds are guard pages, and no
    garbage-collected objects (nor exceptions, which are some): they would live in a second heap beside it.
    """
    config = Config()
    config.epoch_interruption = True
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_component_model = False
    config.wasm_exceptions = False
    config.wasm_gc = False
    config.wasm_function_references = False
    config.wasm_stack_switching = False
    _bindings.wasmtime_config_wasm_wide_arithmetic_set(config.ptr(), False)
    _bindings.wasmtime_config_wasm_custom_page_sizes_set(config.ptr(), False)
    config.wasm_relaxed_simd_deterministic = True
    config.max_wasm_stack = _WASM_STACK
    _bindings.wasmtime_config_async_stack_size_set(config.ptr(), _FIBER_STACK)
    _bindings.wasmtime_config_memory_reservation_set(config.ptr(), _RESERVED_PER_MEMORY)
    _bindings.wasmtime_config_memory_init_cow_set(config.ptr(), True)
    return config


def _pool(config: Config, sizes: Sizes) -> None:
    """Let instances live in preallocated slots. A guest of two modules (code and snapshot) takes two core instances."""
    pool = _bindings.wasmtime_pooling_allocation_config_new()
    for name, value in (
        ("total_memories", sizes.slots),
        ("total_stacks", sizes.slots),
        ("total_tables", sizes.slots * 2),
        ("total_core_instances", sizes.slots * 2),
        ("max_unused_warm_slots", sizes.slots),
        ("max_memories_per_module", 1),
        ("max_tables_per_module", 2),
        ("max_memory_size", sizes.memory),
        ("max_core_instance_size", _INSTANCE_SIZE),
        ("table_elements", sizes.table),
        ("linear_memory_keep_resident", sizes.keep_resident),
        ("table_keep_resident", sizes.keep_resident),
    ):
        getattr(_bindings, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)
    _bindings.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    _bindings.wasmtime_pooling_allocation_config_delete(pool)


class Engine:
    """The engine and its pool. Make one per process, and never fork after that."""

    def __init__(self, sizes: Sizes) -> None:
        if not faulthandler.is_enabled():
            # Enabled later, it would take the signals by which wasmtime notices that a guest leaves its memory.
            faulthandler.enable(file=_STDERR)
        self.sizes = sizes
        config = code_config()
        config.parallel_compilation = False
        _pool(config, sizes)
        self._native = NativeEngine(config)
        self.pointer = raw.address(self._native.ptr())

    def compile(self, source: bytes) -> Module:
        """Return the module of trusted source, compiled here and now. Raises `wasmtime.WasmtimeError`."""
        return Module(self._native, source)

    def load(self, compiled: bytes) -> Module:
        """Return the module of native code that this program compiled. Raises `wasmtime.WasmtimeError`.

        Never give it anything else: it is run as it is.
        """
        return Module.deserialize(self._native, compiled)

    @property
    def native(self) -> NativeEngine:
        """Return wasmtime's own object, for linkers."""
        return self._native

    def close(self) -> None:
        """Give the pool back. All guests and the ticker must be gone."""
        self._native.close()

    def tick(self) -> None:
        """Let the epoch pass on: what runs longer than its slice yields. Callable from any thread."""
        raw.increment_epoch(self.pointer)
