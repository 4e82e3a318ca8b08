"""Threads for what may wait for the disk: some that read, and one that writes to the index.

What waits to be written is written together, in one transaction: under load that is what makes it fast, and it takes
the lock that other processes want less often. All waiting is bounded, in number and in time.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from edgefn.stores.base import StoreError
from edgefn.stores.disk.changes import Changes
from edgefn.stores.disk.epochs import Epochs
from edgefn.stores.disk.files import BodyFiles, free_space
from edgefn.stores.disk.health import Doing, Health
from edgefn.stores.disk.known import Known
from edgefn.stores.disk.schema import PAGE, connected

_READERS = 4  # threads
_MOST_READS = 1_024  # that wait at one time
_MOST_WRITES = 4_096
_BATCH = 128  # writes in one transaction
_PATIENCE = 20.0  # seconds that anybody waits for a thread
_EVICTIONS = 64  # transactions in a row that only evict
_MOST_USED = 256  # entries that are noted as used before that alone is worth a transaction
_GIVEN_BACK = 8  # times in a row, and pages each time, that the index gives room back to the file system
_PAGES_AT_ONCE = 64

T = TypeVar("T")


async def _patiently(future: asyncio.Future[T]) -> T:
    """Wait for what a thread does. It goes on doing it when nobody waits any more."""
    done, _ = await asyncio.wait((future,), timeout=_PATIENCE)
    if not done:
        raise StoreError("the disk takes too long")
    return future.result()


class ReadLane:
    """Reads the index, and reads and writes the files of bodies."""

    def __init__(self, directory: Path, health: Health) -> None:
        self._directory = directory
        self._health = health
        self._pool = ThreadPoolExecutor(_READERS, "edgefn-disk-read")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._waiting = 0

    async def query(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `job` finds in the index. Raises `StoreError`."""
        return await self.run(lambda: job(self._connection()))

    async def run(
        self, job: Callable[[], T], undo: Callable[[T], object] | None = None, doing: Doing = Doing.READING
    ) -> T:
        """Return what `job` returns; when nobody waits for that any more, `undo` gets it. Raises `StoreError`."""
        future = self.begin(job, doing)
        try:
            return await _patiently(future)
        except (asyncio.CancelledError, StoreError):
            if undo is not None:
                future.add_done_callback(lambda done: _undo(done, undo))
            raise

    def begin(self, job: Callable[[], T], doing: Doing) -> asyncio.Future[T]:
        """Start `job`, whether anybody waits for it or not. Raises `StoreError`."""
        if self._waiting >= _MOST_READS:
            raise StoreError("too many wait for the disk")
        self._waiting += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._watched, job, doing)
        except RuntimeError as error:  # it is closed
            self._waiting -= 1
            raise StoreError("the store is closed") from error
        future.add_done_callback(self._ended)
        return future

    def _watched(self, job: Callable[[], T], doing: Doing) -> T:
        with self._health.watching(doing):
            return job()

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is None:
            known = self._local.connection = connected(self._directory)
            self._connections.append(known)
        return known

    def _ended(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # looked at, in case that nobody waits for it any more

    def close(self) -> None:
        """Wait for the threads, and end them. For a thread that may wait."""
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()


def _undo(done: asyncio.Future[T], undo: Callable[[T], object]) -> None:
    if not done.cancelled() and done.exception() is None:
        undo(done.result())


class _Waiting(Protocol):
    """What waits to be done to the index."""

    is_durable: bool

    def run(self, changes: Changes) -> None:
        """Do it, in the thread."""

    def end(self, error: StoreError | None) -> None:
        """Tell who waits, in the event loop."""


class _Task(Generic[T]):
    """One job, and who waits for it."""

    def __init__(self, job: Callable[[Changes], T], *, is_durable: bool) -> None:
        self.is_durable = is_durable
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._job = job
        self._results: list[T] = []

    def run(self, changes: Changes) -> None:
        self._results = [self._job(changes)]

    def end(self, error: StoreError | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(self._results[0])
        else:
            self.future.set_exception(error)
            self.future.exception()  # looked at, in case that nobody waits for it any more


class WriteLane:
    """Changes the index, and keeps all that is stored below `capacity` bytes, and within what the disk has room for."""

    def __init__(
        self, directory: Path, capacity: int, files: BodyFiles, epochs: Epochs, known: Known, health: Health
    ) -> None:
        self._known = known
        self._directory = directory
        self._capacity = capacity
        self._epochs = epochs
        self._files = files
        self._health = health
        self._pool = ThreadPoolExecutor(1, "edgefn-disk-write")
        self._db = connected(directory)
        self._waiting: deque[_Waiting] = deque()
        self._running: asyncio.Future[None] | None = None
        self._used: set[int] = set()
        self._is_closed = False

    def use(self, number: int) -> None:
        """Note that an entry is used: with what is written next, or when there are many to note."""
        self._used.add(number)
        if len(self._used) >= _MOST_USED and self._running is None and not self._is_closed:
            self._start()

    async def do(self, job: Callable[[Changes], T], *, durable: bool = False) -> T:
        """Return what `job` returns, once its transaction is committed; a durable one outlives a power cut.

        Raises `StoreError`.
        """
        return await _patiently(self.begin(job, durable=durable))

    def begin(self, job: Callable[[Changes], T], *, durable: bool = False) -> asyncio.Future[T]:
        """Have `job` done, whether anybody waits for it or not. Raises `StoreError`."""
        if self._is_closed or len(self._waiting) >= _MOST_WRITES:
            raise StoreError("the store is closed" if self._is_closed else "too many wait for the disk")
        task = _Task(job, is_durable=durable)
        self._waiting.append(task)
        if self._running is None:
            self._start()
        return task.future

    def _start(self) -> None:
        tasks = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        used, self._used = self._used, set()
        self._running = asyncio.get_running_loop().run_in_executor(self._pool, self._transact, tasks, used)
        self._running.add_done_callback(lambda done: self._ended(tasks, done))

    def _ended(self, tasks: Sequence[_Waiting], done: asyncio.Future[None]) -> None:
        self._running = None
        if self._waiting:
            self._start()
        error = StoreError("given up") if done.cancelled() else done.exception()
        for task in tasks:
            task.end(error if error is None or isinstance(error, StoreError) else StoreError(repr(error)))

    def _transact(self, tasks: Sequence[_Waiting], used: Collection[int]) -> None:
        """Do them all, or none. In the thread."""
        with self._health.watching(Doing.WRITING_INDEX):
            self._db.execute(f"PRAGMA synchronous={'FULL' if any(task.is_durable for task in tasks) else 'NORMAL'}")
            fits = self._committed(tasks, used)
            for _ in range(_EVICTIONS):
                if fits:
                    break
                fits = self._committed((), ())
            if self._capacity:
                self._give_back()

    def _committed(self, tasks: Sequence[_Waiting], used: Collection[int]) -> bool:
        """Do them in one transaction, with as much eviction as one may have; return whether that was enough."""
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        try:
            changes = Changes(self._db)
            for task in tasks:
                task.run(changes)
            changes.touch(used)
            bound = self._bound(changes.size)
            changes.evict(bound)
            changes.settle()
            run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                run("ROLLBACK")
            raise
        if changes.epoch:
            self._epochs.announce(changes.epoch)
        self._known.mark(changes.places)
        self._files.remove(changes.files)
        return changes.size <= bound

    def _bound(self, size: int) -> int:
        """Return how many bytes all entries may take; it is not the capacity where the file system has less room.

        `size` is what they take now. Some room is left: what is evicted is written down first.
        """
        if not self._capacity:
            return 0
        unused: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return min(self._capacity, max(0, size + unused * PAGE + free_space(self._directory)))

    def _give_back(self) -> None:
        """Let files have some of what the index does not use, where the file system has no more room for them."""
        for _ in range(_GIVEN_BACK):
            if free_space(self._directory) >= 0 or not self._db.execute("PRAGMA freelist_count").fetchone()[0]:
                break
            self._db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
            self._db.execute("PRAGMA wal_checkpoint").fetchall()

    async def close(self) -> None:
        """Take no more, end what was begun, and let go of the index. A disk that hangs keeps its thread."""
        self._is_closed = True
        while self._running is not None:
            done, _ = await asyncio.wait({self._running}, timeout=_PATIENCE)
            if not done:
                return
            await asyncio.sleep(0)  # for what is told when it has ended
        self._pool.shutdown()
        self._db.close()
