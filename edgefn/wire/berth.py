"""The connections to one origin: which are idle, who waits for one, and how many there may be."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edgefn.model.errors import OriginFailure
from edgefn.model.origin import Origin
from edgefn.wire.connecting import origin_failed
from edgefn.wire.outbound import OriginConnection


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds. `connections`, `idle` and `waiting` are per origin; `head_bound` is bytes, `tunnel_idle` seconds."""

    connections: int = 512
    idle: int = 128
    waiting: int = 4096
    head_bound: int = 65_536
    tunnel_idle: float = 600.0


@dataclass(slots=True, eq=False)
class _Waiter:
    """`turn` becomes a free connection, or None: the right to open one."""

    turn: "asyncio.Future[OriginConnection | None]"
    origin: Origin
    until: float


class Berth:
    """Implements `Owner` for the connections of one key.

    Who finds none idle opens one; when there are too many, waits in line. A slot is a connection, or one being opened.
    """

    def __init__(self, limits: PoolLimits, uploads: "set[asyncio.Task[None]]") -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._uploads = uploads
        self._connections: dict[OriginConnection, float] = {}  # and until when it is kept, while idle
        self._idle: list[OriginConnection] = []
        self._opening = 0
        self._waiters: deque[_Waiter] = deque()
        self._closed = False
        self.head_bound = limits.head_bound
        self.tunnel_idle = limits.tunnel_idle

    @property
    def idle(self) -> int:
        """Return how many connections are idle."""
        return len(self._idle)

    @property
    def active(self) -> int:
        """Return how many connections serve a request, or are being opened."""
        return len(self._connections) - len(self._idle) + self._opening

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a connection."""
        return len(self._waiters)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing would be lost with it."""
        return not (self._connections or self._opening or self._waiters)

    def take_idle(self) -> OriginConnection | None:
        """Return the idle connection that was used last, the one most likely to be alive still."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.drop()
        return None

    async def take(
        self, origin: Origin, connect: Callable[[], Awaitable[OriginConnection]], *, fresh: bool
    ) -> OriginConnection:
        """Return a connection: an idle one, else the result of `connect`, else the next one to become free.

        `fresh`: only one that `connect` made will do. Raises `OriginError`; what `connect` raises passes through.
        """
        while True:
            idle = None if fresh else self.take_idle()
            if idle is not None:
                return idle
            if len(self._connections) + self._opening < self._limits.connections:
                self._opening += 1
            else:
                offered = await self._wait(origin)
                if offered is not None:
                    if offered.alive and not offered.is_quiet():
                        offered.drop()
                    if not offered.alive:
                        continue
                    if not fresh:
                        return offered
                    self._opening += 1  # its slot stays ours
                    offered.drop()
            return await self._open(connect)

    async def _open(self, connect: Callable[[], Awaitable[OriginConnection]]) -> OriginConnection:
        """Fill the slot that is held already."""
        connection = None
        try:
            connection = await connect()
        finally:
            self._opening -= 1
            if connection is None:
                self._offer_slot()
        self._connections[connection] = 0.0
        return connection

    async def _wait(self, origin: Origin) -> OriginConnection | None:
        if len(self._waiters) >= self._limits.waiting:
            raise origin_failed(OriginFailure.CONNECT, origin, "too many requests wait for a connection")
        turn: asyncio.Future[OriginConnection | None] = self._loop.create_future()
        waiter = _Waiter(turn, origin, self._loop.time() + origin.connect_timeout)
        self._waiters.append(waiter)
        try:
            return await turn
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise

    def _pass_on(self, waiter: _Waiter) -> None:
        """Let the next one have what a cancelled waiter may have got just before."""
        turn = waiter.turn
        if turn.cancelled() or not turn.done():
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        elif turn.exception() is None:
            offered = turn.result()
            if offered is None:
                self._opening -= 1
                self._offer_slot()
            elif offered.alive:
                self.freed(offered, keepalive=waiter.origin.keepalive_timeout)

    def freed(self, connection: OriginConnection, *, keepalive: float) -> None:
        """Give the connection to whoever waits longest, or keep it for later."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.turn.done():
                waiter.turn.set_result(connection)
                return
        if self._closed or keepalive <= 0 or len(self._idle) >= self._limits.idle:
            connection.drop()
            return
        self._connections[connection] = self._loop.time() + keepalive
        self._idle.append(connection)

    def gone(self, connection: OriginConnection) -> None:
        """Forget a connection; its slot is for the next in line."""
        self._connections.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
        self._offer_slot()

    def uploading(self, task: asyncio.Task[None]) -> None:
        """Keep the task until it is done."""
        self._uploads.add(task)
        task.add_done_callback(self._uploads.discard)

    def check(self, now: float) -> None:
        """Enforce all time limits. `now` is loop time."""
        for connection in tuple(self._connections):
            connection.check(now)
        for connection in [idle for idle in self._idle if now >= self._connections[idle]]:
            connection.drop()
        for waiter in [waiter for waiter in self._waiters if now >= waiter.until]:
            self._waiters.remove(waiter)
            if not waiter.turn.done():
                why = f"no connection became free within {waiter.origin.connect_timeout:g} s"
                waiter.turn.set_exception(origin_failed(OriginFailure.CONNECT_TIMEOUT, waiter.origin, why))

    def close(self) -> None:
        """Drop all connections and turn away all who wait."""
        self._closed = True
        for waiter in self._waiters:
            if not waiter.turn.done():
                waiter.turn.set_exception(origin_failed(OriginFailure.CONNECT, waiter.origin, "the pool is closed"))
        self._waiters.clear()
        for connection in tuple(self._connections):
            connection.drop()

    def _offer_slot(self) -> None:
        """Let the first in line open a connection, now that there may be one more."""
        while self._waiters and len(self._connections) + self._opening < self._limits.connections:
            waiter = self._waiters.popleft()
            if not waiter.turn.done():
                self._opening += 1
                waiter.turn.set_result(None)
