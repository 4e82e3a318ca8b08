"""The watchdog looks at sandboxes that don't want to be looked at."""

import asyncio
import threading
from contextlib import suppress

import pytest

from edgefn.sandbox.process.inside import Memory
from edgefn.sandbox.process.watchdog import watch

LIMIT = 100


class View:
    """What the kernel tells of a sandbox; `told` holds it up as a process does that holds its own lock."""

    def __init__(self, seen: int | OSError, shared: int = 0, told: threading.Event | None = None) -> None:
        self._seen = seen
        self._shared = shared
        self._told = told
        self.thread = ""
        self.closed = False

    def twin(self) -> "View":
        return self

    def memory(self) -> Memory:
        if isinstance(self._seen, OSError):
            raise self._seen
        return Memory(self._seen, files=1)

    def memory_shared_fairly(self) -> int:
        self.thread = threading.current_thread().name
        if self._told is not None:
            self._told.wait(10)
        return self._shared

    def close(self) -> None:
        self.closed = True


class Suspect:
    """A sandbox."""

    memory_limit = LIMIT
    frozen = False

    def __init__(self, view: View) -> None:
        self.view = view
        self.killed = asyncio.Event()

    def inside(self) -> View:
        return self.view

    def kill(self) -> None:
        self.killed.set()


async def looked_at(*suspects: Suspect, until: asyncio.Event) -> None:
    watching = asyncio.create_task(watch(suspects))  # type: ignore[arg-type]  # a view is all that it needs of `Inside`
    async with asyncio.timeout(5):
        await until.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_what_shares_its_pages_lives_and_what_does_not_dies(caplog: pytest.LogCaptureFixture) -> None:
    sharing, greedy = Suspect(View(900, shared=90)), Suspect(View(101, shared=101))
    await looked_at(sharing, greedy, until=greedy.killed)
    assert not sharing.killed.is_set()
    assert sharing.view.thread.startswith("edgefn-watchdog")
    assert sharing.view.closed
    assert "101 bytes of memory, 100 are allowed" in caplog.text


async def test_a_sandbox_that_holds_up_the_look_at_it_holds_up_nobody_and_dies() -> None:
    told = threading.Event()
    stubborn = Suspect(View(900, told=told))
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    await looked_at(stubborn, until=stubborn.killed)
    told.set()
    heart.cancel()
    assert beats > 10


async def test_one_that_ends_under_the_look_does_not_end_the_watch() -> None:
    ended, greedy = Suspect(View(ProcessLookupError())), Suspect(View(101, shared=101))
    await looked_at(ended, greedy, until=greedy.killed)
    assert not ended.killed.is_set()
