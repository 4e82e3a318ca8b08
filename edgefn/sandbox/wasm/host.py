"""Everything that runs guests for one process of the proxy: opens versions as sandboxes, and runs their events."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgefn.sandbox.base import (
    AtOnce,
    Code,
    Failed,
    Invocation,
    Log,
    OpenError,
    Outcome,
    OverLimit,
    Returned,
    TimedOut,
    Usage,
)
from edgefn.sandbox.wasm.engine import MB
from edgefn.sandbox.wasm.fibers import CrowdedError, ExpiredError, Fiber, Lane, StoppedError
from edgefn.sandbox.wasm.guest import Grants, Guest, GuestError, GuestLog, LogLimits, Values
from edgefn.sandbox.wasm.program import Loader, LoadError, Program
from edgefn.sandbox.wasm.room import EngineRoom

RESULT_LIMIT = 6_291_556
"""Bytes of a result, as AWS Lambda has it."""

_MOST_DISTRUST = 6
"""After so many events in a row that did not end well at once, 2**6 are not tried; after fewer, fewer."""

_CLOSED = "Sandbox.Closed"
_TIMED_OUT = "Sandbox.Timedout"


@dataclass(frozen=True, slots=True)
class GuestLimits:
    """What one invocation may take, besides its wall time and memory, which the code says. `cpu` in seconds."""

    cpu: float = float("inf")
    result: int = RESULT_LIMIT
    log: LogLimits = field(default_factory=LogLimits)


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """A snapshot. `alive` guests have an instance; the others count since the start."""

    open: int
    alive: int
    spinning: int
    waiting: int
    started: int
    preempted: int
    expired: int
    refused: int


_FRAME = re.compile(r"[ (]([^ ()]+:\d+:\d+)\)?$")


def _place(failure: Failed) -> str:
    """Return where in the function's files a failure came from, unless its message says so itself."""
    frames = (_FRAME.search(line) for line in failure.trace)
    place = next((frame[1] for frame in frames if frame is not None), None)
    return "" if place is None or place in failure.message else f" in {place}"


@dataclass(slots=True)
class WasmHost:
    """Opens versions. `loaders` and `limits` are by runtime; `values_of` gives a function's key-value store, if any."""

    room: EngineRoom
    loaders: Mapping[str, Loader]
    limits: Mapping[str, GuestLimits] = field(default_factory=dict)
    values_of: Callable[[Code], Values | None] = lambda _code: None
    _open: "list[WasmSandbox]" = field(default_factory=list)

    def statistics(self) -> HostStatistics:
        """Return a snapshot."""
        scheduler, counts = self.room.scheduler, self.room.scheduler.counts
        return HostStatistics(
            open=len(self._open),
            alive=self.room.cells.in_use - self.room.stands.count,
            spinning=scheduler.spinning,
            waiting=scheduler.waiting,
            started=counts.started,
            preempted=counts.preempted,
            expired=counts.expired,
            refused=counts.refused,
        )

    async def open(
        self, code: Code, *, concurrency: int, provisioned: int = 0, idle_timeout: float = 0.0, log: Log
    ) -> "WasmSandbox":
        """Return the sandbox of a version, which has been started once. Raises `OpenError`; nothing is left then.

        `concurrency` bounds the guests that run on beyond their first slice. A guest needs no worker that could be
        `provisioned` or stay idle: both are there for the sake of the seam.
        """
        loader = self.loaders.get(code.runtime)
        if loader is None:
            raise OpenError(f"no Wasm engine runs {code.runtime!r}")
        senses = self.room.senses
        began = senses.monotonic()
        memory = min(code.memory * MB, self.room.engine.sizes.memory)
        try:
            program = await loader.load(code, memory)
        except LoadError as error:
            raise OpenError(str(error)) from error
        grants = Grants(senses.random, senses.monotonic, code.function, code.environment, self.values_of(code))
        limits = self.limits.get(code.runtime, GuestLimits())
        sandbox = WasmSandbox(self, code, program, grants, limits, Lane(concurrency), log)
        await sandbox.prepare(began)
        self._open.append(sandbox)
        return sandbox

    async def close(self) -> None:
        """Stop all guests, and the engine room."""
        for sandbox in tuple(self._open):
            await sandbox.close()
        self.room.close()

    def forget(self, sandbox: "WasmSandbox") -> None:
        """Let go of a sandbox that closes. Harmless when repeated."""
        if sandbox in self._open:
            self._open.remove(sandbox)


@dataclass(slots=True, eq=False)
class WasmSandbox:
    """A `Sandbox`: one open version. Each event gets a fresh instance."""

    host: WasmHost
    code: Code
    program: Program
    grants: Grants
    limits: GuestLimits
    lane: Lane
    log: Log
    closed: bool = False
    _init: float | None = None
    _distrust: int = 0
    _not_tried: int = 0

    @property
    def stopping_is_cheap(self) -> bool:
        """Return True: each event has an instance of its own, which ends with it."""
        return True

    async def prepare(self, began: float) -> None:
        """Start a guest once, without an event. `began` is when the opening began. Raises `OpenError`."""
        guest = self._guest(Invocation("", b""))
        fiber = Fiber(self.program.start(guest), self.lane, self._now() + self.code.init_timeout, float("inf"))
        match await self._outcome(fiber, guest, self._now()):
            case Returned():
                self._init = self._now() - began
            case Failed() as failure:
                raise OpenError(f"{failure.type}: {failure.message}{_place(failure)}", failure)
            case TimedOut(usage=usage):
                told = f"Init timed out after {self.code.init_timeout:.2f} seconds"
                raise OpenError(told, Failed(_TIMED_OUT, told, (), usage))
            case OverLimit(reason=reason):
                raise OpenError(reason)

    @property
    def may_answer_at_once(self) -> bool:
        """Return whether an instance stands ready, nobody's turn is taken, and events have ended at once lately."""
        if self.program.stand is None or self.closed or not self.host.room.scheduler.is_open:
            return False
        if self._not_tried:
            self._not_tried -= 1
            return False
        return True

    def run_now(self, invocation: Invocation) -> AtOnce | None:
        """Run one event in the instance that stands ready, if it ends well within its first slice."""
        stand, room = self.program.stand, self.host.room
        if stand is None or self.closed:
            return None
        scheduler, senses, limits = room.scheduler, room.senses, self.limits
        began = senses.monotonic()
        guest = Guest(invocation, self.grants, GuestLog(limits.log), senses.time(), began, limits.result)
        scheduler.ticker.touch()
        spent = senses.cpu()
        result = stand.run(guest)
        spent = senses.cpu() - spent
        scheduler.took(spent, ended=result is not None)
        if stand.is_ready:
            self._distrust = 0
        else:  # it did not end well, or its memory has grown: to make an instance stand ready costs more than one event
            self._not_tried = 2**self._distrust - 1
            self._distrust = min(self._distrust + 1, _MOST_DISTRUST)
        if result is None:
            return None
        init, self._init = self._init, None
        usage = Usage(senses.monotonic() - began, spent, guest.memory, init)
        return AtOnce(Returned(result, usage), guest.log.finish())

    async def run(self, invocation: Invocation) -> Outcome:
        """Run one event to its end or its limit. Cancelling stops the function."""
        began = self._now()
        guest = self._guest(invocation)
        invocation.started()
        if self.closed:
            return Failed(_CLOSED, "the function is closed", (), Usage(0.0))
        fiber = Fiber(self.program.run(guest), self.lane, began + self.code.timeout, self.limits.cpu)
        return await self._outcome(fiber, guest, began)

    async def close(self) -> None:
        """Stop all its guests; they are gone when this returns."""
        self.closed = True
        if self.program.stand is not None:
            self.program.stand.clear()
        self.host.forget(self)
        self.host.room.scheduler.stop(self.lane)

    def _now(self) -> float:
        return self.host.room.senses.monotonic()

    def _guest(self, invocation: Invocation) -> Guest:
        senses, limits = self.host.room.senses, self.limits
        log = GuestLog(limits.log)
        return Guest(invocation, self.grants, log, senses.time(), senses.monotonic(), limits.result)

    async def _outcome(self, fiber: Fiber, guest: Guest, began: float) -> Outcome:
        scheduler = self.host.room.scheduler
        try:
            result = scheduler.begin(fiber)
            if result is None:
                result = await scheduler.rest(fiber)
        except GuestError as error:
            return Failed(error.type, error.message, error.trace, self._usage(fiber, guest, began))
        except ExpiredError:
            is_for_cpu = fiber.cpu >= self.limits.cpu
            return TimedOut(self._usage(fiber, guest, began), self.limits.cpu if is_for_cpu else None)
        except CrowdedError as error:
            return OverLimit(str(error))
        except StoppedError:
            return Failed(_CLOSED, "the function was closed", (), self._usage(fiber, guest, began))
        else:
            return Returned(result, self._usage(fiber, guest, began))
        finally:
            for line in guest.log.finish():
                self.log(guest.invocation.id, line)

    def _usage(self, fiber: Fiber, guest: Guest, began: float) -> Usage:
        """Return what the guest took; the first event of a version tells what opening it took, too."""
        init = None
        if guest.invocation.id:
            init, self._init = self._init, None
        return Usage(self._now() - began, fiber.cpu, guest.memory, init)
