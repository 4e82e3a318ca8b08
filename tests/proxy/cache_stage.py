"""The stage for stories about one route's cache: a clock to turn, an origin to script, bodies that arrive on demand."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import NO_HEADERS, Headers, Line
from edgefn.model.message import Body, BytesBody, Request, Response, Viewer, no_body
from edgefn.model.settings import CachePolicy
from edgefn.model.trail import Result, Trail
from edgefn.proxy.background import Background
from edgefn.proxy.cache import Cache
from edgefn.proxy.flights import Flights
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.memory import MemoryStore
from edgefn.stores.stock import Stock

NOW = 1_780_000_000.0
FRESH = ("Cache-Control", "max-age=60")
BROKEN = OriginError(OriginFailure.CLOSED, "the origin broke off")


class Clock:
    """Wall-clock seconds that pass when told to."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time

    def passes(self, seconds: float) -> None:
        self.time += seconds


class ArrivingBody:
    """A body whose bytes arrive when the test says so."""

    def __init__(self, length: int | None = None) -> None:
        self.length = length
        self.trailers = NO_HEADERS
        self.is_closed = False
        self._arrivals: asyncio.Queue[bytes | OriginError] = asyncio.Queue()

    def arrives(self, *parts: bytes | OriginError) -> None:
        for part in parts:
            self._arrivals.put_nowait(part)

    def buffered(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        part = await self._arrivals.get()
        if isinstance(part, OriginError):
            raise part
        return part

    def close(self) -> None:
        self.is_closed = True


def asking(
    target: str = "/a", *headers: Line, method: str = "GET", body: Body | None = None, host: str = "shop.test"
) -> Request:
    path, mark, query = target.partition("?")
    lines = Headers([("Host", host), *headers])
    return Request(
        method, path, query if mark else None, lines, body or no_body(), Viewer("127.0.0.1", 5), "id", Trail()
    )


def saying(text: str | Body = "hello", *headers: Line, status: int = 200, from_origin_error: bool = False) -> Response:
    body = BytesBody(text.encode()) if isinstance(text, str) else text
    return Response(status, "", Headers(headers), body, from_origin_error, status)


def controlled(value: str) -> Line:
    return ("Cache-Control", value)


@dataclass
class Origin:
    """Answers as scripted, and remembers what it was asked. While it is `closed`, it lets its viewers wait."""

    says: Callable[[Request], Response] = lambda request: saying("hello", FRESH)
    asked: list[Request] = field(default_factory=list)
    closed: bool = False
    _waiting: list["asyncio.Future[None]"] = field(default_factory=list)

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if self.closed:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        return self.says(request)

    def answers_next(self, error: Exception | None = None) -> None:
        """Let the one that has waited longest have its answer."""
        turn = self._waiting.pop(0)
        if turn.cancelled():
            self.answers_next(error)
        elif error is not None:
            turn.set_exception(error)
        else:
            turn.set_result(None)

    def opens(self) -> None:
        """Answer all, from now on at once."""
        self.closed = False
        while self._waiting:
            turn = self._waiting.pop(0)
            if not turn.done():
                turn.set_result(None)


@dataclass
class Told:
    """What a viewer got, and what the trail says of it."""

    status: int
    text: str
    headers: Headers
    result: Result
    cache: str
    reason: str

    @property
    def cache_status(self) -> str:
        return self.headers.joined("cache-status") or ""


class Stage:
    """One route with its cache."""

    def __init__(self, policy: CachePolicy | None = None, patience: float = 30.0, capacity: int = 2**20) -> None:
        self.clock = Clock()
        self.origin = Origin()
        self.store = MemoryStore(capacity)
        self.stock = Stock(self.store, LocalLedger(), None, self.clock)
        self.flights = Flights(patience, self.stock.epoch)
        self.stock.follow(self.flights.purged)
        self.background = Background()
        self.cache = Cache(self.stock, policy or CachePolicy(), self.flights, self.clock, self.background)

    async def get(self, request: Request | None = None) -> Told:
        """Return what the viewer of `request` gets, read to its end."""
        request = request or asking()
        response = await self.cache.serve(request, self.origin)
        parts: list[bytes] = []
        while part := await response.body.read():
            parts.append(part)
        trail = request.trail
        text = b"".join(parts).decode()
        return Told(response.status, text, response.headers, trail.result, trail.cache, trail.cache_reason)

    async def later(self, seconds: float, request: Request | None = None) -> Told:
        """Let time pass, then return what a viewer gets."""
        self.clock.passes(seconds)
        return await self.get(request)

    async def get_or_error(self, request: Request | None = None) -> Told | str:
        """Return what a viewer gets, or what went wrong at the origin."""
        try:
            return await self.get(request)
        except OriginError as error:
            return str(error)

    def fails(self, failure: OriginFailure = OriginFailure.CONNECT) -> None:
        """Let the origin be out of reach from now on."""

        def gone(request: Request) -> Response:
            raise OriginError(failure, "gone")

        self.origin.says = gone

    def says(self, text: str, *headers: Line, status: int = 200) -> None:
        """Let the origin answer so from now on."""
        self.origin.says = lambda request: saying(text, *headers, status=status, from_origin_error=status >= 400)

    async def get_all(self, group: asyncio.TaskGroup, requests: Iterable[Request]) -> list["asyncio.Task[Told]"]:
        """Return the viewers of `requests`, each on its way as far as it gets."""
        viewers = [group.create_task(self.get(request)) for request in requests]
        await settled()
        return viewers


async def settled() -> None:
    """Let all that can go on without the test go on."""
    for _ in range(20):
        await asyncio.sleep(0)
