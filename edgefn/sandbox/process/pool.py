"""The workers of one version: who runs the next event, when one more is started, and when nothing is."""

import asyncio
import contextlib
import math
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
_PATIENCE = 0.005
_STARTS = 4  # at one time, lest they starve those that run
_SHORT = 0.01  # seconds
_FEW = 8  # workers keep all cores of a small machine busy with short events; more of them only take memory
_COMPUTED = 0.001
_FORGETTING = 1.05
_LONG_WAIT = 0.1


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many events a version may run at one time, how many workers are kept started, and when others retire (s)."""

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
    """A `Sandbox`: at most `concurrency` events at one time, waiting ones included; beyond that, `OverLimit`.

    An event that finds no idle worker waits in line; one more is started when the first in line has waited 5 ms, or
    when there is none that could become idle. Events that only compute, or take less than 10 ms, share a few workers;
    those that wait for something longer get one each.
    """

    def __init__(self, hiring: Hiring, sizes: Sizes, tasks: Tasks) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._hiring = hiring
        self._sizes = sizes
        self._tasks = tasks
        self._idle = IdleWorkers(loop, sizes.idle_timeout, kept=sizes.provisioned)
        self._living: set[Worker] = set()
        self._admitted = 0
        self._busy = 0
        self._starting = 0
        self._waiting: deque[asyncio.Future[Worker | None]] = deque()
        self._growing: asyncio.TimerHandle | None = None
        self._pace = math.inf  # seconds of the shortest of the latest events, in which a loaded machine does not show
        self._since = 0.0  # when somebody in line got a worker, or the line began
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
                    self._release(worker)
                case Failed():
                    failure = failure or hired
        return failure

    async def run(self, invocation: Invocation) -> Outcome:
        """Run one event on a warm worker, else on a new one."""
        if self._admitted >= self._sizes.concurrency:
            self._counts.refused += 1
            return OverLimit(f"{self._admitted} events of the version are under way, which is its concurrency")
        self._admitted += 1
        try:
            return await self._run(invocation)
        finally:
            self._admitted -= 1

    async def _run(self, invocation: Invocation) -> Outcome:
        worker, init = self._idle.take(), None
        if worker is None:
            found = await self._worker()
            if not isinstance(found, Hired):
                self._count(found)
                return found
            worker, init = found.worker, found.init
        else:
            self._busy += 1
        invocation.started()
        try:
            outcome = await worker.invoke(invocation, self._hiring.code.timeout, init)
        finally:
            self._release(worker)
        self._learn(outcome)
        return outcome

    async def close(self) -> None:
        """Kill all workers; events that still run end as `Failed`."""
        self._closed = True
        self._idle.close()
        if self._retry is not None:
            self._retry.cancel()
        if self._growing is not None:
            self._growing.cancel()
        for worker in tuple(self._living):
            worker.kill()
        self._call_all()
        self._check_vacancy()
        with contextlib.suppress(TimeoutError):  # a process that outlives SIGKILL is the kernel's; nobody waits for it
            await asyncio.wait_for(self._vacant.wait(), _CLOSE_PATIENCE)

    async def _worker(self) -> Hired | Failed | OverLimit:
        """Return a worker for an event that found none idle; it counts as busy."""
        if self._busy + self._starting:
            worker = await self._turn()
            if worker is not None:
                return Hired(worker, None)
        if self._closed:
            return OverLimit("the version is being closed")
        return self._held_back() or await self._hire(provisioned=False)

    def _held_back(self) -> Failed | OverLimit | None:
        """Return why nothing may be started now, if so."""
        if not self._backoff.is_holding(self._loop.time()):
            return None
        return self._backoff.failure or OverLimit(f"backing off after {self._backoff.crashes} crashes in a row")

    def _hire(self, *, provisioned: bool) -> Coroutine[object, object, Hired | Failed]:
        """Count one more worker from now on, and return the work of starting it; then it is busy until released."""
        self._starting += 1
        return self._start(provisioned=provisioned)

    async def _start(self, *, provisioned: bool) -> Hired | Failed:
        hired: Hired | Failed | None = None
        try:
            hired = await self._hiring.hire(self._adopt, provisioned=provisioned)
        finally:
            self._starting -= 1
            if isinstance(hired, Hired):
                self._busy += 1
            else:
                self._check_vacancy()
                self._promote()
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
        """Give a busy worker to the first in line, else let it idle."""
        self._busy -= 1
        if not worker.is_alive or self._closed:
            worker.kill()
            self._keep_provisioned()
            self._promote()
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._since = self._loop.time()
                self._busy += 1  # not once the event goes on: who comes before that would find nobody at work
                turn.set_result(worker)
                return
        self._idle.put(worker)

    def _learn(self, outcome: Outcome) -> None:
        """Let crashes in a row hold back new workers, and a success end that."""
        self._count(outcome)
        if not isinstance(outcome, OverLimit):
            usage = outcome.usage  # who only computes needs no more workers than there are cores, however long it takes
            self._pace = min(self._pace * _FORGETTING, usage.wall if usage.waited else _COMPUTED)
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
            self._tasks.start(self._add_reserve(self._hire(provisioned=True)))

    def _try_again(self) -> None:
        self._retry = None
        self._keep_provisioned()

    async def _add_reserve(self, start: Coroutine[object, object, Hired | Failed]) -> None:
        hired = await start
        if isinstance(hired, Hired):
            self._release(hired.worker)
        else:
            self._keep_provisioned()
            self._promote()

    async def _turn(self) -> Worker | None:
        """Wait in line; return a worker that became free, or None: the right to start one."""
        turn: asyncio.Future[Worker | None] = self._loop.create_future()
        if not self._waiting:
            self._since = self._loop.time()
        self._waiting.append(turn)
        self._grow_soon()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and (worker := turn.result()) is not None:
                self._release(worker)
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _grow_soon(self) -> None:
        if self._growing is None and self._waiting and not self._closed:
            self._growing = self._loop.call_later(_PATIENCE, self._grow)

    def _grow(self) -> None:
        """Let the first in line start a worker, if there is room and nothing holds it back."""
        self._growing = None
        if self._has_room() and self._starting < _STARTS and not self._backoff.is_holding(self._loop.time()):
            self._call_first()
            self._since = self._loop.time()
        self._grow_soon()

    def _has_room(self) -> bool:
        """Return whether one more worker would help: short events need few, unless slow ones hold them all."""
        count = len(self._living) + self._starting
        needed = count < _FEW or self._pace >= _SHORT or self._loop.time() - self._since > _LONG_WAIT
        return needed and count < self._sizes.concurrency

    def _promote(self) -> None:
        """Let the first in line start a worker when none is left that could become free."""
        if not self._busy + self._starting:
            self._call_first()

    def _call_first(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _call_all(self) -> None:
        while self._waiting:
            self._call_first()

    def _check_vacancy(self) -> None:
        if self._closed and not self._living and not self._starting:
            self._vacant.set()
