"""A response body that is compressed as it passes."""

import zlib

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import Headers
from edgefn.model.message import Body

_LEVEL = 6
_GZIP_WINDOW = 31
_SLICE = 65_536
_AT_ONCE = 65_536


class Gzipped:
    """A `Body` of the gzipped bytes of another one. Large pieces are compressed slice by slice, one per read."""

    length: int | None = None

    def __init__(self, body: Body) -> None:
        self._body = body
        self._plain = b""
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._declared = body.length
        self._came = 0
        self._is_over = False

    @property
    def trailers(self) -> Headers:
        """The trailer fields; known at the end."""
        return self._body.trailers

    def buffered(self) -> bytes | None:
        """Take the rest if it is small and needs no waiting."""
        if self._is_over or (self._body.length or _AT_ONCE + 1) > _AT_ONCE:
            return None
        data = self._body.buffered()
        if data is None:
            return None
        self._came += len(data)
        return self._packer.compress(data) + self._end()

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises what the body raises."""
        while not self._is_over:
            if not self._plain:
                self._plain = await self._body.read()
                self._came += len(self._plain)
            if not self._plain:
                return self._end()
            piece, self._plain = self._plain[:_SLICE], self._plain[_SLICE:]
            packed = self._packer.compress(piece)
            if packed:
                return packed
        return b""

    def _end(self) -> bytes:
        """Return the last bytes. Raises `OriginError` for a body that is not as long as it said."""
        self._is_over = True
        if self._declared not in {None, self._came}:
            raise OriginError(OriginFailure.CLOSED, "the body was not as long as it had announced")
        return self._packer.flush()

    def close(self) -> None:
        """Give up the rest."""
        self._is_over = True
        self._body.close()
