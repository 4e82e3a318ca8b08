"""Several workers, one location: their words on the local board, summed up under the location's name."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from edgefn.functions.replicas.base import Replica
from edgefn.model.location_status import status_from_json, status_to_json
from edgefn.model.publishing import LocationState, LocationStatus
from edgefn.rules.worker_sum import summed, worker_name


@dataclass(frozen=True, slots=True)
class WorkerSum:
    """Reports for `location` what its `workers` say together; `completed` adds what only their supervisor knows."""

    location: str
    workers: int
    replica: Replica
    completed: Callable[[LocationStatus], LocationStatus]
    _told: dict[str, LocationStatus] = field(default_factory=dict)

    async def run(self) -> None:
        """Report whenever a worker does, for ever. Raises `ReplicaError`."""
        names = {worker_name(self.location, number) for number in range(self.workers)}
        async with aclosing(_of(self.replica.follow_statuses(), names)) as statuses:
            async for name, status in statuses:
                self._told[name] = status
                await self.now()

    async def tell_of(self, news: asyncio.Event) -> None:
        """Report whenever there are news, for ever. Raises `ReplicaError`."""
        while True:
            await news.wait()
            news.clear()
            await self.now()

    async def now(self) -> None:
        """Report. Raises `ReplicaError`."""
        whole = summed(self.location, LocationState.ACTIVE, list(self._told.values()), self.workers)
        await self.replica.set_status(self.location, status_to_json(self.completed(whole)))


async def _of(
    statuses: AsyncGenerator[tuple[str, bytes], None], names: set[str]
) -> AsyncGenerator[tuple[str, LocationStatus], None]:
    async with aclosing(statuses):
        async for name, text in statuses:
            if name in names:
                with suppress(ValueError):
                    yield name, status_from_json(text)
