"""A response body on its way from the origin into the store, while any number of viewers read it at their own pace.

It is in memory as long as it is small; what is larger goes to disk as it comes, and readers who lag behind get it from
there. When the disk fails, or it becomes larger than the store takes, the viewers still get all of it: from then on the
origin is read no faster than the slowest of them.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

from edgefn.model.errors import EdgeError, OriginError, OriginFailure
from edgefn.model.headers import Headers
from edgefn.model.message import Body
from edgefn.rules.storing import Reason
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.disk.base import Outcome, TooLargeError, Writer

Carry: TypeAlias = Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]

_WINDOW = 1_048_576  # bytes that the fastest reader may be ahead of the slowest one when nothing is kept


@dataclass(frozen=True, slots=True)
class Keeper:
    """What a spool does with what it has."""

    key: str
    """Where the response is stored."""
    head: Stored
    """The response without its body."""
    since: int
    """The number of the latest purge when the fetch began."""
    length: int | None
    """The disk gets exactly so many bytes, or none; None where that is not known."""
    most_in_memory: int
    """Bodies of up to so many bytes go to `keep`, larger ones through `writing` to the disk."""
    keep: Callable[[bytes], object]
    writing: Callable[[], AbstractAsyncContextManager[Writer]]
    superseded: Callable[[], Awaitable[bool]]
    """Says at the end whether something newer is stored already."""
    kept: Callable[[], None]
    """Is told that the disk has it."""
    refused: Callable[[Reason], None]
    """Is told why it is not stored."""
    is_paced: bool = False
    """Whether there is no disk, so that only so much is read ahead of all viewers as is good for memory."""


class Spool:
    """Reads `source` to its end in a task that `carry` starts, unless all readers leave before."""

    def __init__(self, source: Body, keeper: Keeper, carry: "Carry") -> None:
        self.keeper = keeper
        self.source = source
        self._offsets: list[int] = []
        self._chunks: list[bytes] = []
        self._end = 0
        self._writer: Writer | None = None
        self._is_kept = True
        self._is_over = False
        self._error: EdgeError | None = None
        self._readers: set[SpoolReader] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._lagging: asyncio.Future[None] | None = None
        self._task = carry(self._pump())

    @property
    def can_be_joined(self) -> bool:
        """Return whether a newcomer can still have all of it: not once it is over and its last reader is gone."""
        return self._is_kept and self._error is None and not (self._is_over and not self._readers)

    def reader(self) -> "SpoolReader":
        """Return a body that begins at the beginning. The first one must be asked for at once."""
        reader = SpoolReader(self)
        self._readers.add(reader)
        return reader

    # The origin's side

    async def _pump(self) -> None:
        async with AsyncExitStack() as stack:
            try:
                while data := await self.source.read():
                    self._append(data)
                    await self._store(data, stack)
                    await self._stay_in_step()
                await self._complete()
            except EdgeError as error:
                self._finish(error)
            else:
                self._finish()
            finally:
                self._finish(OriginError(OriginFailure.CLOSED, "the transfer was given up"))

    def _finish(self, error: EdgeError | None = None) -> None:
        """End it, once."""
        if self._is_over:
            return
        self._is_over = True
        self._error = error
        if error is not None:
            self._give_up(Reason.INCOMPLETE)
        self.source.close()
        self._wake()
        self._release()

    def _append(self, data: bytes) -> None:
        self._offsets.append(self._end)
        self._chunks.append(data)
        self._end += len(data)
        self._wake()

    async def _store(self, data: bytes, stack: AsyncExitStack) -> None:
        if not self._is_kept:
            return
        try:
            if self._writer is not None:
                await self._writer.write(data)
            elif self._end > self.keeper.most_in_memory or (self.source.length or 0) > self.keeper.most_in_memory:
                self._writer = await stack.enter_async_context(self.keeper.writing())
                for chunk in tuple(self._chunks):
                    await self._writer.write(chunk)
        except StoreError as error:
            self._give_up(Reason.TOO_LARGE if isinstance(error, TooLargeError) else Reason.STORE)
        if self._writer is not None:
            self._forget(self._writer.flushed)

    def _give_up(self, reason: Reason) -> None:
        if self._is_kept:
            self._is_kept = False
            self.keeper.refused(reason)

    def _forget(self, up_to: int) -> None:
        """Drop the chunks that lie wholly before `up_to`."""
        count = bisect_right(self._offsets, up_to) - 1
        if count > 0:
            del self._offsets[:count], self._chunks[:count]

    async def _stay_in_step(self) -> None:
        """Wait for the slowest reader when only we have what it lacks, for the fastest at most while it is kept."""
        while self._is_ahead():
            self._lagging = asyncio.get_running_loop().create_future()
            await self._lagging

    def _is_ahead(self) -> bool:
        places = [reader.at for reader in self._readers] or [self._end]
        if self._is_kept:
            return self.keeper.is_paced and self._end - max(places) > _WINDOW
        slowest = min(places)
        self._forget(slowest)
        return bool(self._offsets) and self._end - max(slowest, self._offsets[0]) > _WINDOW

    async def _complete(self) -> None:
        """Store it, if it is as long as it said. Raises `OriginError`."""
        if self.source.length not in {None, self._end}:
            raise OriginError(OriginFailure.CLOSED, "the body was not as long as it had announced")
        if not self._is_kept:
            return
        if self._writer is None:
            self.keeper.keep(b"".join(self._chunks))
            return
        if self.keeper.length not in {None, self._end}:
            self._give_up(Reason.INCOMPLETE)
            return
        if await self.keeper.superseded():
            self._give_up(Reason.SUPERSEDED)
            return
        try:
            outcome = await self._writer.commit()
        except StoreError:
            self._give_up(Reason.STORE)
            return
        match outcome:
            case Outcome.STORED:
                self.keeper.kept()
            case Outcome.SUPERSEDED:
                self._give_up(Reason.SUPERSEDED)
            case Outcome.PURGED:
                self._give_up(Reason.INVALIDATED)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    # The viewers' side

    async def read_at(self, at: int) -> bytes:
        """Return some of the bytes from there on, `b""` at the end. Raises what the source raises, and `StoreError`."""
        while True:
            if at < self._end:
                if self._offsets and at >= self._offsets[0]:
                    index = bisect_right(self._offsets, at) - 1
                    return self._chunks[index][at - self._offsets[index] :]
                if self._writer is not None:
                    return await self._writer.read(at)
            if self._error is not None:
                raise self._error
            if self._is_over:
                return b""
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def moved(self) -> None:
        """Take note that a reader has come further."""
        if self._lagging is not None and not self._lagging.done():
            self._lagging.set_result(None)

    def leave(self, reader: "SpoolReader") -> None:
        """Take note that a reader is gone. When all are, the origin is left alone."""
        self._readers.discard(reader)
        self.moved()
        if not self._readers and not self._is_over:
            self._task.cancel()
            self._finish(OriginError(OriginFailure.CLOSED, "the transfer was given up"))
        self._release()

    def _release(self) -> None:
        if self._is_over and not self._readers:
            self._offsets, self._chunks = [], []
            if self._writer is not None:
                self._writer.release()


class SpoolReader:
    """A `Body` that follows a spool."""

    def __init__(self, spool: Spool) -> None:
        self.at = 0
        self.length = spool.source.length
        self._spool: Spool | None = spool

    @property
    def trailers(self) -> Headers:
        """The trailer fields; known at the end."""
        return Headers() if self._spool is None else self._spool.source.trailers

    def buffered(self) -> bytes | None:
        """Take nothing: it is still coming."""
        return None

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises what the source raises, and `StoreError`."""
        if self._spool is None:
            return b""
        data = await self._spool.read_at(self.at)
        self.at += len(data)
        self._spool.moved()
        return data

    def close(self) -> None:
        """Give up the rest."""
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.leave(self)
