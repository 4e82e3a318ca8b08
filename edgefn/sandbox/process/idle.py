"""The warm workers of one version that have nothing to do: last in, first out; frozen soon, retired later."""

import asyncio
from contextlib import suppress

from edgefn.sandbox.process.worker import Worker

FREEZE_AFTER = 0.01
"""Seconds before an idle worker is frozen: a busy version never pays for it, and a leftover thread gets no more."""


class IdleWorkers:
    """Keeps at least `kept` of them for ever, the others for `timeout` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, *, kept: int) -> None:
        self._loop = loop
        self._timeout = timeout
        self._workers: list[Worker] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._kept = kept

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def frozen(self) -> int:
        """Return how many of them are frozen."""
        return sum(worker.frozen for worker in self._workers)

    def put(self, worker: Worker) -> None:
        """Add a worker that has just become idle."""
        worker.idle_since = self._loop.time()
        self._workers.append(worker)
        self._sweep_in(FREEZE_AFTER)

    def take(self) -> Worker | None:
        """Return the worker that was idle for the shortest time, thawed, or None."""
        while self._workers:
            worker = self._workers.pop()
            if worker.is_alive and _thawed(worker):
                return worker
        return None

    def forget(self, worker: Worker) -> None:
        """Drop a worker that has died."""
        if worker in self._workers:
            self._workers.remove(worker)

    def close(self) -> None:
        """Sweep no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        """Freeze and retire those whose time has come, and come back for the next one."""
        now = self._loop.time()
        for worker in self._workers[: max(len(self._workers) - self._kept, 0)]:
            if now - worker.idle_since >= self._timeout:
                self._workers.remove(worker)
                worker.kill()
        for worker in self._workers:
            if now - worker.idle_since >= FREEZE_AFTER:
                with suppress(OSError):  # out of descriptors, say: the next sweep tries again
                    worker.freeze()
        self._timer = None
        if self._workers:
            self._sweep_in(self._next(now))

    def _sweep_in(self, seconds: float) -> None:
        """Sweep in `seconds`, or earlier when that is planned already."""
        due = self._loop.time() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(seconds, self._sweep)

    def _next(self, now: float) -> float:
        """Return the seconds until somebody's time comes; the loop's clock ticks in milliseconds."""
        if any(not worker.frozen for worker in self._workers):
            return FREEZE_AFTER
        return max(self._workers[0].idle_since + self._timeout - now, FREEZE_AFTER)


def _thawed(worker: Worker) -> bool:
    """Thaw a worker, or kill one that can't be thawed: it would sleep through its next event."""
    try:
        worker.thaw()
    except OSError:
        worker.kill()
        return False
    return True
