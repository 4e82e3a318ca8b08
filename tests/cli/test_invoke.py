"""`edgefn invoke`: one line for each event, whatever the function does."""

import json
import os
import shutil
import signal
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.cli.running import CHECKOUT, Done, Here, Running, edgefn

NODE = """
exports.handler = async (event, context) => {
  switch (event.do) {
    case 'throw': throw new TypeError('no such thing');
    case 'spin': for (;;) {}
    case 'exit': process.exit(3);
    case 'big integer': return 10n;
    case 'nothing': return undefined;
    case 'log': console.log('hello from inside'); return 'logged';
    case 'environment': return [process.env.STAGE, process.env.URL, context.memoryLimitInMB];
    default: return { given: event };
  }
};
"""
PYTHON = """
import os, sys

def lambda_handler(event, context):
    match event["do"]:
        case "throw": raise KeyError("no such thing")
        case "spin":
            while True: pass
        case "exit": os._exit(3)
        case "set": return {1, 2}
        case "log": print("hello from inside")
        case "environment": return [os.environ["STAGE"], os.environ["URL"], context.memory_limit_in_mb]
    return {"given": event}
"""
SAMPLE = ("--sample", "viewer-request")
NODEJS = ("--runtime", "nodejs20.x")
PYTHON3 = ("--runtime", "python3.11")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return written(tmp_path / "app.js", NODE)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return written(tmp_path / "app.py", PYTHON)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_layers_lie_under_the_function(here: Here, tmp_path: Path) -> None:
    written(tmp_path / "layer" / "python" / "shared.py", "word = 'from the layer'")
    code = written(tmp_path / "app.py", "import shared\ndef lambda_handler(event, context): return shared.word\n")
    layer = ("--layer", str(tmp_path / "layer"))
    done = here("invoke", str(code), *PYTHON3, *layer, *SAMPLE)
    assert lines(done) == [{"result": "from the layer"}]
    refused = here("invoke", str(code), "--runtime", "js", *layer, *SAMPLE)
    assert (refused.returncode, "--layer: runtime js has no /opt" in refused.stderr) == (2, True)
    missing = here("invoke", str(code), *PYTHON3, "--layer", str(tmp_path / "none"), *SAMPLE)
    assert (missing.returncode, "there is no such file" in missing.stderr) == (2, True)


def events(tmp_path: Path, *things: str) -> Path:
    return written(tmp_path / "events.ndjson", "".join(json.dumps({"do": thing}) + "\n\n" for thing in things))


def lines(done: Done) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def error(kind: str, message: str) -> dict[str, object]:
    return {"error": {"type": kind, "message": message}}


def given(thing: str) -> dict[str, object]:
    return {"result": {"given": {"do": thing}}}


def test_node_has_a_line_for_each_event_however_it_ends(tmp_path: Path, node: Path) -> None:
    file = events(tmp_path, "a", "throw", "b", "spin", "c", "exit", "d", "big integer", "nothing", "log")
    done = edgefn("invoke", node, *NODEJS, "--handler", "app.handler", "--events", file, "--timeout", "0.5")
    told = lines(done)
    crash = told.pop(5)
    assert told == [
        given("a"),
        error("TypeError", "no such thing"),
        given("b"),
        error("Sandbox.Timedout", "Task timed out after 0.50 seconds"),
        given("c"),
        given("d"),
        error("Runtime.MarshalError", "Unable to stringify response body: Do not know how to serialize a BigInt"),
        {"result": None},
        {"result": "logged"},
    ]
    assert '"Runtime.ExitError"' in json.dumps(crash)
    assert "Runtime exited with error: exit status 3" in json.dumps(crash)
    assert done.returncode == 1
    assert "hello from inside" in done.stderr
    assert done.stderr.count("REPORT RequestId: ") == 10
    assert done.stderr.endswith("edgefn: 10 events, 4 failed\n")


def test_python_has_a_line_for_each_event_however_it_ends(tmp_path: Path, python: Path) -> None:
    file = events(tmp_path, "a", "throw", "spin", "b", "exit", "set", "log")
    done = edgefn("invoke", python, *PYTHON3, "--handler", "app.lambda_handler", "--events", file, "--timeout", "0.5")
    told = lines(done)
    crash = told.pop(4)
    assert told == [
        given("a"),
        error("KeyError", "'no such thing'"),
        error("Sandbox.Timedout", "Task timed out after 0.50 seconds"),
        given("b"),
        error("Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON serializable"),
        given("log"),
    ]
    assert "Runtime exited with error: exit status 3" in json.dumps(crash)
    assert done.returncode == 1
    assert "hello from inside" in done.stderr


def test_crash_after_crash_each_event_has_its_try(tmp_path: Path, node: Path) -> None:
    done = edgefn("invoke", node, *NODEJS, "--events", events(tmp_path, *["exit"] * 12, "a"))
    assert [*map(list, lines(done))] == [["error"]] * 12 + [["result"]]
    assert "LimitExceeded" not in done.stdout


def test_a_single_event_that_has_a_result_is_a_success(tmp_path: Path, node: Path) -> None:
    event = written(tmp_path / "event.json", '{\n  "do": "é ✓"\n}\n')
    done = edgefn("invoke", node, *NODEJS, "--event", event)
    assert (done.returncode, lines(done)) == (0, [given("é ✓")])


def test_an_event_may_come_from_standard_input(node: Path) -> None:
    one = edgefn("invoke", node, *NODEJS, "--event", "-", stdin='{"do": "é"}')
    many = edgefn("invoke", node, *NODEJS, "--events", "-", stdin='\ufeff{"do": "a"}\r\n{"do": "b"}')
    assert (one.returncode, lines(one)) == (0, [given("é")])
    assert (many.returncode, lines(many)) == (0, [given("a"), given("b")])


def test_a_sample_event_is_one_of_aws(python: Path) -> None:
    echo = written(python.parent / "echo.py", "def lambda_handler(event, context): return event\n")
    done = edgefn("invoke", echo, *PYTHON3, *SAMPLE)
    assert done.returncode == 0
    assert '"eventType": "viewer-request"' in done.stdout


@pytest.mark.parametrize("runtime", ["nodejs20.x", "python3.11"])
def test_variables_and_memory_reach_the_function(tmp_path: Path, node: Path, python: Path, runtime: str) -> None:
    done = edgefn(
        "invoke", node if runtime.startswith("node") else python, "--runtime", runtime, "--memory", "256",
        "--env", "STAGE=test", "--env", "URL=https://a.example/?x=1", "--events", events(tmp_path, "environment"),
    )  # fmt: skip
    assert lines(done) == [{"result": ["test", "https://a.example/?x=1", "256"]}]


SOURCES = {
    "index.js": "exports.handler = async () => require('./lib/word')",
    "lib/word.js": "module.exports = 'from a module'",
    "app/__init__.py": "",
    "app/main.py": "from .word import WORD\ndef run(event, context): return WORD\n",
    "app/word.py": "WORD = 'from a module'\n",
    "only.mjs": "const word = await Promise.resolve('from a module');\nexport const handler = async () => word;\n",
}


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("folder", (*NODEJS, "--handler", "index.handler")),
        ("folder", NODEJS),
        ("folder", (*PYTHON3, "--handler", "app/main.run")),
        ("folder", (*PYTHON3, "--handler", "app.main.run")),
        ("folder/only.mjs", NODEJS),
        ("bundle.zip", NODEJS),
        ("bundle.zip", (*PYTHON3, "--handler", "app/main.run")),
    ],
)
def test_code_comes_as_a_folder_a_zip_or_a_file(tmp_path: Path, path: str, options: tuple[str, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for name, text in SOURCES.items():
            written(tmp_path / "folder" / name, text)
            archive.writestr(name, text)
    done = edgefn("invoke", tmp_path / path, *options, *SAMPLE)
    assert (done.returncode, lines(done)) == (0, [{"result": "from a module"}]), done.stderr


@pytest.mark.parametrize(
    ("name", "text", "handler", "kind", "words"),
    [
        ("f.js", "exports.handler = (", "f.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected"),
        ("f.js", "require('left-pad')", "f.handler", "Runtime.ImportModuleError", "Cannot find module 'left-pad'"),
        ("f.js", "", "g.handler", "Runtime.ImportModuleError", "Cannot find module"),
        ("f.js", "", "f.handler", "Runtime.HandlerNotFound", "f.handler is undefined or not exported"),
        ("f.js", "throw new RangeError('early')", "f.handler", "RangeError", "early"),
        ("f.js", "", "nodot", "Runtime.MalformedHandlerName", "Bad handler 'nodot'"),
        ("f.py", "def (", "f.main", "Runtime.UserCodeSyntaxError", "Syntax error in module 'f'"),
        ("f.py", "import left_pad", "f.main", "Runtime.ImportModuleError", "No module named 'left_pad'"),
        ("f.py", "", "f.main", "Runtime.HandlerNotFound", "Handler 'main' missing on module 'f'"),
        ("f.py", "", "nodot", "Runtime.MalformedHandlerName", "Bad handler 'nodot'"),
    ],
)
def test_a_function_that_can_not_be_loaded_fails_each_event(
    tmp_path: Path, name: str, text: str, handler: str, kind: str, words: str
) -> None:
    path = written(tmp_path / name, text)
    runtime = NODEJS if name.endswith(".js") else PYTHON3
    done = edgefn("invoke", path, *runtime, "--handler", handler, "--events", events(tmp_path, "a", "b", "c", "d"))
    told = lines(done)
    assert (done.returncode, len(told)) == (1, 4)
    for line in told:
        assert line["error"] == {"type": kind, "message": (line["error"] or {})["message"]}  # type: ignore[index]
        assert words in json.dumps(line)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere", *NODEJS, *SAMPLE), "nowhere: there is no such file or folder"),
        (("README.md", *NODEJS, *SAMPLE), "README.md: is no function; write a directory, a .zip, or a .js"),
        (("hooks/pixel", "--runtime", "nodejs20", *SAMPLE), '--runtime: the runtime "nodejs20" is not known; did you'),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--env", "STAGE"), "--env STAGE: has no =; write NAME=VALUE"),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--env", "=x"), "--env =x: '' is no name"),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--env", "AWS_REGION=x"), "AWS_REGION is set by the runtime"),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--env", "BIG=" + "x" * 4096), "--env: 4099 bytes of names and values"),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--timeout", "0"), "'0' is no time limit; write seconds"),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--timeout", "nan"), "'nan' is no time limit"),
        (("hooks/pixel", *NODEJS, *SAMPLE, "--memory", "64"), "'64' is no memory size; write MB, 128 to 10240"),
        (("hooks/pixel", *NODEJS, "--sample", "viewer"), "invalid choice: 'viewer' (choose from"),
        (("hooks/pixel", *NODEJS), "one of the arguments --event --events --sample is required"),
        (("hooks/pixel", *NODEJS, "--event", "nowhere.json"), "nowhere.json: can't be read: No such file"),
        (("hooks/pixel", *NODEJS, "--event", "hooks"), "hooks: can't be read: Is a directory"),
        (("hooks/pixel", *NODEJS, "--event", "-"), "standard input:1:1: is not JSON: Expecting value"),
        (("hooks/pixel", *NODEJS, "--events", "-"), "standard input: has no events; write one as JSON per line"),
        (("hooks/pixel", *NODEJS, "--events", "README.md"), "README.md:1:1: is not JSON"),
        (("hooks/pixel", "--event", "x"), "the following arguments are required: --runtime"),
    ],
)
def test_bad_input_is_named_and_nothing_runs(here: Here, arguments: tuple[str, ...], told: str) -> None:
    done = here("invoke", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{}\n{oops}\n", "standard input:2:2: is not JSON: Expecting property name"),
        (b"{}\nNaN\n", "standard input:2: is not JSON: NaN is no JSON value"),
        (b"[" * 100_000, "standard input:1: is nested too deeply"),
        (b'"\xff"', "standard input: is not UTF-8 text: invalid start byte at byte 1"),
    ],
)
def test_one_bad_event_stops_all(here: Here, data: bytes, told: str) -> None:
    done = here("invoke", "hooks/pixel", *NODEJS, "--events", "-", stdin=data)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def temp() -> Iterator[Path]:
    """Give a directory for temporary files that the sandbox's user may pass through."""
    directory = tempfile.mkdtemp(dir="/tmp")
    os.chmod(directory, 0o711)
    yield Path(directory)
    shutil.rmtree(directory)


def left_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_nothing_is_left_of_an_invocation_that_is_broken_off(
    tmp_path: Path, temp: Path, node: Path, number: signal.Signals
) -> None:
    arguments = ("invoke", node, *NODEJS, "--events", events(tmp_path, "log", "spin"), "--timeout", "60")
    async with Running(*arguments, environment={"TMPDIR": str(temp)}) as running:
        await running.says("hello from inside")
        await running.says('{"result": "logged"}')
        assert left_in(temp)
        running.send(number)
        assert await running.ended() == 128 + number
        assert "Traceback" not in running.told
    assert left_in(temp) == []


def test_nothing_is_left_of_an_invocation_that_ends(temp: Path) -> None:
    done = edgefn("invoke", CHECKOUT / "hooks" / "pixel", *NODEJS, *SAMPLE, environment={"TMPDIR": str(temp)})
    assert done.returncode == 0
    assert left_in(temp) == []


STORE_READER = """
import cf from 'cloudfront';
async function handler(event) { return { statusCode: 200, body: await cf.kvs().get('greeting') }; }
"""


def test_a_function_reads_the_store_that_it_is_given(here: Here, tmp_path: Path) -> None:
    function = written(tmp_path / "reader.js", STORE_READER)
    store = written(tmp_path / "store.json", '{"greeting": "hello"}')
    runtime = ("--runtime", "cloudfront-js-2.0")
    done = edgefn("invoke", function, *runtime, *SAMPLE, "--kvs", store)
    assert lines(done) == [{"result": {"statusCode": 200, "body": "hello"}}]

    missing = here("invoke", str(function), *runtime, *SAMPLE, "--kvs", "nowhere.json")
    assert (missing.returncode, missing.stderr) == (
        2,
        "--kvs: nowhere.json: can't be read: No such file or directory\n",
    )
    unable = here("invoke", str(function), *NODEJS, *SAMPLE, "--kvs", str(store))
    assert unable.stderr.startswith("--kvs: runtime nodejs20.x can't read key-value stores")


BESIDE = """
import cf from 'cloudfront';
function handler(event) {
  cf.selectRequestOriginById('other');
  cf.logCustomData('seen');
  event.request.headers['x-place'] = { value: `${cf.edgeLocation.name} ${event.request.rawQueryString()}` };
  return event.request;
}
"""


def test_what_a_cloudfront_function_says_beside_its_result_is_told_apart(tmp_path: Path) -> None:
    function = written(tmp_path / "beside.js", BESIDE)
    done = edgefn("invoke", function, "--runtime", "cloudfront-js-2.0", *SAMPLE)
    line = json.loads(done.stdout)
    assert line["edge"] == {"origin": {"select": "other", "overrides": {}}, "log": "seen"}
    assert line["result"]["headers"]["x-place"] == {"value": "FRA page=1"}
    assert "edge" not in line["result"]


def test_the_sample_of_a_cloudfront_function_is_as_documented(here: Here) -> None:
    event = json.loads(here("event", "cloudfront-viewer-request").stdout)
    assert list(event) == ["version", "context", "viewer", "request"]


def test_what_was_compiled_is_kept_for_the_user_and_not_for_ever(tmp_path: Path) -> None:
    function = written(tmp_path / "same.js", "function handler(event) { return event.request; }")
    kept = tmp_path / "cache" / "edgefn" / "invoke" / "compiled"
    kept.mkdir(parents=True)
    for number in range(40):
        os.utime(written(kept / f"{number:02}.cwasm", "old"), (number, number))
    arguments = ("invoke", function, "--runtime", "cloudfront-js-2.0", *SAMPLE)
    done = edgefn(*arguments, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    names = {path.name for path in kept.glob("*.cwasm")}
    assert "07.cwasm" not in names
    assert "39.cwasm" in names
    assert len(names) > 32  # the engine came to them


def test_a_home_that_can_not_be_written_to_is_no_obstacle(tmp_path: Path) -> None:
    function = written(tmp_path / "same.js", "function handler(event) { return event.request; }")
    arguments = ("invoke", function, "--runtime", "cloudfront-js-2.0", *SAMPLE)
    done = edgefn(*arguments, environment={"XDG_CACHE_HOME": "/dev/null"})
    assert (done.returncode, "result" in json.loads(done.stdout)) == (0, True)


KV_GUEST = """
(module
  (import "edgefn" "kv_get" (func $kv (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "greeting")
  (func (export "alloc") (param i32) (result i32) (i32.const 65536))
  (func (export "handle") (param i32 i32) (result i64) (local $size i32)
    (local.set $size (call $kv (i32.const 16) (i32.const 8) (i32.const 101) (i32.const 100)))
    (i32.store8 (i32.const 100) (i32.const 34))
    (i32.store8 (i32.add (i32.const 101) (local.get $size)) (i32.const 34))
    (i64.or (i64.shl (i64.const 100) (i64.const 32)) (i64.extend_i32_u (i32.add (local.get $size) (i32.const 2))))))
"""


def test_a_guest_reads_the_store_too(tmp_path: Path) -> None:
    (tmp_path / "guest.wasm").write_bytes(wat2wasm(KV_GUEST))
    store = written(tmp_path / "store.json", '{"greeting": "hello"}')
    done = edgefn("invoke", tmp_path / "guest.wasm", "--runtime", "wasm", *SAMPLE, "--kvs", store)
    assert lines(done) == [{"result": "hello"}]


@pytest.mark.parametrize("runtime", ["cloudfront-js-2.0", "js", "nodejs20.x"])
def test_code_that_does_not_start_is_the_error_of_each_event(here: Here, tmp_path: Path, runtime: str) -> None:
    code = tmp_path / "broken.js"
    code.write_text("function handler(event) {\n  return event.request\n")
    done = here("invoke", str(code), "--runtime", runtime, "--events", "-", stdin=b"{}\n{}\n")
    assert done.returncode == 1, done.stderr
    errors = [told["error"] for told in lines(done)]
    assert len(errors) == 2
    assert all("SyntaxError" in f"{error['type']}: {error['message']}" for error in errors)


def test_what_cloudfront_would_refuse_is_told_beside_the_result(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text(
        "exports.handler = async () => ({status: '200', headers: {via: [{value: 'x'}]}, body: 5})"
    )
    done = edgefn("invoke", tmp_path, *NODEJS, *SAMPLE)
    assert done.returncode == 0
    assert json.loads(done.stdout)["result"]["status"] == "200"
    assert "edgefn: CloudFront would answer 502 (LambdaValidationError) to this: body: the function" in done.stderr


@pytest.mark.parametrize(
    ("file", "runtime", "told"),
    [
        ("dist/fn/index.js", "nodejs20.x", "but dist/fn/index.js: write --handler dist/fn/index.handler"),
        ("main.js", "nodejs20.x", "the bundle has no index.js or index.mjs or index.cjs; it has main.js\n"),
        ("a/lambda_function.py", "python3.11", "write --handler a/lambda_function.lambda_handler"),
        ("index.js", "nodejs20.x", ""),
    ],
)
def test_where_a_misplaced_handler_is_is_told_once(tmp_path: Path, file: str, runtime: str, told: str) -> None:
    (tmp_path / "f" / file).parent.mkdir(parents=True)
    (tmp_path / "f" / file).write_text("require('nothing')" if not told else "")
    done = edgefn("invoke", tmp_path / "f", "--runtime", runtime, "--events", "-", stdin="{}\n{}\n")
    assert done.returncode == 1
    assert [json.loads(line)["error"]["type"] for line in done.stdout.splitlines()] == ["Runtime.ImportModuleError"] * 2
    assert done.stderr.count("edgefn: the bundle has no ") == bool(told)
    assert told in done.stderr
