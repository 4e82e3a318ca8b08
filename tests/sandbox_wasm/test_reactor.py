"""A guest with `alloc` and `handle`: what passes between it and its host, and what it can't get away with."""

import base64
import json
import struct

import pytest

from edgefn.sandbox.base import Failed, Invocation, Returned, TimedOut
from edgefn.sandbox.wasm.engine import MB
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.guests import reactor, returns, text
from tests.sandbox_wasm.stage import STARTED, Stage

EVENT = json.dumps({"Records": [{"cf": {"request": {"uri": "/", "body": {"action": "read-only"}}}}]}).encode()

LOG = '(import "edgefn" "log" (func $log (param i32 i32)))'
KV = '(import "edgefn" "kv_get" (func $kv (param i32 i32 i32 i32) (result i32)))'
NOW = '(import "edgefn" "now" (func $now (result f64)))'
RANDOM = '(import "edgefn" "random" (func $random (param i32 i32)))'


async def test_a_guest_gets_the_event_and_returns_a_result(stage: Stage) -> None:
    outcome = await stage.run(guests.ECHO, event=b'{"hello": "world"}')
    assert isinstance(outcome, Returned)
    assert outcome.result == b'{"hello": "world"}'


async def test_usage_tells_cpu_memory_and_on_the_first_event_the_opening(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    first, second = [await sandbox.run(Invocation(str(number), b"{}")) for number in (1, 2)]
    assert isinstance(first, Returned)
    assert isinstance(second, Returned)
    assert 0 < first.usage.cpu < 1
    assert first.usage.wall > 0
    assert first.usage.memory == 2 * 65536
    assert first.usage.init is not None
    assert second.usage.init is None


async def test_each_event_gets_a_fresh_guest(stage: Stage) -> None:
    sandbox = await stage.open(guests.COUNTER)
    outcomes = [await sandbox.run(Invocation(str(number), b"{}")) for number in range(3)]
    assert [outcome.result for outcome in outcomes if isinstance(outcome, Returned)] == [b"1", b"1", b"1"]


async def test_a_trap_leaves_the_next_guest_unharmed(stage: Stage) -> None:
    broken = await stage.open(guests.OUT_OF_BOUNDS)
    good = await stage.open(guests.ECHO)
    for number in range(3):
        assert isinstance(await broken.run(Invocation(str(number), b"{}")), Failed)
        assert isinstance(await good.run(Invocation(str(number), b"{}")), Returned)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (guests.OUT_OF_BOUNDS, "out of bounds memory access"),
        (guests.FAR_OUT_OF_BOUNDS, "out of bounds memory access"),
        (guests.DIVISION, "integer divide by zero"),
        (guests.RECURSION, "call stack exhausted"),
    ],
    ids=["out of bounds", "far out of bounds", "division by zero", "deep recursion"],
)
async def test_a_trap_is_the_guests_failure(stage: Stage, module: bytes, told: str) -> None:
    failed = await stage.failure(module)
    assert failed.type == "Runtime.Trap"
    assert told in failed.message


async def test_a_trap_tells_the_functions_it_came_through(stage: Stage) -> None:
    failed = await stage.failure(guests.NAMED_TRAP)
    assert "unreachable" in failed.message
    assert failed.trace[0].startswith("at inner (0x")
    assert failed.trace[1].startswith("at handle (0x")


async def test_memory_grows_to_the_functions_limit_and_no_further(stage: Stage) -> None:
    outcome = await stage.run(guests.MEMORY_BOMB)
    assert isinstance(outcome, Returned)
    assert int.from_bytes(outcome.result, "little") * 65536 <= 3 * MB
    assert 2 * MB < outcome.usage.memory <= 3 * MB


async def test_a_table_grows_no_further_than_the_limit(stage: Stage) -> None:
    assert await stage.result(guests.TABLE_BOMB) == b"\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("at", "size"),
    [(2 * 65536, 1), (2 * 65536 - 3, 4), (0xFFFFFFFF, 1), (0xFFFFFFFF, 65536), (0, 2 * 65536)],
    ids=["just outside", "half outside", "the last address", "over the end of everything", "too large"],
)
async def test_a_result_must_lie_in_the_guests_memory(stage: Stage, at: int, size: int) -> None:
    failed = await stage.failure(reactor(returns(at - (1 << 32) if at > 0x7FFFFFFF else at, size)))
    assert failed.type in {"Runtime.InvalidPointer", "Function.ResponseSizeTooLarge"}


async def test_a_huge_result_is_refused_before_it_is_copied(stage: Stage) -> None:
    failed = await stage.failure(reactor(returns(0, 64 * 1024 + 1)))
    assert failed.type == "Function.ResponseSizeTooLarge"
    assert len(await stage.result(reactor(returns(0, 64 * 1024)))) == 64 * 1024


@pytest.mark.parametrize(
    ("address", "kind"),
    [(0, "Runtime.OutOfMemory"), (-1, "Runtime.InvalidPointer"), (2 * 65536, "Runtime.InvalidPointer")],
)
async def test_alloc_can_not_lie(stage: Stage, address: int, kind: str) -> None:
    liar = f"""(memory (export "memory") 2)
        (func (export "alloc") (param i32) (result i32) (i32.const {address}))"""
    assert (await stage.failure(reactor(returns(0, 1), shared=liar))).type == kind


async def test_an_alloc_that_never_ends_is_stopped(stage: Stage) -> None:
    sandbox = await stage.open(guests.SPINNING_ALLOC, timeout=0.05)
    assert isinstance(await sandbox.run(Invocation("id-1", b"{}")), TimedOut)


async def test_an_error_document_is_told_as_it_is(stage: Stage) -> None:
    document = json.dumps({"errorType": "NotToday", "errorMessage": "come back", "trace": ["a", "b"]})
    module = reactor(f"(i64.or {returns(16, len(document))} (i64.const 0x80000000))", more=text(16, document))
    failed = await stage.failure(module)
    assert (failed.type, failed.message, failed.trace) == ("NotToday", "come back", ("a", "b"))


async def test_an_error_may_be_plain_text(stage: Stage) -> None:
    module = reactor(f"(i64.or {returns(16, 9)} (i64.const 0x80000000))", more=text(16, "oh no\nat x"))
    failed = await stage.failure(module)
    assert (failed.type, failed.message, failed.trace) == ("Error", "oh no", ("at ",))


async def test_a_body_is_put_into_the_event_for_a_guest_that_only_has_handle(stage: Stage) -> None:
    seen = json.loads(await stage.result(guests.ECHO, event=EVENT, body=b"\0raw\xff"))
    assert base64.b64decode(seen["Records"][0]["cf"]["request"]["body"]["data"]) == b"\0raw\xff"


async def test_a_body_travels_beside_the_event_to_handle_with_body(stage: Stage) -> None:
    module = guests.wasm(
        f"""(module {guests.BUMP} {guests.PACK}
        (func (export "handle_with_body") (param i32 i32) (param $at i32) (param $size i32) (result i64)
          (call $pack (local.get $at) (local.get $size))))"""
    )
    assert await stage.result(module, event=EVENT, body=b"\0raw\xff") == b"\0raw\xff"
    assert await stage.result(module, event=EVENT) == b""


async def test_initialize_runs_first(stage: Stage) -> None:
    initialize = '(func (export "_initialize") (i32.store8 (i32.const 0) (i32.const 89)))'
    assert await stage.result(reactor(returns(0, 1), more=initialize)) == b"Y"


async def test_a_start_section_runs_first(stage: Stage) -> None:
    start = "(func $begin (i32.store8 (i32.const 0) (i32.const 89))) (start $begin)"
    assert await stage.result(reactor(returns(0, 1), more=start)) == b"Y"


async def test_a_guest_logs_lines_that_carry_the_id_of_the_invocation(stage: Stage) -> None:
    log = "(call $log (i32.const 16) (i32.const 11))"
    module = reactor(f"{log} {returns(0, 1)}", imports=LOG, more=text(16, "one\ntwo\x1b[2J"))
    await stage.result(module)
    assert stage.logged == [("id-1", "one"), ("id-1", r"two\x1b[2J")]


async def test_a_log_is_cut_at_its_size(stage: Stage) -> None:
    module = reactor(f"(call $log (i32.const 0) (i32.const 70000)) {returns(0, 1)}", imports=LOG)
    await stage.result(module)
    lines = [line for _, line in stage.logged]
    assert lines[-1] == "... log cut at its limit"
    assert len(lines) == 2


async def test_a_flood_of_empty_lines_is_cut(stage: Stage) -> None:
    flood = "(loop $again (call $log (i32.const 0) (i32.const 0)) (br $again)) (unreachable)"
    sandbox = await stage.open(reactor(flood, imports=LOG), timeout=0.05)
    assert isinstance(await sandbox.run(Invocation("id-1", b"{}")), TimedOut)
    assert len(stage.logged) == 21
    assert stage.logged[-1] == ("id-1", "... log cut at its limit")


@pytest.mark.parametrize(
    "lie",
    [
        "(call $log (i32.const 131072) (i32.const 1))",
        "(call $log (i32.const 0) (i32.const -1))",
        "(call $log (i32.const -1) (i32.const -1))",
    ],
)
async def test_a_host_function_believes_no_pointer(stage: Stage, lie: str) -> None:
    failed = await stage.failure(reactor(f"{lie} {returns(0, 1)}", imports=LOG))
    assert "not in the function's memory" in failed.message
    assert stage.logged == []


def kv_get(key: str, room: int) -> bytes:
    """Return a guest that answers with the size it was told (4 bytes) and 8 bytes of its buffer."""
    return reactor(
        f"""(i32.store (i32.const 100)
              (call $kv (i32.const 8192) (i32.const {len(key)}) (i32.const 104) (i32.const {room})))
            {returns(100, 12)}""",
        imports=KV,
        more=text(8192, key),
    )


@pytest.mark.parametrize(
    ("key", "room", "answer"),
    [
        ("colour", 8, b"\x04\0\0\0blue\0\0\0\0"),
        ("colour", 3, b"\x04\0\0\0" + bytes(8)),
        ("empty", 0, bytes(12)),
        ("long", 8, b"\xf4\x01\0\0" + bytes(8)),
        ("none", 8, b"\xff\xff\xff\xff" + bytes(8)),
        ("k" * 2000, 8, b"\xff\xff\xff\xff" + bytes(8)),
    ],
    ids=["there", "too little room", "empty", "much too little room", "missing", "key too long"],
)
async def test_a_guest_reads_its_key_value_store(stage: Stage, key: str, room: int, answer: bytes) -> None:
    assert await stage.result(kv_get(key, room)) == answer


async def test_time_stands_still(stage: Stage) -> None:
    module = reactor(f"(f64.store (i32.const 0) (call $now)) {returns(0, 8)}", imports=NOW)
    assert struct.unpack("<d", await stage.result(module)) == (STARTED * 1000,)


async def test_randomness_differs_from_guest_to_guest(stage: Stage) -> None:
    sandbox = await stage.open(reactor(f"(call $random (i32.const 0) (i32.const 16)) {returns(0, 16)}", imports=RANDOM))
    outcomes = [await sandbox.run(Invocation(str(number), b"{}")) for number in range(2)]
    assert len({outcome.result for outcome in outcomes if isinstance(outcome, Returned)}) == 2


async def test_randomness_comes_in_bounded_pieces(stage: Stage) -> None:
    failed = await stage.failure(
        reactor(f"(call $random (i32.const 0) (i32.const 100000)) {returns(0, 1)}", imports=RANDOM)
    )
    assert "at most 65536 bytes" in failed.message


async def test_a_host_function_that_breaks_ends_the_guest_only(stage: Stage) -> None:
    def broken(_key: bytes) -> bytes:
        raise OSError("disk on fire")

    stage.host.values_of = lambda _code: broken
    failed = await stage.failure(kv_get("colour", 8))
    assert "the host function edgefn.kv_get failed: OSError('disk on fire')" in failed.message
    assert await stage.result(guests.ECHO) == b"{}"
