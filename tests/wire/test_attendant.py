"""The task of a viewer connection."""

import asyncio

import pytest

from edgefn.wire.attendant import Attendant, Work


class Stage:
    """Makes an attendant's task, and notes what was done."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.done: list[str] = []
        self.attendant = Attendant(self.start)

    def start(self, work: Work) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def piece(self, name: str) -> None:
        self.done.append(f"{name} begun")
        await asyncio.sleep(0)
        self.done.append(f"{name} done")

    async def stubborn(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.done.append("went on")

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_one_task_does_all_there_is_to_do():
    stage = Stage()
    for name in ("one", "two", "three"):
        stage.attendant.do(stage.piece(name))
        await stage.settle()
    assert stage.done == ["one begun", "one done", "two begun", "two done", "three begun", "three done"]
    assert len(stage.tasks) == 1
    stage.attendant.dismiss()
    await stage.tasks[0]


async def test_what_comes_from_within_is_done_next():
    stage = Stage()

    async def first() -> None:
        stage.done.append("first")
        stage.attendant.do(stage.piece("second"))

    stage.attendant.do(first())
    await stage.settle()
    assert stage.done == ["first", "second begun", "second done"]
    stage.attendant.dismiss()
    await stage.tasks[0]


async def test_there_is_no_task_while_there_is_nothing_to_do():
    stage = Stage()
    stage.attendant.dismiss()
    assert stage.tasks == []


async def test_one_that_sleeps_ends_at_once():
    stage = Stage()
    stage.attendant.do(stage.piece("one"))
    await stage.settle()
    stage.attendant.dismiss()
    stage.attendant.dismiss()
    await stage.settle()
    assert stage.tasks[0].done()


async def test_what_is_under_way_is_cancelled():
    stage = Stage()
    stage.attendant.do(asyncio.Event().wait())
    await stage.settle()
    stage.attendant.dismiss()
    await stage.settle()
    assert stage.tasks[0].cancelled()


async def test_what_has_not_begun_never_does():
    stage = Stage()
    stage.attendant.do(stage.piece("never"))
    stage.attendant.dismiss()
    await stage.settle()
    assert stage.done == []
    assert stage.tasks[0].done()


class Valve:
    """What work takes over."""

    def __init__(self) -> None:
        self.closings = 0

    def close(self) -> None:
        self.closings += 1


@pytest.mark.parametrize("sleeps", [False, True])
async def test_what_never_begins_holds_nothing_open(*, sleeps: bool):
    stage, valve = Stage(), Valve()
    if sleeps:
        stage.attendant.do(stage.piece("one"))
        await stage.settle()
    stage.attendant.do(stage.piece("never"), valve)
    stage.attendant.dismiss()
    stage.attendant.dismiss()
    await stage.settle()
    assert valve.closings == 1


async def test_what_has_begun_closes_what_it_holds_itself():
    stage, valve = Stage(), Valve()
    stage.attendant.do(asyncio.Event().wait(), valve)
    await stage.settle()
    stage.attendant.dismiss()
    await stage.settle()
    assert valve.closings == 0


async def test_what_was_only_just_given_to_a_sleeper_never_begins():
    stage = Stage()
    stage.attendant.do(stage.piece("one"))
    await stage.settle()
    stage.attendant.do(stage.piece("never"))
    stage.attendant.dismiss()
    await stage.settle()
    assert stage.done == ["one begun", "one done"]
    assert stage.tasks[0].done()


async def test_work_that_will_not_be_cancelled_is_the_last():
    stage = Stage()
    stage.attendant.do(stage.stubborn())
    await stage.settle()
    stage.attendant.dismiss()
    await stage.settle()
    assert stage.done == ["went on"]
    assert stage.tasks[0].done()
