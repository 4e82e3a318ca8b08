"""All viewer connections of a worker, and the tasks that answer on them: who owns, cancels and awaits them."""

import asyncio
from collections.abc import Coroutine
from enum import Enum, auto
from typing import Protocol

from edgefn.model.message import Viewer
from edgefn.model.settings import ViewerLimits
from edgefn.wire.application import Application


class State(Enum):
    """What a connection is up to."""

    OPEN = auto()
    LINGERING = auto()  # all is said; reading on for a moment, lest a reset overtakes the answer (RFC 9112 9.6)
    CLOSED = auto()


class Connection(Protocol):
    """What the registry asks of a connection."""

    def adopt(self, application: Application, limits: ViewerLimits) -> None:
        """Use these from the next request on."""

    def shut_down(self) -> None:
        """Close at once when idle, else after the answer that is under way."""

    def abort(self) -> None:
        """Drop the connection, whatever it is doing."""


class Connections:
    """Parent of every connection and of every task on one."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        """Take in a new connection; one that comes while draining is told to end at once."""
        self._open.add(connection)
        self._empty.clear()
        if self._draining:
            connection.shut_down()

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is lost."""
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    def run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start `work` as a task of ours; whatever it raises but `CancelledError` is reported as a bug."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def adopt(self, application: Application, limits: ViewerLimits) -> None:
        """Hand new settings to every connection."""
        for connection in self._open:
            connection.adopt(application, limits)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  # what happens at the timeout is the point
        """Let busy connections finish for `timeout` seconds, abort the rest, and return when all tasks are over."""
        self._draining = True
        for connection in tuple(self._open):
            connection.shut_down()
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            pass
        finally:
            await self._end()

    async def _end(self) -> None:
        for connection in tuple(self._open):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            loop = task.get_loop()
            loop.call_exception_handler({"message": "answering a viewer failed", "exception": error, "task": task})


def viewer_of(transport: asyncio.Transport) -> Viewer:
    """Return who is at the other end; over a Unix socket an address of "" and 0."""
    peer: object = transport.get_extra_info("peername")
    ip, port = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)
    cipher: object = transport.get_extra_info("cipher")
    tls = (str(cipher[1]), str(cipher[0])) if isinstance(cipher, tuple) else None
    return Viewer(ip, port, tls)
