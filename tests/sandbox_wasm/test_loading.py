"""Opening a function: what is refused, and that the message says what is wrong with which file."""

import pytest

from edgefn.sandbox.base import Invocation, OpenError, Returned
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.guests import FOREVER, reactor, returns, wasm
from tests.sandbox_wasm.stage import Stage

RETURN = returns(0, 1)
ALLOC = '(func (export "alloc") (param i32) (result i32) (i32.const 8))'
HANDLE = '(func (export "handle") (param i32 i32) (result i64) (i64.const 0))'
MEMORY = '(memory (export "memory") 1)'

REFUSED = {
    "unknown import": (
        reactor(RETURN, imports='(import "env" "open_file" (func))'),
        "it imports env.open_file, which edgefn does not have",
    ),
    "unknown import from edgefn": (
        reactor(RETURN, imports='(import "edgefn" "fetch" (func (param i32)))'),
        "it imports edgefn.fetch, which edgefn does not have",
    ),
    "unknown import from WASI": (
        reactor(RETURN, imports='(import "wasi_snapshot_preview1" "sock_connect" (func (result i32)))'),
        "it imports wasi_snapshot_preview1.sock_connect, which edgefn does not have",
    ),
    "import of another type": (
        reactor(RETURN, imports='(import "edgefn" "log" (func (param i64)))'),
        "it imports edgefn.log as (i64) -> (), but it is (i32 i32) -> ()",
    ),
    "import of a global": (
        reactor(RETURN, imports='(import "env" "base" (global i32))'),
        "it imports env.base, which is not a function",
    ),
    "nothing to call": (wasm(f"(module {MEMORY})"), "it exports neither `handle` (with `alloc`) nor `_start`"),
    "no memory": (wasm(f"(module {ALLOC} {HANDLE})"), "it must export its memory as `memory`"),
    "no alloc": (wasm(f"(module {MEMORY} {HANDLE})"), "a module that exports handle must export alloc, too"),
    "handle of another type": (
        wasm(f'(module {MEMORY} {ALLOC} (func (export "handle") (param i32) (result i64) (i64.const 0)))'),
        "its export handle must be a function (i32 i32) -> (i64)",
    ),
    "alloc that is no function": (
        wasm(f'(module {MEMORY} (global (export "alloc") i32 (i32.const 0)) {HANDLE})'),
        "its export alloc must be a function (i32) -> (i32)",
    ),
    "memory that is no memory": (
        wasm(f'(module (global (export "memory") i32 (i32.const 0)) {ALLOC} {HANDLE})'),
        "its export memory must be a memory",
    ),
    "a trap at the start": (
        reactor(RETURN, more="(func $begin (unreachable)) (start $begin)"),
        "unreachable",
    ),
    "more memory than allowed": (
        wasm(f'(module (memory (export "memory") 50) {ALLOC} {HANDLE})'),
        "memory",
    ),
    "more memory than the pool has": (
        wasm(f'(module (memory (export "memory") 500) {ALLOC} {HANDLE})'),
        "memory",
    ),
    "a larger table than the pool has": (
        wasm(f"(module {MEMORY} (table 5000 funcref) {ALLOC} {HANDLE})"),
        "table",
    ),
    "two memories": (
        wasm(f"(module {MEMORY} (memory 1) {ALLOC} {HANDLE})"),
        "multiple memories",
    ),
    "shared memory": (
        wasm(f'(module (memory (export "memory") 1 1 shared) {ALLOC} {HANDLE})'),
        "threads",
    ),
    "64-bit memory": (
        wasm(f'(module (memory (export "memory") i64 1) {ALLOC} {HANDLE})'),
        "memory64",
    ),
    "not a module": (b"const handler = () => 1", "it is not a WebAssembly module"),
    "a component": (b"\0asm\x0d\0\1\0", "WebAssembly"),
    "cut off": (guests.ECHO[:60], "its last section is cut off"),
    "objects": (wasm(f"(module (type (struct)) {MEMORY} {ALLOC} {HANDLE})"), "without the gc feature"),
    "exceptions": (wasm(f"(module (tag) {MEMORY} {ALLOC} {HANDLE})"), "exceptions"),
    "pages of another size": (wasm(f"(module (memory 1 (pagesize 1)) {ALLOC} {HANDLE})"), "custom page sizes"),
    "a table of 64 bits": (wasm(f"(module {MEMORY} (table i64 1 funcref) {ALLOC} {HANDLE})"), "memory64"),
    "three tables": (wasm(f"(module {MEMORY} {'(table 1 funcref)' * 3} {ALLOC} {HANDLE})"), "tables count of 3"),
    "ten million elements": (wasm(f"(module {MEMORY} (table 10000000 funcref) {ALLOC} {HANDLE})"), "table"),
    "data beyond its memory": (
        wasm(f'(module {MEMORY} (data (i32.const 65535) "xx") {ALLOC} {HANDLE})'),
        "out of bounds",
    ),
    "nonsense inside": (guests.ECHO[:8] + b"\1\3\1\2\3", "invalid"),
}


@pytest.mark.parametrize(("module", "told"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_module_is_refused_with_its_name_and_the_reason(stage: Stage, module: bytes, told: str) -> None:
    with pytest.raises(OpenError) as refused:
        await stage.open(module)
    assert told in str(refused.value)
    assert stage.host.statistics().open == 0


async def test_the_message_names_the_file(stage: Stage) -> None:
    with pytest.raises(OpenError, match=r"^module0\.wasm: it is not"):
        await stage.open(b"")


async def test_a_start_that_never_ends_is_stopped_at_the_init_timeout(stage: Stage) -> None:
    module = reactor(RETURN, more=f"(func $begin {FOREVER}) (start $begin)")
    with pytest.raises(OpenError, match=r"Init timed out after 0\.05 seconds") as refused:
        await stage.open(module, init_timeout=0.05)
    assert refused.value.failure is not None
    assert refused.value.failure.usage.cpu > 0


async def test_an_initialize_that_never_ends_is_stopped_at_the_init_timeout(stage: Stage) -> None:
    with pytest.raises(OpenError, match="Init timed out"):
        await stage.open(reactor(RETURN, more=f'(func (export "_initialize") {FOREVER})'), init_timeout=0.05)


async def test_a_bundle_without_a_module_is_refused(stage: Stage) -> None:
    with pytest.raises(OpenError, match=r"must have one \.wasm file, or the one that handler 'index\.handler' names"):
        await stage.open()


async def test_of_two_modules_the_handler_must_name_one(stage: Stage) -> None:
    with pytest.raises(OpenError, match=r"module0\.wasm, module1\.wasm"):
        await stage.open(guests.ECHO, guests.COUNTER)


async def test_another_runtime_is_refused(stage: Stage) -> None:
    sandbox = await stage.open(guests.ECHO)
    stage.host.loaders = {}
    with pytest.raises(OpenError, match="no Wasm engine runs 'wasm'"):
        await stage.open(guests.ECHO)
    assert isinstance(await sandbox.run(Invocation("id-1", b"{}")), Returned)
