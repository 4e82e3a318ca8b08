"""A response body that is compressed as it passes."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import brotli
import zstandard

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import Headers
from edgefn.model.message import Body
from edgefn.rules.compression import BROTLI, GZIP, ZSTANDARD

# What packs tightly enough at 20 to 100 MB/s: it is done once for all viewers, but on the event loop.
_GZIP_LEVEL, _BROTLI_LEVEL, _ZSTANDARD_LEVEL = 6, 5, 6
_GZIP_WINDOW = 31
_SLICE = 65_536
_AT_ONCE = 65_536


class Packer(Protocol):
    """Packs a body in pieces."""

    def pack(self, data: bytes) -> bytes:
        """Return what is ready, perhaps nothing yet."""

    def end(self) -> bytes:
        """Return the rest."""


class _Gzip:
    def __init__(self) -> None:
        self._object = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def pack(self, data: bytes) -> bytes:
        return self._object.compress(data)

    def end(self) -> bytes:
        return self._object.flush()


class _Brotli:
    def __init__(self) -> None:
        self._object = brotli.Compressor(quality=_BROTLI_LEVEL)

    def pack(self, data: bytes) -> bytes:
        return self._object.process(data)

    def end(self) -> bytes:
        return self._object.finish()


class _Zstandard:
    def __init__(self) -> None:
        self._object = zstandard.ZstdCompressor(level=_ZSTANDARD_LEVEL).compressobj()

    def pack(self, data: bytes) -> bytes:
        return self._object.compress(data)

    def end(self) -> bytes:
        return self._object.flush()


_PACKERS: Final[Mapping[str, Callable[[], Packer]]] = {GZIP: _Gzip, BROTLI: _Brotli, ZSTANDARD: _Zstandard}


class Compressed:
    """A `Body` of the packed bytes of another one. Large pieces are packed slice by slice, one per read."""

    length: int | None = None

    def __init__(self, body: Body, coding: str) -> None:
        self._body = body
        self._plain = b""
        self._packer = _PACKERS[coding]()
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
        return self._packer.pack(data) + self._end()

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises what the body raises."""
        while not self._is_over:
            if not self._plain:
                self._plain = await self._body.read()
                self._came += len(self._plain)
            if not self._plain:
                return self._end()
            piece, self._plain = self._plain[:_SLICE], self._plain[_SLICE:]
            packed = self._packer.pack(piece)
            if packed:
                return packed
        return b""

    def _end(self) -> bytes:
        """Return the last bytes. Raises `OriginError` for a body that is not as long as it said."""
        self._is_over = True
        if self._declared not in {None, self._came}:
            raise OriginError(OriginFailure.CLOSED, "the body was not as long as it had announced")
        return self._packer.end()

    def close(self) -> None:
        """Give up the rest."""
        self._is_over = True
        self._body.close()
