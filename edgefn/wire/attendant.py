"""The task of one viewer connection: it does one piece of work after another, and sleeps in between."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol, TypeAlias

Work: TypeAlias = Coroutine[None, None, None]


class Held(Protocol):
    """What a piece of work takes over."""

    def close(self) -> None:
        """Give it up."""


class Attendant:
    """Does what it is given, one at a time; `start` makes its task when there is something to do for the first time.

    To wake a task costs a fraction of what it costs to make, own and bury one for each request.
    """

    __slots__ = ("_dismissed", "_held", "_next", "_sleep", "_start", "_task")

    def __init__(self, start: Callable[[Work], "asyncio.Task[None]"]) -> None:
        self._start = start
        self._task: asyncio.Task[None] | None = None
        self._next: Work | None = None
        self._held: Held | None = None
        self._sleep: asyncio.Future[None] | None = None
        self._dismissed = False

    def do(self, work: Work, held: Held | None = None) -> None:
        """Do `work` next. There may be one piece under way, and no other one waiting.

        `held` is closed if `work` is never begun, for then none of its own `finally` is.
        """
        self._next, self._held = work, held
        if self._task is None:
            self._task = self._start(self._run())
        elif self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    def dismiss(self) -> None:
        """Cancel what is under way, and do no more. Harmless when repeated."""
        self._dismissed = True
        if self._next is not None:
            self._next.close()
            if self._held is not None:
                self._held.close()
            self._next = self._held = None
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)
        elif self._task is not None:
            self._task.cancel()
            self._task = None  # the error it ends with holds our frames, and so us: a ring for the collector

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._dismissed:
            work, self._next, self._held = self._next, None, None
            if work is not None:
                await work
            else:
                self._sleep = loop.create_future()
                await self._sleep
