"""Purges of a fleet, applied where they arrive: each at least once, in order; what was applied is remembered."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from edgefn.functions.replicas.base import FollowedPurge, OwnReplica, PurgeOrder, PurgesLost, Record, ReplicaError
from edgefn.rules.purges import Everything, Purge, read, written
from edgefn.stores.base import StoreError

SUBJECT = "purged"
"""A record of the location's own replica. No catalog reads it."""

_RETRY = 1.0
_KEEP_SECONDS = 1.0


class Apply(Protocol):
    """Whoever has all workers of this machine purged."""

    def __call__(self, purge: Purge, *, soft: bool) -> Awaitable[object]:
        """Purge; once it returns, nothing that was hit is served. Raises `StoreError`."""


def order_of(purge: Purge, *, soft: bool) -> bytes:
    """Return a purge as it travels."""
    return orjson.dumps({"purge": written(purge), "soft": soft})


def purge_in(order: bytes) -> tuple[Purge, bool]:
    """Return the purge in an order, and whether it is a soft one. What can't be read hits everything."""
    try:
        told: object = orjson.loads(order)
    except orjson.JSONDecodeError:
        return Everything(), False
    match told:
        case {"purge": str(text), "soft": bool(soft)}:
            return read(text), soft
        case _:
            return read(order.decode("utf-8", "replace")), False


@dataclass(slots=True)
class Purging:
    """Applies the purges of a replica on this machine. `applied` is the sequence up to which all are.

    `changed` is called when that has changed. It is written down within a second: after a crash the last second's
    purges are applied once more, which does no harm.
    """

    replica: OwnReplica
    apply: Apply
    changed: Callable[[], None]
    applied: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Apply what comes, for ever; what can't be applied is tried again, and nothing is passed over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._insist())
            group.create_task(self._keep())

    async def _insist(self) -> None:
        while True:
            try:
                if not self.applied:
                    known = await self.replica.get(SUBJECT)
                    self.applied = int(known.value) if known is not None and known.value.isdigit() else 0
                await self._follow()
            except (ReplicaError, StoreError):
                await asyncio.sleep(_RETRY)

    async def _follow(self) -> None:
        incarnation = await self.replica.incarnation()
        async with aclosing(self.replica.follow_purges(self.applied, incarnation)) as followed:
            async for each in followed:
                sequence, purge, soft = _told(each)
                await self.apply(purge, soft=soft)
                self.applied = sequence
                self._moved.set()
                self.changed()

    async def _keep(self) -> None:
        """Write down how far we are, now and then."""
        while True:
            await self._moved.wait()
            await asyncio.sleep(_KEEP_SECONDS)
            self._moved.clear()
            try:
                await self.replica.note([Record(SUBJECT, str(self.applied).encode())])
            except ReplicaError:
                self._moved.set()


def _told(followed: FollowedPurge) -> tuple[int, Purge, bool]:
    match followed:
        case PurgeOrder(sequence=sequence, order=order):
            return sequence, *purge_in(order)
        case PurgesLost(first=first):
            return first - 1, Everything(), False
