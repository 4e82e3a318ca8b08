"""A cell by itself: a guest of two modules, as an engine with a snapshot of its memory needs it."""

from wasmtime import Module

from edgefn.sandbox.base import Invocation
from edgefn.sandbox.wasm import raw
from edgefn.sandbox.wasm.abi import Linked, link, unpacked
from edgefn.sandbox.wasm.cell import MEMORY
from edgefn.sandbox.wasm.engine import MB
from edgefn.sandbox.wasm.fibers import Fiber, Lane, Slices
from edgefn.sandbox.wasm.guest import Grants, Guest, GuestLog, LogLimits
from edgefn.sandbox.wasm.room import EngineRoom
from tests.sandbox_wasm.guests import PACK, text, wasm
from tests.sandbox_wasm.stage import Stage

SNAPSHOT = wasm(f'(module (memory (export "memory") 1) {text(100, "0 was here")})')
CODE = wasm(
    f"""(module (import "snapshot" "memory" (memory 1)) {PACK}
        (func (export "handle") (param i32 i32) (result i64)
          (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
          (call $pack (i32.const 100) (i32.const 10))))"""
)
HANDLE = 1


def guest() -> Guest:
    return Guest(Invocation("id-1", b""), Grants(bytes, float), GuestLog(LogLimits()), 0.0, 0.0, 1000)


def run(room: EngineRoom, snapshot: Linked, code: Module, whose: Guest) -> Slices:
    cell = room.cells.open(whose, MB)
    try:
        cell.instantiate(snapshot.pointer)
        cell.export(snapshot.exports["memory"], MEMORY)
        cell.instantiate_on_memory(raw.address(code.ptr()), into=1)
        cell.begin_slices()
        cell.export(0, HANDLE, instance=1)
        packed = yield from cell.call(HANDLE, 0, 0)
        return unpacked(cell, packed, whose.result_limit)
    finally:
        cell.close()


async def test_code_runs_on_a_fresh_copy_of_the_snapshot_each_time(stage: Stage) -> None:
    room, engine = stage.room, stage.room.engine
    snapshot = link(engine.compile(SNAPSHOT), room.imports, starts=False)
    code = engine.compile(CODE)
    lane = Lane(1)
    for _ in range(3):
        whose = guest()
        fiber = Fiber(run(room, snapshot, code, whose), lane, 1e9, 1e9)
        assert await room.scheduler.run(fiber) == b"1 was here"
        assert whose.memory == 65536
