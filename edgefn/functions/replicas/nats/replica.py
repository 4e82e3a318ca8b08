"""The replica on NATS JetStream."""

import asyncio
import contextlib
import hashlib
import json
import re
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence

from edgefn.functions.replicas.base import (
    MAX_RECORD,
    ConflictError,
    Followed,
    FollowedPurge,
    PurgeOrder,
    PurgesLost,
    Record,
    ReplicaError,
    Restarted,
    Stored,
    UnavailableError,
)
from edgefn.functions.replicas.nats import layout, streams
from edgefn.functions.replicas.nats.feed import LOOK_SECONDS, RETRY_SECONDS, Anew, End, Feed, Source
from edgefn.functions.replicas.nats.link import Address, Link
from edgefn.functions.replicas.nats.streams import Entry, Page, Write

BLOB_WINDOW = 2
"""Chunks of a blob that are under way at once: a megabyte."""
_UPLOAD_WINDOW = 8
_IN_MEMORY = 4 * 1024 * 1024
_CATCH_UP_SECONDS, _CATCH_UP_LOOK = 3.0, 0.02
_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_LAGS = "NATS has less than it once had: a copy of its cluster lags behind (try again), or an old backup was restored"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class NatsReplica:
    """One fleet's streams. `fresh_id` makes names for batches; `jitter` returns 0 to 1."""

    def __init__(self, address: Address, jitter: Callable[[], float], fresh_id: Callable[[], str]) -> None:
        self.link = Link(address, jitter, fresh_id())
        self.link.open()
        self._fresh_id = fresh_id
        self._seen = ("", 0)
        """A log, and what we wrote or read of it last: no copy that has less may answer us."""
        self._looked: tuple[int, float, End] | None = None
        """The connection and the time of the last look at the end of the records, and what was seen."""

    async def begin(self, incarnation: str, keeping: layout.Keeping) -> str:
        """Make the streams where they are not there yet; return the incarnation that holds. Raises `ReplicaError`."""
        for name, settings in layout.streams(keeping).items():
            await streams.create(self.link, name, settings, is_fleeting=name == layout.STATUSES)
        with contextlib.suppress(ConflictError):
            first = Write(layout.INCARNATION, incarnation.encode(), (layout.INCARNATION, 0))
            await streams.write_batch(self.link, layout.RECORDS, self._fresh_id(), [first])
        return await self.incarnation()

    async def incarnation(self) -> str:
        """Return the random name that this log got when it was begun. Raises `ReplicaError`."""
        end = await self._end()
        if end is None:
            raise UnavailableError("the streams on this NATS have not been begun: edgefn control init")
        return end.incarnation

    async def append(self, records: Sequence[Record], expected: Mapping[str, int]) -> int:
        """Commit all of `records`, or none; return the sequence of the last one."""
        sequence = await streams.write_batch(self.link, layout.RECORDS, self._fresh_id(), _writes(records, expected))
        self._seen = (self._seen[0], max(self._seen[1], sequence))
        return sequence

    async def get(self, subject: str) -> Stored | None:
        """Return the newest record of a subject, or None."""
        wanted = _record(subject)
        async for _ in self._until_caught_up():
            page = await streams.read_newest(self.link, layout.RECORDS, [wanted, layout.INCARNATION])
            end = _end(page)
            if end is not None and self._is_recent(end):
                found = [_stored(entry) for entry in page.entries if entry.subject == wanted]
                return found[0] if found else None
        raise UnavailableError(_LAGS)

    async def read(self, after: int = 0) -> Sequence[Stored]:
        """Return the newest record of every subject beyond the sequence `after`, in order."""
        async for _ in self._until_caught_up():
            end = await self._end()
            if end is None or not self._is_recent(end):
                continue
            found: dict[str, Stored] = {}
            records = streams.read_all_after(self.link, layout.RECORDS, f"{layout.RECORD}.>", after)
            async for entry in records:
                found.pop(entry.subject, None)
                found[entry.subject] = _stored(entry)
            last = next(reversed(found.values())).sequence if found else after
            if last >= end.sequence or end.sequence == 1:
                return list(found.values())
        raise UnavailableError(_LAGS)

    async def follow(self, after: int, incarnation: str) -> AsyncGenerator[Followed, None]:
        """Yield records beyond `after` in order as they come, without gaps, for ever."""
        source = Source(layout.RECORDS, f"{layout.RECORD}.>", f"{layout.FEED}.record.>", self._end)
        async with contextlib.aclosing(Feed(self.link, source, after, incarnation).messages()) as messages:
            async for message in messages:
                yield Restarted(message.incarnation) if isinstance(message, Anew) else _stored(message)

    async def put_blob(self, digest: str, content: AsyncIterable[bytes]) -> None:
        """Keep a blob under its digest.

        It is read to its end and checked before the first chunk is sent: a chunk can never be written again, so a
        wrong one would spoil its digest for ever.
        """
        _check_digest(digest)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            found, size = hashlib.sha256(), 0
            async for piece in content:
                found.update(piece)
                size += len(piece)
                await asyncio.to_thread(spool.write, piece)
            if found.hexdigest() != digest:
                raise ReplicaError(f"the blob has the digest {found.hexdigest()}, and was given as {digest}")
            if await self.has_blob(digest):
                return
            spool.seek(0)
            pieces = -(-size // layout.CHUNK)
            for start in range(0, pieces, _UPLOAD_WINDOW):
                numbers = range(start, min(start + _UPLOAD_WINDOW, pieces))
                window = [(number, await asyncio.to_thread(spool.read, layout.CHUNK)) for number in numbers]
                await self._put_window(digest, window)
        # Written last: it says that all of it is there.
        whole = json.dumps({"size": size, "chunks": pieces}).encode()
        await streams.write_once(self.link, f"{layout.BLOB}.{digest}", whole)

    async def get_blob(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Yield a blob in pieces. Whoever takes it checks the digest."""
        _check_digest(digest)
        whole = await streams.read(self.link, layout.BLOBS, f"{layout.BLOB}.{digest}")
        if whole is None:
            raise ReplicaError(f"there is no blob {digest}")
        chunks = _chunks(whole)
        loop = asyncio.get_running_loop()
        under_way: deque[asyncio.Task[Entry | None]] = deque()
        try:
            for number in range(chunks + BLOB_WINDOW):
                if number < chunks:
                    wanted = f"{layout.BLOB}.{digest}.{number}"
                    chunk = streams.read(self.link, layout.BLOBS, wanted, streams.BLOB_SECONDS)
                    under_way.append(loop.create_task(chunk))
                if number >= BLOB_WINDOW and under_way:
                    piece = await under_way.popleft()
                    if piece is None:
                        raise ReplicaError(f"a part of the blob {digest} is missing")
                    yield piece.data
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def has_blob(self, digest: str) -> bool:
        """Return whether the whole blob is there."""
        _check_digest(digest)
        return await streams.read(self.link, layout.BLOBS, f"{layout.BLOB}.{digest}") is not None

    async def blobs(self) -> Collection[str]:
        """Return the digests of all blobs that are there, whether needed or not."""
        whole = streams.read_all_after(self.link, layout.BLOBS, f"{layout.BLOB}.*", 0)
        return {_last_part(entry.subject) async for entry in whole}

    async def delete_blob(self, digest: str) -> None:
        """Forget a blob that nothing refers to any more."""
        _check_digest(digest)
        await streams.clear(self.link, layout.BLOBS, f"{layout.BLOB}.{digest}")
        await streams.clear(self.link, layout.BLOBS, f"{layout.BLOB}.{digest}.>")

    async def order_purge(self, order: bytes, op: str) -> int:
        """Append a purge and return its sequence."""
        return await streams.write(self.link, layout.PURGE, order, {"Nats-Msg-Id": op})

    async def follow_purges(self, after: int, incarnation: str) -> AsyncGenerator[FollowedPurge, None]:
        """Yield purges beyond `after` in order, for ever; `PurgesLost` first when some of them are gone."""
        source = Source(layout.PURGES, layout.PURGE, f"{layout.FEED}.purge", self._purges_end)
        last, is_new_log = after, False
        async with contextlib.aclosing(Feed(self.link, source, after, incarnation).messages()) as messages:
            async for message in messages:
                if isinstance(message, Anew):
                    last, is_new_log = 0, True
                    yield PurgesLost(1)
                    continue
                if message.sequence > last + 1 and not is_new_log:
                    yield PurgesLost(message.sequence)
                last, is_new_log = message.sequence, False
                yield PurgeOrder(message.sequence, message.data, message.at)

    async def last_purge(self) -> int:
        """Return the sequence of the newest purge, 0 when there was none."""
        newest = await streams.read(self.link, layout.PURGES, layout.PURGE)
        return newest.sequence if newest is not None else 0

    async def set_status(self, location: str, status: bytes) -> None:
        """Put a location's status on the board."""
        await streams.write(self.link, f"{layout.STATUS}.{layout.location_part(location)}", status)

    async def statuses(self) -> Mapping[str, bytes]:
        """Return the newest status of each location."""
        entries = streams.read_all_after(self.link, layout.STATUSES, f"{layout.STATUS}.>", 0)
        return {layout.location_in(_last_part(entry.subject)): entry.data async for entry in entries}

    async def follow_statuses(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield (location, status) as they change, all current ones first, for ever."""
        known: dict[str, bytes] = {}
        async with self.link.listening(f"{layout.FEED}.status.>") as ear:
            while not self.link.is_closed:
                try:
                    board = dict(await self.statuses())
                except ReplicaError:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for location, status in board.items():
                    if known.get(location) != status:
                        known[location] = status
                        yield location, status
                while (message := await ear.next(LOOK_SECONDS)) is not None:
                    location = layout.location_in(_last_part(message.subject))
                    if known.get(location) != message.data:
                        known[location] = message.data
                        yield location, message.data

    async def close(self) -> None:
        """Let go of everything."""
        await self.link.close()

    async def _end(self) -> End | None:
        connection = self.link.connections
        end = _end(await streams.read_newest(self.link, layout.RECORDS, [layout.INCARNATION]))
        self._looked = None if end is None else (connection, asyncio.get_running_loop().time(), end)
        return end

    async def _recent_end(self) -> End | None:
        """Return what a look has seen on this connection a moment ago: a log gets another name only by a restart."""
        if self._looked is not None:
            connection, at, end = self._looked
            if connection == self.link.connections and asyncio.get_running_loop().time() < at + LOOK_SECONDS:
                return end
        return await self._end()

    def _is_recent(self, end: End) -> bool:
        incarnation, sequence = self._seen
        if incarnation == "":
            self._seen = (end.incarnation, max(sequence, end.sequence))
        elif incarnation != end.incarnation:
            self._seen = (end.incarnation, end.sequence)
        else:
            self._seen = (incarnation, max(sequence, end.sequence))
            return end.sequence >= sequence
        return True

    async def _purges_end(self) -> End | None:
        end = await self._recent_end()
        return None if end is None else End(end.incarnation, await self.last_purge())

    async def _put_window(self, digest: str, window: Sequence[tuple[int, bytes]]) -> None:
        failed: Sequence[Exception] = ()
        try:
            async with asyncio.TaskGroup() as group:
                for number, piece in window:
                    group.create_task(streams.write_once(self.link, f"{layout.BLOB}.{digest}.{number}", piece))
        except* ReplicaError as errors:
            failed = errors.exceptions
        if failed:
            raise failed[0]

    async def _until_caught_up(self) -> AsyncIterator[None]:
        """Yield again and again for a while: any copy may answer, also one that has not got our last write yet."""
        clock = asyncio.get_running_loop().time
        until = clock() + _CATCH_UP_SECONDS
        while clock() < until:
            yield
            await asyncio.sleep(_CATCH_UP_LOOK)


def _end(page: Page) -> End | None:
    for entry in page.entries:
        if entry.subject == layout.INCARNATION:
            return End(entry.data.decode(errors="replace"), page.up_to)
    return None


def _writes(records: Sequence[Record], expected: Mapping[str, int]) -> list[Write]:
    """Return the batch: each check rides on the record of its subject, or on one that has no check of its own."""
    subjects = {record.subject for record in records}
    if len(subjects) < len(records):
        raise ReplicaError("one commit has two records of the same subject")
    if len(records) > streams.BATCH_LIMIT:
        raise ReplicaError(f"one commit has at most {streams.BATCH_LIMIT} records")
    elsewhere = [(_record(subject), sequence) for subject, sequence in expected.items() if subject not in subjects]
    writes = []
    for record in records:
        if len(record.value) > MAX_RECORD:
            raise ReplicaError(f"the record {record.subject} is larger than {MAX_RECORD} bytes")
        own = expected.get(record.subject)
        checks = (_record(record.subject), own) if own is not None else elsewhere.pop() if elsewhere else None
        writes.append(Write(_record(record.subject), record.value, checks))
    if elsewhere:
        raise ReplicaError("one commit can't expect of more subjects than it has records")
    return writes


def _record(subject: str) -> str:
    if not _SUBJECT.fullmatch(subject):
        raise ReplicaError(f"{subject!r} is no subject of a record: its parts are names of [A-Za-z0-9_-]")
    return f"{layout.RECORD}.{subject}"


def _stored(entry: Entry) -> Stored:
    return Stored(entry.sequence, entry.subject.removeprefix(f"{layout.RECORD}."), entry.data)


def _last_part(subject: str) -> str:
    return subject.rpartition(".")[2]


def _chunks(whole: Entry) -> int:
    try:
        chunks: object = json.loads(whole.data)["chunks"]
    except (ValueError, KeyError, TypeError):
        chunks = None
    if not isinstance(chunks, int) or chunks < 0:
        raise ReplicaError("what NATS says of a blob is damaged: delete it and publish again")
    return chunks


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise ReplicaError(f"{digest!r} is no SHA-256 in hex")
