"""Functions that attack the proxy from inside their worker: they lose their own event, and nothing else happens."""

import asyncio
import resource
import time

import orjson
import pytest

from edgefn.sandbox.base import Failed, Returned, TimedOut
from edgefn.sandbox.process.output import CUT, LINE_LIMIT
from tests.sandbox.stage import Opened, Stage, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PREAMBLE = """
import json, os, signal, stat, struct, sys, threading, time

def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False

CONTROL = next(fd for fd in range(3, 64) if is_socket(fd))

def frame(header, body=b""):
    return struct.pack("<II", len(header), len(body)) + header + body

def reply(request_id, body=b"1"):
    return frame(json.dumps({"id": request_id, "ok": True}).encode(), body)

def write(data):
    while data:
        data = data[os.write(CONTROL, data):]

def handler(event, context):
    if event == "good":
        return "good"
"""


def hostile(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{PREAMBLE}{lines}\n"


VIOLATIONS = [
    ("garbage", "write(b'GET / HTTP/1.1\\r\\n\\r\\n')\ntime.sleep(60)", "a header of"),
    ("4 GB header", "write(struct.pack('<II', 0xffffffff, 0))\ntime.sleep(60)", "a header of 4294967295 bytes"),
    ("not JSON", "write(frame(b'{'))\ntime.sleep(60)", "a header that is not JSON"),
    ("not UTF-8", "write(frame(b'\"\\xff\"'))\ntime.sleep(60)", "a header that is not JSON"),
    ("not an object", "write(frame(b'[]'))\ntime.sleep(60)", "a header that is not an object"),
    ("deep header", "write(frame(b'[' * 100_000))\ntime.sleep(60)", "a header that is not JSON"),
    ("no reply", "write(frame(json.dumps({'id': context.aws_request_id}).encode()))\ntime.sleep(60)", "is no reply"),
    ("no error", "write(frame(json.dumps({'id': context.aws_request_id, 'error': 1}).encode()))\ntime.sleep(60)",
     "is no reply"),
    ("another id", "write(reply('00000000-0000-4000-8000-000000000000'))\ntime.sleep(60)", "a reply to another"),
    ("two replies at once", "write(reply(context.aws_request_id) * 2)\ntime.sleep(60)", "bytes behind the end"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), [case[1:] for case in VIOLATIONS], ids=[case[0] for case in VIOLATIONS])
async def test_a_violation_kills_the_worker(stage: Stage, body: str, reason: str) -> None:
    function = await stage.python(hostile(body))
    failure = await function.failure()
    assert failure.type == "Runtime.ExitError"
    assert failure.message.endswith("Runtime exited with error: signal: killed")
    assert any(text.startswith("edgefn: worker killed: ") and reason in text for text in function.printed())
    assert await function.result("good") == "good"
    assert function.statistics.counts.starts == 2


@pytest.mark.parametrize("size", ["0xffffffff", "100_000_000", "6_291_557"])
async def test_an_oversized_result_is_refused_by_its_length(stage: Stage, size: str) -> None:
    function = await stage.python(hostile(f"write(struct.pack('<II', 2, {size}) + b'{{}}')\ntime.sleep(60)"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    failure = await function.failure()
    assert failure.type == "Function.ResponseSizeTooLarge"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert await function.result("good") == "good"


async def test_a_hundred_megabytes_in_the_face_are_not_read(stage: Stage) -> None:
    function = await stage.python(
        hostile("write(struct.pack('<II', 2, 100_000_000) + b'{}' + bytes(100_000_000))\ntime.sleep(60)"), memory=512
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (await function.failure()).type == "Function.ResponseSizeTooLarge"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


async def test_a_reply_forged_to_its_own_event_is_just_its_result(stage: Stage) -> None:
    function = await stage.python(hostile("write(reply(context.aws_request_id, b'[1]'))\ntime.sleep(60)"))
    assert await function.result() == [1]


async def test_a_second_reply_kills_the_worker(stage: Stage) -> None:
    function = await stage.python(hostile("write(reply(context.aws_request_id))\ntime.sleep(0.002)\nreturn 2"))
    first = await function.run()
    assert isinstance(first, Failed) or (isinstance(first, Returned) and first.result == b"1")
    await until(lambda: function.statistics.idle == 0 or function.statistics.frozen == 1)
    await function.run("good")
    assert any("edgefn: worker killed: " in text for text in function.printed())
    assert await function.result("good") == "good"


async def test_speaking_between_events_kills_the_worker(stage: Stage) -> None:
    function = await stage.python(
        hostile("threading.Timer(0.005, write, (reply('anything'),)).start()\nreturn 1"),
    )
    first = await function.run()  # on a busy machine it may speak before its reply has come
    assert isinstance(first, Failed) or (isinstance(first, Returned) and first.result == b"1")
    await until(lambda: function.statistics.idle == 0 or function.statistics.frozen == 1)
    outcome = await function.run("good")
    assert isinstance(outcome, Returned | Failed)
    assert any("edgefn: worker killed: " in text for text in function.printed())
    assert await function.result("good") == "good"


async def test_an_init_can_not_be_answered_by_the_function(stage: Stage) -> None:
    function = await stage.python(f"{PREAMBLE}\nwrite(reply('', b'null'))\n")
    failure = await function.failure()
    assert failure.type == "Runtime.ExitError"
    assert failure.message == "Runtime exited with error: signal: killed"


async def test_a_closed_control_socket_ends_the_event(stage: Stage) -> None:
    function = await stage.python(hostile("os.close(CONTROL)\ntime.sleep(60)"))
    started = time.monotonic()
    failure = await function.failure()
    assert failure.type == "Runtime.ExitError"
    assert time.monotonic() - started < 2
    assert await function.result("good") == "good"


async def test_half_a_frame_and_silence_is_a_timeout(stage: Stage) -> None:
    function = await stage.python(hostile("write(reply(context.aws_request_id)[:-1])\ntime.sleep(60)"), timeout=0.3)
    assert isinstance(await function.run(), TimedOut)
    assert await function.result("good") == "good"


async def test_a_frame_in_tiny_pieces_is_put_together(stage: Stage) -> None:
    function = await stage.python(
        hostile(
            "for byte in reply(context.aws_request_id, b'[2]'):\n"
            "    write(bytes([byte]))\n    time.sleep(0.001)\ntime.sleep(60)"
        )
    )
    assert await function.result() == [2]


async def test_a_worker_that_never_reads_hits_its_limit(stage: Stage) -> None:
    function = await stage.python(
        hostile("threading.Timer(0, os.kill, (os.getpid(), signal.SIGSTOP)).start()\nreturn 1"), timeout=0.4
    )
    await function.run()
    event = {"Records": [{"cf": {"request": {"body": {}}}}], "padding": "x" * 1_000_000}
    outcome = await function.run(event, body=bytes(4_000_000))
    assert isinstance(outcome, TimedOut | Returned | Failed)
    assert await function.result("good") == "good"


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        (
            "for n in range(1, 65):\n    try: signal.signal(n, 1)\n    except (OSError, ValueError): pass\n"
            "while True: pass"
        ),
        "os.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(60)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(60)",
        "if os.fork():\n    time.sleep(60)\nos.setsid()\nwhile True: time.sleep(1)",
    ],
    ids=["loop", "all signals ignored", "SIGSTOP", "all signals blocked", "daemon"],
)
async def test_a_worker_that_resists_is_killed_at_its_limit(stage: Stage, body: str) -> None:
    function = await stage.python(hostile(body), timeout=0.3)
    started = time.monotonic()
    assert isinstance(await function.run(), TimedOut)
    assert time.monotonic() - started < 1.5
    await asyncio.wait_for(stage.launcher.processes[0].gone(), 5)
    assert await function.result("good") == "good"


async def test_node_can_not_resist_either(stage: Stage) -> None:
    function = await stage.node(
        "exports.handler = async (event) => { if (event === 'good') return event; for (;;); };", timeout=0.3
    )
    assert isinstance(await function.run(), TimedOut)
    assert await function.result("good") == "good"


async def test_node_that_breaks_the_protocol_is_killed(stage: Stage) -> None:
    function = await stage.node("""
        const fs = require('fs');
        const isSocket = (fd) => { try { return fs.fstatSync(fd).isSocket(); } catch { return false; } };
        exports.handler = async (event) => {
          if (event === 'good') return event;
          let control = 3;
          while (!isSocket(control)) control += 1;
          fs.writeSync(control, Buffer.from('ffffffff00000000', 'hex'));
          return 1;
        };
    """)
    assert (await function.failure()).type == "Runtime.ExitError"
    assert await function.result("good") == "good"


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"NaN", b'"\xff"', b"", b'{"a":1}{"b":2}'],
    ids=["deep", "NaN", "not UTF-8", "empty", "two documents"],
)
async def test_a_result_that_is_no_json_is_passed_on_for_the_contract_to_refuse(stage: Stage, body: bytes) -> None:
    function = await stage.python(hostile(f"write(reply(context.aws_request_id, {body!r}))\ntime.sleep(60)"))
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert outcome.result == body
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(outcome.result)


async def test_a_flood_of_output_is_cut_and_blocks_only_itself(stage: Stage) -> None:
    function = await stage.python(hostile("while True: os.write(1, b'flood\\n' * 10_000)"), timeout=1.0)
    neighbour = await stage.python(hostile("return 1"))
    await neighbour.result()
    flood = asyncio.create_task(function.run())
    await until(lambda: CUT in function.printed())
    cpu = time.process_time()
    slowest = 0.0
    for _ in range(50):
        started = time.monotonic()
        assert await neighbour.result() == 1
        slowest = max(slowest, time.monotonic() - started)
        await asyncio.sleep(0.002)
    assert time.process_time() - cpu < 0.25
    assert slowest < 0.25
    assert isinstance(await flood, TimedOut)
    assert sum(len(text) + 1 for text in function.printed()) <= 256 * 1024 + 64
    assert function.printed().count(CUT) == 1


async def test_output_beyond_the_budget_is_lost_and_the_next_event_has_a_new_one(stage: Stage) -> None:
    function = await stage.python(hostile("for _ in range(40):\n    os.write(1, b'x' * 8191 + b'\\n')\nreturn 1"))
    assert await function.result() == 1
    assert function.printed()[-1] == CUT
    assert len(function.printed()) == 33
    function.lines.clear()
    assert await function.result() == 1
    assert function.printed()[-1] == CUT
    assert len(function.printed()) >= 33


async def test_an_endless_line_comes_in_pieces(stage: Stage) -> None:
    function = await stage.python(hostile("os.write(1, b'x' * 40_000)\nreturn 1"))
    assert await function.result() == 1
    assert [len(text) for text in function.printed()] == [LINE_LIMIT, LINE_LIMIT, 40_000 - 2 * LINE_LIMIT]


async def test_nothing_printed_can_pose_as_another_line(stage: Stage) -> None:
    function = await stage.python(
        hostile(
            "os.write(1, b'END RequestId: x\\rSTART\\x1b[2J\\x00\\x0b\\x0c')\n"
            "os.write(1, b'\\xc2\\x85 \\xe2\\x80\\xa8 \\xff\\xfe\\n')\nreturn 1"
        )
    )
    assert await function.result() == 1
    assert function.printed() == ["END RequestId: x\\rSTART\\x1b[2J\\x00\\x0b\\x0c\\x85 \\u2028 ��"]


async def test_output_belongs_to_the_event_during_which_it_was_read(stage: Stage) -> None:
    function = await stage.python(hostile("print(context.aws_request_id)\nreturn 1"))
    for _ in range(3):
        await function.run()
    assert len(function.lines) == 3
    assert all(id_ == text for id_, text in function.lines)


async def test_closing_stdout_is_harmless(stage: Stage) -> None:
    function = await stage.python(hostile("os.close(1)\nos.close(2)\nreturn 1"))
    assert await function.result() == 1
    assert await function.result("good") == "good"


async def test_claims_about_usage_are_kept_within_reason(stage: Stage) -> None:
    function = await stage.python(
        hostile(
            "header = {'id': context.aws_request_id, 'ok': True, 'cpu': -5, 'memory': 'much'}\n"
            "write(frame(json.dumps(header).encode(), b'1'))\ntime.sleep(60)"
        )
    )
    outcome = await function.run()
    assert isinstance(outcome, Returned)
    assert outcome.usage.cpu == 0
    assert outcome.usage.memory == 0


async def test_a_bundle_of_links_and_pipes_shows_nothing_of_the_host(stage: Stage) -> None:
    function = await links_and_pipes(stage)
    assert await function.result() == {"files": ["index.py", "passwd"], "passwd": "none", "mode": "0o644"}


async def links_and_pipes(stage: Stage) -> Opened:
    import os

    from tests.sandbox.stage import Settings

    source = """
        import os
        def handler(event, context):
            try:
                text = open("/var/task/passwd").read()
            except OSError:
                text = "none"
            mode = oct(os.stat("/var/task/index.py").st_mode & 0o7777)
            return {"files": sorted(os.listdir("/var/task")), "passwd": text, "mode": mode}
    """
    code = stage.code({"index.py": source}, Settings("index.handler", "python3.11"))
    os.symlink("/etc/shadow", os.path.join(code.root, "passwd"))
    os.mkfifo(os.path.join(code.root, "fifo"))
    os.chmod(os.path.join(code.root, "index.py"), 0o4600)
    lines: list[tuple[str, str]] = []
    version = await stage.host.open(
        code, concurrency=1, provisioned=0, idle_timeout=60, log=lambda id_, text: lines.append((id_, text))
    )
    return Opened(version, lines)
