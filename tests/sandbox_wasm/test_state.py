"""What is known of a module's state outside of its memory."""

import pytest
from wasmtime import Config, Engine, Module

from edgefn.sandbox.js.loader import ENGINE
from edgefn.sandbox.wasm.binary import BinaryError
from edgefn.sandbox.wasm.state import MOST_GLOBALS, shown
from tests.sandbox_wasm import guests

HARMLESS = """
  (drop (i64.const -9000000000)) (drop (f32.const 1)) (drop (f64.const 2)) (drop (v128.const i64x2 1 2))
  (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 1 2) (v128.const i64x2 3 4)))
  (drop (i8x16.extract_lane_u 3 (v128.const i64x2 1 2))) (drop (v128.load offset=300 (i32.const 0)))
  (drop (v128.load8_lane 5 (i32.const 0) (v128.const i64x2 1 2))) (drop (v128.load32_zero (i32.const 0)))
  (drop (i32x4.add (v128.const i64x2 1 2) (v128.const i64x2 1 2))) (drop (f32x4.sqrt (v128.const i64x2 1 2)))
  (memory.copy (i32.const 0) (i32.const 8) (i32.const 4)) (memory.fill (i32.const 0) (i32.const 8) (i32.const 4))
  (drop (i32.trunc_sat_f32_u (f32.const 1))) (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))
  (drop (ref.is_null (ref.null func))) (drop (table.size $t)) (drop (ref.is_null (table.get $t (i32.const 0))))
  (block $a (block $b (br_table $a $b $a (i32.const 1)))) (drop (memory.grow (i32.const 0)))
  (drop (call_indirect $t (result i32) (i32.const 0))) (i64.const 0)
"""
WITH_TABLE = "(table $t 2 funcref) (elem (i32.const 0) func $one) (func $one (result i32) (i32.const 1))"


def test_a_module_without_mutable_globals_stays_as_it_is() -> None:
    source = guests.wasm('(module (memory (export "memory") 1) (global i32 (i32.const 5)))')
    found = shown(source)
    assert found is not None
    assert (found.source, list(found.globals)) == (source, [])


def test_every_instruction_that_changes_nothing_outside_of_memory_is_known() -> None:
    source = guests.reactor(HARMLESS, more=WITH_TABLE)
    found = shown(source)
    assert found is not None
    config = Config()
    exports = {export.name for export in Module(Engine(config), found.source).exports}
    assert exports == {"memory", "alloc", "handle", *found.globals}


@pytest.mark.parametrize(
    "instruction",
    [
        "(table.set $t (i32.const 0) (ref.null func))",
        "(drop (table.grow $t (ref.null func) (i32.const 1)))",
        "(table.fill $t (i32.const 0) (ref.null func) (i32.const 1))",
        "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1))",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))",
        "(elem.drop $e)",
        "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))",
        "(data.drop $d)",
    ],
)
def test_an_instruction_that_changes_other_state_is_found(instruction: str) -> None:
    more = f'{WITH_TABLE} (elem $e func $one) (data $d "x")'
    assert shown(guests.reactor("(i64.const 0)", more=more)) is not None
    assert shown(guests.reactor(f"{instruction} (i64.const 0)", more=more)) is None


def test_globals_of_each_kind_of_number_are_exported_and_others_are_too_much() -> None:
    kinds = ["i32", "i64", "f32", "f64"]
    numbers = "".join(f"(global (mut {kind}) ({kind}.const 1))" for kind in kinds)
    found = shown(guests.reactor("(i64.const 0)", more=numbers))
    assert found is not None
    assert len(found.globals) == 1 + len(kinds)  # with that of `alloc`
    for other in ("(global (mut funcref) (ref.null func))", "(global (mut v128) (v128.const i64x2 1 2))"):
        assert shown(guests.reactor("(i64.const 0)", more=numbers + other)) is None


def test_too_many_globals_are_too_much() -> None:
    one = "(global (mut i32) (i32.const 1))"
    assert shown(guests.reactor("(i64.const 0)", more=one * (MOST_GLOBALS - 1))) is not None
    assert shown(guests.reactor("(i64.const 0)", more=one * MOST_GLOBALS)) is None


def test_a_name_that_is_taken_is_left_alone() -> None:
    assert shown(guests.reactor("(i64.const 0)", more='(func (export "edgefn:global:0"))')) is None


def test_imported_state_is_too_much() -> None:
    assert shown(guests.wasm('(module (import "a" "b" (global (mut i32))))')) is None
    assert shown(guests.wasm('(module (import "a" "b" (func)))')) is not None


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(BinaryError):
        shown(b"nothing")


def test_of_the_javascript_engine_only_its_stack_pointer_is_outside_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefn.sandbox.wasm.state._LARGEST_CODE", 4 * 1024**2)
    found = shown(ENGINE.read_bytes())
    assert found is not None
    assert len(found.globals) == 1
