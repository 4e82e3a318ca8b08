"""CloudFront Functions: how they are called, what they find, what they don't."""

import json

import pytest

from edgefn.sandbox.base import Invocation, Returned, TimedOut
from tests.sandbox_js.stage import NEW, OLD, Shelf, Stage

EVENT = {
    "version": "1.0",
    "context": {"eventType": "viewer-request"},
    "request": {"method": "GET", "uri": "/a", "querystring": {}, "headers": {"host": {"value": "example.com"}}},
}


@pytest.mark.parametrize("runtime", [OLD, NEW])
async def test_a_function_gets_the_event_and_returns_a_request(stage: Stage, runtime: str) -> None:
    source = "function handler(event) { var r = event.request; r.uri += '/index.html'; return r; }"
    assert await stage.result(source, EVENT, runtime) == {**EVENT["request"], "uri": "/a/index.html"}


async def test_an_async_function_is_awaited(stage: Stage) -> None:
    source = "async function handler(event) { await Promise.resolve(); return { statusCode: 204 }; }"
    assert await stage.result(source) == {"statusCode": 204}


async def test_a_function_may_be_a_constant(stage: Stage) -> None:
    assert await stage.result("const handler = async (event) => ({ statusCode: 204 });") == {"statusCode": 204}


async def test_no_result_is_null(stage: Stage) -> None:
    assert await stage.result("function handler() {}") is None


async def test_code_at_the_top_has_run_before_the_event(stage: Stage) -> None:
    source = "const table = new Map([['/a', '/b']]);\nfunction handler(event) { return table.get(event.request.uri); }"
    assert await stage.result(source, EVENT) == "/b"


@pytest.mark.parametrize("runtime", [OLD, NEW])
async def test_code_is_strict(stage: Stage, runtime: str) -> None:
    failure = await stage.failure("function handler() { surprise = 1; }", runtime=runtime)
    assert failure.type == "ReferenceError"


async def test_a_file_of_any_name_will_do(stage: Stage) -> None:
    assert await stage.result({"rewrite.js": "function handler() { return 1; }"}, handler="rewrite.handler") == 1


async def test_of_several_files_the_handler_names_one(stage: Stage) -> None:
    files = {"a.js": "function handler() { return 'a'; }", "b.js": "function handler() { return 'b'; }"}
    assert await stage.result(files, handler="b.handler") == "b"
    assert "a.js, b.js" in await stage.refusal(files, handler="c.handler")


# ------------------------------------------------------------------------------------------ time and dice


async def test_the_time_is_that_of_the_start_and_stands_still(stage: Stage) -> None:
    source = "function handler() { const a = Date.now(); for (let i = 0; i < 1e5; i++); return [a, Date.now()]; }"
    assert await stage.result(source) == [1_700_000_000_250] * 2


async def test_the_time_zone_is_utc(stage: Stage) -> None:
    assert await stage.value("[new Date().toISOString(), new Date().getTimezoneOffset()]") == [
        "2023-11-14T22:13:20.250Z",
        0,
    ]


async def test_random_numbers_differ_from_call_to_call(stage: Stage) -> None:
    sandbox = await stage.open("function handler() { return [Math.random(), Math.random()]; }")
    seen = set()
    for _ in range(20):
        outcome = await sandbox.run(Invocation("id", b"{}"))
        assert isinstance(outcome, Returned)
        numbers = json.loads(outcome.result)
        assert all(0 <= number < 1 for number in numbers)
        seen.update(numbers)
    assert len(seen) == 40


# ------------------------------------------------------------------------------------------ errors


async def test_an_error_has_its_type_message_and_line(stage: Stage) -> None:
    failure = await stage.failure("function handler(event) {\n  const nothing = undefined;\n  return nothing.uri;\n}")
    assert failure.type == "TypeError"
    assert failure.message == "cannot read property 'uri' of undefined"
    assert failure.trace[1].strip() == "at handler (index.js:3:10)"


async def test_an_error_of_an_async_function_shows_who_called(stage: Stage) -> None:
    source = "async function deeper() { throw new RangeError('no'); }\nasync function handler() {\n  await deeper();\n}"
    failure = await stage.failure(source)
    assert (failure.type, failure.message) == ("RangeError", "no")
    assert [line.strip() for line in failure.trace[1:]] == [
        "at deeper (index.js:1:37)",
        "at handler (index.js:3:9)",
    ]


async def test_whatever_is_thrown_is_told(stage: Stage) -> None:
    failure = await stage.failure("function handler() { throw 'just text'; }")
    assert (failure.type, failure.message) == ("string", "just text")


async def test_a_syntax_error_is_told_with_its_place_before_any_event(stage: Stage) -> None:
    why = await stage.refusal("function handler(event) {\n  const = 1;\n}")
    assert why.startswith("SyntaxError: ")
    assert why.endswith(" in index.js:2:9")


async def test_a_syntax_error_in_a_module_has_its_place(stage: Stage) -> None:
    why = await stage.refusal("import cf from 'cloudfront';\nfunction handler(event) {\n  return ];\n}")
    assert " in index.js:3:" in why


async def test_an_error_at_the_top_is_told_before_any_event(stage: Stage) -> None:
    why = await stage.refusal("var a;\nthrow new Error('not today');\nfunction handler() {}")
    assert why == "Error: not today in index.js:2:11"


async def test_a_function_without_handler_is_refused(stage: Stage) -> None:
    assert "must have a function named" in await stage.refusal("function handle(event) { return event.request; }")


async def test_a_promise_that_never_settles_is_an_error(stage: Stage) -> None:
    failure = await stage.failure("async function handler() { await new Promise(() => {}); }")
    assert "promise that nothing will settle" in failure.message


# ------------------------------------------------------------------------------------------ log


async def test_what_is_logged_carries_the_invocation(stage: Stage) -> None:
    await stage.result("function handler() { console.log('hello'); console.log({ a: [1, 'b'] }); return null; }")
    assert stage.logged == [("id-1", "hello"), ("id-1", "{ a: [ 1, 'b' ] }")]


async def test_what_is_logged_before_an_error_is_not_lost(stage: Stage) -> None:
    await stage.failure("function handler() { console.log('so far'); throw new Error('no further'); }")
    assert stage.logged == [("id-1", "so far")]


async def test_what_is_logged_at_the_top_comes_once(stage: Stage) -> None:
    sandbox = await stage.open("console.log('loading');\nfunction handler() { return null; }")
    await sandbox.run(Invocation("id-1", b"{}"))
    assert stage.logged == [("", "loading")]


# ------------------------------------------------------------------------------------------ restrictions

ABSENT = ("setTimeout", "setInterval", "setImmediate", "fetch", "XMLHttpRequest", "WebSocket", "process", "module")


@pytest.mark.parametrize("runtime", [OLD, NEW])
@pytest.mark.parametrize("name", ABSENT)
async def test_there_is_no_such_name(stage: Stage, name: str, runtime: str) -> None:
    assert await stage.value(f"typeof {name}", runtime) == "undefined"


@pytest.mark.parametrize(
    "expression",
    [
        "eval('1')",
        "new Function('return 1')()",
        "(function () {}).constructor('return 1')",
        "(async () => {}).constructor('')",
    ],
)
async def test_code_can_not_be_made_of_text(stage: Stage, expression: str) -> None:
    failure = await stage.failure(f"function handler() {{ return {expression}; }}")
    assert failure.type == "EvalError"


async def test_functions_are_still_functions(stage: Stage) -> None:
    assert await stage.value("[(() => 1) instanceof Function, typeof Function.prototype.call]") == [True, "function"]


async def test_the_console_can_only_log(stage: Stage) -> None:
    assert await stage.value("Object.keys(console)") == ["log"]


@pytest.mark.parametrize("source", ["const x = require('fs');", "import x from 'fs';"])
async def test_other_modules_are_refused_by_name(stage: Stage, source: str) -> None:
    assert 'Cannot find module "fs"' in await stage.refusal(f"{source}\nfunction handler() {{}}")


# ------------------------------------------------------------------------------------------ differences of 1.0


async def test_the_old_runtime_has_strings_of_bytes(stage: Stage) -> None:
    expression = """[String.bytesFrom('6869', 'hex'), String.bytesFrom([104, 105]),
        String.bytesFrom('aGk', 'base64url'), '\u00e9'.toUTF8().length, '\u00e9'.toUTF8().fromUTF8(),
        '\u20ac'.toBytes(), String.bytesFrom([255]).fromUTF8()]"""
    assert await stage.value(expression, OLD) == ["hi", "hi", "hi", 2, "\u00e9", None, None]


@pytest.mark.parametrize("name", ["Buffer", "TextEncoder", "TextDecoder", "atob", "btoa"])
async def test_the_old_runtime_does_not_have(stage: Stage, name: str) -> None:
    assert await stage.value(f"typeof {name}", OLD) == "undefined"
    assert await stage.value(f"typeof {name}", NEW) == "function"


async def test_the_old_runtime_has_no_module_cloudfront(stage: Stage) -> None:
    why = await stage.refusal("const cf = require('cloudfront');\nfunction handler() {}", OLD)
    assert 'Cannot find module "cloudfront"' in why


async def test_a_digest_without_encoding_is_a_string_of_bytes_in_the_old_runtime(stage: Stage) -> None:
    assert await stage.value("require('crypto').createHash('md5').update('a').digest().length", OLD) == 16


async def test_a_store_can_not_be_read_at_the_top_of_the_file(stage: Stage) -> None:
    stage.shelf = Shelf()
    source = "import cf from 'cloudfront';\nconst v = await cf.kvs().get('colour');\nfunction handler() {}"
    assert "can be read in the handler only" in await stage.refusal(source)


async def test_strings_of_bytes_are_there_in_both_runtimes(stage: Stage) -> None:
    for runtime in (OLD, NEW):
        assert await stage.value("String.bytesFrom('YmVlZg', 'base64url').toBytes(1, 3)", runtime) == "ee"


async def test_too_much_cpu_time_is_named_as_such(stage: Stage) -> None:
    outcome = await stage.run("function handler() { for (;;); }")
    assert isinstance(outcome, TimedOut)
    assert outcome.told(20) == "Task stopped after 0.10 seconds of CPU time"
