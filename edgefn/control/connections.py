"""Connections of the control API: who says nothing is sent away, and what is no HTTP is told of without its bytes."""

import asyncio
import logging
import math
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from edgefn.control.faults import FaultError

HEAD_PATIENCE: Final = 10.0
"""Seconds until the head of the first request must be there."""

MOST_CONNECTIONS: Final = 256
_CROWDED: Final = 0.1
"""Seconds for one connection more; none would come before there is a transport to close."""

_BACKLOG: Final = 128


class _Handler(web.RequestHandler):
    """A connection that does not tell strangers which software, of which version, answers what is no HTTP."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return aiohttp's answer under our name."""
        answer = super().handle_error(request, status, exc, message)
        answer.headers["Server"] = "edgefn"
        return answer


class Connections:
    """The listening socket of the control API, and the connections of which no request has come yet.

    aiohttp waits for ever for the first head: without this, whoever reaches the port could use up all descriptors.
    """

    def __init__(self, server: web.Server, patience: float) -> None:
        self._make = server
        self._patience = patience
        self._silent: set[web.RequestHandler] = set()
        self._listening: asyncio.Server | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Listen, in clear without `tls`. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        patience = None if tls is None else self._patience
        self._listening = await loop.create_server(
            self._made, host, port, ssl=tls, ssl_handshake_timeout=patience, backlog=_BACKLOG
        )

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return (ip, port) of each listening socket."""
        sockets = () if self._listening is None else self._listening.sockets
        return [socket.getsockname()[:2] for socket in sockets]

    def heard(self, request: web.Request) -> None:
        """Take note that a whole head has come."""
        self._silent.discard(request.protocol)

    def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.close()

    def _made(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        protocol = _Handler(self._make, loop=loop, access_log=_NO_LOG, auto_decompress=False, logger=WIRE_LOG)
        self._silent.add(protocol)
        is_crowded = len(self._make.connections) >= MOST_CONNECTIONS
        asyncio.get_running_loop().call_later(_CROWDED if is_crowded else self._patience, self._part_with, protocol)
        return protocol

    def _part_with(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            if protocol.transport is not None:
                protocol.transport.abort()


@dataclass(slots=True)
class Ration:
    """So many lines in each window of seconds; what is more is counted. Strangers could fill the disk otherwise."""

    most: int = 60
    window: float = 60.0
    _begin: float = -math.inf
    _taken: int = 0
    _left_out: int = 0

    def take(self, now: float) -> int | None:
        """Return how many were left out since the last one; None for one that is too much."""
        if now - self._begin >= self.window:
            self._begin, self._taken = now, 0
        if self._taken >= self.most:
            self._left_out += 1
            return None
        self._taken += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


@contextmanager
def broken_bodies() -> Iterator[None]:
    """Turn what aiohttp raises for a body that is not what it says into a refusal."""
    try:
        yield
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise FaultError(400, "broken-body", "the body breaks off, or is not framed as its headers say") from error


class WithoutBytes(logging.Filter):
    """Leaves out what came: aiohttp's words show the broken line, and that may be the one with the token."""

    def __init__(self) -> None:
        super().__init__()
        self._ration = Ration()

    def filter(self, record: logging.LogRecord) -> bool:
        """Put words of ours in the place of aiohttp's; return False for a record too many."""
        kind = "" if not record.exc_info or record.exc_info[0] is None else f" ({record.exc_info[0].__name__})"
        record.msg, record.args = f"control API: a connection failed, or something came that is no request{kind}", ()
        record.exc_info = record.exc_text = record.stack_info = None
        return self._ration.take(record.created) is not None


WIRE_LOG: Final = logging.getLogger("edgefn.control.wire")
"""Where aiohttp tells of what is no HTTP."""

_NO_LOG: Final = logging.getLogger("edgefn.control.access")
"""Requests are not logged: the audit log tells of those that change something."""

_NO_LOG.setLevel(logging.CRITICAL)
WIRE_LOG.addFilter(WithoutBytes())
