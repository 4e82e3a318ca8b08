"""The background tasks of one owner, which ends them before it ends itself."""

import asyncio
from collections.abc import Coroutine


class Tasks:
    """A set of running tasks. They may not raise: what can go wrong in one is its own to handle."""

    __slots__ = ("_closing", "_running")

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._closing = False

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run `work` beside everything else; nothing once `close` was called."""
        if self._closing:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def finish(self, patience: float) -> None:
        """Take no more work, and wait up to `patience` seconds for what runs to end by itself."""
        self._closing = True
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=patience)

    async def close(self) -> None:
        """Take no more work, cancel what runs, and wait until it is gone."""
        self._closing = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
