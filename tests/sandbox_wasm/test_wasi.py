"""A WASI command: the event on its standard input, the result on its output, and no authority at all."""

import base64
import json

import pytest

from edgefn.sandbox.base import Invocation, OpenError, Returned, TimedOut
from tests.sandbox_wasm.guests import FOREVER, command, reactor, returns, text
from tests.sandbox_wasm.stage import STARTED, Stage

WASI = "wasi_snapshot_preview1"


def imported(name: str, parameters: str, result: str = "(result i32)") -> str:
    return f'(import "{WASI}" "{name}" (func ${name} (param {parameters}) {result}))'


READ = imported("fd_read", "i32 i32 i32 i32")
WRITE = imported("fd_write", "i32 i32 i32 i32")
EXIT = imported("proc_exit", "i32", "")


def put(fd: int, at: int, size: int) -> str:
    """Return code that writes bytes of the memory to a descriptor, through two buffers."""
    return f"""
        (i32.store (i32.const 0) (i32.const {at})) (i32.store (i32.const 4) (i32.const 1))
        (i32.store (i32.const 8) (i32.const {at + 1})) (i32.store (i32.const 12) (i32.const {size - 1}))
        (drop (call $fd_write (i32.const {fd}) (i32.const 0) (i32.const 2) (i32.const 16)))"""


ECHO = command(
    """(local $size i32)
    (loop $again
      (i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 7))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $size (i32.load (i32.const 8)))
      (i32.store (i32.const 4) (local.get $size))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $again (local.get $size)))""",
    imports=READ + WRITE,
)


def answering(call: str, imports: str, size: int = 4, more: str = "") -> bytes:
    """Return a command that answers with bytes 100 to 100 + size, after a call."""
    return command(f"{call} {put(1, 100, size)}", imports=imports + WRITE, more=more)


def errno(call: str) -> str:
    return f"(i32.store (i32.const 100) {call})"


async def test_the_event_comes_on_standard_input_and_the_result_goes_to_standard_output(stage: Stage) -> None:
    assert await stage.result(ECHO, event=b'{"uri": "/a/long/path"}') == b'{"uri": "/a/long/path"}'


async def test_the_body_is_in_the_event(stage: Stage) -> None:
    event = json.dumps({"Records": [{"cf": {"request": {"body": {}}}}]}).encode()
    seen = json.loads(await stage.result(ECHO, event=event, body=b"raw"))
    assert base64.b64decode(seen["Records"][0]["cf"]["request"]["body"]["data"]) == b"raw"


async def test_standard_error_is_the_log(stage: Stage) -> None:
    module = command(put(2, 100, 7) + put(2, 107, 4), imports=WRITE, more=text(100, "one\ntwo and"))
    await stage.result(module)
    assert stage.logged == [("id-1", "one"), ("id-1", "two and")]


async def test_exit_0_is_success_and_keeps_the_output(stage: Stage) -> None:
    module = command(put(1, 100, 2) + "(call $proc_exit (i32.const 0))", imports=WRITE + EXIT, more=text(100, "{}"))
    assert await stage.result(module) == b"{}"


async def test_another_exit_status_is_a_failure(stage: Stage) -> None:
    failed = await stage.failure(command("(call $proc_exit (i32.const 7))", imports=EXIT))
    assert (failed.type, failed.message) == ("Runtime.ExitError", "Runtime exited with error: exit status 7")


async def test_a_reactor_that_exits_fails_even_with_status_0(stage: Stage) -> None:
    failed = await stage.failure(reactor(f"(call $proc_exit (i32.const 0)) {returns(0, 1)}", imports=EXIT))
    assert failed.type == "Runtime.ExitError"


async def test_too_much_output_is_refused(stage: Stage) -> None:
    failed = await stage.failure(command(put(1, 1000, 60000) + put(1, 1000, 60000), imports=WRITE))
    assert failed.type == "Function.ResponseSizeTooLarge"


async def test_the_environment_is_the_functions_own(stage: Stage) -> None:
    module = answering(
        "(drop (call $environ_sizes_get (i32.const 100) (i32.const 104)))"
        "(drop (call $environ_get (i32.const 108) (i32.const 116)))",
        imported("environ_get", "i32 i32") + imported("environ_sizes_get", "i32 i32"),
        size=26,
    )
    sandbox = await stage.open(module, environment={"A": "1", "GREET": "hi"})
    outcome = await sandbox.run(Invocation("id-1", b"{}"))
    assert isinstance(outcome, Returned)
    words = [int.from_bytes(outcome.result[at : at + 4], "little") for at in (0, 4, 8, 12)]
    assert words == [2, 13, 116, 120]
    assert outcome.result[16:] == b"A=1\0GREET="


async def test_the_only_argument_is_the_functions_name(stage: Stage) -> None:
    module = answering(
        "(drop (call $args_get (i32.const 200) (i32.const 100)))", imported("args_get", "i32 i32"), size=8
    )
    assert await stage.result(module) == b"greeter\0"


@pytest.mark.parametrize("clock", [0, 1])
async def test_clocks_are_coarse(stage: Stage, clock: int) -> None:
    call = f"(drop (call $clock_time_get (i32.const {clock}) (i64.const 1) (i32.const 100)))"
    told = int.from_bytes(await stage.result(answering(call, imported("clock_time_get", "i32 i64 i32"), 8)), "little")
    assert told % 1_000_000 == 0
    since = told // 1_000_000 - (int(STARTED * 1000) if clock == 0 else 0)
    assert 0 <= since < 10_000


async def test_random_bytes_are_random(stage: Stage) -> None:
    call = "(drop (call $random_get (i32.const 100) (i32.const 16)))"
    module = answering(call, imported("random_get", "i32 i32"), 16)
    assert await stage.result(module) != await stage.result(module)


async def test_sleeping_takes_no_time(stage: Stage) -> None:
    call = "(drop (call $poll_oneoff (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 100)))"
    assert await stage.result(answering(call, imported("poll_oneoff", "i32 i32 i32 i32"))) == b"\1\0\0\0"


ENOSYS, EBADF, ESPIPE, EINVAL = 52, 8, 70, 28

ANSWERS = {
    "path_open": (
        f"(call $path_open {'(i32.const 3) ' * 5} (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))",
        "i32 i32 i32 i32 i32 i64 i64 i32 i32",
        ENOSYS,
    ),
    "sock_accept": ("(call $sock_accept (i32.const 3) (i32.const 0) (i32.const 0))", "i32 i32 i32", ENOSYS),
    "fd_prestat_get": ("(call $fd_prestat_get (i32.const 3) (i32.const 0))", "i32 i32", EBADF),
    "fd_read": ("(call $fd_read (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0))", "i32 i32 i32 i32", EBADF),
    "fd_seek": ("(call $fd_seek (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0))", "i32 i64 i32 i32", ESPIPE),
    "fd_close": ("(call $fd_close (i32.const 9))", "i32", EBADF),
    "fd_fdstat_get": ("(call $fd_fdstat_get (i32.const 3) (i32.const 200))", "i32 i32", EBADF),
    "clock_res_get": ("(call $clock_res_get (i32.const 9) (i32.const 200))", "i32 i32", EINVAL),
    "random_get": ("(call $random_get (i32.const 0) (i32.const 70000))", "i32 i32", EINVAL),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_there_is_nothing_else_to_have(stage: Stage, name: str) -> None:
    call, parameters, expected = ANSWERS[name]
    assert await stage.result(answering(errno(call), imported(name, parameters))) == bytes([expected, 0, 0, 0])


@pytest.mark.parametrize(
    "lie",
    [
        "(drop (call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 16)))",
        "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 100000000) (i32.const 16)))",
        f"(i64.store (i32.const 0) (i64.const -1)) (drop (call $fd_write {'(i32.const 1)' * 4}))",
        "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const -2)))",
    ],
    ids=["buffers", "how many buffers", "buffer size", "where to tell the size"],
)
async def test_no_pointer_is_believed(stage: Stage, lie: str) -> None:
    failed = await stage.failure(command(lie, imports=WRITE))
    assert failed.type == "Runtime.Trap"


async def test_a_known_name_of_another_type_is_refused(stage: Stage) -> None:
    with pytest.raises(OpenError, match=r"wasi_snapshot_preview1\.fd_write as \(i32\) -> \(i32\), but it is"):
        await stage.open(command("", imports=imported("fd_write", "i32")))


async def test_a_command_that_never_ends_is_stopped(stage: Stage) -> None:
    sandbox = await stage.open(command(FOREVER), timeout=0.05)
    assert isinstance(await sandbox.run(Invocation("id-1", b"{}")), TimedOut)
