"""READ FIRST. All that is stored within reach of one worker: in its memory, and on the disk behind it.

Purges are numbered by a ledger that all workers of a location share. Before anything is taken out of memory its latest
number is compared with the one seen last, and from then on nothing is found that was purged in between. So a purge
holds for all workers from the moment that the ledger has it; what it has hit is cleared away a little in each turn of
the loop. What was fetched, or read from disk, before a purge is not kept after.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from edgefn.rules.purges import Purge, hits, place_of
from edgefn.rules.stale import NEVER_STALE
from edgefn.stores.base import NOTHING, Found, Ledger, Order, Purged, Store, Stored, StoreError, Swept
from edgefn.stores.disk.base import BodyStore, TooLargeError, Writer
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.scribe import Scribe

_REMEMBERED = 4_096  # purges
_AT_ONCE = 65_536  # bytes that are kept as a whole in front of a disk, however little memory there is


@dataclass(frozen=True, slots=True)
class Hit:
    """What a purge has hit in the memory of one worker or more, and on disk."""

    epoch: int
    memory: Purged
    disk: Purged


class Stock:
    """`ledger` is the store on disk itself where there is one; `disk` is None where nothing is kept there.

    `now` is wall-clock seconds. Bodies of up to `largest_in_memory` bytes are kept in memory, larger ones on disk
    alone: up to `largest_at_once` as a whole, up to `largest` in pieces.
    """

    def __init__(self, memory: Store, ledger: Ledger, disk: BodyStore | None, now: Callable[[], float]) -> None:
        self._memory = memory
        self._ledger = ledger
        self._disk = disk
        self._now = now
        self._scribe = None if disk is None else Scribe(disk, self._superseded)
        self._seen = self._forgotten = ledger.epoch
        self._orders: deque[Order] = deque()
        self._hits: OrderedDict[int, Swept] = OrderedDict()
        self._sweeping: asyncio.Handle | None = None
        self._followers: list[Callable[[Order | None], None]] = []
        self.largest_in_memory = memory.largest
        self.largest_at_once = memory.largest if disk is None else max(memory.largest, _AT_ONCE)
        self.largest = memory.largest if disk is None else max(disk.largest, memory.largest)

    @property
    def disk(self) -> BodyStore | None:
        """Return the store on disk, if there is one."""
        return self._disk

    @property
    def shares_its_ledger(self) -> bool:
        """Return whether other workers' purges are in it."""
        return not isinstance(self._ledger, LocalLedger)

    def epoch(self) -> int:
        """Return the number of the latest purge: to be taken along by whoever goes to fetch."""
        return self._ledger.epoch

    def follow(self, follower: Callable[[Order | None], None]) -> None:
        """Let `follower` know of every purge; it hears None of those that were too many to know."""
        self._followers.append(follower)

    # In memory: nothing waits

    def get(self, key: str) -> Sequence[Stored]:
        """Return the variants of `key` in memory, newest first. That counts as a use."""
        if self._ledger.epoch > self._seen:
            self._catch_up()
        return self._memory.get(key)

    def peek(self, key: str) -> Sequence[Stored]:
        """Return the same; it is no use."""
        if self._ledger.epoch > self._seen:
            self._catch_up()
        return self._memory.peek(key)

    def put(self, key: str, stored: Stored, since: int) -> None:
        """Keep a response whose fetch began at the epoch `since`, on disk alone where it is too large for memory."""
        if not self.is_purged(key, stored.tags, since):
            if len(stored.body) <= self.largest_in_memory:
                self._memory.put(key, stored)
            else:
                self._memory.drop(key, stored.vary)
            if self._scribe is not None:
                self._scribe.write(key, stored, since)

    def update(self, key: str, held: Stored, stored: Stored, since: int) -> None:
        """Keep `stored`, which has the same body, in the place of `held`; on disk, too, if that is not done already."""
        if not self.is_purged(key, (*held.tags, *stored.tags), since):
            if stored.vary != held.vary:
                self._give_way(key, held)
            self._memory.put(key, stored)
            if self._scribe is not None and held.shelved is None:
                self._scribe.update(key, held, stored, since)

    def _give_way(self, key: str, held: Stored) -> None:
        """Let `held` go, which `stored` would stand beside rather than take the place of: it varies by other fields."""
        if any(variant is held for variant in self._memory.peek(key)):
            self._memory.drop(key, held.vary)
        if held.shelved is None:
            self.outdate_on_disk(key, held, replace(held, lifetime=0.0, stale=NEVER_STALE))

    def _superseded(self, key: str, stored: Stored) -> None:
        """Drop what is older than what another fetch has brought to the disk: whoever asks next finds that one."""
        if any(variant is stored for variant in self._memory.peek(key)):
            self._memory.drop(key, stored.vary)

    def touch_up(self, key: str, stored: Stored) -> None:
        """Keep `stored` in the place of its like in memory, and nowhere else."""
        self._memory.put(key, stored)

    def outdate_on_disk(self, key: str, held: Stored, outdated: Stored) -> None:
        """Let `outdated` be in the place of `held` on disk, if that is there; soon."""
        if self._scribe is not None:
            self._scribe.amend(key, held, outdated, self._ledger.epoch)

    def is_purged(self, key: str, tags: tuple[str, ...], since: int) -> bool:
        """Return whether what lies under `key`, and has these tags, was purged after `since`."""
        if self._ledger.epoch > self._seen:
            self._catch_up()
        if since >= self._seen:
            return False
        if since < self._forgotten:
            return True
        place = place_of(key)
        return any(order.epoch > since and hits(order.purge, place, tags) for order in self._orders)

    def _catch_up(self) -> None:
        """Do what was ordered since we looked last; where that is not known, forget everything."""
        latest = self._ledger.epoch
        try:
            orders = self._ledger.orders_since(self._seen)
        except StoreError:
            orders = None
        if orders is None:
            self._memory.clear()
            self._sweep_soon()
            self._orders.clear()
            self._forgotten = latest
            self._tell(None)
        for order in orders or ():
            self._remember(order, self._memory.purge(order))
            self._sweep_soon()
            self._tell(order)
            latest = max(latest, order.epoch)
        self._seen = latest

    def _sweep_soon(self) -> None:
        """Clear away what was purged, a little in each turn of the loop."""
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_soon(self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        if self._memory.sweep():
            self._sweep_soon()

    def _remember(self, order: Order, hit: Swept) -> None:
        self._orders.append(order)
        if len(self._orders) > _REMEMBERED:
            self._forgotten = self._orders.popleft().epoch
        self._hits[order.epoch] = hit
        if len(self._hits) > _REMEMBERED:
            self._hits.popitem(last=False)

    def _tell(self, order: Order | None) -> None:
        for follower in self._followers:
            follower(order)

    def may_be_on_disk(self, key: str) -> bool:
        """Return whether `bring` may find something."""
        return self._disk is not None and self._disk.may_have(key)

    # On disk: who asks waits

    async def bring(self, key: str, is_wanted: Callable[[Stored], bool]) -> Sequence[Stored]:
        """Return the variants on disk. Those that are wanted, and small, are in memory from now on."""
        if self._disk is None or not self.may_be_on_disk(key):
            return ()
        since = self._ledger.epoch
        try:
            brought = [
                await self._brought(found) if is_wanted(found.stored) else replace(found.stored, shelved=found)
                for found in await self._disk.get(key)
            ]
        except StoreError:
            return ()
        kept = [stored for stored in brought if not self.is_purged(key, stored.tags, since)]
        for stored in reversed(kept):
            if stored.is_here and not self._has_newer(key, stored):
                self._memory.put(key, stored)
        return kept

    async def _brought(self, found: Found) -> Stored:
        if self._disk is None or found.length > self.largest_in_memory:
            return replace(found.stored, shelved=found)
        body = await self._disk.open(found)
        try:
            pieces = []
            while piece := await body.read():
                pieces.append(piece)
        finally:
            body.close()
        return replace(found.stored, body=b"".join(pieces), shelved=replace(found, data=None))

    def _has_newer(self, key: str, stored: Stored) -> bool:
        like = (variant for variant in self._memory.peek(key) if variant.vary == stored.vary)
        return any(variant.received_at >= stored.received_at for variant in like)

    def writing(self, key: str, stored: Stored, since: int) -> AbstractAsyncContextManager[Writer]:
        """Return a writer of a body to disk, to be followed and so to be released. Raises `StoreError`."""
        if self._disk is None:
            raise TooLargeError("nothing is kept on disk")
        return self._disk.writing(key, stored, since, followed=True)

    def on_disk(self, key: str, stored: Stored) -> None:
        """Take note that a response is on disk now, and too large for memory: what is there is older."""
        self._memory.drop(key, stored.vary)

    async def renew(self, found: Found, stored: Stored, since: int) -> None:
        """Put `stored` in the place of what lies on disk, with the same body."""
        if self._disk is not None:
            await self._disk.renew(found, replace(stored, shelved=None), since)

    # Purging

    async def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it, in all workers, also those under way."""
        self._memory.remove(key)
        await self._ledger.remove(key)

    async def purge(self, purge: Purge, *, soft: bool) -> Hit:
        """Drop what it hits, or let it be stale. Once it returns, no worker serves it any more.

        Raises `StoreError`: then it is not known what is purged on disk, and the purge should be repeated.
        """
        before = self._ledger.epoch
        disk = await self._ledger.purge(purge, soft=soft, now=self._now())
        if self._ledger.epoch > self._seen:
            self._catch_up()
        epoch = next((order.epoch for order in self._orders if order.epoch > before and order.purge == purge), 0)
        return Hit(epoch, await self.hit_by(epoch), disk)

    async def hit_by(self, epoch: int) -> Purged:
        """Return what the purge of that number has hit in this worker's memory, once all of that is cleared away."""
        if self._ledger.epoch > self._seen:
            self._catch_up()
        swept = self._hits.get(epoch)
        while swept is not None and not swept.is_over:
            self._memory.sweep()
            await asyncio.sleep(0)
        return NOTHING if swept is None else swept.hit

    async def close(self) -> None:
        """Write down what is still to be written."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._scribe is not None:
            await self._scribe.close()
