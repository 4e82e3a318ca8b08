"""Showing the head of a request body to a function while the whole of it still goes to the origin."""

from edgefn.model.headers import Headers
from edgefn.model.message import Body, BytesBody
from edgefn.rules.event import ExposedBody


class PrefixedBody:
    """A body whose first bytes were read already and come first again."""

    __slots__ = ("_prefix", "_rest")

    def __init__(self, prefix: bytes, rest: Body) -> None:
        self._prefix = prefix
        self._rest = rest

    @property
    def length(self) -> int | None:
        """Its bytes in all, when known."""
        return self._rest.length

    @property
    def trailers(self) -> Headers:
        """The trailer fields of the rest."""
        return self._rest.trailers

    def buffered(self) -> bytes | None:
        """Take the whole if the rest needs no waiting."""
        rest = self._rest.buffered()
        if rest is None:
            return None
        prefix, self._prefix = self._prefix, b""
        return prefix + rest

    async def read(self) -> bytes:
        """Return the prefix, then the rest."""
        if self._prefix:
            prefix, self._prefix = self._prefix, b""
            return prefix
        return await self._rest.read()

    def close(self) -> None:
        """Give up the rest."""
        self._prefix = b""
        self._rest.close()


async def expose(body: Body, limit: int) -> tuple[Body, ExposedBody]:
    """Read at most a little over `limit` bytes; return the body made whole again, and what a function may see.

    Raises an `EdgeError` when the sender broke off.
    """
    collected = bytearray()
    while len(collected) <= limit:
        chunk = await body.read()
        if not chunk:
            whole = bytes(collected)
            return BytesBody(whole, body.trailers), ExposedBody(whole, truncated=False)
        collected += chunk
    prefix = bytes(collected)
    return PrefixedBody(prefix, body), ExposedBody(prefix[:limit], truncated=True)
