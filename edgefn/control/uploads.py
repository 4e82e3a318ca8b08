"""Reading what is deployed: first a JSON part that says how, then the bundle, bounded as it comes."""

import asyncio
import tempfile
from typing import Final, TypeAlias

from aiohttp import BodyPartReader, MultipartReader, web

from edgefn.control.asking import ADMISSION, json_object
from edgefn.control.faults import FaultError, invalid
from edgefn.functions.archive import MAX_ZIP_SIZE, read_archive
from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.packing import MAX_PACKED, unpacked

Spool: TypeAlias = "tempfile.SpooledTemporaryFile[bytes]"
ZIP: Final = "application/zip"
PACKED: Final = "application/vnd.edgefn.bundle"

_MOST_SETTINGS: Final = 64 * 1024
_PIECE: Final = 1 << 18
_IN_MEMORY: Final = 1 << 20
_AT_ONCE: Final = 2
_RECEIVING: Final = 16
_PATIENCE: Final = 600.0
PIECE_PATIENCE: Final = 30.0
"""Seconds for the next 256 KB of an upload."""


class Uploads:
    """Receives up to sixteen uploads at one time, on disk, and unpacks two of them, in memory.

    So those that come slowly hold up nobody; one that stops is given up.
    """

    def __init__(self) -> None:
        self._receiving = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, request: web.Request, known: frozenset[str]) -> tuple[dict[str, object], Bundle]:
        """Return the JSON of the part `deployment`, with members of `known`, and the bundle. Raises `FaultError`."""
        if not request.content_type.startswith("multipart/"):
            raise FaultError(415, "not-multipart", "send multipart/form-data with the parts deployment and bundle")
        if self._receiving == _RECEIVING:
            raise FaultError(503, "busy", f"{_RECEIVING} uploads are on their way; try again later")
        self._receiving += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                read = await self._read(request, known)
        except TimeoutError as error:
            told = f"the upload took longer than {_PATIENCE:g} s, or stood still for {PIECE_PATIENCE:g} s"
            raise FaultError(408, "too-slow", told) from error
        except ValueError as error:
            raise invalid("", f"the upload is no sound multipart/form-data: {error}") from error
        finally:
            self._receiving -= 1
        request[ADMISSION].check()
        return read

    async def _read(self, request: web.Request, known: frozenset[str]) -> tuple[dict[str, object], Bundle]:
        parts = await request.multipart()
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            await _part(parts, "deployment", _MOST_SETTINGS, spool)
            deployment = json_object(_taken(spool), known=known, at="deployment")
            kind = await _part(parts, "bundle", max(MAX_ZIP_SIZE, MAX_PACKED), spool)
            async with self._turns:
                return deployment, await _unpacked(kind, await asyncio.to_thread(_taken, spool))


async def _unpacked(kind: str, content: bytes) -> Bundle:
    try:
        match kind:
            case "application/zip" | "application/x-zip-compressed":
                return await asyncio.to_thread(read_archive, content)
            case "application/vnd.edgefn.bundle":
                return await asyncio.to_thread(unpacked, content)
            case _:
                raise FaultError(415, "unknown-type", f"bundle: is {kind}; send {ZIP} or {PACKED}", field="bundle")
    except BundleError as error:
        raise FaultError(400, "invalid-bundle", f"bundle: {error}", field="bundle") from error


def _taken(spool: Spool) -> bytes:
    """Return what is in a spool, and empty it."""
    spool.seek(0)
    content = spool.read()
    spool.seek(0)
    spool.truncate()
    return content


async def _part(parts: MultipartReader, name: str, most: int, spool: Spool) -> str:
    """Write the next part, which must have this name, into `spool`; return its type."""
    async with asyncio.timeout(PIECE_PATIENCE):
        part = await parts.next()
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise invalid(name, "is missing; send the parts deployment and bundle, in this order")
    size = 0
    while piece := await _piece(part):
        size += len(piece)
        if size > most:
            raise FaultError(413, "too-large", f"{name}: is larger than {most / 1024**2:g} MB", field=name)
        try:
            await asyncio.to_thread(spool.write, piece)
        except OSError as error:
            raise FaultError(507, "no-room", f"{name}: can't be kept while it comes: {error.strerror}") from error
    return part.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def _piece(part: BodyPartReader) -> bytes:
    async with asyncio.timeout(PIECE_PATIENCE):
        return await part.read_chunk(_PIECE)
