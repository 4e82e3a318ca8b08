"""Short words for the stories about origins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from edgefn.model.errors import EdgeError, OriginError, OriginFailure
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import Body, Request, Response, Viewer, no_body
from edgefn.model.origin import Origin
from edgefn.model.trail import OriginAttempt, Trail
from edgefn.wire.berth import PoolLimits
from edgefn.wire.pool import Pool
from tests.fakes.scripted_origin import ScriptedOrigin

VIEWER = Viewer("192.0.2.1", 50_000)


def asking(
    method: str = "GET",
    path: str = "/",
    *lines: tuple[str, str],
    body: Body | None = None,
    query: str | None = None,
) -> Request:
    """Return a request as the floors above would hand it down."""
    headers = Headers((("Host", "app.example"), *lines))
    return Request(method, path, query, headers, no_body() if body is None else body, VIEWER, "id", Trail())


class Dripping:
    """A request body that comes in pieces, each when its turn comes; then trailers, or an error."""

    def __init__(
        self,
        *pieces: bytes | asyncio.Event,
        length: int | None = None,
        trailers: Headers = NO_HEADERS,
        error: EdgeError | None = None,
    ) -> None:
        self._pieces = list(pieces)
        self._error = error
        self.length = length
        self.trailers = trailers
        self.closed = False

    def buffered(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        while self._pieces:
            piece = self._pieces.pop(0)
            if isinstance(piece, bytes):
                return piece
            await piece.wait()
        if self._error is not None:
            raise self._error
        return b""

    def close(self) -> None:
        self.closed = True


class Asker:
    """A pool and one origin. `attempts` is what the pool told of its tries."""

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self.pool = pool
        self.origin = origin
        self.attempts: list[OriginAttempt] = []

    async def send(self, request: Request | None = None, **changes: object) -> Response:
        """Send a request (a GET of / if none is told) to the origin, with changed settings."""
        origin = replace(self.origin, **changes)  # type: ignore[arg-type]  # each test names fields of Origin
        async with asyncio.timeout(10):
            return await self.pool.send(asking() if request is None else request, origin, self.attempts.append)

    async def get(self, **changes: object) -> bytes:
        """Return the content of /."""
        return await content(await self.send(**changes))

    async def failure(self, request: Request | None = None, **changes: object) -> tuple[OriginFailure, str]:
        """Return how sending failed, and why."""
        try:
            response = await self.send(request, **changes)
        except OriginError as error:
            return error.failure, str(error)
        raise AssertionError(f"the origin did answer: {response}")

    @property
    def outcomes(self) -> list[str]:
        """Return the outcome of each try."""
        return [attempt.outcome for attempt in self.attempts]

    @property
    def connections(self) -> tuple[int, int]:
        """Return how many connections are active and idle."""
        origins = self.pool.statistics().origins
        return sum(each.active for each in origins), sum(each.idle for each in origins)

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a connection."""
        return sum(each.waiting for each in self.pool.statistics().origins)


@asynccontextmanager
async def asker(scripted: ScriptedOrigin, limits: PoolLimits | None = None, **settings: object) -> AsyncIterator[Asker]:
    """Run a pool whose origin `app` is the scripted one."""
    pool = Pool(limits)
    origin = Origin("app", "127.0.0.1", scripted.port, response_timeout=5.0)
    try:
        yield Asker(pool, replace(origin, **settings))  # type: ignore[arg-type]  # each test names fields of Origin
    finally:
        await pool.close()


async def content(response: Response) -> bytes:
    """Return the whole content of a response."""
    pieces = []
    async with asyncio.timeout(10):
        while piece := await response.body.read():
            pieces.append(piece)
    return b"".join(pieces)
