"""Instances that stand ready: each event finds them as if they had just been made, and only good ends count."""

import asyncio
from pathlib import Path

import pytest

from edgefn.sandbox.base import AtOnce, Failed, Invocation, Returned, TimedOut
from edgefn.sandbox.wasm.host import WasmSandbox
from edgefn.sandbox.wasm.standing import Stands
from edgefn.sandbox.wasm.written import PAGE, Pagemap
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.stage import Stage

EVENT = Invocation("id-1", b"{}")


def counter(kind: str) -> bytes:
    """Return a guest that counts its events in a global of this type, and tells the count as a byte."""
    wrap = {"i32": "", "i64": "(i32.wrap_i64 {})", "f32": "(i32.trunc_f32_u {})", "f64": "(i32.trunc_f64_u {})"}[kind]
    value = (wrap or "{}").format("(global.get $count)")
    return guests.reactor(
        f"""(global.set $count ({kind}.add (global.get $count) ({kind}.const 1)))
            (i32.store8 (i32.const 0) {value}) {guests.returns(0, 1)}""",
        more=f"(global $count (mut {kind}) ({kind}.const 48))",
    )


MESSY = guests.reactor(
    f"""(local.set $at (i32.const 4096))
        (loop $again
          (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
          (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.load (local.get $at))))
          (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2048))) (i32.const 131072))))
        {guests.returns(8, 4)}"""
)
"""Counts in every page it has, and tells the sum."""

GROWING = guests.reactor(
    f"(drop (memory.grow (i32.const 1))) (i32.store (i32.const 0) (memory.size)) {guests.returns(0, 4)}"
)
TABLES = guests.reactor(
    f"""(i32.store8 (i32.const 0) (i32.add (i32.const 48) (ref.is_null (table.get $table (i32.const 0)))))
        (table.set $table (i32.const 0) (ref.null func)) {guests.returns(0, 1)}""",
    more="(table $table 1 funcref) (elem (i32.const 0) func $handle)",
)
INITIALIZED = guests.reactor(
    guests.returns(0, 1),
    more="""(func (export "_initialize")
        (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1))))""",
)
STARTED = guests.reactor(
    f"""(i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1)))
        (i32.store8 (i32.const 1) (local.tee $at (global.get $count)))
        (global.set $count (i32.add (local.get $at) (i32.const 1))) {guests.returns(0, 2)}""",
    more="""(global $count (mut i32) (i32.const 1)) (start $go)
        (func $go (global.set $count (i32.const 70)) (i32.store8 (i32.const 0) (i32.const 65)))""",
)
"""Its start section sets memory and a global."""

CHATTY = guests.reactor(
    f"(call $log (i32.const 0) (i32.const 5)) {guests.returns(0, 5)}",
    imports='(import "edgefn" "log" (func $log (param i32 i32)))',
    more=guests.text(0, "hello"),
)


def done_at_once(sandbox: WasmSandbox, event: bytes = b"{}") -> AtOnce:
    """Run an event in the instance that stands ready. On a busy machine it may need several slices; then once more."""
    for _ in range(100):
        done = sandbox.run_now(Invocation("id-1", event))
        if done is not None:
            return done
    raise AssertionError("it never ended at once")


def at_once(sandbox: WasmSandbox, event: bytes = b"{}") -> bytes:
    """Return the result of such an event."""
    return done_at_once(sandbox, event).outcome.result


@pytest.mark.parametrize(
    "module",
    [
        guests.ECHO,
        guests.COUNTER,
        *map(counter, ("i32", "i64", "f32", "f64")),
        MESSY,
        GROWING,
        INITIALIZED,
        STARTED,
        CHATTY,
    ],
    ids=["echo", "memory", "i32", "i64", "f32", "f64", "every page", "growing", "initialized", "started", "chatty"],
)
async def test_each_event_finds_a_fresh_instance(stage: Stage, module: bytes) -> None:
    sandbox = await stage.open(module)
    fresh = await sandbox.run(EVENT)
    assert isinstance(fresh, Returned)
    assert [at_once(sandbox) for _ in range(5)] == [fresh.result] * 5


async def test_memory_is_put_back_where_the_kernel_does_not_tell_what_was_written(stage: Stage, tmp_path: Path) -> None:
    stage.room.stands.pagemap = Pagemap(str(tmp_path / "nothing"))
    for module in (guests.COUNTER, MESSY, counter("i64")):
        sandbox = await stage.open(module)
        fresh = await sandbox.run(EVENT)
        assert isinstance(fresh, Returned)
        assert [at_once(sandbox) for _ in range(3)] == [fresh.result] * 3


async def test_pages_that_only_some_events_write_to_are_put_back_too(stage: Stage) -> None:
    """The event's first byte says which page; what lies in it beforehand is the result."""
    module = guests.reactor(
        f"""(local.set $at (i32.add (i32.const 65536) (i32.mul (i32.load8_u (local.get $at)) (i32.const {PAGE // 16}))))
            (i64.store (i32.const 0) (i64.load (local.get $at))) (i64.store (local.get $at) (i64.const -1))
            {guests.returns(0, 8)}"""
    )
    sandbox = await stage.open(module)
    for first in (*range(0, 250, 9), *range(0, 250, 7)):
        assert at_once(sandbox, bytes([first, 0])) == bytes(8)


async def test_one_whose_state_can_not_be_put_back_never_stands_ready(stage: Stage) -> None:
    sandbox = await stage.open(TABLES)
    assert not sandbox.may_answer_at_once
    assert sandbox.run_now(EVENT) is None
    assert [await sandbox.run(EVENT) for _ in range(2)]


@pytest.mark.parametrize("module", [guests.NAMED_TRAP, guests.OUT_OF_BOUNDS, guests.RECURSION, guests.SPINNER])
async def test_what_does_not_end_well_has_not_happened(stage: Stage, module: bytes) -> None:
    sandbox = await stage.open(module, timeout=0.1)
    before = stage.room.cells.in_use
    assert sandbox.run_now(EVENT) is None
    assert stage.room.cells.in_use == before
    assert stage.room.stands.count == 0
    assert isinstance(await sandbox.run(EVENT), Failed | TimedOut)


async def test_after_a_bad_end_the_next_event_finds_a_fresh_instance(stage: Stage) -> None:
    module = guests.reactor(
        f"""(i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1)))
            (if (i32.eq (local.get $size) (i32.const 3)) (then unreachable)) {guests.returns(0, 1)}"""
    )
    sandbox = await stage.open(module)
    assert at_once(sandbox) == b"\1"
    assert sandbox.run_now(Invocation("id-2", b"bad")) is None
    assert at_once(sandbox) == b"\1"


async def test_a_start_section_that_asks_the_host_runs_for_each_event(stage: Stage) -> None:
    module = guests.reactor(
        guests.returns(0, 8),
        imports='(import "edgefn" "random" (func $random (param i32 i32)))',
        more="(func $go (call $random (i32.const 0) (i32.const 8))) (start $go)",
    )
    sandbox = await stage.open(module)
    assert not sandbox.may_answer_at_once
    outcomes = [await sandbox.run(EVENT) for _ in range(3)]
    assert len({outcome.result for outcome in outcomes if isinstance(outcome, Returned)}) == 3


async def test_one_that_does_not_end_uses_the_turn_up(stage: Stage) -> None:
    good, bad = await stage.open(guests.ECHO), await stage.open(guests.SPINNER)
    assert good.may_answer_at_once
    assert bad.run_now(EVENT) is None
    assert not good.may_answer_at_once
    await asyncio.sleep(0)
    assert good.may_answer_at_once


@pytest.mark.parametrize("module", [guests.NAMED_TRAP, GROWING], ids=["a trap", "growing"])
async def test_a_function_that_does_not_leave_its_instance_ready_is_tried_less_and_less(
    stage: Stage, module: bytes
) -> None:
    sandbox = await stage.open(module)
    tried = 0
    for _ in range(200):
        if sandbox.may_answer_at_once:
            sandbox.run_now(EVENT)
            tried += 1
        await asyncio.sleep(0)
    assert 2 <= tried <= 10


async def test_lines_are_told_and_not_logged(stage: Stage) -> None:
    sandbox = await stage.open(CHATTY)
    assert list(done_at_once(sandbox).lines) == ["hello"]
    assert stage.logged == []


async def test_usage_is_told(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    first, second = done_at_once(sandbox), done_at_once(sandbox)
    assert first.outcome.usage.init is not None
    assert second.outcome.usage.init is None
    assert second.outcome.usage.memory == 2 * 65536
    assert 0 < second.outcome.usage.cpu <= 1


async def test_only_so_many_stand_ready(stage: Stage) -> None:
    stage.room.stands = Stands(stage.room.cells, 2)
    stage.host.loaders = {"wasm": stage.room.loader()}
    sandboxes = [await stage.open(guests.ECHO) for _ in range(4)]
    for sandbox in [*sandboxes, *sandboxes]:
        assert at_once(sandbox) == b"{}"
        assert 1 <= stage.room.stands.count <= 2
    stage.room.stands.close()
    assert stage.room.cells.in_use == 0


async def test_a_function_that_is_closed_stands_no_more(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    assert at_once(sandbox) == b"{}"
    await sandbox.close()
    assert stage.room.cells.in_use == 0
    assert sandbox.run_now(EVENT) is None
    assert not sandbox.may_answer_at_once


async def test_an_event_that_does_not_fit_is_refused_and_leaves_nothing(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    assert sandbox.run_now(Invocation("id-1", bytes(200_000))) is None
    assert at_once(sandbox) == b"{}"
