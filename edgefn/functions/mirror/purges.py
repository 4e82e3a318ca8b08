"""Taking over the fleet's purges: each at least once, and everything is flushed when some can't be had any more."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from edgefn.functions.mirror.records import RETRY_SECONDS, Records
from edgefn.functions.replicas.base import FollowedPurge, OwnReplica, PurgeOrder, PurgesLost, Replica, ReplicaError
from edgefn.rules.purges import Everything, written

_KEEP_SECONDS = 1.0
_REMEMBERED = 10_000
_FLUSH = written(Everything()).encode()


@dataclass(slots=True)
class Purges:
    """The purges of one location, which follow those of its fleet."""

    upstream: Replica
    local: OwnReplica
    records: Records
    fresh_id: Callable[[], str]
    report: Callable[[str], None]
    changed: Callable[[], None]
    taken: int = 0
    """The fleet's sequence up to which all is in the location's own replica."""
    _of: str = ""
    _pairs: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _confirmed: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self) -> None:
        """Read how far this location has got. Raises `ReplicaError`."""
        self._of, self.taken = self.records.place.purges_of, self.records.place.purge
        self._pairs.append((await self.local.last_purge(), self.taken))

    async def run(self) -> None:
        """Take over what comes, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._keep())

    def confirmed(self, local: int) -> int:
        """Return the fleet's sequence up to which all is applied, when `local` is that of the location's own log."""
        while self._pairs and self._pairs[0][0] <= local:
            self._confirmed = self._pairs.popleft()[1]
        return self._confirmed

    async def _follow(self) -> None:
        if not self._of:
            await self._first_contact()
        async with aclosing(self.upstream.follow_purges(self.taken, self._of)) as followed:
            async for each in followed:
                await self._insist(each)

    async def _first_contact(self) -> None:
        """Begin at the newest purge: what came before may have hit what is in the cache, so all of that goes."""
        while True:
            try:
                incarnation = await self.upstream.incarnation()
                newest = await self.upstream.last_purge()
                await self._order(_FLUSH, newest)
                await self.records.keep(incarnation, newest)
            except ReplicaError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._of = incarnation
                return

    async def _insist(self, followed: FollowedPurge) -> None:
        """Take over one purge, however long that can't be done: later ones wait, none is passed over."""
        told = ""
        while True:
            try:
                return await self._take(followed)
            except ReplicaError as error:
                if str(error) != told:
                    self.report(f"a purge can't be kept: {error}")
                told = str(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, followed: FollowedPurge) -> None:
        match followed:
            case PurgeOrder(sequence=sequence, order=order):
                await self._order(order, sequence)
            case PurgesLost(first=first):
                self.report("purges that this location missed are gone from the fleet's log: its whole cache is purged")
                incarnation = await self.upstream.incarnation()
                await self._order(_FLUSH, first - 1)
                self._of = incarnation

    async def _order(self, order: bytes, sequence: int) -> None:
        own = await self.local.note_purge(order, self.fresh_id())
        self.taken = sequence
        self._moved.set()
        self._pairs.append((own, sequence))
        self.changed()  # It may be applied by now.

    async def _keep(self) -> None:
        """Write down how far we are, now and then: after a crash a second's purges come twice, which does no harm."""
        while True:
            await self._moved.wait()
            await asyncio.sleep(_KEEP_SECONDS)
            self._moved.clear()
            if self._of:
                try:
                    await self.records.keep(self._of, self.taken)
                except ReplicaError as error:
                    self.report(f"how far the purges have come can't be kept: {error}")
                    self._moved.set()
