"""All origins of one worker: `Pool.send` turns a request into its response."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edgefn.model.errors import EdgeError, OriginError, OriginFailure
from edgefn.model.message import Request, Response
from edgefn.model.origin import Origin
from edgefn.model.trail import OriginAttempt
from edgefn.wire.berth import Berth, PoolLimits
from edgefn.wire.connecting import Connector, OriginKey, origin_failed, origin_key
from edgefn.wire.outbound import OriginConnection, UnheardError
from edgefn.wire.request_head import chunk, last_chunk, request_head

_TICK = 0.1  # seconds: how coarse all time limits but the connecting are
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 section 9.2.2
_CONNECT_AGAIN = frozenset({OriginFailure.CONNECT, OriginFailure.CONNECT_TIMEOUT})

Attempted = Callable[[OriginAttempt], None]


@dataclass(frozen=True, slots=True)
class OriginStatistics:
    """The connections to one origin, and the requests that wait for one."""

    address: str
    domain: str
    active: int
    idle: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A snapshot of all origins."""

    origins: tuple[OriginStatistics, ...]


class Pool:
    """Lives and dies with one event loop. `send` may be called any number of times at once."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(self._loop)
        self._berths: dict[OriginKey, Berth] = {}
        self._uploads: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, request: Request, origin: Origin, attempt: Attempted) -> Response:
        """Return the origin's response as soon as its head is here; its body must be read or closed.

        `attempt` hears of each try. Raises `OriginError`, and what reading the request's body raises. The request
        is sent again only where the origin can't see it twice, or may (RFC 9110 section 9.2.2).
        """
        head = request_head(request, origin.path)
        berth = self._berths.get(origin_key(origin)) or self._new_berth(origin)
        connection = berth.take_idle() or await self._take(origin, attempt, fresh=False)
        try:
            content = _content(request)
        except EdgeError:
            connection.drop()
            raise
        try:
            return await self._exchange(connection, (request, origin, head, content), attempt)
        except UnheardError:
            if content is None or request.method not in _IDEMPOTENT:
                raise
        connection = await self._take(origin, attempt, fresh=True)
        return await self._exchange(connection, (request, origin, head, content), attempt)

    def take_now(self, key: OriginKey) -> OriginConnection | None:
        """Return an idle connection, whose `begin` is to be called at once; None when there is none."""
        berth = self._berths.get(key)
        return None if berth is None else berth.take_idle()

    async def close(self) -> None:
        """Drop all connections; whoever waits for a response gets an `OriginError`."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        for berth in tuple(self._berths.values()):
            berth.close()
        self._connector.close()
        if self._uploads:
            await asyncio.wait(self._uploads)

    def statistics(self) -> PoolStatistics:
        """Return how many connections there are to which origin."""
        return PoolStatistics(
            tuple(
                OriginStatistics(key.address, key.domain, berth.active, berth.idle, berth.waiting)
                for key, berth in self._berths.items()
            )
        )

    async def _exchange(
        self, connection: OriginConnection, asked: tuple[Request, Origin, bytes, bytes | None], attempt: Attempted
    ) -> Response:
        request, origin, head, content = asked
        started = self._loop.time()
        reused = connection.served > 0
        answer = connection.ask(request, origin, head, content)
        try:
            response = await answer
        except asyncio.CancelledError:
            connection.abandon(answer)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, though by nobody
            raise
        except OriginError as error:
            attempt(OriginAttempt(origin.id, error.failure.value, self._loop.time() - started, reused))
            raise
        attempt(OriginAttempt(origin.id, str(response.status), self._loop.time() - started, reused))
        return response

    async def _take(self, origin: Origin, attempt: Attempted, *, fresh: bool) -> OriginConnection:
        berth = self._berths.get(origin_key(origin)) or self._new_berth(origin)

        async def connect() -> OriginConnection:
            return await self._connect(berth, origin, attempt)

        return await berth.take(origin, connect, fresh=fresh)

    async def _connect(self, berth: Berth, origin: Origin, attempt: Attempted) -> OriginConnection:
        """Return a new connection; nothing of the request is out yet, so every method may try again."""
        for number in range(max(1, origin.connection_attempts) - 1):
            try:
                return await self._connect_once(berth, origin, attempt, number)
            except OriginError as error:
                if error.failure not in _CONNECT_AGAIN:
                    raise
        return await self._connect_once(berth, origin, attempt, max(1, origin.connection_attempts) - 1)

    async def _connect_once(self, berth: Berth, origin: Origin, attempt: Attempted, number: int) -> OriginConnection:
        started = self._loop.time()
        try:
            connection = await self._connector.connect(origin, number, lambda: OriginConnection(berth))
            if self._closed or not connection.alive:
                connection.drop()
                raise origin_failed(OriginFailure.CONNECT, origin, "the connection was closed at once")
        except OriginError as error:
            attempt(OriginAttempt(origin.id, error.failure.value, self._loop.time() - started, reused=False))
            raise
        return connection

    def _new_berth(self, origin: Origin) -> Berth:
        if self._closed:
            raise origin_failed(OriginFailure.CONNECT, origin, "the pool is closed")
        berth = self._berths[origin_key(origin)] = Berth(self._limits, self._uploads)
        if self._ticking is None:
            self._ticking = self._loop.call_later(_TICK, self._tick)
        return berth

    def _tick(self) -> None:
        now = self._loop.time()
        for key, berth in tuple(self._berths.items()):
            berth.check(now)
            if berth.is_empty:
                del self._berths[key]
        self._ticking = self._loop.call_later(_TICK, self._tick) if self._berths else None


def _content(request: Request) -> bytes | None:
    """Return the whole body as it goes out, if it is here already."""
    body = request.body
    length = body.length
    if length == 0:
        return b""
    data = body.buffered()
    if data is None:
        return None
    if length is not None:
        if len(data) != length:
            raise EdgeError("the request body is not as long as it said")
        return data
    return (chunk(data) if data else b"") + last_chunk(body.trailers)
