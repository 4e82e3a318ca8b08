"""Reading what is deployed: first a JSON part that says how, then the bundle, bounded as it comes."""

import asyncio
from typing import Final

from aiohttp import BodyPartReader, MultipartReader, web

from edgefn.control.asking import ADMISSION, json_object
from edgefn.control.faults import FaultError, invalid
from edgefn.functions.archive import MAX_ZIP_SIZE, read_archive
from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.packing import MAX_PACKED, unpacked

ZIP: Final = "application/zip"
PACKED: Final = "application/vnd.edgefn.bundle"

_MOST_SETTINGS: Final = 64 * 1024
_PIECE: Final = 1 << 18
_AT_ONCE: Final = 2
_PATIENCE: Final = 600.0


class Uploads:
    """Takes two uploads at one time, each held in memory; others wait for their turn."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, request: web.Request, known: frozenset[str]) -> tuple[dict[str, object], Bundle]:
        """Return the JSON of the part `deployment`, with members of `known`, and the bundle. Raises `FaultError`."""
        if not request.content_type.startswith("multipart/"):
            raise FaultError(415, "not-multipart", "send multipart/form-data with the parts deployment and bundle")
        try:
            async with asyncio.timeout(_PATIENCE), self._turns:
                read = await _read(request, known)
        except TimeoutError as error:
            raise FaultError(408, "too-slow", f"the upload took longer than {_PATIENCE:g} s") from error
        except ValueError as error:
            raise invalid("", f"the upload is no sound multipart/form-data: {error}") from error
        request[ADMISSION].check()
        return read


async def _read(request: web.Request, known: frozenset[str]) -> tuple[dict[str, object], Bundle]:
    parts = await request.multipart()
    told = await _part(parts, "deployment", _MOST_SETTINGS)
    deployment = json_object(told[1], known=known, at="deployment")
    kind, content = await _part(parts, "bundle", max(MAX_ZIP_SIZE, MAX_PACKED))
    try:
        match kind:
            case "application/zip" | "application/x-zip-compressed":
                return deployment, await asyncio.to_thread(read_archive, content)
            case "application/vnd.edgefn.bundle":
                return deployment, await asyncio.to_thread(unpacked, content)
            case _:
                raise FaultError(415, "unknown-type", f"bundle: is {kind}; send {ZIP} or {PACKED}", field="bundle")
    except BundleError as error:
        raise FaultError(400, "invalid-bundle", f"bundle: {error}", field="bundle") from error


async def _part(parts: MultipartReader, name: str, most: int) -> tuple[str, bytes]:
    """Return type and bytes of the next part, which must have this name."""
    part = await parts.next()
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise invalid(name, "is missing; send the parts deployment and bundle, in this order")
    content = bytearray()
    while piece := await part.read_chunk(_PIECE):
        content += piece
        if len(content) > most:
            raise FaultError(413, "too-large", f"{name}: is larger than {most / 1024**2:g} MB", field=name)
    return part.headers.get("Content-Type", "").partition(";")[0].strip().lower(), bytes(content)
