"""A runner, and viewers that don't wait for it."""

import asyncio
from dataclasses import replace

import pytest

from edgefn.functions.function_log import FunctionLog, LogLine
from edgefn.functions.report import closing_lines
from edgefn.functions.runner import Runner, Surroundings
from edgefn.sandbox.base import Code, Failed, Invocation, Outcome, Returned, Usage

CODE = Code("us-east-1.f", "1", "arn", "/", "nodejs20.x", "index.handler", 5.0, 128, {})


class Stage:
    """A sandbox whose one event ends when the test says so."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.stopped = False
        self.stopping_is_cheap = False
        self.lines: list[str] = []
        self.ended = asyncio.Event()
        self.runner = Runner("f", CODE, self, Surroundings(lambda: "the-id", lambda: "now", self._log))

    def _log(self, line: LogLine) -> None:
        assert (line.function, line.version, line.invocation) == ("f", "1", "the-id")
        self.lines.append(line.text.split(" ", maxsplit=1)[0])
        if line.text.startswith("REPORT"):
            self.ended.set()

    async def run(self, _invocation: Invocation) -> Outcome:
        try:
            return await self.outcome
        except asyncio.CancelledError:
            self.stopped = True
            raise

    async def close(self) -> None:
        if not self.outcome.done():
            self.outcome.set_result(Failed("Closed", "closed", (), Usage(0.1)))


async def test_a_viewer_that_leaves_does_not_stop_the_function() -> None:
    stage = Stage()
    call = asyncio.create_task(stage.runner.run(b"{}", None))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert not stage.stopped
    stage.outcome.set_result(Returned(b"{}", Usage(0.1)))
    async with asyncio.timeout(5):
        await stage.ended.wait()
    assert stage.lines == ["START", "END", "REPORT"]


async def test_a_viewer_that_leaves_stops_a_function_where_that_is_cheap() -> None:
    stage = Stage()
    stage.stopping_is_cheap = True
    call = asyncio.create_task(stage.runner.run(b"{}", None))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert stage.stopped
    assert stage.lines == ["START", "now", "END"]


@pytest.mark.parametrize(("runtime", "told"), [("cloudfront-js-2.0", "\tCompute Utilization: 42\t"), ("wasm", "MB\t")])
def test_the_report_tells_the_compute_utilization_of_a_cloudfront_function(runtime: str, told: str) -> None:
    code = replace(CODE, runtime=runtime)
    report = closing_lines(code, "the-id", Returned(b"{}", Usage(0.1, cpu=0.00021, init=0.2)), "now")[-1]
    assert f"{told}Init Duration: 200.00 ms" in report
    assert ("Compute" in report) is runtime.startswith("cloudfront")


async def test_an_invocation_starts_behind_what_starting_the_function_has_to_say() -> None:
    stage = Stage()

    async def run(invocation: Invocation) -> Outcome:
        stage.lines.append("INIT_START")
        invocation.started()
        stage.lines.append("output")
        invocation.started()
        return Returned(b"{}", Usage(0.1))

    stage.run = run  # type: ignore[method-assign]
    await stage.runner.run(b"{}", None)
    assert stage.lines == ["INIT_START", "START", "output", "END", "REPORT"]


async def test_closing_ends_what_nobody_waits_for() -> None:
    stage = Stage()
    call = asyncio.create_task(stage.runner.run(b"{}", None))
    await asyncio.sleep(0)
    call.cancel()
    async with asyncio.timeout(5):
        await stage.runner.close()
    assert "REPORT" in stage.lines


async def test_each_line_knows_the_invocation_and_the_viewers_request_behind_it() -> None:
    lines: list[LogLine] = []
    log = FunctionLog("f", "7", lines.append)
    log.write("", "before any")
    log.begin("i1", "r1")
    log.begin("i2", "r2")
    log.write("i1", "hello")
    log.write("i2", "there")
    for number in range(2_048):
        log.begin(f"later-{number}", "r")
    log.write("i1", "long after its end")
    assert [(line.invocation, line.request) for line in lines] == [("", ""), ("i1", "r1"), ("i2", "r2"), ("i1", "")]
    assert {(line.function, line.version) for line in lines} == {("f", "7")}


@pytest.mark.parametrize(
    ("message", "is_told"),
    [
        ("Error: Cannot find module 'aws-sdk'", True),
        ("Error: Cannot find package '@aws-sdk/client-s3' imported from /var/task/index.mjs", True),
        ("Unable to import module 'f': No module named 'boto3'", True),
        ("Unable to import module 'f': No module named 'requests'", False),
    ],
)
def test_whoever_misses_the_sdk_is_told_where_to_put_it(message: str, is_told: bool) -> None:
    failed = Failed("Runtime.ImportModuleError", message, (), Usage(0.1), logged=True)
    told = closing_lines(CODE, "id", failed, "now")
    assert any("install it beside the function's code, or as a layer" in line for line in told) is is_told
    assert told[-2] == "END RequestId: id"


@pytest.mark.parametrize(
    ("kind", "trace", "logged", "lines"),
    [
        ("TypeError", ("TypeError: no", "    at index.js:1:1"), True, 2),
        ("string", (), True, 2),
        ("Runtime.ExitError", (), False, 3),
        ("TypeError", ("    at index.js:1:1",), False, 3),
    ],
)
def test_what_the_runtime_has_written_itself_is_not_told_again(
    kind: str, trace: tuple[str, ...], logged: bool, lines: int
) -> None:
    told = closing_lines(CODE, "id", Failed(kind, "no", trace, Usage(0.1), logged), "now")
    assert len(told) == lines
    assert told[-1].endswith(f"Status: error\tError Type: {kind}")
