"""The scheduler, with fibers that are plain generators and a clock that a test moves."""

import asyncio
from collections.abc import Generator

import pytest

from edgefn.sandbox.wasm.fibers import (
    Bounds,
    CrowdedError,
    ExpiredError,
    Fiber,
    Lane,
    Scheduler,
    Slices,
    StoppedError,
)


class Clock:
    """Time passes only by `spend`; what a fiber spends counts as CPU time, too."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def spend(self, seconds: float) -> None:
        self.time += seconds

    def touch(self) -> None:
        """Do nothing: no guest runs here."""


class Troupe:
    """Fibers that write down whose slice it is, each of which takes a millisecond."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.clock = Clock()
        self.scheduler = Scheduler(self.clock.now, self.clock.now, self.clock, bounds or Bounds())
        self.slices: list[str] = []
        self.closed: list[str] = []

    def act(self, name: str, slices: int, *, cost: float = 0.001) -> Slices:
        try:
            for left in reversed(range(slices)):
                self.slices.append(name)
                self.clock.spend(cost)
                if left:
                    yield
            return name.encode()
        finally:
            self.closed.append(name)

    def fiber(
        self, name: str, slices: int, lane: Lane | None = None, *, timeout: float = 1e9, cpu: float = 1e9
    ) -> Fiber:
        return Fiber(self.act(name, slices), lane or Lane(100), self.clock.now() + timeout, cpu)

    def start(self, *fibers: Fiber) -> list["asyncio.Task[bytes]"]:
        return [asyncio.ensure_future(self.scheduler.run(fiber)) for fiber in fibers]


FOREVER = 10**9


async def one_turn() -> None:
    await asyncio.sleep(0)


async def test_a_short_fiber_ends_without_a_turn_of_the_loop() -> None:
    troupe = Troupe()
    coroutine = troupe.scheduler.run(troupe.fiber("a", 1))
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == b"a"
    assert troupe.scheduler.counts.turns == 0


async def test_long_fibers_take_turns() -> None:
    troupe = Troupe()
    tasks = troupe.start(troupe.fiber("a", 3), troupe.fiber("b", 3))
    assert await asyncio.gather(*tasks) == [b"a", b"b"]
    # b, a newcomer, goes first in the turn that a asked for; from there on each turn is one slice.
    assert troupe.slices == ["a", "b", "a", "b", "a", "b"]


async def test_each_turn_of_the_loop_runs_one_slice_of_the_queue() -> None:
    troupe = Troupe()
    tasks = troupe.start(*(troupe.fiber(str(number), FOREVER) for number in range(20)))
    await one_turn()
    for _ in range(40):
        await one_turn()
        seen = len(troupe.slices)
        await one_turn()
        # A newcomer's slice and one of the queue at most, however many stand in it.
        assert 1 <= len(troupe.slices) - seen <= 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (troupe.scheduler.spinning, troupe.scheduler.waiting) == (0, 0)
    assert sorted(troupe.closed) == sorted(str(number) for number in range(20))


async def test_newcomers_of_a_quiet_function_pass_a_crowd_of_another() -> None:
    troupe = Troupe()
    crowd = troupe.start(*(troupe.fiber("bad", FOREVER, lane) for lane in [Lane(100)] for _ in range(50)))
    await one_turn()
    began = troupe.scheduler.counts.turns
    assert await troupe.scheduler.run(troupe.fiber("good", 1)) == b"good"
    assert troupe.scheduler.counts.turns - began <= 3
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_quick_newcomers_share_a_turn() -> None:
    troupe = Troupe()
    spinner, *_ = troupe.start(troupe.fiber("spin", FOREVER))
    await one_turn()
    lane = Lane(100)
    quick = troupe.start(*(Fiber(troupe.act(str(number), 1, cost=0.0001), lane, 1e9, 1e9) for number in range(8)))
    await asyncio.gather(*quick)
    first = troupe.slices.index("0")
    assert troupe.slices[first : first + 8] == list("01234567")
    spinner.cancel()
    await asyncio.gather(spinner, return_exceptions=True)


async def test_the_line_ends_in_one_turn_when_nobody_runs_on_any_more() -> None:
    troupe = Troupe()
    tasks = troupe.start(troupe.fiber("spin", 2), *(troupe.fiber(str(number), 1) for number in range(8)))
    await asyncio.gather(*tasks)
    # In the first turn there is time for one of them, and in the second, after the end of "spin", for all others.
    assert troupe.slices == ["spin", "0", "spin", *"1234567"]
    assert troupe.scheduler.counts.turns == 2


async def test_a_line_of_slow_newcomers_does_not_hold_the_loop() -> None:
    troupe = Troupe()
    tasks = troupe.start(troupe.fiber("spin", 2), *(troupe.fiber(str(number), 1) for number in range(31)))
    await asyncio.gather(*tasks)
    assert troupe.scheduler.counts.turns == 4  # 1, 10, 10 and 10 of them


async def test_a_fiber_whose_time_is_up_gets_no_further_slice() -> None:
    troupe = Troupe()
    tasks = troupe.start(troupe.fiber("a", FOREVER, timeout=0.5), troupe.fiber("b", FOREVER, timeout=0.5))
    await one_turn()
    await one_turn()
    seen = list(troupe.slices)
    troupe.clock.spend(1)
    with pytest.raises(ExpiredError):
        await tasks[0]
    with pytest.raises(ExpiredError):
        await tasks[1]
    assert troupe.slices[len(seen) :] in ([], ["a"], ["b"])
    assert troupe.scheduler.counts.expired == 2
    assert troupe.scheduler.spinning == 0


async def test_one_that_waits_in_vain_for_its_first_slice_expires_too() -> None:
    troupe = Troupe()
    spinner, late = troupe.start(troupe.fiber("spin", FOREVER), troupe.fiber("late", 1, timeout=0))
    with pytest.raises(ExpiredError):
        await late
    assert "late" not in troupe.slices
    spinner.cancel()
    await asyncio.gather(spinner, return_exceptions=True)


async def test_cpu_time_has_a_limit_of_its_own() -> None:
    troupe = Troupe()
    fiber = troupe.fiber("a", FOREVER, cpu=0.0045)
    with pytest.raises(ExpiredError):
        await troupe.scheduler.run(fiber)
    assert troupe.slices == ["a"] * 5
    assert fiber.cpu == pytest.approx(0.005)
    assert troupe.closed == ["a"]


async def test_a_function_runs_no_more_guests_on_than_its_lane_is_wide() -> None:
    troupe = Troupe()
    lane = Lane(2)
    tasks = troupe.start(*(troupe.fiber("a", 30, lane) for _ in range(3)))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[:2] == [b"a", b"a"]
    assert isinstance(outcomes[2], CrowdedError)
    assert str(outcomes[2]) == "2 guests of the function run already"
    assert lane.spinning == 0


async def test_all_together_run_no_more_guests_on_than_the_bound() -> None:
    troupe = Troupe(Bounds(spinning=3))
    tasks = troupe.start(*(troupe.fiber("a", 30) for _ in range(8)))
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, CrowdedError)]
    assert outcomes.count(b"a") in {3, 4}
    assert {str(outcome) for outcome in refused} == {"3 guests run on beyond their first slice already"}
    assert troupe.scheduler.counts.refused == len(refused)


async def test_the_line_of_newcomers_is_bounded() -> None:
    troupe = Troupe(Bounds(waiting=2))
    tasks = troupe.start(troupe.fiber("spin", FOREVER), *(troupe.fiber("a", 1) for _ in range(4)))
    await one_turn()
    outcomes = await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert outcomes[:2] == [b"a", b"a"]
    assert [str(outcome) for outcome in outcomes[2:]] == ["2 guests wait already"] * 2
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)


async def test_cancelling_closes_the_fiber_at_once() -> None:
    troupe = Troupe()
    lane = Lane(5)
    spinning, waiting = troupe.start(troupe.fiber("a", FOREVER, lane), troupe.fiber("b", FOREVER, lane))
    await one_turn()
    for task in (spinning, waiting):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert "a" in troupe.closed
    assert (troupe.scheduler.spinning, troupe.scheduler.waiting, lane.spinning) == (0, 0, 0)


async def test_an_error_in_a_later_slice_reaches_the_caller() -> None:
    def breaks() -> Generator[None, None, bytes]:
        yield
        raise ValueError("broken")

    troupe = Troupe()
    with pytest.raises(ValueError, match="broken"):
        await troupe.scheduler.run(Fiber(breaks(), Lane(1), 1e9, 1e9))
    assert await troupe.scheduler.run(troupe.fiber("next", 2)) == b"next"


async def test_stopping_a_lane_ends_its_fibers_and_no_others() -> None:
    troupe = Troupe()
    lane = Lane(5)
    tasks = troupe.start(
        troupe.fiber("a", FOREVER, lane), troupe.fiber("b", FOREVER, lane), troupe.fiber("c", 5, Lane(5))
    )
    await one_turn()
    troupe.scheduler.stop(lane)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoppedError, StoppedError, bytes]
    assert lane.spinning == 0


async def test_nothing_is_due_when_nobody_runs() -> None:
    troupe = Troupe()
    await asyncio.gather(*troupe.start(troupe.fiber("a", 3)))
    turns = troupe.scheduler.counts.turns
    for _ in range(5):
        await one_turn()
    assert troupe.scheduler.counts.turns == turns
