"""Every form of a Python handler, what it sees, and how it fails (spec: Handlers, Context, Environment)."""

import json
import re
from collections.abc import Mapping

import pytest

from edgefn.sandbox.base import Returned
from tests.sandbox.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORMS: list[tuple[str, Mapping[str, str], str, object]] = [
    ("function", {"index.py": "def handler(event, context): return event['x']"}, "index.handler", 5),
    ("nothing", {"index.py": "def handler(event, context): pass"}, "index.handler", None),
    ("lambda", {"index.py": "handler = lambda event, context: event['x']"}, "index.handler", 5),
    ("package", {"app/main.py": "def run(event, c): return event['x']", "app/__init__.py": ""}, "app/main.run", 5),
    ("namespace", {"a/b/c.py": "def run(event, context): return event['x']"}, "a/b/c.run", 5),
    ("dotted", {"a/b.py": "def run(event, context): return event['x']"}, "a.b.run", 5),
    (
        "object",
        {"index.py": "class H:\n    def __call__(self, event, context): return event['x']\nhandler = H()"},
        "index.handler",
        5,
    ),
    (
        "neighbours",
        {"index.py": "import lib.y, z\ndef handler(e, c): return [lib.y.y, z.z]", "lib/y.py": "y = 1", "z.py": "z = 2"},
        "index.handler",
        [1, 2],
    ),
    (
        "Decimal",
        {"index.py": "from decimal import Decimal\ndef handler(e, c): return {'d': Decimal('1.5')}"},
        "index.handler",
        {"d": 1.5},
    ),
    ("bytes", {"index.py": "def handler(e, c): return b'[1, 2]'"}, "index.handler", [1, 2]),
    ("stdlib", {"index.py": "import sqlite3, ssl, zoneinfo, asyncio, urllib.request\nhandler = lambda e, c: 1"},
     "index.handler", 1),
    ("asyncio.run", {"index.py": "import asyncio\nasync def f(): return 2\ndef handler(e, c): return asyncio.run(f())"},
     "index.handler", 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "handler", "expected"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS]
)
async def test_a_form_returns(stage: Stage, files: Mapping[str, str], handler: str, expected: object) -> None:
    function = await stage.python(files, handler=handler)
    assert await function.result({"x": 5}) == expected
    assert await function.result({"x": 5}) == expected
    assert function.statistics.counts.starts == 1


BROKEN_INITS = [
    (
        "no module",
        {"other.py": ""},
        "index.handler",
        "Runtime.ImportModuleError",
        "Unable to import module 'index': No module",
    ),
    (
        "no dependency",
        {"index.py": "import boto3"},
        "index.handler",
        "Runtime.ImportModuleError",
        "No module named 'boto3'",
    ),
    (
        "no function",
        {"index.py": ""},
        "index.handler",
        "Runtime.HandlerNotFound",
        "Handler 'handler' missing on module 'index'",
    ),
    ("no callable", {"index.py": "handler = 1"}, "index.handler", "Runtime.HandlerNotFound", "is not a function"),
    ("syntax", {"index.py": "def"}, "index.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'index'"),
    ("no dot", {"index.py": ""}, "index", "Runtime.MalformedHandlerName", "Bad handler 'index'"),
    ("built in", {"sys.py": ""}, "sys.handler", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys"),
    (
        "relative",
        {"index.py": ""},
        "../index.handler",
        "Runtime.ImportModuleError",
        "Unable to import module '../index'",
    ),
    ("raises", {"index.py": "1 / 0"}, "index.handler", "ZeroDivisionError", "division by zero"),
    ("value error", {"index.py": "int('x')"}, "index.handler", "ValueError", "invalid literal"),
    ("exits", {"index.py": "import sys\nsys.exit(3)"}, "index.handler", "Runtime.ExitError", "exit status 3"),
]


@pytest.mark.parametrize(
    ("files", "handler", "kind", "message"), [init[1:] for init in BROKEN_INITS], ids=[init[0] for init in BROKEN_INITS]
)
async def test_an_init_fails(stage: Stage, files: Mapping[str, str], handler: str, kind: str, message: str) -> None:
    function = await stage.python(files, handler=handler)
    failure = await function.failure()
    assert failure.type == kind
    assert message in failure.message


FAULTS = [
    ("raise", "raise KeyError('bad')", "KeyError", "'bad'"),
    ("own class", "class Mine(Exception): pass\n    raise Mine('bad')", "Mine", "bad"),
    ("base exception", "raise GeneratorExit('bad')", "GeneratorExit", "bad"),
    ("interrupt", "import signal\n    signal.raise_signal(signal.SIGINT)", "KeyboardInterrupt", ""),
    ("recursion", "f = lambda: f() + 1\n    f()", "RecursionError", "maximum recursion depth"),
    ("no memory", "bytes(1 << 40)", "MemoryError", ""),
    ("hostile text", "class Mine(Exception):\n        def __str__(self): raise ValueError\n    raise Mine", "Mine",
     "has no text"),
    ("lone surrogate", "raise ValueError('\\ud800')", "ValueError", "?"),
    ("coroutine", "async def f(): pass\n    import warnings; warnings.simplefilter('ignore')\n    return f()",
     "Runtime.MarshalError", "Object of type coroutine is not JSON serializable"),
    ("set", "return {1}", "Runtime.MarshalError", "Object of type set is not JSON serializable"),
    ("NaN", "return float('nan')", "Runtime.MarshalError", "Out of range"),
    ("infinity", "return [float('inf')]", "Runtime.MarshalError", "Out of range"),
    ("cycle", "a = []\n    a.append(a)\n    return a", "Runtime.MarshalError", "Circular"),
    ("deep", "a = []\n    for _ in range(100_000): a = [a]\n    return a", "Runtime.MarshalError", "recursion"),
    ("too large", "return 'x' * 6_291_555", "Function.ResponseSizeTooLarge", "6291556 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "kind", "message"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
async def test_a_call_fails_and_the_worker_lives_on(stage: Stage, source: str, kind: str, message: str) -> None:
    function = await stage.python(f"def handler(event, context):\n    if event: return 1\n    {source}\n")
    failure = await function.failure()
    assert failure.type == kind
    assert message in failure.message
    assert await function.result({"ok": True}) == 1
    assert function.statistics.counts.starts == 1


ENDS = [
    ("sys.exit", "import sys; sys.exit(4)", "exit status 4"),
    ("sys.exit text", "import sys; sys.exit('bye')", "exit status 1"),
    ("clean exit", "import sys; sys.exit()", "without providing a reason"),
    ("os._exit", "import os; os._exit(7)", "exit status 7"),
    ("kill", "import os; os.kill(os.getpid(), 9)", "signal: killed"),
    ("segfault", "import signal; signal.raise_signal(signal.SIGSEGV)", "signal: segmentation fault"),
]


@pytest.mark.parametrize(("source", "message"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS])
async def test_a_call_ends_the_process_and_the_next_one_gets_a_new_one(stage: Stage, source: str, message: str) -> None:
    function = await stage.python(f"def handler(event, context):\n    if event: return 1\n    {source}\n")
    failure = await function.failure()
    assert failure.type == "Runtime.ExitError"
    assert message in failure.message
    assert await function.result({"ok": True}) == 1
    assert function.statistics.counts.starts == 2


async def test_the_last_words_of_a_process_are_in_the_log(stage: Stage) -> None:
    function = await stage.python("import sys\ndef handler(event, context): sys.exit('no more')")
    await function.failure()
    assert "no more" in function.printed()


async def test_a_trace_names_the_function_s_lines_and_none_of_ours(stage: Stage) -> None:
    function = await stage.python(
        "def deep():\n    raise ValueError('bad')\ndef handler(event, context):\n    deep()\n"
    )
    failure = await function.failure()
    assert failure.trace == (
        '  File "/var/task/index.py", line 4, in handler\n    deep()\n',
        "  File \"/var/task/index.py\", line 2, in deep\n    raise ValueError('bad')\n",
    )


async def test_leftover_threads_do_not_keep_a_process_that_exits(stage: Stage) -> None:
    function = await stage.python("""
        import sys, threading, time
        def handler(event, context):
            threading.Thread(target=time.sleep, args=(60,)).start()
            sys.exit(2)
    """)
    failure = await function.failure()
    assert failure.message.endswith("exit status 2")


async def test_text_is_escaped_before_python_3_12_only(stage: Stage) -> None:
    source = "def handler(event, context): return 'é'"
    old = await (await stage.python(source, runtime="python3.11")).run()
    new = await (await stage.python(source, runtime="python3.12")).run()
    assert isinstance(old, Returned)
    assert isinstance(new, Returned)
    assert old.result == b'"\\u00e9"'
    assert new.result == '"é"'.encode()


async def test_a_lone_surrogate_is_escaped_in_any_version(stage: Stage) -> None:
    function = await stage.python("def handler(event, context): return '\\ud800é'", runtime="python3.13")
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert outcome.result == b'"\\ud800\\u00e9"'


async def test_the_context_says_what_lambda_says(stage: Stage) -> None:
    function = await stage.python("""
        def handler(event, context):
            context.log("told\\n")
            names = ["function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb",
                     "log_group_name", "log_stream_name", "aws_request_id", "client_context", "tenant_id"]
            identity = [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id]
            return [{name: getattr(context, name) for name in names}, identity, context.get_remaining_time_in_millis()]
    """)
    context, identity, remaining = await function.result()  # type: ignore[misc]
    stream = context.pop("log_stream_name")
    identifier = context.pop("aws_request_id")
    assert context == {
        "function_name": "adder",
        "function_version": "7",
        "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:adder:7",
        "memory_limit_in_mb": "128",
        "log_group_name": "/aws/lambda/adder",
        "client_context": None,
        "tenant_id": None,
    }
    assert re.fullmatch(r"2026/01/02/\[7\][0-9a-f]{32}", stream)
    assert re.fullmatch(r"0{8}-0000-4000-8000-\d{12}", identifier)
    assert identity == [None, None]
    assert 4000 < remaining <= 5000
    assert function.lines == [(identifier, "told")]


async def test_the_environment(stage: Stage) -> None:
    function = await stage.python(
        """
        import os, sys, time
        def handler(event, context):
            return [dict(os.environ), os.getcwd(), sys.path[0], time.timezone]
        """,
        environment={"MINE": "yes", "AWS_REGION": "no"},
        provisioned=1,
    )
    environment, directory, first, zone = await function.result()  # type: ignore[misc]
    assert (directory, first, zone) == ("/var/task", "/var/task", 0)
    expected = {
        "MINE": "yes",
        "AWS_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "AWS_LAMBDA_FUNCTION_NAME": "adder",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": "index.handler",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert not [name for name in environment if name.startswith("EDGEFN")]


async def test_the_time_zone_is_the_function_s(stage: Stage) -> None:
    function = await stage.python(
        "import time\ndef handler(event, context): return time.tzname[0]", environment={"TZ": "XYZ3"}
    )
    assert await function.result() == "XYZ"


async def test_log_lines_are_as_aws_prints_them(stage: Stage) -> None:
    function = await stage.python("""
        import logging
        print("loading")
        log = logging.getLogger("mine")
        def handler(event, context):
            print("raw")
            print("unfinished", end="")
            log.info("not told")
            logging.getLogger().setLevel(logging.INFO)
            log.info("one %d", 1)
            log.error("two\\nlines")
            return 1
    """)
    await function.run(id_="11111111-2222-4333-8444-555555555555")
    assert function.lines[0] == ("", "loading")
    lines = [text for id_, text in function.lines if id_ == "11111111-2222-4333-8444-555555555555"]
    assert lines[0] == "raw"
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"unfinished\[INFO\]\t{stamp}\t11111111-2222-4333-8444-555555555555\tone 1", lines[1])
    assert re.fullmatch(rf"\[ERROR\]\t{stamp}\t11111111-2222-4333-8444-555555555555\ttwo\\rlines", lines[2])
    assert len(lines) == 3


async def test_a_formatter_of_the_functions_gets_the_request_id(stage: Stage) -> None:
    function = await stage.python("""
        import logging
        for known in logging.getLogger().handlers:
            known.setFormatter(logging.Formatter("%(aws_request_id)s %(levelname)s %(message)s"))
        def handler(event, context): logging.warning("two\\nlines")
    """)
    await function.run(id_="11111111-2222-4333-8444-555555555555")
    assert function.printed() == ["11111111-2222-4333-8444-555555555555 WARNING two\\rlines"]


async def test_errors_are_in_the_log(stage: Stage) -> None:
    function = await stage.python("def handler(event, context): raise ValueError('bad')")
    await function.failure()
    (line,) = function.printed()
    assert line.startswith("[ERROR] ValueError: bad\\rTraceback (most recent call last):\\r  File ")


async def test_a_body_is_put_in_and_its_echo_taken_out(stage: Stage) -> None:
    function = await stage.python("""
        def handler(event, context):
            request = event["Records"][0]["cf"]["request"]
            seen = request["body"]["data"]
            request["body"].update(event.get("change", {}))
            return {"seen": seen, **request}
    """)
    request = {"uri": "/", "body": {"action": "read-only", "encoding": "base64", "data": ""}}
    event = {"Records": [{"cf": {"request": request}}]}
    echoed = await function.result(event, body=b"\x00\xffhello")
    assert echoed == {"seen": "AP9oZWxsbw==", "uri": "/", "body": {"action": "read-only", "encoding": "base64"}}
    replaced = await function.result({**event, "change": {"action": "replace"}}, body=b"hello")
    assert isinstance(replaced, dict)
    assert replaced["body"] == {"action": "replace", "encoding": "base64", "data": "aGVsbG8="}
    changed = await function.result({**event, "change": {"data": "bmV3"}}, body=b"hello")
    assert isinstance(changed, dict)
    assert changed["body"]["data"] == "bmV3"


async def test_a_megabyte_of_body_gets_through_again_and_again(stage: Stage) -> None:
    function = await stage.python("""
        def handler(event, context):
            return len(event["Records"][0]["cf"]["request"]["body"]["data"])
    """)
    event = {"Records": [{"cf": {"request": {"body": {}}}}]}
    for size in (1, 1_000_000, 10, 3_000_000):
        assert await function.result(event, body=bytes(size)) == (size + 2) // 3 * 4


async def test_a_forked_child_that_returns_does_not_answer(stage: Stage) -> None:
    function = await stage.python("""
        import os
        def handler(event, context):
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
            return "child" if pid == 0 else "parent"
    """)
    assert [await function.result() for _ in range(3)] == ["parent"] * 3
    assert function.statistics.counts.starts == 1


async def test_state_is_kept_while_warm(stage: Stage) -> None:
    function = await stage.python("seen = []\ndef handler(event, context):\n    seen.append(event)\n    return seen\n")
    await function.result(1)
    assert await function.result(2) == [1, 2]


async def test_a_result_is_json(stage: Stage) -> None:
    function = await stage.python("def handler(event, context): return {'a': [1, None, True, 'x'], 1: 2}")
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert json.loads(outcome.result) == {"a": [1, None, True, "x"], "1": 2}
