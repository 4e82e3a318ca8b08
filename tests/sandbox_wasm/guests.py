"""Guests in WebAssembly's text form: the parts they share, and the good and bad things they do."""

import wasmtime

BUMP = """
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 4096))
  (func (export "alloc") (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.add (global.get $top) (local.get $size)))
    (local.get $at))
"""
"""A memory, and an allocator that never frees: a guest lives for one event only."""

PACK = """
  (func $pack (param $at i32) (param $size i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size))))
"""


def reactor(handle: str, *, imports: str = "", more: str = "", shared: str = BUMP) -> bytes:
    """Return a reactor whose `handle` is the given body; the event is at $at and has $size bytes."""
    return wasm(
        f'(module {imports} {shared} {PACK} {more} (func $handle (export "handle")'
        f" (param $at i32) (param $size i32) (result i64) {handle}))"
    )


def command(start: str, *, imports: str = "", more: str = "") -> bytes:
    """Return a WASI command whose `_start` is the given body."""
    return wasm(f'(module {imports} (memory (export "memory") 2) {more} (func (export "_start") {start}))')


def wasm(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def text(at: int, content: str) -> str:
    """Return a data segment."""
    escaped = "".join(f"\\{byte:02x}" for byte in content.encode())
    return f'(data (i32.const {at}) "{escaped}")'


def returns(at: int, size: int) -> str:
    """Return a `handle` that answers with these bytes of its memory."""
    return f"(call $pack (i32.const {at}) (i32.const {size}))"


FOREVER = "(loop $again (br $again)) (unreachable)"

ECHO = reactor("(call $pack (local.get $at) (local.get $size))")
SPINNER = reactor(FOREVER)
COUNTER = reactor(
    """(i32.store8 (i32.const 16) (i32.add (i32.load8_u (i32.const 16)) (i32.const 1)))
       (call $pack (i32.const 16) (i32.const 1))""",
    more=text(16, "0"),
)
SPINNING_ALLOC = wasm(
    f"""(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) {FOREVER})
        (func (export "handle") (param i32 i32) (result i64) (i64.const 0)))"""
)
RECURSION = reactor("(call $handle (local.get $at) (local.get $size)) (i64.const 1) (i64.add)")
DIVISION = reactor("(i64.extend_i32_u (i32.div_u (i32.const 1) (i32.const 0)))")
OUT_OF_BOUNDS = reactor("(i64.load (i32.const -8))")
FAR_OUT_OF_BOUNDS = reactor("(i64.load offset=4294967288 (i32.const -1))")
NAMED_TRAP = reactor("(call $inner) (i64.const 0)", more="(func $inner (unreachable))")
MEMORY_BOMB = reactor(
    """(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
       (i32.store (i32.const 0) (memory.size)) (call $pack (i32.const 0) (i32.const 4))"""
)
TABLE_BOMB = reactor(
    """(i32.store (i32.const 0) (table.grow $table (ref.null func) (i32.const 10000000)))
       (call $pack (i32.const 0) (i32.const 4))""",
    more="(table $table 1 funcref)",
)
