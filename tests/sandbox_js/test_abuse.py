"""Functions that attack: each ends at a limit, leaves nothing behind, and the next request is served as ever."""

import asyncio
import time

import pytest

from edgefn.sandbox.base import Failed, Invocation, Returned, TimedOut
from tests.sandbox_js.stage import NEW, PLAIN, Stage

ENDLESS = {
    "a loop": "while (true);",
    "a regular expression that backtracks": "/^(a+)+$/.test('a'.repeat(50) + 'b');",
    "microtasks": "return (async () => { for (;;) await null; })();",
    "a getter of the result": "return { get uri() { for (;;); } };",
    "toJSON of the result": "return { toJSON() { for (;;); } };",
    "a comparison inside of sort": "[3, 2, 1].sort(() => { for (;;); });",
    "a replacement": "'x'.repeat(100).replace(/x/g, () => { for (;;); });",
    "a thenable": "return { then() { for (;;); } };",
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_never_ends_is_stopped(stage: Stage, name: str) -> None:
    outcome = await stage.run(f"function handler(event) {{ {ENDLESS[name]} }}")
    assert isinstance(outcome, TimedOut)
    assert outcome.usage.cpu < 0.5


async def test_code_at_the_top_that_never_ends_is_stopped(stage: Stage) -> None:
    assert "timed out after 1.00 seconds" in await stage.refusal("for (;;);\nfunction handler() {}")


async def test_a_plain_handler_ends_at_its_wall_time(stage: Stage) -> None:
    outcome = await stage.run("exports.handler = () => { for (;;); };", runtime=PLAIN, timeout=0.05)
    assert isinstance(outcome, TimedOut)


GREEDY = {
    "arrays": "const kept = []; for (;;) kept.push(new Uint8Array(100000));",
    "objects": "let list = null; for (;;) list = { list };",
    "a string that doubles": (
        "let text = 'x'.repeat(1000) + Math.random(); for (;;) { text += text; text.charCodeAt(text.length - 1); }"
    ),
    "an array that grows": "const kept = [1]; for (;;) kept.push(...kept);",
    "repeat": "return 'x'.repeat(2 ** 29);",
    "join": "return Array(1e8).fill('xxxxxxxxxx').join('');",
    "a map": "const map = new Map(); for (let i = 0; ; i++) map.set(i, String(i));",
    "closures": "let f = () => 0; for (;;) { const g = f; f = () => g; }",
    "buffers": "return Buffer.alloc(1e9);",
    "pad": "return 'x'.padEnd(2 ** 28);",
    "JSON": "let nest = []; for (let i = 0; i < 18; i++) nest = [nest, nest]; return nest;",
}


@pytest.mark.parametrize("name", GREEDY)
async def test_memory_has_a_limit(stage: Stage, name: str) -> None:
    outcome = await stage.run(f"function handler(event) {{ {GREEDY[name]} }}")
    assert isinstance(outcome, Failed | TimedOut), outcome
    assert outcome.usage.memory <= 16 * 1024**2


async def test_running_out_of_memory_can_be_survived(stage: Stage) -> None:
    source = (
        "function handler() { try { const a = []; for (;;) a.push('x'.repeat(1000) + a.length); } catch (error) {"
        " return error.message; } }"
    )
    assert await stage.result(source) == "out of memory"


DEEP = {
    "recursion": "(function again(n) { return again(n + 1) + 1; })(0)",
    "recursion through map": "(function again() { return [1].map(again); })()",
    "recursion of getters": "(() => { const o = { get x() { return o.x; } }; return o.x; })()",
    "recursion of toString": "(() => { const o = { toString() { return '' + o; } }; return '' + o; })()",
    "JSON that nests": "JSON.parse('['.repeat(100000))",
}


@pytest.mark.parametrize("name", DEEP)
async def test_depth_has_a_limit(stage: Stage, name: str) -> None:
    failure = await stage.failure(f"function handler(event) {{ return {DEEP[name]}; }}")
    assert (failure.type, failure.message) == ("RangeError", "Maximum call stack size exceeded")


async def test_recursion_can_be_caught(stage: Stage) -> None:
    source = (
        "let depth = 0;\nfunction down() { depth++; down(); }\nfunction handler() { try { down(); } catch (e) { return"
        " [depth > 300, e.name]; } }"
    )
    assert await stage.result(source) == [True, "RangeError"]


POLLUTION = """
let count = 0;
function handler(event) {
  const found = [count, typeof globalThis.left, ({}).polluted === undefined,
    [].push.length, Math.max(1, 2), JSON.stringify({})];
  count += 1;
  globalThis.left = 'behind';
  Object.prototype.polluted = true;
  Array.prototype.push = function () {};
  Math.max = () => 0;
  Promise.prototype.then = () => {};
  JSON.stringify = () => 'nonsense';
  return found;
}
"""


@pytest.mark.parametrize("runtime", [NEW, PLAIN])
async def test_nothing_survives_into_the_next_request(stage: Stage, runtime: str) -> None:
    source = POLLUTION + (
        "exports.handler = (event, _, callback) => callback(null, handler(event));" if runtime == PLAIN else ""
    )
    sandbox = await stage.open(source, runtime)
    results = []
    for _ in range(3):
        outcome = await sandbox.run(Invocation("id", b"{}"))
        assert isinstance(outcome, Returned), outcome
        results.append(outcome.result)
    assert set(results) == {b'[0,"undefined",true,1,2,"{}"]'}


async def test_functions_do_not_see_each_other(stage: Stage) -> None:
    await stage.result("function handler() { globalThis.secret = 'mine'; return 1; }")
    assert await stage.value("typeof globalThis.secret") == "undefined"


async def test_a_huge_result_is_refused(stage: Stage) -> None:
    source = "exports.handler = async () => 'x'.repeat(7 * 1024 * 1024);"
    failure = await stage.failure(source, runtime=PLAIN)
    assert failure.type in {"Function.ResponseSizeTooLarge", "Runtime.MarshalError"}


async def test_a_huge_log_is_cut(stage: Stage) -> None:
    await stage.result("function handler() { for (let i = 0; i < 2000; i++) console.log('x'.repeat(100)); return 1; }")
    lines = [line for _, line in stage.logged]
    assert lines[-1] == "... log cut at its limit"
    assert sum(map(len, lines)) < 11_000


async def test_what_was_logged_before_the_end_of_the_time_is_kept_wherever_it_lies(stage: Stage) -> None:
    source = """exports.handler = async () => {
        globalThis.kept = []; for (let n = 0; n < 200; n++) kept.push('x'.repeat(10000) + n);
        console.log('before'); while (true) {}
    };"""
    sandbox = await stage.open(source, runtime=PLAIN, timeout=0.3)
    assert isinstance(await sandbox.run(Invocation("id-1", b"{}")), TimedOut)
    assert [line.rpartition("\t")[2] for _, line in stage.logged] == ["before"]


async def test_a_log_can_not_forge_lines_of_others(stage: Stage) -> None:
    await stage.result("function handler() { console.log('a\\r\\u001b[2Jb\\u2028c'); return 1; }")
    assert stage.logged == [("id-1", "a\\r\\x1b[2Jb\\u2028c")]


@pytest.mark.parametrize("runtime", [NEW, PLAIN])
async def test_no_function_gets_at_the_engine(stage: Stage, runtime: str) -> None:
    expression = (
        "[typeof natives, typeof hidden, Object.getOwnPropertyNames(globalThis).filter((name) =>"
        " /edgefn|native/i.test(name))]"
    )
    assert await stage.value(expression, runtime) == ["undefined", "undefined", []]


@pytest.mark.parametrize("event", [b"", b"{", b"[" * 20_000, b"\xff", b"null"])
async def test_an_event_that_is_none_is_an_error_of_the_call_only(stage: Stage, event: bytes) -> None:
    sandbox = await stage.open("function handler(event) { return event.request; }")
    assert isinstance(await sandbox.run(Invocation("id", event)), Failed)
    assert isinstance(await sandbox.run(Invocation("id", b'{"request":{}}')), Returned)


async def test_a_large_event_arrives_whole(stage: Stage) -> None:
    headers = {f"x-{number}": {"value": "v" * 100} for number in range(400)}
    source = "function handler(event) { return Object.keys(event.request.headers).length; }"
    assert await stage.result(source, {"request": {"headers": headers}}) == 400


async def test_neighbours_of_endless_functions_are_served(stage: Stage) -> None:
    endless = await stage.open("exports.handler = () => { for (;;); };", PLAIN, timeout=0.4)
    quick = await stage.open("function handler() { return 1; }")
    spinning = [asyncio.ensure_future(endless.run(Invocation("x", b"{}"))) for _ in range(4)]
    await asyncio.sleep(0)
    waits = []
    for _ in range(20):
        began = time.monotonic()
        assert isinstance(await quick.run(Invocation("id", b"{}")), Returned)
        waits.append(time.monotonic() - began)
    assert all(isinstance(outcome, TimedOut) for outcome in await asyncio.gather(*spinning))
    assert sorted(waits)[len(waits) // 2] < 0.1


async def test_a_cancelled_request_leaves_nothing(stage: Stage) -> None:
    endless = await stage.open("exports.handler = () => { for (;;); };", PLAIN)
    for _ in range(30):
        task = asyncio.ensure_future(endless.run(Invocation("x", b"{}")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert stage.room.cells.in_use == 0
