"""Every form of a Node.js handler, what it sees, and how it fails (spec: Handlers, Context, Environment)."""

import json
import re
import time
from collections.abc import Mapping

import pytest

from edgefn.sandbox.base import Failed, Returned, TimedOut
from tests.sandbox.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

ESM = '{"type": "module"}'

FORMS: list[tuple[str, Mapping[str, str], str, str, object]] = [
    ("async", {"index.js": "exports.handler = async (e) => e.x;"}, "index.handler", "nodejs20.x", 5),
    ("promise", {"index.js": "exports.handler = (e) => Promise.resolve(e.x);"}, "index.handler", "nodejs20.x", 5),
    ("thenable", {"index.js": "exports.handler = (e) => ({then: (f) => f(e.x)});"}, "index.handler", "nodejs20.x", 5),
    ("callback", {"index.js": "exports.handler = (e, c, done) => done(null, e.x);"}, "index.handler", "nodejs20.x", 5),
    (
        "late callback",
        {"index.js": "exports.handler = (e, c, done) => { setTimeout(() => done(null, e.x), 20); };"},
        "index.handler",
        "nodejs20.x",
        5,
    ),
    ("succeed", {"index.js": "exports.handler = (e, c) => c.succeed(e.x);"}, "index.handler", "nodejs20.x", 5),
    ("done", {"index.js": "exports.handler = (e, c) => c.done(null, e.x);"}, "index.handler", "nodejs20.x", 5),
    ("ignored return", {"index.js": "exports.handler = (e) => e.x;"}, "index.handler", "nodejs22.x", None),
    ("return on 24", {"index.js": "exports.handler = (e) => e.x;"}, "index.handler", "nodejs24.x", 5),
    ("async on 24", {"index.js": "exports.handler = async (e) => e.x;"}, "index.handler", "nodejs24.x", 5),
    ("undefined", {"index.js": "exports.handler = async () => {};"}, "index.handler", "nodejs20.x", None),
    ("undefined on 24", {"index.js": "exports.handler = () => {};"}, "index.handler", "nodejs24.x", None),
    ("never calls back", {"index.js": "exports.handler = (e, c, done) => {};"}, "index.handler", "nodejs20.x", None),
    (
        "never settles",
        {"index.js": "exports.handler = () => new Promise(() => {});"},
        "index.handler",
        "nodejs20.x",
        None,
    ),
    (
        "first completion wins",
        {"index.js": "exports.handler = (e, c, done) => { done(null, 1); done(null, 2); c.succeed(3); };"},
        "index.handler",
        "nodejs20.x",
        1,
    ),
    (
        "callback before promise",
        {"index.js": "exports.handler = async (e, c) => { c.succeed('context'); return 'promise'; };"},
        "index.handler",
        "nodejs20.x",
        "context",
    ),
    ("mjs", {"index.mjs": "export const handler = async (e) => e.x;"}, "index.handler", "nodejs20.x", 5),
    (
        "type module",
        {"index.js": "export const handler = async (e) => e.x;", "package.json": ESM},
        "index.handler",
        "nodejs20.x",
        5,
    ),
    (
        "top-level await",
        {
            "index.mjs": """
                const y = await new Promise((done) => setTimeout(done, 10, 7));
                export const handler = async () => y;"""
        },
        "index.handler",
        "nodejs20.x",
        7,
    ),
    (
        "cjs",
        {"index.cjs": "exports.handler = async (e) => e.x;", "package.json": ESM},
        "index.handler",
        "nodejs20.x",
        5,
    ),
    (
        "js before mjs",
        {"index.js": "exports.h = async () => 1;", "index.mjs": "export const h = 2"},
        "index.h",
        "nodejs20.x",
        1,
    ),
    ("folder", {"src/app/main.js": "exports.run = async (e) => e.x;"}, "src/app/main.run", "nodejs20.x", 5),
    ("nested export", {"a/b.js": "exports.c = {d: async (e) => e.x};"}, "a/b.c.d", "nodejs20.x", 5),
    ("folder module", {"app/index.js": "exports.run = async (e) => e.x;"}, "app.run", "nodejs20.x", 5),
    (
        "own module",
        {
            "index.js": "const {y} = require('./lib/y'); const z = require('z'); exports.handler = async () => [y, z];",
            "lib/y.js": "exports.y = 1;",
            "node_modules/z/index.js": "module.exports = 2;",
        },
        "index.handler",
        "nodejs20.x",
        [1, 2],
    ),
    (
        "dynamic import",
        {"index.js": "exports.handler = async () => (await import('./y.mjs')).y;", "y.mjs": "export const y = 4;"},
        "index.handler",
        "nodejs20.x",
        4,
    ),
    (
        "streaming",
        {
            "index.js": """
                exports.handler = awslambda.streamifyResponse(async (event, stream) => {
                  stream.write('{"x":'); stream.end(event.x + '}');
                });"""
        },
        "index.handler",
        "nodejs24.x",
        {"x": 5},
    ),
]


@pytest.mark.parametrize(
    ("files", "handler", "runtime", "expected"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS]
)
async def test_a_form_returns(
    stage: Stage, files: Mapping[str, str], handler: str, runtime: str, expected: object
) -> None:
    function = await stage.node(files, handler=handler, runtime=runtime)
    assert await function.result({"x": 5}) == expected
    assert await function.result({"x": 5}) == expected
    assert function.statistics.counts.starts == 1


BROKEN_INITS = [
    ("no module", {"other.js": ""}, "index.handler", "Runtime.ImportModuleError", "Cannot find module"),
    ("no dependency", {"index.js": "require('aws-sdk')"}, "index.handler", "Runtime.ImportModuleError", "aws-sdk"),
    ("no import", {"index.mjs": "import 'nothing'"}, "index.handler", "Runtime.ImportModuleError", "nothing"),
    (
        "no export",
        {"index.js": ""},
        "index.handler",
        "Runtime.HandlerNotFound",
        "index.handler is undefined or not exported",
    ),
    ("no function", {"index.js": "exports.handler = 1"}, "index.handler", "Runtime.HandlerNotFound", "not a function"),
    ("syntax", {"index.js": "exports = {"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError"),
    ("syntax in mjs", {"index.mjs": "export {"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError"),
    (
        "syntax in package.json",
        {"index.js": "", "package.json": "{"},
        "index.handler",
        "Runtime.UserCodeSyntaxError",
        "package.json: ",
    ),
    ("dots", {"index.js": ""}, "../index.handler", "Runtime.MalformedHandlerName", "not a valid handler name"),
    ("no dot", {"index.js": ""}, "index", "Runtime.MalformedHandlerName", "Bad handler"),
    ("throws", {"index.js": "throw new RangeError('at load')"}, "index.handler", "RangeError", "at load"),
    ("throws text", {"index.js": "throw 'text'"}, "index.handler", "string", "text"),
    ("never loads", {"index.mjs": "await new Promise(() => {})"}, "index.handler", "Runtime.NodeJsExit", "no longer"),
    ("exits", {"index.js": "process.exit(3)"}, "index.handler", "Runtime.ExitError", "exit status 3"),
    (
        "throws later",
        {
            "index.mjs": """
                setImmediate(() => { throw new TypeError('later') });
                await new Promise((done) => setTimeout(done, 50));"""
        },
        "index.handler",
        "TypeError",
        "later",
    ),
]


@pytest.mark.parametrize(
    ("files", "handler", "kind", "message"), [init[1:] for init in BROKEN_INITS], ids=[init[0] for init in BROKEN_INITS]
)
async def test_an_init_fails(stage: Stage, files: Mapping[str, str], handler: str, kind: str, message: str) -> None:
    function = await stage.node(files, handler=handler)
    failure = await function.failure()
    assert failure.type == kind
    assert message in failure.message


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"index.js": "exports = {\n  a b }"}, "/index.js:2"),
        ({"index.mjs": "export const handler = () => {\n  let a = ; }"}, "/index.mjs:2"),
        ({"index.mjs": "import './lib/b.mjs'", "lib/b.mjs": "\n\nlet 1a"}, "/lib/b.mjs:3"),
        ({"index.js": "\nexport { = }", "package.json": '{"type": "module"}'}, "/index.js:2"),
    ],
)
async def test_a_syntax_error_is_told_with_its_line(stage: Stage, files: Mapping[str, str], line: str) -> None:
    failure = await (await stage.node(files)).failure()
    assert failure.type == "Runtime.UserCodeSyntaxError"
    assert failure.trace[0].endswith(line)


async def test_a_callback_handler_is_refused_on_24(stage: Stage) -> None:
    function = await stage.node("exports.handler = (event, context, callback) => callback();", runtime="nodejs24.x")
    assert (await function.failure()).type == "Runtime.CallbackHandlerDeprecated"


FAULTS = [
    ("throw", "() => { throw new TypeError('bad') }", "TypeError", "bad"),
    ("reject", "async () => { throw new TypeError('bad') }", "TypeError", "bad"),
    ("callback error", "(e, c, done) => done(new TypeError('bad'))", "TypeError", "bad"),
    ("callback text", "(e, c, done) => done('bad')", "string", "bad"),
    ("context.fail", "(e, c) => c.fail(new TypeError('bad'))", "TypeError", "bad"),
    ("context.done error", "(e, c) => c.done('bad')", "string", "bad"),
    ("throw null", "async () => { throw null }", "object", "null"),
    ("throw undefined", "async () => { throw undefined }", "undefined", "undefined"),
    ("throw bare object", "async () => { throw Object.create(null) }", "object", "an error that has no text"),
    ("named", "async () => { const e = new Error('bad'); e.name = 'MyError'; throw e }", "MyError", "bad"),
    ("lone surrogate", "async () => { throw new Error('\\ud800') }", "Error", "�"),
    ("hostile error", "() => { throw Object.defineProperty(new Error(), 'message', {get() { throw 1 }}) }", "Error",
     "an error that can not be read"),
    ("cycle", "async () => { const a = {}; a.a = a; return a }", "Runtime.MarshalError", "circular"),
    ("BigInt", "async () => 1n", "Runtime.MarshalError", "BigInt"),
    ("deep", "async () => { let a; for (let i = 0; i < 1e5; i++) a = [a]; return a }", "Runtime.MarshalError", "stack"),
    ("recursion", "async () => { const f = () => f() + 1; return f() }", "RangeError", "stack"),
    ("too large", "async () => 'x'.repeat(6291555)", "Function.ResponseSizeTooLarge", "6291556 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "kind", "message"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
async def test_a_call_fails_and_the_worker_lives_on(stage: Stage, source: str, kind: str, message: str) -> None:
    function = await stage.node(f"const f = {source}; exports.handler = (e, c, d) => e.ok ? c.succeed(1) : f(e, c, d);")
    failure = await function.failure({})
    assert failure.type == kind
    assert message in failure.message
    assert await function.result({"ok": True}) == 1
    assert function.statistics.counts.starts == 1


async def test_the_largest_result_gets_through(stage: Stage) -> None:
    function = await stage.node("exports.handler = async () => 'x'.repeat(6291554);")
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert len(outcome.result) == 6_291_556


async def test_a_trace_names_the_function_s_lines(stage: Stage) -> None:
    function = await stage.node("exports.handler = async () => { throw new Error('bad'); };")
    failure = await function.failure()
    assert failure.trace[0] == "Error: bad"
    assert "/var/task/index.js:1:" in failure.trace[1]


FATAL = [
    ("uncaught", "setImmediate(() => { throw new TypeError('bad') })", "TypeError", "bad"),
    ("unhandled", "Promise.reject(new TypeError('bad'))", "Runtime.UnhandledPromiseRejection", "TypeError: bad"),
    ("exit", "process.exit(5)", "Runtime.ExitError", "Runtime exited with error: exit status 5"),
    ("clean exit", "process.exit()", "Runtime.ExitError", "Runtime exited without providing a reason"),
    ("abort", "process.abort()", "Runtime.ExitError", "signal: aborted"),
    ("kill", "process.kill(process.pid, 'SIGKILL')", "Runtime.ExitError", "signal: killed"),
]


@pytest.mark.parametrize(("source", "kind", "message"), [end[1:] for end in FATAL], ids=[end[0] for end in FATAL])
async def test_a_call_ends_the_process_and_the_next_one_gets_a_new_one(
    stage: Stage, source: str, kind: str, message: str
) -> None:
    function = await stage.node(f"exports.handler = (e, c) => {{ if (e.ok) c.succeed(1); else {{ {source} }} }};")
    failure = await function.failure({})
    assert failure.type == kind
    assert message in failure.message
    assert await function.result({"ok": True}) == 1
    assert function.statistics.counts.starts == 2


async def test_an_unsettled_promise_fails_on_24(stage: Stage) -> None:
    function = await stage.node("exports.handler = () => new Promise(() => {});", runtime="nodejs24.x")
    assert (await function.failure()).type == "Runtime.NodeJsExit"


async def test_a_callback_waits_for_an_empty_loop_unless_told_otherwise(stage: Stage) -> None:
    function = await stage.node("""
        exports.handler = (event, context, callback) => {
          context.callbackWaitsForEmptyEventLoop = event.waits;
          const result = {};
          setTimeout(() => { result.late = true; }, 100);
          callback(null, result);
        };
    """)
    assert await function.result({"waits": True}) == {"late": True}
    assert await function.result({"waits": False}) == {}


async def test_an_interval_keeps_a_waiting_callback_until_the_limit(stage: Stage) -> None:
    function = await stage.node(
        "exports.handler = (e, c, done) => { setInterval(() => {}, 10); done(null, 1); };", timeout=0.3
    )
    assert isinstance(await function.run(), TimedOut)


async def test_the_context_says_what_lambda_says(stage: Stage) -> None:
    function = await stage.node("""
        exports.handler = async (event, context) => [context, context.getRemainingTimeInMillis(), typeof context.done];
    """)
    context, remaining, done = await function.result()  # type: ignore[misc]
    stream = context.pop("logStreamName")
    identifier = context.pop("awsRequestId")
    assert context == {
        "functionName": "adder",
        "functionVersion": "7",
        "invokedFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:adder:7",
        "memoryLimitInMB": "128",
        "logGroupName": "/aws/lambda/adder",
        "callbackWaitsForEmptyEventLoop": True,
    }
    assert re.fullmatch(r"2026/01/02/\[7\][0-9a-f]{32}", stream)
    assert re.fullmatch(r"0{8}-0000-4000-8000-\d{12}", identifier)
    assert 4000 < remaining <= 5000
    assert done == "function"


async def test_the_context_on_24_has_no_callbacks(stage: Stage) -> None:
    function = await stage.node("exports.handler = async (e, c) => Object.keys(c);", runtime="nodejs24.x")
    names = await function.result()
    assert isinstance(names, list)
    assert not {"done", "fail", "succeed", "callbackWaitsForEmptyEventLoop"} & set(names)


async def test_the_environment(stage: Stage) -> None:
    function = await stage.node(
        "const tz = new Date(0).getHours(); exports.handler = async () => [process.env, process.cwd(), tz];",
        environment={"MINE": "yes", "LANG": "C", "AWS_REGION": "no"},
    )
    environment, directory, hour = await function.result()  # type: ignore[misc]
    assert directory == "/var/task"
    assert hour == 0
    expected = {
        "MINE": "yes",
        "LANG": "C",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x",
        "AWS_LAMBDA_FUNCTION_NAME": "adder",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/adder",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "TZ": ":UTC",
        "_HANDLER": "index.handler",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert not [name for name in environment if name.startswith("EDGEFN")]


async def test_console_lines_are_as_aws_prints_them(stage: Stage) -> None:
    function = await stage.node("""
        console.log('loading');
        exports.handler = async () => {
          console.log('one %d', 1, {a: 1}); console.info('i'); console.warn('w'); console.error('two\\nlines');
          console.debug('d'); console.trace('t'); process.stdout.write('raw\\n'); console.table([[1]]);
        };
    """)
    outcome = await function.run(id_="11111111-2222-4333-8444-555555555555")
    assert isinstance(outcome, Returned)
    (start, loading), *lines = function.lines
    assert start == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z\tundefined\tINFO\tloading", loading)
    assert {id_ for id_, _ in lines} == {"11111111-2222-4333-8444-555555555555"}
    told = [text.split("\t") for _, text in lines]
    assert {fields[1] for fields in told if len(fields) > 1} == {"11111111-2222-4333-8444-555555555555"}
    assert [fields[2:] for fields in told[:6]] == [
        ["INFO", "one 1 { a: 1 }"],
        ["INFO", "i"],
        ["WARN", "w"],
        ["ERROR", "two\\rlines"],
        ["DEBUG", "d"],
        ["TRACE", "t"],
    ]
    assert told[6] == ["raw"]
    assert told[7][2] == "INFO"


async def test_an_init_is_in_the_log_and_how_it_failed(stage: Stage) -> None:
    function = await stage.node("exports.handler = async () => 1;", runtime="nodejs22.x")
    await function.result()
    await function.result()
    assert function.inits == ["INIT_START Runtime Version: nodejs:22"]
    broken = await stage.node("throw new RangeError('no')")
    await broken.failure()
    start, report = broken.inits
    assert start == "INIT_START Runtime Version: nodejs:20"
    assert re.fullmatch(
        r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: error\tError Type: RangeError", report
    )
    slow = await stage.python("import time\ntime.sleep(60)", init_timeout=0.2)
    await slow.failure()
    start, report = slow.inits
    assert start == "INIT_START Runtime Version: python:3.11"
    assert re.fullmatch(r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: timeout", report)


async def test_errors_are_in_the_log(stage: Stage) -> None:
    function = await stage.node("exports.handler = async () => { throw new TypeError('bad'); };")
    await function.failure()
    assert any("\tERROR\tInvoke Error \t" in text and '"errorType":"TypeError"' in text for text in function.printed())


async def test_a_body_is_put_in_and_its_echo_taken_out(stage: Stage) -> None:
    function = await stage.node("""
        let seen;
        exports.handler = async (event) => {
          const {request} = event.Records[0].cf;
          seen = request.body.data;
          if (event.action) request.body.action = event.action;
          if (event.data) request.body.data = event.data;
          return {seen, ...request};
        };
    """)
    request = {"uri": "/", "body": {"action": "read-only", "encoding": "base64", "data": ""}}
    event = {"Records": [{"cf": {"request": request}}]}
    echoed = await function.result(event, body=b"\x00\xffhello")
    assert echoed == {"seen": "AP9oZWxsbw==", "uri": "/", "body": {"action": "read-only", "encoding": "base64"}}
    replaced = await function.result({**event, "action": "replace"}, body=b"hello")
    assert isinstance(replaced, dict)
    assert replaced["body"] == {"action": "replace", "encoding": "base64", "data": "aGVsbG8="}
    changed = await function.result({**event, "data": "bmV3"}, body=b"hello")
    assert isinstance(changed, dict)
    assert changed["body"]["data"] == "bmV3"


async def test_a_megabyte_of_body_is_cheap(stage: Stage) -> None:
    function = await stage.node("exports.handler = async (event) => event.Records[0].cf.request.body.data.length;")
    event = {"Records": [{"cf": {"request": {"body": {}}}}]}
    await function.result(event, body=b"x")
    started = time.monotonic()
    assert await function.result(event, body=bytes(1_000_000)) == 1_333_336
    assert time.monotonic() - started < 0.5


async def test_work_left_in_the_loop_goes_on_with_the_next_event(stage: Stage) -> None:
    function = await stage.node("""
        let ticks = 0;
        exports.handler = async (event) => {
          if (event === 'start') setTimeout(() => { ticks += 1; }, 5);
          if (event === 'wait') await new Promise((done) => setTimeout(done, 30));
          return ticks;
        };
    """)
    assert await function.result("start") == 0
    assert await function.result("wait") == 1


async def test_a_function_that_replaces_globals_harms_only_itself(stage: Stage) -> None:
    function = await stage.node("""
        const stringify = JSON.stringify;
        exports.handler = async () => {
          JSON.parse = JSON.stringify = Buffer.from = () => { throw new Error('mine now'); };
          globalThis.setImmediate = setTimeout;
          Date.now = () => 0;
          return 1;
        };
    """)
    outcome = await function.run()
    assert isinstance(outcome, Returned | Failed)
    again = await function.run()
    assert isinstance(again, Returned | Failed)


async def test_a_result_s_tojson_counts(stage: Stage) -> None:
    function = await stage.node("exports.handler = async () => ({body: 1, toJSON: () => 'mine'});")
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert json.loads(outcome.result) == "mine"
