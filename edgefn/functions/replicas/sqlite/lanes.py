"""Threads for what waits for the disk: one that writes, some that read. All waiting is bounded, in number and time."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from edgefn.functions.replicas.base import UnavailableError, UnknownOutcomeError
from edgefn.functions.replicas.sqlite.database import connected, translated

_READERS = 2
_MOST_WAITING = 512
_PATIENCE = 20.0

T = TypeVar("T")


class Lane:
    """Threads, each with a connection of its own."""

    def __init__(self, directory: Path, name: str, threads: int) -> None:
        self._directory = directory
        self._pool = ThreadPoolExecutor(threads, f"edgefn-replica-{name}")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._waiting = 0

    async def query(self, job: Callable[[sqlite3.Connection], T], *, changes: bool = False) -> T:
        """Return what `job` returns. Raises `ReplicaError`; when it takes too long, by whether it `changes` things."""
        return await self.run(lambda: self._with_connection(job), changes=changes)

    async def run(self, job: Callable[[], T], *, changes: bool = False) -> T:
        """Return what `job`, which needs no connection, returns. Raises `ReplicaError` likewise."""
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("too many wait for the disk; try again")
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, job)
        except RuntimeError as error:
            raise UnavailableError("the replica is closed") from error
        self._waiting += 1
        future.add_done_callback(self._ended)
        done, _ = await asyncio.wait((future,), timeout=_PATIENCE)
        if done:
            return future.result()
        late = f"{self._directory}: the disk takes longer than {_PATIENCE:g} s"
        raise UnknownOutcomeError(late) if changes else UnavailableError(late)

    def _with_connection(self, job: Callable[[sqlite3.Connection], T]) -> T:
        with translated(self._directory):
            known: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if known is None:
                known = self._local.connection = connected(self._directory)
                self._connections.append(known)
            return job(known)

    def _ended(self, future: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # looked at, in case that nobody waits for it any more

    async def close(self) -> None:
        """Take no more, and end what was begun. A disk that hangs keeps its thread."""
        self._pool.shutdown(wait=False)
        future = asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        done, _ = await asyncio.wait((future,), timeout=_PATIENCE)
        if done:
            for connection in self._connections:
                connection.close()
            self._connections.clear()


def reading_lane(directory: Path) -> Lane:
    """Return a lane of some threads."""
    return Lane(directory, "read", _READERS)


def writing_lane(directory: Path) -> Lane:
    """Return a lane of one thread: writers would only wait for each other."""
    return Lane(directory, "write", 1)
