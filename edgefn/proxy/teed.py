"""A response body that is kept for the store while it goes to its viewer."""

from collections.abc import Callable

from edgefn.model.headers import Headers
from edgefn.model.message import Body
from edgefn.proxy.flights import Duty
from edgefn.rules.storing import Reason


class Teed:
    """A `Body` that hands what it read to `keep` once it is complete and intact.

    A body that breaks off, or whose viewer leaves, is dropped and the duty to fetch handed on; one that grows beyond
    `most` bytes is dropped and its waiters sent off on their own. `refused` is told why nothing was kept.
    """

    def __init__(
        self, body: Body, most: int, duty: Duty, keep: Callable[[bytes], object], refused: Callable[[Reason], None]
    ) -> None:
        self._body = body
        self._most = most
        self._duty = duty
        self._keep = keep
        self._refused = refused
        self._parts: list[bytes] | None = []
        self._size = 0

    @property
    def length(self) -> int | None:
        """The bytes in all, when known."""
        return self._body.length

    @property
    def trailers(self) -> Headers:
        """The trailer fields; known at the end."""
        return self._body.trailers

    def buffered(self) -> bytes | None:
        """Take the rest if it needs no waiting."""
        data = self._body.buffered()
        if data is not None:
            self._collect(data)
            self._complete()
        return data

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises what the body raises."""
        try:
            data = await self._body.read()
        except BaseException:
            self._abandon()
            raise
        if data:
            self._collect(data)
        if not data or self._size == self.length:  # kept before its viewer has all of it, and may ask again
            self._complete()
        return data

    def close(self) -> None:
        """Give up the rest."""
        self._abandon()
        self._body.close()

    def _collect(self, data: bytes) -> None:
        if self._parts is None:
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._most:
            self._parts = None
            self._refused(Reason.TOO_LARGE)
            self._duty.unshared()

    def _complete(self) -> None:
        if self._parts is None:
            return
        if self.length is not None and self.length != self._size:
            self._abandon()
            return
        data = b"".join(self._parts)
        self._parts = None
        self._keep(data)

    def _abandon(self) -> None:
        if self._parts is not None:
            self._parts = None
            self._refused(Reason.INCOMPLETE)
            self._duty.hand_on()
