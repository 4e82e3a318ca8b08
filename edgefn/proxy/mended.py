"""A body from the disk that may turn out to be damaged half-way to its viewer: then the rest comes from elsewhere."""

from collections.abc import Awaitable, Callable

from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import Body
from edgefn.stores.base import StoreError


class Mended:
    """A `Body` that reads `body`. Once that can't be read, `rest` is asked for all behind so many of its bytes."""

    def __init__(self, body: Body, rest: Callable[[int], Awaitable[Body]]) -> None:
        self.length = body.length
        self._body = body
        self._rest: Callable[[int], Awaitable[Body]] | None = rest
        self._at = 0

    @property
    def trailers(self) -> Headers:
        """There are none."""
        return NO_HEADERS

    def buffered(self) -> bytes | None:
        """Take the whole if it is here."""
        return self._body.buffered()

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises what `rest` raises, and what reading that raises."""
        try:
            data = await self._body.read()
        except StoreError:
            rest, self._rest = self._rest, None
            if rest is None:
                raise
            self._body.close()
            self._body = await rest(self._at)
            data = await self._body.read()
        self._at += len(data)
        return data

    def close(self) -> None:
        """Give up the rest."""
        self._rest = None
        self._body.close()
