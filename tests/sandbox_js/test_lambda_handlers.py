"""Runtime `js`: Lambda@Edge handlers that need no Node.js, in the forms that AWS's Node.js runtimes know."""

import hashlib
import json
import uuid

import pytest

from edgefn.sandbox.base import Invocation, Returned
from tests.sandbox_js.stage import PLAIN, Files, Stage

REQUEST = {
    "Records": [{"cf": {"request": {"uri": "/a", "body": {"action": "read-only", "encoding": "base64", "data": ""}}}}]
}


async def told(stage: Stage, files: Files, event: object = None, **options: object) -> object:
    return await stage.result(files, event, PLAIN, **options)


# ------------------------------------------------------------------------------------------ how it is called


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = (event, context, callback) => callback(null, { uri: event.uri });",
        (
            "exports.handler = (event, context, callback) => { Promise.resolve().then(() => callback(null, { uri:"
            " event.uri })); };"
        ),
        "exports.handler = (event, context, callback) => { process.nextTick(callback, null, { uri: event.uri }); };",
        "exports.handler = async (event) => ({ uri: event.uri });",
        "exports.handler = (event) => ({ then(resolve) { resolve({ uri: event.uri }); } });",
        "module.exports = { handler: async (event) => event };",
        "module.exports.handler = async function (event) { return event; };",
        "exports.handler = (event, context) => context.succeed(event);",
        "exports.handler = (event, context) => context.done(null, event);",
    ],
)
async def test_a_result_comes_in_every_form(stage: Stage, source: str) -> None:
    assert await told(stage, source, {"uri": "/a"}) == {"uri": "/a"}


@pytest.mark.parametrize(
    "source",
    [
        "export const handler = async (event) => event.uri;",
        "export async function handler(event) { return event.uri; }",
        "const handler = async (event) => event.uri;\nexport { handler };",
    ],
)
@pytest.mark.parametrize("name", ["index.mjs", "index.js"])
async def test_an_es_module_is_known_by_its_name_or_its_look(stage: Stage, source: str, name: str) -> None:
    assert await told(stage, {name: source}, {"uri": "/a"}) == "/a"


async def test_an_es_module_may_wait_at_the_top(stage: Stage) -> None:
    source = (
        "const table = await Promise.resolve({ '/a': '/b' });\nexport const handler = async (event) =>"
        " table[event.uri];"
    )
    assert await told(stage, {"index.mjs": source}, {"uri": "/a"}) == "/b"


async def test_a_handler_may_lie_deep(stage: Stage) -> None:
    files = {"src/app.js": "exports.cors = { preflight: async () => 'yes' };"}
    assert await told(stage, files, handler="src/app.cors.preflight") == "yes"


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = () => ({ uri: '/' });",
        "exports.handler = () => {};",
        "exports.handler = async () => {};",
        "exports.handler = () => new Promise(() => {});",
    ],
)
async def test_without_a_result_it_is_null(stage: Stage, source: str) -> None:
    assert await told(stage, source) is None


async def test_the_first_completion_counts(stage: Stage) -> None:
    source = "exports.handler = async (event, context) => { context.succeed(1); context.succeed(2); return 3; };"
    assert await told(stage, source) == 1


async def test_the_context_tells_of_the_invocation(stage: Stage) -> None:
    source = """exports.handler = async (event, context) => [context.functionName, context.functionVersion,
        context.invokedFunctionArn, context.memoryLimitInMB,
        context.awsRequestId, context.getRemainingTimeInMillis() > 19000];"""
    assert await told(stage, source) == [
        "us-east-1.greeter",
        "1",
        "arn:aws:lambda:us-east-1:000000000000:function:greeter:1",
        "128",
        "id-1",
        True,
    ]


async def test_environment_variables_are_there(stage: Stage) -> None:
    source = "const { STAGE } = process.env;\nexports.handler = async () => STAGE;"
    assert await told(stage, source, environment={"STAGE": "test"}) == "test"


# ------------------------------------------------------------------------------------------ bodies


async def test_a_body_comes_in_the_event(stage: Stage) -> None:
    source = (
        "exports.handler = async (event) => Buffer.from(event.Records[0].cf.request.body.data, 'base64').toString();"
    )
    assert await told(stage, source, REQUEST, body="h\u00e9llo".encode()) == "h\u00e9llo"


async def test_an_untouched_body_does_not_go_back(stage: Stage) -> None:
    source = "exports.handler = async (event) => event.Records[0].cf.request;"
    assert await told(stage, source, REQUEST, body=b"x" * 100_000) == {
        "uri": "/a",
        "body": {"action": "read-only", "encoding": "base64"},
    }


async def test_a_replaced_body_goes_back(stage: Stage) -> None:
    source = """exports.handler = async (event) => { const { request } = event.Records[0].cf;
        Object.assign(request.body, { action: 'replace', encoding: 'text', data: 'new' }); return request; };"""
    result = await told(stage, source, REQUEST, body=b"old")
    assert result == {"uri": "/a", "body": {"action": "replace", "encoding": "text", "data": "new"}}


# ------------------------------------------------------------------------------------------ files and modules


async def test_files_of_the_bundle_are_required(stage: Stage) -> None:
    files = {
        "index.js": (
            "const rules = require('./lib/rules');\nconst tiny = require('tiny');\nexports.handler = async () =>"
            " [rules.a, tiny(2)];"
        ),
        "lib/rules.js": "exports.a = require('../table.json').a + 1;",
        "table.json": '{"a": 1}',
        "node_modules/tiny/package.json": '{"main": "./lib/main"}',
        "node_modules/tiny/lib/main.js": "module.exports = (number) => number * 2;",
    }
    assert await told(stage, files) == [2, 4]


async def test_files_of_the_bundle_are_imported(stage: Stage) -> None:
    files = {
        "index.mjs": (
            "import { a } from './lib/a.mjs';\nimport b, { c } from './b.cjs';\nimport t from './t.json' with { type:"
            " 'json' };\nexport const handler = async () => [a, b.c, c, t.d, import.meta.url];"
        ),
        "lib/a.mjs": "export const a = 1;",
        "b.cjs": "exports.c = 2;",
        "t.json": '{"d": 3}',
    }
    assert await told(stage, files) == [1, 2, 2, 3, "file:///var/task/index.mjs"]


async def test_package_json_says_what_js_files_are(stage: Stage) -> None:
    files = {"index.js": "export const handler = async () => this === undefined;", "package.json": '{"type": "module"}'}
    assert await told(stage, files) is True


async def test_modules_that_require_each_other_get_what_is_there(stage: Stage) -> None:
    files = {
        "index.js": "exports.early = 1;\nconst other = require('./other');\nexports.handler = async () => other.seen;",
        "other.js": "exports.seen = require('./index').early;",
    }
    assert await told(stage, files) == 1


@pytest.mark.parametrize("name", ["fs", "node:fs/promises", "http", "aws-sdk", "@aws-sdk/client-s3"])
@pytest.mark.parametrize(
    "source",
    [
        "const x = require('%s');\nexports.handler = async () => 1;",
        "import x from '%s';\nexport const handler = async () => 1;",
    ],
)
async def test_other_modules_are_named_and_a_nodejs_runtime_advised(stage: Stage, name: str, source: str) -> None:
    why = await stage.refusal(source % name, PLAIN)
    assert f"Cannot find module '{name}'" in why
    assert "use a nodejs runtime, such as nodejs22.x" in why


@pytest.mark.parametrize("call", ["setTimeout(() => {}, 1)", "setImmediate(() => {})", "fetch('http://a')"])
async def test_what_needs_time_or_network_says_so(stage: Stage, call: str) -> None:
    failure = await stage.failure(f"exports.handler = async () => {call};", runtime=PLAIN)
    assert "is not available in runtime js: use a nodejs runtime" in failure.message


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("exports.other = 1;", "Runtime.HandlerNotFound: index.handler is undefined or not exported"),
        ("exports.handler = 1;", "Runtime.HandlerNotFound: index.handler is not a function"),
        ("exports.handler = async () => {\n  let let = 1;\n};", "in index.js:2:7"),
        ("throw new Error('no');", "Error: no"),
    ],
)
async def test_a_broken_bundle_is_refused_with_its_reason(stage: Stage, source: str, why: str) -> None:
    assert why in await stage.refusal(source, PLAIN)


# ------------------------------------------------------------------------------------------ errors and log


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = async () => { throw new TypeError('bad'); };",
        "exports.handler = (e, c, callback) => callback(new TypeError('bad'));",
        "exports.handler = () => { throw new TypeError('bad'); };",
        "exports.handler = (e, context) => context.fail(new TypeError('bad'));",
    ],
)
async def test_an_error_comes_in_every_form(stage: Stage, source: str) -> None:
    failure = await stage.failure(source, runtime=PLAIN)
    assert (failure.type, failure.message) == ("TypeError", "bad")
    assert (
        failure.trace[1].strip().endswith(f"(index.js:1:{source.index('new TypeError') + 14})")
        or "index.js:1:" in failure.trace[1]
    )


async def test_an_error_in_a_later_line_names_it(stage: Stage) -> None:
    failure = await stage.failure(
        "exports.handler = async () => {\n  const x = null;\n  return x.y;\n};", runtime=PLAIN
    )
    assert "index.js:3:" in failure.trace[1]


async def test_a_result_that_is_no_json_is_an_error(stage: Stage) -> None:
    failure = await stage.failure("exports.handler = async () => { const a = {}; a.a = a; return a; };", runtime=PLAIN)
    assert failure.type == "Runtime.MarshalError"


async def test_the_console_writes_lines_as_aws_does(stage: Stage) -> None:
    source = (
        "exports.handler = async () => { console.log('a %s %d %j', 'b', 1, { c: 2 }, [3]); console.error('x\\ny');"
        " return 1; };"
    )
    await told(stage, source)
    time = "2023-11-14T22:13:20.250Z"
    assert stage.logged == [
        ("id-1", f'{time}\\x09id-1\\x09INFO\\x09a b 1 {{"c":2}} [ 3 ]'.replace("\\x09", "\t")),
        ("id-1", f"{time}\tid-1\tERROR\tx\\ry"),
    ]


# ------------------------------------------------------------------------------------------ modules


async def test_random_bytes_are_fresh_in_each_call(stage: Stage) -> None:
    sandbox = await stage.open(
        "const c = require('crypto');\nexports.handler = async () => [c.randomBytes(16).toString('hex'),"
        " c.randomUUID()];",
        PLAIN,
    )
    seen = set()
    for _ in range(10):
        outcome = await sandbox.run(Invocation("id", b"{}"))
        assert isinstance(outcome, Returned)
        key, name = json.loads(outcome.result)
        assert uuid.UUID(name).version == 4
        seen |= {key, name}
    assert len(seen) == 20


async def test_keys_are_derived_as_everywhere(stage: Stage) -> None:
    expression = "require('crypto').pbkdf2Sync('secret', 'salt', 3, 50, 'sha256').toString('hex')"
    assert await stage.value(expression, PLAIN) == hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 3, 50).hex()


async def test_secrets_are_compared(stage: Stage) -> None:
    expression = "['a', 'b'].map((x) => require('crypto').timingSafeEqual(Buffer.from('a'), Buffer.from(x)))"
    assert await stage.value(expression, PLAIN) == [True, False]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("path.join('/a', '../b', './c.txt')", "/b/c.txt"),
        ("path.normalize('/a//b/../c/')", "/a/c/"),
        ("path.normalize('../a/..')", ".."),
        ("path.resolve('a', '../b')", "/var/task/b"),
        ("path.relative('/a/b', '/a/c/d')", "../c/d"),
        ("path.dirname('/a/b/')", "/a"),
        ("path.basename('/a/b.js', '.js')", "b"),
        ("path.extname('x/y.tar.gz')", ".gz"),
        ("path.extname('.bashrc')", ""),
        ("path.parse('/home/x.txt')", {"root": "/", "dir": "/home", "base": "x.txt", "ext": ".txt", "name": "x"}),
        ("path.format({ dir: '/a', name: 'b', ext: '.c' })", "/a/b.c"),
        ("path.isAbsolute('a')", False),
    ],
)
async def test_the_module_path_does_what_that_of_node_does(stage: Stage, expression: str, expected: object) -> None:
    assert await stage.value(expression.replace("path.", "require('path').", 1), PLAIN) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "new URL('https://User:p@EXAMPLE.com:443/a/./b/../c d?q=\u00e9#f').href",
            "https://User:p@example.com/a/c%20d?q=%C3%A9#f",
        ),
        ("new URL('../x?y#z', 'http://a.b/c/d/e').href", "http://a.b/c/x?y#z"),
        ("new URL('//c.d/e', 'https://a.b').href", "https://c.d/e"),
        ("new URL('?q', 'https://a.b/c#d').href", "https://a.b/c?q"),
        ("new URL('http://0x7f.1/').hostname", "127.0.0.1"),
        ("new URL('http://[::1]:8080/').host", "[::1]:8080"),
        ("new URL('http:\\\\\\\\a.b\\\\c').href", "http://a.b/c"),
        ("new URL('mailto:x@y').pathname", "x@y"),
        ("new URL('http://a.b:80/').port", ""),
        ("new URL('http://a.b:81/').origin", "http://a.b:81"),
        ("JSON.stringify({ u: new URL('http://a.b') })", '{"u":"http://a.b/"}'),
        (
            "['nope', 'http://', 'http://a b', 'http://a:99999', 'http://1.2.3.256'].map((u) => URL.canParse(u))",
            [False] * 5,
        ),
        (
            (
                "(() => { const u = new URL('http://a.b/?x=1'); u.searchParams.append('y', '\u00e9 &'); return u.href;"
                " })()"
            ),
            "http://a.b/?x=1&y=%C3%A9+%26",
        ),
        (
            (
                "(() => { const u = new URL('http://a.b/'); u.search = '?p=1'; u.pathname = '/x y'; u.hash = 'h';"
                " u.port = '8080'; return [u.href, u.searchParams.get('p')]; })()"
            ),
            ["http://a.b:8080/x%20y?p=1#h", "1"],
        ),
        ("[...new URLSearchParams('a=1&b=2&a=%20+3').getAll('a')]", ["1", "  3"]),
        ("String(new URLSearchParams({ b: '1 2', a: '&' }))", "b=1+2&a=%26"),
        (
            (
                "(() => { const s = new URLSearchParams([['b', 1], ['a', 2], ['b', 3]]); s.sort(); s.set('b', 4);"
                " return [String(s), s.size, s.has('a')]; })()"
            ),
            ["a=2&b=4", 2, True],
        ),
        ("require('url').parse('http://u@h:80/p/a?x=1&y=2#f', true).query", {"x": "1", "y": "2"}),
        ("require('url').parse('/p?x').pathname", "/p"),
        (
            "require('url').format({ protocol: 'https', host: 'a.b', pathname: '/c', query: { d: 1 } })",
            "https://a.b/c?d=1",
        ),
        ("require('url').resolve('/one/two', 'three')", "/one/three"),
    ],
)
async def test_urls_are_read_and_written_as_node_does(stage: Stage, expression: str, expected: object) -> None:
    assert await stage.value(expression, PLAIN) == expected


async def test_the_environment_has_what_lambda_puts_there(stage: Stage) -> None:
    names = (
        "['AWS_REGION', 'AWS_LAMBDA_FUNCTION_NAME', '_HANDLER', 'LAMBDA_TASK_ROOT', 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE']"
    )
    assert await stage.value(f"{names}.map((name) => process.env[name])", PLAIN) == [
        "us-east-1", "us-east-1.greeter", "index.handler", "/var/task", "128",
    ]  # fmt: skip
