"""Guests that never end, beside those who do: measured in turns of the loop, which no slow machine changes."""

import asyncio
import contextlib
import gc
import os
import resource
from collections.abc import AsyncIterator

from edgefn.sandbox.base import Invocation, Outcome, OverLimit, Returned, TimedOut
from edgefn.sandbox.wasm.host import WasmSandbox
from tests.sandbox_wasm import guests
from tests.sandbox_wasm.stage import Stage

SPINNERS = 50


@contextlib.asynccontextmanager
async def spinning(sandbox: WasmSandbox, count: int) -> AsyncIterator[list["asyncio.Task[Outcome]"]]:
    """Keep that many guests spinning until the block ends."""
    tasks = [asyncio.ensure_future(sandbox.run(Invocation(f"bad-{number}", b"{}"))) for number in range(count)]
    while sandbox.lane.spinning < count:  # noqa: ASYNC110  # each turn of the loop starts one
        await asyncio.sleep(0)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_good_guest_waits_few_turns_beside_fifty_that_spin(stage: Stage) -> None:
    good, bad = await stage.open(guests.ECHO), await stage.open(guests.SPINNER)
    counts = stage.room.scheduler.counts
    async with spinning(bad, SPINNERS):
        for number in range(20):
            before = counts.turns
            assert isinstance(await good.run(Invocation(str(number), b"{}")), Returned)
            assert counts.turns - before <= 4
    assert counts.preempted >= SPINNERS


async def test_the_loop_turns_once_for_each_slice(stage: Stage) -> None:
    bad = await stage.open(guests.SPINNER)
    counts = stage.room.scheduler.counts
    async with spinning(bad, SPINNERS):
        before, beats = counts.turns, 0
        while counts.turns < before + 100:
            await asyncio.sleep(0)
            beats += 1
        # The heart beats between any two slices: no turn of the loop runs a second one.
        assert beats >= 95


async def test_a_burst_of_spinners_starts_one_by_one(stage: Stage) -> None:
    good, bad = await stage.open(guests.ECHO), await stage.open(guests.SPINNER)
    tasks = [asyncio.ensure_future(bad.run(Invocation(str(number), b"{}"))) for number in range(SPINNERS)]
    await asyncio.sleep(0)
    assert bad.lane.spinning <= 2
    before = stage.room.scheduler.counts.turns
    assert isinstance(await good.run(Invocation("good", b"{}")), Returned)
    assert stage.room.scheduler.counts.turns - before <= 4
    assert bad.lane.spinning < SPINNERS
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_spinner_is_stopped_at_its_timeout_and_its_neighbours_too(stage: Stage) -> None:
    bad = await stage.open(guests.SPINNER, timeout=0.2)
    outcomes = await asyncio.gather(*(bad.run(Invocation(str(number), b"{}")) for number in range(10)))
    assert [type(outcome) for outcome in outcomes] == [TimedOut] * 10
    assert all(isinstance(outcome, TimedOut) and outcome.usage.wall >= 0.2 for outcome in outcomes)
    assert stage.room.scheduler.spinning == 0


async def test_a_guest_beyond_its_functions_concurrency_is_refused(stage: Stage) -> None:
    bad = await stage.open(guests.SPINNER, concurrency=2)
    async with spinning(bad, 2):
        outcome = await bad.run(Invocation("third", b"{}"))
    assert outcome == OverLimit("2 guests of the function run already")


async def test_the_cpu_limit_stops_a_guest_long_before_its_timeout(stage: Stage) -> None:
    bad = await stage.open(guests.SPINNER, timeout=600)
    bad.limits = type(bad.limits)(0.02, bad.limits.result, bad.limits.log)
    outcome = await bad.run(Invocation("id-1", b"{}"))
    assert isinstance(outcome, TimedOut)
    assert 0.02 <= outcome.usage.cpu < 1


async def test_closing_a_function_stops_its_guests(stage: Stage) -> None:
    bad = await stage.open(guests.SPINNER)
    async with spinning(bad, 3) as tasks:
        await bad.close()
        assert stage.room.cells.in_use == 0
        outcomes = await asyncio.gather(*tasks)
    assert {getattr(outcome, "type", "") for outcome in outcomes} == {"Sandbox.Closed"}


def resident() -> int:
    """Return the bytes of memory that this process holds in RAM."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    gc.collect()  # what earlier tests of this process left in rings would else go at any time
    return len(os.listdir("/proc/self/fd"))


async def test_two_thousand_aborted_requests_leave_nothing_behind(stage: Stage) -> None:
    bad = await stage.open(guests.SPINNER)

    async def abort(count: int) -> None:
        for number in range(0, count, 20):
            tasks = [asyncio.ensure_future(bad.run(Invocation(str(number), b"{}"))) for _ in range(20)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    await abort(200)
    memory, files = resident(), descriptors()
    await abort(2000)
    assert stage.room.cells.in_use == 0
    assert descriptors() == files
    assert resident() - memory < 8 * 1024 * 1024
    good = await stage.open(guests.ECHO)
    assert isinstance(await good.run(Invocation("after", b"{}")), Returned)


async def test_many_traps_leave_nothing_behind(stage: Stage) -> None:
    broken = await stage.open(guests.NAMED_TRAP)

    async def trap(count: int) -> None:
        for number in range(count):
            await broken.run(Invocation(str(number), b"{}"))

    await trap(200)
    memory, files = resident(), descriptors()
    await trap(2000)
    assert descriptors() == files
    assert resident() - memory < 8 * 1024 * 1024
