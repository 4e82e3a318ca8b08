"""The store on disk. READ FIRST: an index in SQLite with the small bodies, and a file for each larger one.

What is in the index is what there is. A body is there before its entry is, and goes after it; what a killed process
leaves behind is swept away when the store is opened next. Purges are numbered and written down: see `base.BodyStore`.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from edgefn.model.message import Body, BytesBody
from edgefn.rules.purges import ByKey, ByTag, Everything, Purge, place_of, ranges
from edgefn.stores.base import Found, Order, Purged, Stored, StoreError
from edgefn.stores.disk import finding
from edgefn.stores.disk.base import GoneError, LostError
from edgefn.stores.disk.changes import Changes
from edgefn.stores.disk.epochs import Epochs
from edgefn.stores.disk.files import BodyFiles, FileReader
from edgefn.stores.disk.health import Doing, Health
from edgefn.stores.disk.known import Known
from edgefn.stores.disk.lanes import ReadLane, WriteLane
from edgefn.stores.disk.reading import FileBody, piece_end
from edgefn.stores.disk.schema import SMALL, connected, prepared
from edgefn.stores.disk.sweep import Sweep
from edgefn.stores.disk.writing import BodyWriter, Room, Writing

_LARGEST_SHARE = 8  # one body may take an eighth of the store
_UNDER_WAY_SHARE = 4  # and all that are being written a quarter
_PATIENCE = 20.0  # seconds for the upkeep to end
_WORN_AFTER = 60.0  # seconds between two looks at whether the filters are worn
_NOTED_AT_ONCE = 500


@asynccontextmanager
async def opened(directory: Path, capacity: int) -> "AsyncIterator[DiskStore]":
    """Open the store in `directory`, of at most `capacity` bytes, until the block is left. Raises `StoreError`."""
    health = Health(directory)

    def prepare() -> "tuple[int, DiskStore]":
        with health.watching(Doing.READING):
            lock = prepared(directory)
            try:
                return lock, DiskStore(directory, capacity, health)
            except BaseException:
                os.close(lock)
                raise

    lock, store = await asyncio.to_thread(prepare)
    try:
        await store.begin()
        upkeep = asyncio.create_task(store.keep_up())
        try:
            yield store
        finally:
            upkeep.cancel()
            await asyncio.wait({upkeep}, timeout=_PATIENCE)
    finally:
        await store.close()
        os.close(lock)


class DiskStore:
    """A `BodyStore` in a directory, shared with other processes. Get one from `opened`."""

    def __init__(self, directory: Path, capacity: int, health: Health) -> None:
        self.largest = capacity // _LARGEST_SHARE
        self._health = health
        self._files = BodyFiles(directory / "bodies")
        self._epochs = Epochs(directory / "epoch")
        self._reads = ReadLane(directory, health)
        self._known = Known(directory / "known", capacity)
        self._writes = WriteLane(directory, capacity, self._files, self._epochs, self._known, health)
        self._orders = connected(directory)
        self._room = Room(capacity // _UNDER_WAY_SHARE)
        self._has_dead = asyncio.Event()
        self._unfinished: list[Order] = []
        self._broken: set[int] = set()  # they are being dropped

    @property
    def epoch(self) -> int:
        """Return the number of the latest purge."""
        return self._epochs.latest()

    async def begin(self) -> None:
        """Make the shared counters say what the index says. Raises `StoreError`."""
        latest = await self._reads.query(finding.latest_epoch)

        def reach(changes: Changes) -> list[Order]:
            self._epochs.reach(latest)
            changes.epoch = latest
            return changes.unfinished()

        self._unfinished = await self._writes.do(reach)

    def may_have(self, key: str) -> bool:
        """Return whether there may be something under `key`; False: there is nothing, and nobody need ask."""
        return self._known.may_have(place_of(key))

    async def get(self, key: str) -> Sequence[Found]:
        """Return the variants stored under `key`, newest first. Raises `StoreError`."""
        finds = await self._reads.query(lambda db: finding.find_at_once(db, key))
        for number in finds.broken:
            self._lost(number, LostError("an entry is not the one that was written"))
        return [each for each in finds.found if each.number not in self._broken] if self._broken else finds.found

    async def open(self, found: Found, first: int = 0, length: int | None = None) -> Body:
        """Return `length` bytes of the body from `first` on, or all from there. Raises `StoreError`."""
        end = found.length if length is None else min(found.length, first + length)
        self._writes.use(found.number)
        if first >= end:
            return BytesBody(b"")
        try:
            if found.data is not None:
                return BytesBody(found.data[first:end])
            if found.length <= SMALL:
                small = await self._reads.query(lambda db: finding.small_body(db, found))
                return BytesBody(small[first:end])
            file, ahead = await self._reads.run(lambda: self._begun(found, first, end), lambda begun: begun[0].close())
        except LostError as error:
            self._lost(found.number, error)
            raise
        return FileBody(file, (first, end), ahead, self._reads, lambda error: self._lost(found.number, error))

    def _begun(self, found: Found, first: int, end: int) -> tuple[FileReader, bytes]:
        file = FileReader(self._files.path(found.number), found.number, found.length)
        try:
            return file, file.read(first, piece_end(first, end))
        except BaseException:
            file.close()
            raise

    def writing(self, key: str, stored: Stored, since: int, *, followed: bool = False) -> Writing:
        """Return a writer of the response's body; the `body` of `stored` is not looked at."""
        body = BodyWriter(self._files, self._reads, self._writes, self._room, self.largest, followed=followed)
        return Writing(key, stored, since, body)

    async def renew(self, found: Found, stored: Stored, since: int) -> bool:
        """Put `stored` in the place of what was found, with the same body; return whether it was still there."""
        return await self._writes.do(lambda changes: changes.renew(found, stored, since))

    async def remove(self, key: str) -> None:
        """Drop all variants of `key`, and of the keys that extend it, also those under way. Raises `StoreError`."""
        await self._purged(ByKey(key), 0.0, soft=False, durable=False)

    async def purge(self, purge: Purge, *, soft: bool, now: float) -> Purged:
        """Drop what it hits, or let it be stale from `now` on. Once it returns, no process serves it any more."""
        return await self._purged(purge, now, soft=soft, durable=True)

    async def _purged(self, purge: Purge, now: float, *, soft: bool, durable: bool) -> Purged:
        def ordered(changes: Changes) -> tuple[Order, Purged]:
            return changes.order(self._epochs.next(), purge, now, soft=soft)

        order, hit = await self._writes.do(ordered, durable=durable)
        if isinstance(purge, Everything):
            self._has_dead.set()
            return hit
        return await self._swept(order)

    async def _swept(self, order: Order) -> Purged:
        """Do what was ordered; return what it hit."""
        purge = order.purge
        if isinstance(purge, ByTag | Everything):
            sweep = Sweep(order, ())
        else:
            authorities = await self._reads.query(finding.authorities)
            sweep = Sweep(order, ranges(purge, authorities))
        while not await self._writes.do(sweep.step):
            pass
        return sweep.hit

    def orders_since(self, epoch: int) -> Sequence[Order] | None:
        """Return the purges after that one; None when they are too many to know. Raises `StoreError`."""
        with self._health.watching(Doing.READING):
            return finding.orders_since(self._orders, epoch)

    def _lost(self, number: int, error: LostError) -> None:
        """Forget an entry that can't be read."""
        if not isinstance(error, GoneError):
            self._health.note(error)
        self._broken.add(number)
        with suppress(StoreError):
            dropped = self._writes.begin(lambda changes: changes.drop_number(number))
            dropped.add_done_callback(lambda _: self._broken.discard(number))

    async def keep_up(self) -> None:
        """End what killed processes began, sweep up what they left, and clear away what was purged; until cancelled."""
        with suppress(StoreError):
            for order in self._unfinished:
                await self._swept(order)
            await self._without_orphans()
        self._has_dead.set()
        while True:
            if self._known.is_worn:
                await self._learn()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_dead.wait(), _WORN_AFTER)
                self._has_dead.clear()
                with suppress(StoreError):
                    await self._cleared()

    async def _learn(self) -> None:
        """Note anew where there are entries, unless another process does."""
        if not self._known.begin():
            return
        behind: int | None = 0
        try:
            while behind is not None:
                behind = await self._reads.query(partial(self._noted, behind))
        except StoreError:
            pass  # once more, later
        finally:
            self._known.end(complete=behind is None)

    def _noted(self, behind: int, db: sqlite3.Connection) -> int | None:
        places, behind_those = finding.places_behind(db, behind, _NOTED_AT_ONCE)
        self._known.mark(places)
        return behind_those

    async def _cleared(self) -> None:
        behind: int | None = 0
        while behind is not None:
            behind = await self._writes.do(partial(Changes.clear, behind=behind))

    async def _without_orphans(self) -> None:
        batches = self._files.batches()
        while (numbers := await self._reads.run(lambda: next(batches, None))) is not None:
            await self._reads.query(partial(self._sweep, numbers))

    def _sweep(self, numbers: Sequence[int], db: sqlite3.Connection) -> None:
        """Remove those of the files that no entry has, and that will have none."""
        orphans = finding.without_entries(db, numbers)
        self._files.sweep(orphans, lambda number: not finding.without_entries(db, [number]))

    async def close(self) -> None:
        """End what was begun, and let go of everything."""
        await self._writes.close()
        await asyncio.to_thread(self._reads.close)
        self._orders.close()
        self._epochs.close()
        self._known.close()
