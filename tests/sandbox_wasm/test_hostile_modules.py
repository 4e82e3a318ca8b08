"""Modules made to hurt: each ends in a clear error, or in its limits, and the event loop turns on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edgefn.sandbox.base import Invocation, OpenError, Returned, TimedOut
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.guests import PACK, reactor, returns, wasm
from tests.sandbox_wasm.stage import Stage


def number(value: int) -> bytes:
    """Return an unsigned LEB128 integer."""
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def section(kind: int, *items: bytes) -> bytes:
    content = number(len(items)) + b"".join(items)
    return bytes([kind]) + number(len(content)) + content


def named(name: bytes) -> bytes:
    return number(len(name)) + name


def function(code: bytes, variables: bytes = b"\0") -> bytes:
    return number(len(variables + code) + 1) + variables + code + b"\x0b"


def module(*more: bytes, imports: int = 0, exports: int = 0, data: bytes = b"") -> bytes:
    """Return a reactor with further functions, whose code is `more`."""
    types = (b"\x60\1\x7f\1\x7f", b"\x60\2\x7f\x7f\1\x7e", b"\x60\0\0", b"\x60\0\1\x7f")
    imported = named(b"wasi_snapshot_preview1") + named(b"sched_yield") + b"\0\3"
    return b"".join(
        (
            b"\0asm\1\0\0\0",
            section(1, *types),
            section(2, *[imported] * imports),
            section(3, b"\0", b"\1", *[b"\2"] * len(more)),
            section(5, b"\0\1"),
            section(
                7,
                named(b"memory") + b"\2\0",
                named(b"alloc") + b"\0" + number(imports),
                named(b"handle") + b"\0" + number(imports + 1),
                *[named(b"m%d" % count) + b"\2\0" for count in range(exports)],
            ),
            section(10, function(b"\x41\x10"), function(b"\x42\0"), *more),
            section(11, b"\0\x41\0\x0b" + named(data)) if data else b"",
        )
    )


@asynccontextmanager
async def turning(most: float) -> AsyncIterator[None]:
    """Fail unless the event loop has turned all the time, with no pause of more than `most` seconds."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.002)
            longest = max(longest, time.monotonic() - began)

    beating = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        beating.cancel()
    assert longest < most


LOADED = {
    "ten thousand functions": module(*[function(b"")] * 10_000),
    "fifty thousand variables in each of twenty functions": module(
        *[function(b"", number(1) + number(50_000) + b"\x7f")] * 20
    ),
    "blocks in blocks, fifty thousand deep": module(function(b"\x02\x40" * 50_000 + b"\x0b" * 50_000)),
    "an expression of a hundred thousand terms": module(function(b"\x41\0" * 100_000 + b"\x6a" * 99_999 + b"\x1a")),
}


@pytest.mark.parametrize("source", LOADED.values(), ids=LOADED)
async def test_what_is_hard_to_compile_is_compiled_beside_the_loop(stage: Stage, source: bytes) -> None:
    async with turning(2.0):  # machines are busy; to compile it in here would take no turn at all
        sandbox = await stage.open(source)
        assert await sandbox.run(Invocation("id-1", b"{}")) is not None


REFUSED = {
    "a hundred thousand exports": (module(exports=100_000), "it has 100,003 exports; edgefn takes 2,000 at most"),
    "fifty thousand imports": (module(imports=50_000), "it has 50,000 imports; edgefn takes 2,000 at most"),
    "a jump with half a million targets": (
        module(function(b"\x02\x40\x41\0\x0e" + number(500_000) + b"\0" * 500_001 + b"\x0b")),
        "br_table",
    ),
    "fifty thousand and one variables": (
        module(function(b"", number(1) + number(50_001) + b"\x7f")),
        "too many locals",
    ),
    "more data than there is memory": (module(data=b"x" * 3_000_000), "out of bounds"),
    "more than is read": (module(data=b"x" * (64 * 1024**2)), "it is larger than 64 MB"),
    "a section that is longer than the file": (b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f\0", "its last section is cut off"),
    "a size without an end": (b"\0asm\1\0\0\0\1" + b"\xff" * 20, "an integer in it is too long"),
}


@pytest.mark.parametrize(("source", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_is_too_much_is_refused(stage: Stage, source: bytes, told: str) -> None:
    async with turning(2.0):
        with pytest.raises(OpenError) as refused:
            await stage.open(source)
    assert told in str(refused.value)
    assert stage.host.statistics().open == 0


@pytest.mark.parametrize("size", range(0, len(guests.ECHO), 13))
async def test_a_module_that_was_cut_off_anywhere_is_refused(stage: Stage, size: int) -> None:
    with pytest.raises(OpenError, match=r"^module0\.wasm: \w"):
        await stage.open(guests.ECHO[:size])


SPINNING = {
    "a function that calls itself in the place of a return": reactor(
        "(return_call $handle (local.get $at) (local.get $size))"
    ),
    "fills of all memory": reactor(
        """(drop (memory.grow (i32.const 45)))
           (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536))) (br $again))
           (unreachable)"""
    ),
    "copies of all memory": reactor(
        """(drop (memory.grow (i32.const 45)))
           (loop $again (memory.copy (i32.const 1) (i32.const 0) (i32.const 3000000)) (br $again)) (unreachable)"""
    ),
    "vain requests for memory": reactor(
        "(loop $again (drop (memory.grow (i32.const 65536))) (br $again)) (unreachable)"
    ),
    "fills of a table": reactor(
        "(loop $again (table.fill $t (i32.const 0) (ref.null func) (i32.const 900)) (br $again)) (unreachable)",
        more="(table $t 900 funcref)",
    ),
    "calls of the host": reactor(
        "(loop $again (call $random (i32.const 0) (i32.const 65536)) (br $again)) (unreachable)",
        imports='(import "edgefn" "random" (func $random (param i32 i32)))',
    ),
    "log lines": reactor(
        "(loop $again (call $log (i32.const 0) (i32.const 65536)) (br $again)) (unreachable)",
        imports='(import "edgefn" "log" (func $log (param i32 i32)))',
    ),
}


@pytest.mark.parametrize("source", SPINNING.values(), ids=SPINNING)
async def test_what_never_ends_is_stopped_and_delays_nobody(stage: Stage, source: bytes) -> None:
    bad, good = await stage.open(source, timeout=0.4), await stage.open(guests.ECHO)
    async with turning(1.0):
        spinning = asyncio.ensure_future(bad.run(Invocation("bad", b"{}")))
        await asyncio.sleep(0)
        for _ in range(5):
            assert isinstance(await good.run(Invocation("good", b"{}")), Returned)
        assert isinstance(await spinning, TimedOut)


TRAPS = {
    "memory.fill": "(memory.fill (i32.const 131071) (i32.const 0) (i32.const 2))",
    "memory.copy": "(memory.copy (i32.const 0) (i32.const -1) (i32.const 2))",
    "memory.init": "(memory.init $d (i32.const 0) (i32.const 3) (i32.const 9))",
    "dropped data": "(data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))",
    "table.get": "(drop (table.get $t (i32.const 5)))",
    "table.copy": "(table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 5))",
    "table.init": "(table.init $t $e (i32.const 4) (i32.const 0) (i32.const 1))",
    "a call of nothing": "(call_indirect $t (i32.const 3))",
    "a call of another type": "(call_indirect $t (param i64) (i64.const 0) (i32.const 0))",
    "a call beyond the table": "(call_indirect $t (i32.const -1))",
    "a quotient that is too large": "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
    "a number that is none": "(drop (i32.trunc_f64_s (f64.const nan)))",
    "a vector at the border": "(drop (v128.load (i32.const 131065)))",
}


@pytest.mark.parametrize("code", TRAPS.values(), ids=TRAPS)
async def test_a_trap_ends_the_guest_and_nothing_else(stage: Stage, code: str) -> None:
    more = '(data $d "abc") (table $t 4 funcref) (func $f) (elem $e func $f) (elem (table $t) (i32.const 0) func $f)'
    failure = await stage.failure(reactor(f"{code} {returns(0, 1)}", more=more))
    assert failure.type == "Runtime.Trap"
    assert failure.message
    assert await stage.result(guests.ECHO, event=b"still here") == b"still here"


PACKED = {
    "at the end of all addresses": 0xFFFFFFFF_00000001,
    "as long as can be": 0x00000000_7FFFFFFF,
    "from the last byte on": 0x0001FFFF_00000002,
    "an error, at the end of all addresses": 0xFFFFFFFF_FFFFFFFF,
    "an error that is too long": 0x00000010_FFFFFFFF,
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
async def test_a_result_that_lies_elsewhere_is_refused(stage: Stage, packed: int) -> None:
    failure = await stage.failure(reactor(f"(i64.const {packed})"))
    assert failure.type in {"Runtime.InvalidPointer", "Function.ResponseSizeTooLarge"}


async def test_exports_that_change_places_are_found_by_name(stage: Stage) -> None:
    swapped = wasm(
        f"""(module {PACK} (func $a (param i32) (result i32) (i32.const 64)) (memory $m 1)
            (export "handle" (func $pack)) (export "" (func $a))
            (export "memory" (memory $m)) (export "alloc" (func $a)))"""
    )
    assert await stage.result(swapped, event=b"ping") == b"ping"
