"""Writes to disk, in the background, what is in memory already: no viewer waits for it.

What waits is bounded; beyond that it stays in memory alone. Of several changes of one response the last is written.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from edgefn.rules.vary import Selected
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.disk.base import BodyStore, Outcome

_log = logging.getLogger("edgefn")

_MOST_BYTES = 64 * 2**20  # of bodies that wait
_MOST_JOBS = 16_384
_AT_ONCE = 32
_PATIENCE = 10.0  # seconds for what waits when it closes

_Name: TypeAlias = tuple[str, Selected]


@dataclass(frozen=True, slots=True)
class _Job:
    """Write `stored`. `before` is the `received_at` of the one on disk that has the same body; None: there is none.

    With `only_amends` nothing is written where that one is not found.
    """

    key: str
    stored: Stored
    since: int
    before: float | None
    only_amends: bool = False

    @property
    def name(self) -> _Name:
        return self.key, self.stored.vary


class Scribe:
    """Owns the work. Closing it ends what waits, for a few seconds.

    `superseded` is told of what was not written because something newer is there.
    """

    def __init__(self, disk: BodyStore, superseded: Callable[[str, Stored], None]) -> None:
        self._disk = disk
        self._superseded = superseded
        self._waiting: dict[_Name, _Job] = {}
        self._bytes = 0
        self._busy: set[_Name] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many responses wait or are being written."""
        return len(self._waiting) + len(self._busy)

    def write(self, key: str, stored: Stored, since: int) -> None:
        """Write a response whose fetch began at the epoch `since`."""
        self._add(_Job(key, stored, since, None))

    def update(self, key: str, held: Stored, stored: Stored, since: int) -> None:
        """Write `stored` in the place of `held`, which has the same body."""
        self._add(_Job(key, stored, since, held.received_at))

    def amend(self, key: str, held: Stored, stored: Stored, since: int) -> None:
        """Write `stored` in the place of `held`, if that is there."""
        self._add(_Job(key, stored, since, held.received_at, only_amends=True))

    def _add(self, job: _Job) -> None:
        earlier = self._waiting.pop(job.name, None)
        if earlier is not None:
            self._bytes -= len(earlier.stored.body)
            if job.before is not None:
                job = replace(job, before=earlier.before, only_amends=job.only_amends and earlier.only_amends)
        is_too_much = self._bytes + len(job.stored.body) > _MOST_BYTES or len(self._waiting) >= _MOST_JOBS
        if is_too_much and job.before is None:
            return
        self._waiting[job.name] = job
        self._bytes += len(job.stored.body)
        if len(self._tasks) < _AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> _Job | None:
        """Take what has waited longest, unless the same response is being written just now."""
        name = next((name for name in self._waiting if name not in self._busy), None)
        if name is None:
            return None
        job = self._waiting.pop(name)
        self._bytes -= len(job.stored.body)
        return job

    async def _work(self) -> None:
        while (job := self._next()) is not None:
            self._busy.add(job.name)
            try:
                await self._do(job)
            except StoreError:
                pass  # the store has told of it; it stays in memory
            except Exception:  # noqa: BLE001  # nobody awaits it: what breaks must be heard here
                _log.exception("writing to the disk cache")
            finally:
                self._busy.discard(job.name)

    async def _do(self, job: _Job) -> None:
        if job.before is not None and (await self._renewed(job) or job.only_amends):
            return
        async with self._disk.writing(job.key, job.stored, job.since) as writer:
            await writer.write(job.stored.body)
            outcome = await writer.commit()
        if outcome is Outcome.SUPERSEDED:
            self._superseded(job.key, job.stored)

    async def _renewed(self, job: _Job) -> bool:
        """Put the head before the body that is there; return whether that is done, or something newer is there."""
        for found in await self._disk.get(job.key):
            if found.stored.vary != job.stored.vary:
                continue
            if found.stored.received_at == job.before:
                return await self._disk.renew(found, replace(job.stored, shelved=None), job.since)
            return found.stored.received_at >= job.stored.received_at
        return False

    async def close(self) -> None:
        """Write what waits, as long as that takes no more than a few seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PATIENCE)
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
