"""The engine room of one process: the engine, its cells, what guests import, the scheduler, the compiler."""

from collections.abc import Callable
from dataclasses import dataclass

from edgefn.sandbox.base import Invocation
from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.abi import Reactor, link
from edgefn.sandbox.wasm.cache import CodeCache
from edgefn.sandbox.wasm.cell import Cells
from edgefn.sandbox.wasm.compile import Compiler
from edgefn.sandbox.wasm.engine import Engine, Sizes
from edgefn.sandbox.wasm.fibers import Bounds, Scheduler
from edgefn.sandbox.wasm.guest import Grants, Guest, GuestLog, LogLimits
from edgefn.sandbox.wasm.host_functions import EDGEFN
from edgefn.sandbox.wasm.imports import Imports
from edgefn.sandbox.wasm.loader import WasmLoader
from edgefn.sandbox.wasm.standing import Stands
from edgefn.sandbox.wasm.ticker import Ticker
from edgefn.sandbox.wasm.wasi import WASI, stub


@dataclass(frozen=True, slots=True)
class Senses:
    """What only the top of the program knows.

    `monotonic` seconds, `cpu` seconds that this thread has used, `time` Unix seconds, `random` that many bytes.
    """

    monotonic: Callable[[], float]
    cpu: Callable[[], float]
    time: Callable[[], float]
    random: Callable[[int], bytes]


_PASSING = 4
"""Slots for guests that neither run on nor stand ready: one that begins, one that shows how another began, and some."""


class EngineRoom:
    """All that guests of any language run on. One per process; its thread is that of the event loop.

    `sizes.slots` must be more than `bounds.spinning`: best by the number of functions. Raises `ImportError` at the
    import of this module, or `RuntimeError` here, where the installed wasmtime is not the one that edgefn knows.
    """

    def __init__(self, sizes: Sizes, bounds: Bounds, cache: CodeCache, senses: Senses) -> None:
        if sizes.slots <= bounds.spinning:
            raise ValueError(f"{sizes.slots} slots can't hold {bounds.spinning} guests and one more")
        self.senses = senses
        self.engine = Engine(sizes)
        self.cells = Cells(self.engine)
        self.stands = Stands(self.cells, max(1, sizes.slots - bounds.spinning - _PASSING))
        self.imports = Imports(self.cells, (*EDGEFN, *WASI), stub)
        _check(self.cells, self.imports)
        self.compiler = Compiler(cache)
        self.ticker = Ticker(self.engine.tick)
        self.scheduler = Scheduler(senses.monotonic, senses.cpu, self.ticker, bounds)

    def loader(self) -> WasmLoader:
        """Return the loader of runtime `wasm`."""
        return WasmLoader(self.stands, self.compiler, self.imports)

    def close(self) -> None:
        """Stop the ticker and give the memory back. All guests must be gone."""
        self.stands.close()
        self.ticker.close()
        self.engine.close()


_ECHO = (
    b"\0asm\1\0\0\0"
    b"\x01\x0c\x02\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\x01\x7e"  # types: (i32) -> i32, (i32 i32) -> i64
    b"\x03\x03\x02\x00\x01"  # two functions
    b"\x05\x03\x01\x00\x01"  # one page of memory
    b"\x07\x1b\x03\x06memory\x02\x00\x05alloc\x00\x00\x06handle\x00\x01"
    b"\x0a\x13\x02\x04\x00\x41\x10\x0b"  # alloc: 16
    b"\x0c\x00\x20\x00\xad\x42\x20\x86\x20\x01\xad\x84\x0b"  # handle: pointer << 32 | length
)


def _check(cells: Cells, imports: Imports) -> None:
    """Run a guest to see that the calls do what they are declared to. Raises `RuntimeError`."""
    linked = link(cells.engine.compile(_ECHO), imports, starts=False)
    guest = Guest(Invocation("", b"ping"), Grants(bytes, float), GuestLog(LogLimits()), 0.0, 0.0, 4)
    slices = Reactor(linked, cells, cells.engine.sizes.memory).run(guest)
    try:
        next(slices)
    except StopIteration as end:
        if end.value == b"ping":
            return
    raise RuntimeError(f"wasmtime {raw.VERSION} does not run guests as edgefn expects")
