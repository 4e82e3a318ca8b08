"""What locations have rolled back by themselves, made true for all: the alias itself lets go of the failing version."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from edgefn.functions.committing import PublishError
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import Replica, ReplicaError
from edgefn.model.location_status import status_from_json
from edgefn.rules.worker_sum import is_worker

_RETRY = 1.0


@dataclass(frozen=True, slots=True)
class Rollbacks:
    """Listens to the locations of `replica`. `report` takes a line for the operator."""

    replica: Replica
    publisher: Publisher
    report: Callable[[str], None]

    async def run(self) -> None:
        """Roll back what any location has rolled back, for ever."""
        while True:
            with suppress(ReplicaError):
                async with aclosing(self.replica.follow_statuses()) as statuses:
                    async for name, text in statuses:
                        if not is_worker(name):
                            await self._heed(name, text)
            await asyncio.sleep(_RETRY)

    async def _heed(self, location: str, text: bytes) -> None:
        try:
            status = status_from_json(text)
        except ValueError:
            return
        for label, version in status.rolled_back.items():
            function, _, alias = label.partition(":")
            try:
                await self.publisher.rollback(function, alias, failing=version)
            except PublishError:
                continue  # it does not point there any more: somebody was faster
            self.report(f"{label} was rolled back from version {version}, which failed too often at {location}")
