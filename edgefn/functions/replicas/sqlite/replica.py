"""The replica of one machine. Several processes may have it open: each sees at once what another one commits."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from edgefn.functions.replicas.base import (
    Followed,
    FollowedPurge,
    PurgesLost,
    Record,
    Restarted,
    Stored,
    UnavailableError,
)
from edgefn.functions.replicas.sqlite import database
from edgefn.functions.replicas.sqlite.bells import Bell, Bells
from edgefn.functions.replicas.sqlite.files import BlobFiles
from edgefn.functions.replicas.sqlite.lanes import reading_lane, writing_lane

T = TypeVar("T")

_RETRY = 0.5
_MOST_PURGES = 1_000


class SqliteReplica:
    """A replica in a directory. Made by `opened`; `wall` is the clock, in seconds since the epoch."""

    def __init__(self, directory: Path, wall: Callable[[], float]) -> None:
        self.directory = directory
        self._wall = wall
        self._files = BlobFiles(directory / "blobs")
        self._bells = Bells(directory)
        self._reading = reading_lane(directory)
        self._writing = writing_lane(directory)
        self._watching: sqlite3.Connection | None = None
        self._is_closed = False

    async def prepare(self, incarnation: str) -> None:
        """Make what is not there yet. Raises `ReplicaError`."""
        await self._writing.run(lambda: database.prepare(self.directory, incarnation))
        await self._writing.run(self._files.prepare)
        await self._writing.run(self._bells.prepare)

    async def incarnation(self) -> str:
        """Return the random name that this log got when it was begun."""
        return await self._reading.query(database.incarnation)

    async def append(self, records: Sequence[Record], expected: Mapping[str, int]) -> int:
        """Commit all of `records`, or none; return the sequence of the last one."""
        return await self._change(Bell.RECORDS, lambda db: database.append(db, records, expected))

    async def note(self, records: Sequence[Record]) -> int:
        """Commit all of `records`, or none, without waiting for the disk; return the sequence of the last one.

        It is for one's own use later, so no bell is rung.
        """
        return await self._writing.query(lambda db: database.append(db, records, {}, is_synced=False), changes=True)

    async def get(self, subject: str) -> Stored | None:
        """Return the newest record of a subject (a tombstone too), or None."""
        return await self._reading.query(lambda db: database.get(db, subject))

    async def read(self, after: int = 0) -> Sequence[Stored]:
        """Return the newest record of every subject beyond the sequence `after`, in order."""
        return await self._reading.query(partial(database.read, after=after))

    async def follow(self, after: int, incarnation: str) -> AsyncGenerator[Followed, None]:
        """Yield records beyond `after` in order as they come, without gaps, for ever."""
        log = await self._patiently(lambda db: (database.incarnation(db), _last(db, "records")))
        if log is not None and ((incarnation and incarnation != log[0]) or after > log[1]):
            yield Restarted(log[0])
            after = 0
        async for _ in self._changes(Bell.RECORDS):
            for stored in await self._patiently(partial(database.read, after=after)) or ():
                after = stored.sequence
                yield stored

    async def put_blob(self, digest: str, content: AsyncIterable[bytes]) -> None:
        """Keep a blob under its digest. One that is there and sound is not written again."""
        unfinished = await self._reading.run(lambda: self._files.begin_unless_sound(digest))
        if unfinished is None:
            return
        last = b""
        try:
            async for piece in content:
                if last:
                    await self._reading.run(partial(unfinished.write, last))
                last = piece
            await self._reading.run(partial(unfinished.finish, last))
        finally:
            unfinished.give_up()

    async def get_blob(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Yield a blob in pieces. Whoever takes it checks the digest."""
        pieces = self._files.pieces(digest)
        while piece := await self._reading.run(lambda: next(pieces, b"")):
            yield piece

    async def has_blob(self, digest: str) -> bool:
        """Return whether the whole blob is there."""
        return await self._reading.run(lambda: self._files.has(digest))

    async def blobs(self) -> Collection[str]:
        """Return the digests of all blobs that are there, whether needed or not."""
        return await self._reading.run(self._files.all)

    async def delete_blob(self, digest: str) -> None:
        """Forget a blob that nothing refers to any more, if it is there."""
        await self._reading.run(lambda: self._files.delete(digest))

    async def order_purge(self, order: bytes, op: str) -> int:
        """Append a purge and return its sequence; the same `op` again within two minutes appends nothing new."""
        now = self._wall()
        return await self._change(Bell.PURGES, lambda db: database.order_purge(db, order, op, now))

    async def note_purge(self, order: bytes, op: str) -> int:
        """Append a purge as `order_purge` does, without waiting for the disk."""
        now = self._wall()
        return await self._change(Bell.PURGES, lambda db: database.order_purge(db, order, op, now, is_synced=False))

    async def follow_purges(self, after: int, incarnation: str) -> AsyncGenerator[FollowedPurge, None]:
        """Yield purges beyond `after` in order, for ever; `PurgesLost` first when some of them are gone."""
        log = await self._patiently(
            lambda db: (database.incarnation(db), database.first_purge(db), _last(db, "purges"))
        )
        if log is not None and ((incarnation and incarnation != log[0]) or not log[1] - 1 <= after <= log[2]):
            yield PurgesLost(log[1])
            after = log[1] - 1
        async for _ in self._changes(Bell.PURGES):
            more = True
            while more:
                purges = await self._patiently(partial(database.read_purges, after=after, most=_MOST_PURGES)) or []
                more = len(purges) == _MOST_PURGES
                if purges and purges[0].sequence > after + 1:
                    yield PurgesLost(purges[0].sequence)
                for purge in purges:
                    after = purge.sequence
                    yield purge

    async def last_purge(self) -> int:
        """Return the sequence of the newest purge, 0 when there was none."""
        return await self._reading.query(lambda db: _last(db, "purges"))

    async def set_status(self, location: str, status: bytes) -> None:
        """Put a location's status on the board."""
        await self._change(Bell.STATUSES, lambda db: database.set_status(db, location, status))

    async def statuses(self) -> Mapping[str, bytes]:
        """Return the newest status of each location."""
        rows = await self._reading.query(lambda db: database.read_statuses(db, 0))
        return {location: status for _, location, status in rows}

    async def follow_statuses(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield (location, status) as they change, all current ones first, for ever."""
        after = 0
        async for _ in self._changes(Bell.STATUSES):
            for number, location, status in await self._patiently(partial(database.read_statuses, after=after)) or ():
                after = number
                yield location, status

    async def close(self) -> None:
        """Let go of everything; whoever still follows gets no more."""
        self._is_closed = True
        self._bells.close()
        await self._writing.close()
        await self._reading.close()
        if self._watching is not None:
            self._watching.close()
            self._watching = None

    async def _change(self, bell: Bell, job: Callable[[sqlite3.Connection], T]) -> T:
        def changed(db: sqlite3.Connection) -> T:
            done = job(db)
            self._bells.ring(bell)
            return done

        return await self._writing.query(changed, changes=True)

    async def _changes(self, bell: Bell) -> AsyncGenerator[None, None]:
        """Yield at once, and then whenever anybody may have committed, until the replica is closed.

        The bell tells of it; a look at the database's version, which takes some 20 microseconds, is the guarantee.
        """
        version = self._version()
        while not self._is_closed:
            rung = self._bells.rung(bell)
            yield
            while not await self._bells.wait(bell, rung):
                seen, version = version, self._version()
                if seen != version:
                    break

    def _version(self) -> int:
        """Return a number that differs after a commit of any other connection: also those of our own threads."""
        try:
            if self._watching is None:
                self._watching = database.connected(self.directory)
            (version,) = self._watching.execute("PRAGMA data_version").fetchone()
        except (sqlite3.Error, UnicodeDecodeError):
            return -1  # look again after a while
        return int(version)

    async def _patiently(self, job: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `job` finds, however long the database can't be read; None once the replica is closed."""
        while not self._is_closed:
            try:
                return await self._reading.query(job)
            except UnavailableError:
                await asyncio.sleep(_RETRY)
        return None


def _last(db: sqlite3.Connection, table: str) -> int:
    return database.last_sequence(db, table)


@asynccontextmanager
async def opened(
    directory: Path, wall: Callable[[], float], fresh_id: Callable[[], str]
) -> AsyncIterator[SqliteReplica]:
    """Give the replica in `directory` until the block ends; a new one is made where there is none.

    `fresh_id` names a new log. Raises `ReplicaError` for one that is damaged, or that can't be written.
    """
    replica = SqliteReplica(directory, wall)
    try:
        await replica.prepare(fresh_id())
        yield replica
    finally:
        await replica.close()
