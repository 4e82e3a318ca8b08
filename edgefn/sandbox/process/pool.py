"""The workers of one version: who runs the next event, when one more is started, and when nothing is."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, replace

from edgefn.sandbox.base import Failed, Invocation, Outcome, OverLimit, Returned, TimedOut
from edgefn.sandbox.process import endings
from edgefn.sandbox.process.backoff import CALM, Backoff
from edgefn.sandbox.process.hiring import Hired, Hiring
from edgefn.sandbox.process.idle import IdleWorkers
from edgefn.sandbox.process.tasks import Tasks
from edgefn.sandbox.process.worker import Worker

_CLOSE_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many workers a version may have, how many are kept started, and when the others retire (seconds)."""

    concurrency: int
    provisioned: int
    idle_timeout: float


@dataclass(slots=True)
class Counts:
    """What has happened since the pool was opened. `starts` counts workers, the others events."""

    starts: int = 0
    failed_starts: int = 0
    returned: int = 0
    failed: int = 0
    crashed: int = 0
    timed_out: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A snapshot of one version's workers; `frozen` ones are among the idle."""

    function: str
    version: str
    idle: int
    frozen: int
    busy: int
    starting: int
    counts: Counts


class Pool:
    """A `Sandbox`: at most `concurrency` workers, each with one event at a time; beyond that, `OverLimit`."""

    def __init__(self, hiring: Hiring, sizes: Sizes, tasks: Tasks) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._hiring = hiring
        self._sizes = sizes
        self._tasks = tasks
        self._idle = IdleWorkers(loop, sizes.idle_timeout, kept=sizes.provisioned)
        self._living: set[Worker] = set()
        self._busy = 0
        self._starting = 0
        self._reserves = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._backoff = CALM
        self._counts = Counts()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._vacant = asyncio.Event()

    @property
    def statistics(self) -> PoolStatistics:
        """Return a snapshot."""
        code, counts = self._hiring.code, replace(self._counts)
        return PoolStatistics(
            code.function, code.version, len(self._idle), self._idle.frozen, self._busy, self._starting, counts
        )

    async def provision(self) -> Failed | None:
        """Start what is to be kept started; return the first failure, after which the pool is of no use."""
        starts = [self._hire(provisioned=True) for _ in range(self._sizes.provisioned)]
        failure = None
        for hired in await asyncio.gather(*starts):
            match hired:
                case Hired(worker):
                    self._idle.put(worker)
                case Failed():
                    failure = failure or hired
        return failure

    async def run(self, invocation: Invocation) -> Outcome:
        """Run one event on a warm worker, else on a new one."""
        worker, init = self._idle.take(), None
        if worker is None:
            found = await self._new_worker()
            if not isinstance(found, Hired):
                self._count(found)
                return found
            worker, init = found.worker, found.init
        self._busy += 1
        try:
            outcome = await worker.invoke(invocation, self._hiring.code.timeout, init)
        finally:
            self._busy -= 1
            self._release(worker)
        self._learn(outcome)
        return outcome

    async def close(self) -> None:
        """Kill all workers; events that still run end as `Failed`."""
        self._closed = True
        self._idle.close()
        if self._retry is not None:
            self._retry.cancel()
        for worker in tuple(self._living):
            worker.kill()
        self._wake()
        self._check_vacancy()
        with contextlib.suppress(TimeoutError):  # a process that outlives SIGKILL is the kernel's; nobody waits for it
            await asyncio.wait_for(self._vacant.wait(), _CLOSE_PATIENCE)

    async def _new_worker(self) -> Hired | Failed | OverLimit:
        """Return a worker for an event that found none idle."""
        while not self._closed:
            if (worker := self._idle.take()) is not None:
                return Hired(worker, None)
            if self._busy + self._starting < self._sizes.concurrency:
                return self._held_back() or await self._hire(provisioned=False)
            if len(self._waiting) >= self._reserves:
                return OverLimit(f"all {self._sizes.concurrency} sandboxes of the version are busy")
            await self._turn()
        return OverLimit("the version is being closed")

    def _held_back(self) -> Failed | OverLimit | None:
        """Return why nothing may be started now, if so."""
        if not self._backoff.is_holding(self._loop.time()):
            return None
        return self._backoff.failure or OverLimit(f"backing off after {self._backoff.crashes} crashes in a row")

    def _hire(self, *, provisioned: bool) -> Coroutine[object, object, Hired | Failed]:
        """Count one more worker from now on, and return the work of starting it."""
        self._starting += 1
        return self._start(provisioned=provisioned)

    async def _start(self, *, provisioned: bool) -> Hired | Failed:
        try:
            hired = await self._hiring.hire(self._adopt, provisioned=provisioned)
        finally:
            self._starting -= 1
            self._check_vacancy()
        now = self._loop.time()
        if isinstance(hired, Failed):
            self._counts.failed_starts += 1
            self._hold(self._backoff.init_failed(hired, now), f"{hired.type}: {hired.message}")
        else:
            self._counts.starts += 1
            self._backoff = self._backoff.started()
        return hired

    def _adopt(self, worker: Worker) -> None:
        self._living.add(worker)
        worker.on_gone = self._bury
        if self._closed:
            worker.kill()

    def _bury(self, worker: Worker) -> None:
        self._living.discard(worker)
        self._idle.forget(worker)
        self._check_vacancy()
        self._keep_provisioned()

    def _release(self, worker: Worker) -> None:
        if worker.is_alive and not self._closed:
            self._idle.put(worker)
        else:
            worker.kill()
            self._keep_provisioned()
        self._wake()

    def _learn(self, outcome: Outcome) -> None:
        """Let crashes in a row hold back new workers, and a success end that."""
        self._count(outcome)
        match outcome:
            case Returned():
                self._backoff = CALM
            case Failed(endings.EXIT):
                self._hold(self._backoff.crashed(self._loop.time()), "the function keeps crashing")
            case Failed() | TimedOut() | OverLimit():
                pass

    def _count(self, outcome: Outcome) -> None:
        counts = self._counts
        match outcome:
            case Returned():
                counts.returned += 1
            case Failed(endings.EXIT):
                counts.crashed += 1
            case Failed():
                counts.failed += 1
            case TimedOut():
                counts.timed_out += 1
            case OverLimit():
                counts.refused += 1

    def _hold(self, backoff: Backoff, why: str) -> None:
        self._backoff = backoff
        seconds = backoff.until - self._loop.time()
        if seconds > 0:
            self._hiring.log("", f"edgefn: backing off for {seconds:.2f} s: {why}")

    def _keep_provisioned(self) -> None:
        """Have a worker started in the background for each one that is missing."""
        missing = self._sizes.provisioned - len(self._idle) - self._busy - self._starting
        if self._closed or missing <= 0 or self._retry is not None:
            return
        delay = self._backoff.until - self._loop.time()
        if delay > 0:
            self._retry = self._loop.call_later(delay, self._try_again)
            return
        for _ in range(missing):
            self._reserves += 1
            self._tasks.start(self._add_reserve(self._hire(provisioned=True)))

    def _try_again(self) -> None:
        self._retry = None
        self._keep_provisioned()

    async def _add_reserve(self, start: Coroutine[object, object, Hired | Failed]) -> None:
        try:
            hired = await start
        finally:
            self._reserves -= 1
        if isinstance(hired, Hired):
            self._idle.put(hired.worker)
        else:
            self._keep_provisioned()
        self._wake()

    async def _turn(self) -> None:
        """Wait until a worker becomes idle, or a start in the background has failed."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _wake(self) -> None:
        """Let those who wait look again."""
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()

    def _check_vacancy(self) -> None:
        if self._closed and not self._living and not self._starting:
            self._vacant.set()
