"""One worker: a sandboxed process, first without a function, then with one, then running its events one by one."""

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from edgefn.sandbox.base import Code, Failed, Invocation, Log, Outcome, Returned, TimedOut, Usage
from edgefn.sandbox.process import endings
from edgefn.sandbox.process.channel import Answer, Broken, Channel, Expired, Lost
from edgefn.sandbox.process.frames import RESULT_LIMIT, Frame, FrameError
from edgefn.sandbox.process.launch import LaunchError, Process
from edgefn.sandbox.process.messages import (
    Fault,
    Reply,
    Result,
    Taken,
    init_header,
    invoke_header,
    is_ready,
    read_reply,
)
from edgefn.sandbox.process.output import Output

_START_PATIENCE = 10.0
_DEATH_PATIENCE = 5.0

_OWN_END = 0.05
"""Seconds that a worker which closed its socket has to end by itself: only that tells its true exit status."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What turns a functionless worker into that of a version. `token` is a secret of this worker's init."""

    code: Code
    environment: dict[str, str]
    token: str


class Worker:
    """Lives until `kill`, or until its process ends by itself; `on_gone` is called then, once nothing is left.

    Whoever starts one runs `watch` as a task beside it.
    """

    def __init__(self, process: Process, slot: str, monotonic: Callable[[], float]) -> None:
        loop = asyncio.get_running_loop()
        self.slot = slot
        self.idle_since = 0.0
        self.frozen = False
        self.on_gone: Callable[[Worker], None] | None = None
        self._process = process
        self._monotonic = monotonic
        self._early: list[str] = []
        self._output = Output(loop, process.output, self._note_early)
        self._channel = Channel(loop, self._broken)
        self._loop = loop
        self._dead = False
        self._cpu = 0.0
        self._status: asyncio.Future[int] = loop.create_future()

    @property
    def is_alive(self) -> bool:
        """Return whether it may be given work."""
        return not self._dead

    async def ready(self) -> None:
        """Wait until the interpreter is up. Raises `LaunchError`, and kills it, when that does not come to be."""
        answer = self._channel.expect(_START_PATIENCE)
        try:
            await self._loop.create_unix_connection(lambda: self._channel, sock=self._process.control)
        except BaseException:
            self._process.control.close()
            raise
        match await answer:
            case Frame() as frame if is_ready(frame):
                return
            case Expired():
                why = f"it was not ready after {_START_PATIENCE:.0f} s"
            case _:
                why = "it ended at once"
        self.kill()
        await self.gone()
        raise LaunchError(f"a worker did not start: {why}: {' | '.join(self._early) or 'it printed nothing'}")

    async def initialise(self, birth: Birth, log: Log) -> Failed | None:
        """Load the version's code, whose files lie in the slot. Returns the failure, after which the worker ends."""
        self._output.attach(log)
        self._output.begin("")
        started = self._monotonic()
        header = init_header(birth.code, birth.environment, birth.token)
        answer = await self._answer(header, b"", birth.code.init_timeout)
        usage = Usage(0.0, init=self._monotonic() - started)
        reply = self._judged(answer, birth.token)
        self._output.finish()
        match reply:
            case Result(taken=taken):
                self._cpu = taken.cpu
                return None
            case Fault(kind, message, trace):
                self.kill()
                return Failed(kind, message, trace, usage, logged=True)
            case Expired():
                self.kill()
                return endings.init_timed_out(birth.code.init_timeout, usage)
            case Broken() | Lost():
                return endings.exited("", await self._exit_status(), usage)

    async def invoke(self, invocation: Invocation, limit: float, init: float | None) -> Outcome:
        """Run one event for up to `limit` seconds; cancelling kills the worker.

        Afterwards `is_alive` says whether it can run another one. `init` is what its start took, for the usage.
        """
        self._output.begin(invocation.id)
        started = self._monotonic()
        header = invoke_header(invocation.id, limit, invocation.event)
        answer = await self._answer(header, invocation.body or b"", limit)
        wall = self._monotonic() - started
        reply = self._judged(answer, invocation.id)
        self._output.finish()
        match reply:
            case Result(body, taken):
                return Returned(body, self._told(wall, taken, init))
            case Fault(kind, message, trace, fatal, taken):
                if fatal:
                    self.kill()
                return Failed(kind, message, trace, self._told(wall, taken, init), logged=kind != endings.TOO_LARGE)
            case Expired():
                usage = self._usage(wall, init)
                self.kill()
                return TimedOut(usage)
            case Broken(oversize=True):
                return endings.too_large(RESULT_LIMIT, self._usage(wall, init))
            case Broken() | Lost():
                usage = self._usage(wall, init)
                return endings.exited(invocation.id, await self._exit_status(), usage)

    def freeze(self) -> None:
        """Stop threads and children that outlived the call from running. Raises `OSError`, e.g. for want of files."""
        if not self.frozen and not self._dead:
            self._process.freeze()
            self.frozen = True

    def thaw(self) -> None:
        """Undo `freeze`. Raises `OSError`."""
        if self.frozen:
            self.frozen = False
            self._process.thaw()

    def kill(self) -> None:
        """Kill everything inside. Harmless when repeated."""
        self._dead = True
        self._process.kill()

    async def gone(self) -> int:
        """Wait until nothing of it is left; return the exit status, -9 when the machine takes too long to tell."""
        done, _ = await asyncio.wait((self._status,), timeout=_DEATH_PATIENCE)
        return self._status.result() if done else -9

    async def watch(self) -> None:
        """Follow the process to its end, whatever brings it about, and clear away what it leaves."""
        try:
            status = await self._process.gone()
        finally:
            self._dead = True
            self._process.kill()
            self._channel.close()
            self._output.close()
        if not self._status.done():
            self._status.set_result(status)
        if self.on_gone is not None:
            self.on_gone(self)
        await asyncio.to_thread(shutil.rmtree, self.slot, ignore_errors=True)

    async def _answer(self, header: bytes, body: bytes, patience: float) -> Answer:
        try:
            return await self._channel.ask(header, body, patience)
        except asyncio.CancelledError:
            self.kill()
            raise

    def _judged(self, answer: Answer, request_id: str) -> Reply | Broken | Lost | Expired:
        """Return what an answer says; a frame that says nothing sensible breaks the worker."""
        if not isinstance(answer, Frame):
            return answer
        try:
            return read_reply(answer, request_id)
        except FrameError as error:
            broken = Broken(str(error))
            self._broken(broken)
            return broken

    def _broken(self, end: Broken | Lost) -> None:
        if isinstance(end, Broken) and not self._dead:
            self._output.note(f"edgefn: worker killed: {end.reason}")
            self.kill()
        elif not self._dead:
            self._dead = True
            self._loop.call_later(_OWN_END, self.kill)

    async def _exit_status(self) -> int:
        """Return how the process ended, which it has to: what it printed last is in the log then."""
        status = await self.gone()
        self._output.finish()
        return status

    def _usage(self, wall: float, init: float | None) -> Usage:
        """Return what the machine says that a call took whose worker can't be asked."""
        footprint = self._process.footprint()
        return self._told(wall, Taken(footprint.cpu, footprint.memory), init)

    def _told(self, wall: float, taken: Taken, init: float | None) -> Usage:
        """Return what a call took, of all that was taken in the worker's life."""
        spent, self._cpu = max(taken.cpu - self._cpu, 0.0), taken.cpu
        return Usage(wall, spent, taken.memory, init, taken.waited)

    def _note_early(self, request_id: str, text: str) -> None:
        del request_id
        if len(self._early) < 20:
            self._early.append(text)


def make_slot(home: str, name: str) -> str:
    """Make an empty slot directory that the sandbox's user can read; return its path. Raises `OSError`."""
    slot = os.path.join(home, name)
    os.mkdir(slot)
    os.chmod(slot, 0o755)  # noqa: S103  # the sandbox's user is another one
    return slot
