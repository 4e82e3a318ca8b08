"""The cache's own tasks: validations that no viewer waits for, and transfers that more than one viewer may read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from edgefn.model.errors import EdgeError
from edgefn.rules.log_line import one_line

_log = logging.getLogger("edgefn")

_MOST = 256
_PATIENCE = 120.0  # seconds for one piece of work


class Background:
    """Owns the tasks: of validations one at a time for each name, and at most `most` in all.

    Closing it cancels and awaits everything. `patience` is how many seconds a validation may take.
    """

    def __init__(self, most: int = _MOST, patience: float = _PATIENCE) -> None:
        self._most = most
        self._patience = patience
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._carried: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how much is under way."""
        return len(self._tasks)

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin `work`, unless some is under way by that name, or too much in all."""
        if name in self._tasks or len(self._tasks) >= self._most:
            return
        task = asyncio.get_running_loop().create_task(self._run(name, work))
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    def carry(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Begin work that lasts as long as some viewer waits for it: whoever began it cancels it then."""
        task = asyncio.get_running_loop().create_task(work)
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)
        return task

    async def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await asyncio.wait_for(work(), self._patience)
        except (EdgeError, TimeoutError) as error:
            _log.warning("validating %s in the background: %s", one_line(name), one_line(repr(error)))
        except Exception:  # noqa: BLE001  # nobody awaits it: what breaks must be heard here
            _log.exception("validating %s in the background", one_line(name))

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [*self._tasks.values(), *self._carried]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
