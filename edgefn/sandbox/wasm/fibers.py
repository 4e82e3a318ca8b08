"""The scheduler: guests take turns on the event loop, and none of them can stall it.

A fiber is a generator that runs a guest for one slice at each `next` and returns the guest's result. Its first slice
runs at once, inside the caller, and mostly it is the only one. A guest that needs more goes to the end of a queue that
gets one slice per turn of the loop. While anybody stands in that queue, newcomers wait for the turn too: else fifty of
them, starting in one turn, would hold the loop for fifty slices. They go before the queue, as long as a turn's budget
lasts: most of them need no second slice, and it keeps them quick beside neighbours that never end. When nobody is left
in that queue, the line gets more at a time: under load it would not come to an end otherwise. Functions take
turns among the newcomers, so that a flood for one of them delays no other.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Protocol

Slices = Generator[None, None, bytes]

START_BUDGET = 0.001
"""Seconds that newcomers get in one turn of the loop, besides the slice of the queue. The last one may overrun it."""

QUIET_BUDGET = 0.01
"""Seconds that they get in one turn when nobody runs on."""


class ExpiredError(Exception):
    """A guest was stopped at its time limit."""


class CrowdedError(Exception):
    """A guest was not run, or not run on: too many others run. The message is for the log."""


class StoppedError(Exception):
    """A guest was stopped because its function is closed."""


class Touchable(Protocol):
    """What must be told when guests run."""

    def touch(self) -> None:
        """Keep ticking."""


@dataclass(slots=True, eq=False)
class Lane:
    """The guests of one function. At most `limit` of them may run on beyond their first slice."""

    limit: int
    spinning: int = 0
    waiting: "deque[Fiber]" = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Fiber:
    """One guest. `deadline` is a time, `cpu_limit` seconds; `cpu` is what it used so far, known at any moment."""

    slices: Slices
    lane: Lane
    deadline: float
    cpu_limit: float
    cpu: float = 0.0
    result: bytes | None = None
    spinning: bool = False
    ended: asyncio.Future[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most fibers that run on beyond their first slice, and the most that wait for it."""

    spinning: int = 64
    waiting: int = 1024


@dataclass(slots=True)
class Counts:
    """What happened so far. `turns` counts those of the loop in which guests were run on."""

    started: int = 0
    preempted: int = 0
    expired: int = 0
    refused: int = 0
    turns: int = 0


@dataclass(slots=True, eq=False)
class Scheduler:
    """Runs fibers on the running event loop. `now` tells the time, `cpu` the CPU time of this thread, in seconds."""

    now: Callable[[], float]
    cpu: Callable[[], float]
    ticker: Touchable
    bounds: Bounds
    counts: Counts = field(default_factory=Counts)
    _lanes: deque[Lane] = field(default_factory=deque)
    _waiting: int = 0
    _spinning: deque[Fiber] = field(default_factory=deque)
    _turn_is_due: bool = False
    _left: float = START_BUDGET

    @property
    def is_open(self) -> bool:
        """Return whether a guest may run here and now: nobody waits in line, and the turn is not used up."""
        return not self._waiting and self._left > 0

    def took(self, seconds: float, *, ended: bool) -> None:
        """Take note of a guest that ran past the line for so long. One that did not end has used the turn up.

        While nobody runs on, those that end have all the time of the loop, as everything else on it has.
        """
        if ended:
            self.counts.started += 1
        if not ended or self._spinning:
            self._left = self._left - seconds if ended else 0.0
            self._ask_for_turn()

    @property
    def waiting(self) -> int:
        """Return how many guests wait for their first slice."""
        return self._waiting

    @property
    def spinning(self) -> int:
        """Return how many guests run on beyond their first slice."""
        return len(self._spinning)

    async def run(self, fiber: Fiber) -> bytes:
        """Run a fiber to its end and return its result. Cancelling stops it; it is closed in any case.

        Raises what the guest raises, `ExpiredError`, `CrowdedError` or `StoppedError`.
        """
        result = self.begin(fiber)
        return await self.rest(fiber) if result is None else result

    def begin(self, fiber: Fiber) -> bytes | None:
        """Run a fiber's first slice, unless it must wait for it; return its result if that was all, else call `rest`.

        Raises as `run` does; then nothing is left of the fiber.
        """
        try:
            if self._spinning or self._waiting:
                self._wait(fiber)
            elif (result := self._slice(fiber)) is not None:
                return result
            else:
                self._spin(fiber)
        except BaseException:
            self._forget(fiber)
            fiber.slices.close()
            raise
        return None

    async def rest(self, fiber: Fiber) -> bytes:
        """Wait for the end of a fiber that has begun, and return its result. Raises as `run` does."""
        try:
            fiber.ended = asyncio.get_running_loop().create_future()
            self._ask_for_turn()
            return await fiber.ended
        finally:
            self._forget(fiber)
            fiber.slices.close()
            if fiber.ended is not None and fiber.ended.done() and not fiber.ended.cancelled():
                fiber.ended.exception()  # Cancelled as it failed: then nobody else looks at it.

    def stop(self, lane: Lane) -> None:
        """Stop all fibers of a lane; they are gone when it returns."""
        for fiber in [*lane.waiting, *(fiber for fiber in self._spinning if fiber.lane is lane)]:
            self._forget(fiber)
            self._fail(fiber, StoppedError())

    def _wait(self, fiber: Fiber) -> None:
        if self._waiting >= self.bounds.waiting:
            self.counts.refused += 1
            raise CrowdedError(f"{self.bounds.waiting} guests wait already")
        if not fiber.lane.waiting:
            self._lanes.append(fiber.lane)
        fiber.lane.waiting.append(fiber)
        self._waiting += 1

    def _next_newcomer(self) -> Fiber:
        """Take the first of the next function in line, which goes to the end of the line if it has more."""
        lane = self._lanes.popleft()
        fiber = lane.waiting.popleft()
        self._waiting -= 1
        if lane.waiting:
            self._lanes.append(lane)
        return fiber

    def _leave(self, fiber: Fiber) -> None:
        """Take a fiber out of the line of newcomers."""
        fiber.lane.waiting.remove(fiber)
        self._waiting -= 1
        if not fiber.lane.waiting:
            self._lanes.remove(fiber.lane)

    def _slice(self, fiber: Fiber) -> bytes | None:
        """Run one slice; return the result if the fiber came to its end."""
        self.ticker.touch()
        if not fiber.spinning:
            self._admit(fiber)
        began = self.cpu()
        try:
            next(fiber.slices)
        except StopIteration as end:
            result: bytes = end.value
            return result
        finally:
            fiber.cpu += self.cpu() - began
        if fiber.cpu >= fiber.cpu_limit:
            self.counts.expired += 1
            raise ExpiredError
        return None

    def _admit(self, fiber: Fiber) -> None:
        if fiber.lane.spinning >= fiber.lane.limit:
            self.counts.refused += 1
            raise CrowdedError(f"{fiber.lane.limit} guests of the function run already")
        self.counts.started += 1

    def _spin(self, fiber: Fiber) -> None:
        """Put a fiber at the end of the queue. Raises `CrowdedError` where it is full."""
        if not fiber.spinning:
            self.counts.preempted += 1
            if len(self._spinning) >= self.bounds.spinning:
                self.counts.refused += 1
                raise CrowdedError(f"{self.bounds.spinning} guests run on beyond their first slice already")
            fiber.spinning = True
            fiber.lane.spinning += 1
        self._spinning.append(fiber)

    def _forget(self, fiber: Fiber) -> None:
        """Take a fiber out of the queues and the counts."""
        if fiber.spinning:
            fiber.spinning = False
            fiber.lane.spinning -= 1
        if fiber in self._spinning:
            self._spinning.remove(fiber)
        elif fiber in fiber.lane.waiting:
            self._leave(fiber)

    def _ask_for_turn(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Run newcomers within their budget, then one slice of the queue; come back in the loop's next turn."""
        self._turn_is_due = False
        self._left = START_BUDGET
        self.counts.turns += 1
        now = self.now()
        self._expire(now)
        while self._waiting:
            self._advance(self._next_newcomer())
            if self.now() >= now + (START_BUDGET if self._spinning else QUIET_BUDGET):
                break
        if self._spinning:
            self._advance(self._spinning.popleft())
        if self._waiting or self._spinning:
            self._ask_for_turn()

    def _expire(self, now: float) -> None:
        """End those whose time is up, before anybody gets another slice."""
        waiting = (fiber for lane in self._lanes for fiber in lane.waiting)
        for fiber in [fiber for fiber in (*self._spinning, *waiting) if fiber.deadline <= now]:
            self._forget(fiber)
            self.counts.expired += 1
            self._fail(fiber, ExpiredError())

    def _advance(self, fiber: Fiber) -> None:
        """Run one slice of a fiber that is in no queue, and tell its caller how it ended, if it did."""
        try:
            result = self._slice(fiber)
            if result is None:
                self._spin(fiber)
            elif fiber.ended is not None and not fiber.ended.done():
                fiber.ended.set_result(result)
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the caller, not to the loop
            self._fail(fiber, error)

    def _fail(self, fiber: Fiber, error: Exception) -> None:
        """Free the guest now, and hand the error to the caller."""
        fiber.slices.close()
        if fiber.ended is not None and not fiber.ended.done():
            fiber.ended.set_exception(error)
