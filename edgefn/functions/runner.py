"""One function, ready to run: its sandboxes and its log."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgefn.functions.function_log import FunctionLog, LogLine
from edgefn.functions.report import closing_lines, start_line, stopped_lines
from edgefn.model.hot import hot_dataclass
from edgefn.sandbox.base import AtOnce, Code, Invocation, Outcome, Sandbox


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a runner is told of the world: fresh UUIDs, the time as ISO 8601, and where log lines go.

    `reports` says whether START, END and REPORT lines are among them, and what went wrong.
    """

    new_id: Callable[[], str]
    timestamp: Callable[[], str]
    log: Callable[[LogLine], None]
    reports: bool = True


@hot_dataclass(frozen=True, slots=True)
class Ran:
    """An event that was run at once, by the id of its invocation."""

    invocation: str
    done: AtOnce


class Runner:
    """Runs events of one version of one function and writes START, END and REPORT around each."""

    def __init__(
        self, name: str, code: Code, sandbox: Sandbox, surroundings: Surroundings, log: FunctionLog | None = None
    ) -> None:
        self.name = name
        self.code = code
        self._sandbox = sandbox
        self._around = surroundings
        self._log = log or FunctionLog(name, code.version, surroundings.log)
        self._running: set[asyncio.Task[Outcome]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def label(self) -> str:
        """Return "name:version", as logs name it."""
        return f"{self.name}:{self.code.version}"

    @property
    def may_answer_at_once(self) -> bool:
        """Return whether `run_now` may be worth the try just now."""
        return self._sandbox.may_answer_at_once

    def run_now(self, event: bytes) -> "Ran | None":
        """Run one event without a body, if that takes no waiting and ends well; None: it did not, and is to be `run`.

        As long as nobody calls `log`, nothing has happened.
        """
        invocation = self._around.new_id()
        done = self._sandbox.run_now(Invocation(invocation, event))
        return None if done is None else Ran(invocation, done)

    def log(self, ran: "Ran", request: str) -> None:
        """Write what is to be said of an event that was run at once."""
        lines, invocation = ran.done.lines, ran.invocation
        if self._around.reports:
            ending = closing_lines(self.code, invocation, ran.done.outcome, self._around.timestamp())
            lines = (start_line(self.code, invocation), *lines, *ending)
        if lines:
            self._log.begin(invocation, request)
            for line in lines:
                self._log.write(invocation, line)

    async def run(self, event: bytes, body: bytes | None, request: str = "") -> Outcome:
        """Run one event (JSON); `body` is put into it, base64-encoded, inside the sandbox. Never raises.

        `request` is the id of the viewer's request, for the log.

        Cancelling stops the function only where that is cheap: a viewer that leaves must not cost a warm sandbox.
        """
        self._under_way += 1
        if self._sandbox.stopping_is_cheap:
            return await self._run(event, body, request)
        task = asyncio.get_running_loop().create_task(self._run(event, body, request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _run(self, event: bytes, body: bytes | None, request: str) -> Outcome:
        try:
            invocation = self._around.new_id()
            self._log.begin(invocation, request)
            if self._around.reports:
                return await self._reported(invocation, event, body)
            return await self._sandbox.run(Invocation(invocation, event, body))
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _reported(self, invocation: str, event: bytes, body: bytes | None) -> Outcome:
        start = _Start(self._log, invocation, start_line(self.code, invocation))
        try:
            outcome = await self._sandbox.run(Invocation(invocation, event, body, start.write))
        except asyncio.CancelledError:
            self._end(start, stopped_lines(invocation, self._around.timestamp()))
            raise
        self._end(start, closing_lines(self.code, invocation, outcome, self._around.timestamp()))
        return outcome

    def _end(self, start: "_Start", lines: Iterable[str]) -> None:
        start.write()
        for line in lines:
            self._log.write(start.invocation, line)

    async def close_when_idle(self, patience: float) -> None:
        """Let the events that run end, for at most `patience` seconds; then stop."""
        if self._under_way:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), patience)
        await self.close()

    async def close(self) -> None:
        """Stop its sandboxes, and with them the events that still run."""
        await self._sandbox.close()
        if self._running:
            await asyncio.wait(self._running)


@dataclass(slots=True)
class _Start:
    """The START line of an invocation, written once: behind what starting the function has to say."""

    log: FunctionLog
    invocation: str
    line: str
    written: bool = False

    def write(self) -> None:
        """Write it, unless that has been done."""
        if not self.written:
            self.written = True
            self.log.write(self.invocation, self.line)
