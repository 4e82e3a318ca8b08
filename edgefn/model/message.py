"""Requests and responses, as every floor above the wire sees them.

Framing is not here: `wire` derives Content-Length, Transfer-Encoding and Connection from the body.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.hot import hot_dataclass
from edgefn.model.origin import Origin
from edgefn.model.origin_choice import OriginChoice
from edgefn.model.trail import Trail


class Body(Protocol):
    """A message body, read once, from front to back. Whoever holds it must read it to its end or close it."""

    @property
    def length(self) -> int | None:
        """Its bytes in all, when known before it is read; 0 for no body."""

    @property
    def trailers(self) -> Headers:
        """The trailer fields; known once the body has been read to its end."""

    def buffered(self) -> bytes | None:
        """Take the whole body if it needs no waiting, else None and nothing is taken."""

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end.

        Raises an `EdgeError` when the sender broke off, was too slow, or broke the framing.
        """

    def close(self) -> None:
        """Give up the rest. Harmless after the end and when repeated."""


class BytesBody:
    """A body that is all here."""

    __slots__ = ("_data", "length", "trailers")

    def __init__(self, data: bytes, trailers: Headers = NO_HEADERS) -> None:
        self._data = data
        self.length: int | None = len(data)
        self.trailers = trailers

    def buffered(self) -> bytes | None:
        """Take what is left."""
        data, self._data = self._data, b""
        return data

    async def read(self) -> bytes:
        """Return what is left, then `b""`."""
        data, self._data = self._data, b""
        return data

    def close(self) -> None:
        """Drop what is left."""
        self._data = b""


def no_body() -> Body:
    """Return a body of no bytes."""
    return BytesBody(b"")


class Duplex(Protocol):
    """The far side of an upgraded connection (RFC 9110 section 7.8): bytes both ways until one side ends."""

    async def read(self) -> bytes:
        """Return the next bytes, `b""` once the far side has ended."""

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting while the far side is slow."""

    def end(self) -> None:
        """Say that no more will be written."""

    def close(self) -> None:
        """Drop the connection."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, by the connection. `tls` is None on a plain one, else `(version, cipher)`."""

    ip: str
    port: int
    tls: tuple[str, str] | None = None


Interim = Callable[[int, Headers], None]
"""Sends one 1xx response (status, fields) to the viewer at once."""


def drop_interim(status: int, headers: Headers) -> None:
    """Send nothing."""
    del status, headers


@hot_dataclass(frozen=True, slots=True)
class Request:
    """One request. `query` is the raw text behind `?`, None when there was no `?`.

    `origin` is where it is bound, from origin-request on; `choice` is what a viewer-request function wants instead of
    the route's. `id` is X-Amz-Cf-Id. `version` is "1.1" or "1.0".
    """

    method: str
    path: str
    query: str | None
    headers: Headers
    body: Body
    viewer: Viewer
    id: str
    trail: Trail
    version: str = "1.1"
    origin: Origin | None = None
    interim: Interim = drop_interim
    choice: OriginChoice | None = None

    @property
    def target(self) -> str:
        """Return path and query as they stand in a request line."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def alone(self, headers: Headers) -> "Request":
        """Return this request with `headers`, and without its connection, for whoever keeps it: that must not live."""
        viewer, name, trail = self.viewer, self.id, self.trail
        return Request(self.method, self.path, self.query, headers, no_body(), viewer, name, trail, self.version)

    def bound_for(self, origin: Origin, headers: Headers, query: str | None) -> "Request":
        """Return this request on its way to `origin`. As `dataclasses.replace`, at a fraction of the price."""
        return Request(
            self.method,
            self.path,
            query,
            headers,
            self.body,
            self.viewer,
            self.id,
            self.trail,
            self.version,
            origin,
            self.interim,
        )

    def rewritten(
        self,
        path: str,
        query: str | None,
        headers: Headers,
        body: Body,
        origin: Origin | None,
        choice: OriginChoice | None,
    ) -> "Request":
        """Return this request as a function wants it. As `dataclasses.replace`, at a fraction of the price."""
        return Request(
            self.method,
            path,
            query,
            headers,
            body,
            self.viewer,
            self.id,
            self.trail,
            self.version,
            origin,
            self.interim,
            choice,
        )


def usual_reason(status: int) -> str:
    """Return the reason phrase that is registered for a status, "" for one that is not (RFC 9110 section 15)."""
    return _PHRASES.get(status, "")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@hot_dataclass(frozen=True, slots=True)
class Response:
    """One final response. `from_origin_error`: the origin itself answered >= 400, whatever became of it since.

    `origin_status` is what the origin itself answered, 0 when no origin did. `tunnel` is set with status 101 only.
    """

    status: int
    reason: str
    headers: Headers
    body: Body = field(default_factory=no_body)
    from_origin_error: bool = False
    origin_status: int = 0
    tunnel: Duplex | None = None

    def carrying(self, headers: Headers, body: Body) -> "Response":
        """Return this response with `headers` and `body`. As `dataclasses.replace`, at a fraction of the price."""
        return Response(
            self.status,
            self.reason,
            headers,
            body,
            self.from_origin_error,
            self.origin_status,
            self.tunnel,
        )

    def close(self) -> None:
        """Give up its body, or its tunnel. Harmless when repeated."""
        self.body.close()
        if self.tunnel is not None:
            self.tunnel.close()

    def dressed(self, headers: Headers) -> "Response":
        """Return this response with `headers`."""
        return self.carrying(headers, self.body)
