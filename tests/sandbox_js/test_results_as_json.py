"""Results as JSON: the engine's own quick way writes the same bytes as JSON.stringify."""

import pytest

from edgefn.sandbox.base import Failed, Returned
from tests.sandbox_js.stage import Stage

VALUES = (
    "null",
    "true",
    "0",
    "-0",
    "1.5",
    "1e21",
    "1e-7",
    "123456789012",
    "NaN",
    "-Infinity",
    "''",
    r"'\"\\\b\f\n\r\t\u0000\u001f\u007f\u2028\u00e9\u20ac\ud83d\ude00'",
    r"'\ud800 alone'",
    r"({ '\udfff': 1 })",
    "[]",
    "({})",
    "[undefined, () => 1, Symbol('x'), null]",
    "({ a: undefined, b: () => 1, c: Symbol('x'), d: 1, [Symbol('y')]: 2 })",
    "({ a: undefined })",
    "[, 1, , 2]",
    "({ 2: 'b', 1: 'a', x: 'c', 'y z': 'd', __proto__: { inherited: 1 } })",
    "Object.create({ inherited: 1 })",
    "Object.assign(Object.create(null), { a: 1 })",
    "new Date(0)",
    "[new Number(1), new String('a'), new Boolean(false), Object(1.5)]",
    "({ toJSON() { return { b: 1 }; } })",
    "({ a: { toJSON(key) { return key + '!'; } } })",
    "({ get a() { return 1; } })",
    "(() => { class A { constructor() { this.x = 1; } } return new A(); })()",
    "new Map([[1, 2]])",
    "new Uint8Array([1, 2])",
    "Buffer.from('a')",
    "/x/g",
    "new Error('x')",
    "new Proxy({ a: 1 }, {})",
    "new Proxy([1, 2], {})",
    "Object.defineProperty({ a: 1 }, 'hidden', { value: 1, enumerable: false })",
    "(() => { let nest = 1; for (let i = 0; i < 60; i++) nest = { nest }; return nest; })()",
    "Array.from({ length: 2000 }, (_, i) => ({ i, text: 'x'.repeat(i % 50) }))",
)


@pytest.mark.parametrize("value", VALUES)
async def test_both_ways_write_the_same(stage: Stage, value: str) -> None:
    quick = await stage.run(f"function handler() {{ return {{ value: {value} }}; }}")
    usual = await stage.run(f"function handler() {{ return {{ toJSON() {{ return {{ value: {value} }}; }} }}; }}")
    assert isinstance(quick, Returned)
    assert isinstance(usual, Returned)
    assert quick.result == usual.result


@pytest.mark.parametrize(
    ("value", "type_"), [("1n", "TypeError"), ("(() => { const a = {}; a.a = a; return a; })()", "TypeError")]
)
async def test_what_can_not_be_written_is_an_error(stage: Stage, value: str, type_: str) -> None:
    failure = await stage.run(f"function handler() {{ return [{value}]; }}")
    assert isinstance(failure, Failed)
    assert failure.type == type_


async def test_an_error_in_a_getter_is_the_functions(stage: Stage) -> None:
    failure = await stage.failure("function handler() { return { get uri() { throw new RangeError('mine'); } }; }")
    assert (failure.type, failure.message) == ("RangeError", "mine")
