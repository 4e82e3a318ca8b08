"""A bundle's way into a blob and back: packed, sealed where there is a key, and named by its digest."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing

from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.packing import MAX_PACKED, packed, unpacked
from edgefn.functions.replicas.base import Replica
from edgefn.functions.sealing import SealError, SealingKey, unsealed
from edgefn.model.publishing import Blob, Manifest

_ROOM = 1024
_PIECE = 1 << 20


class BlobError(BundleError):
    """A blob does not hold what its manifest says. The message says why."""


def blob_of(bundle: Bundle, sealing: SealingKey | None) -> tuple[Blob, bytes]:
    """Return the blob of a bundle and its bytes: the same ones for the same bundle and key. For a thread.

    Raises `BundleError` for one that is too large.
    """
    content = packed(bundle)
    if sealing is not None:
        content = sealing.seal(content, _about(bundle.digest))
    seal = "" if sealing is None else sealing.id
    return Blob(hashlib.sha256(content).hexdigest(), len(content), seal=seal), content


def bundle_in(content: bytes, manifest: Manifest, sealing: tuple[SealingKey, ...]) -> Bundle:
    """Return the bundle of a version from its blob's bytes. For a thread. Raises `BlobError` when they are others."""
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.blob.digest:
        raise BlobError(f"the files of {manifest.label} are damaged: they have the digest {found}")
    try:
        bundle = unpacked(unsealed(content, _about(manifest.bundle), sealing))
    except (SealError, BundleError) as error:
        raise BlobError(f"the files of {manifest.label} can't be read: {error}") from error
    if bundle.digest != manifest.bundle:
        raise BlobError(f"the files of {manifest.label} are not those that were published: digest {bundle.digest}")
    return bundle


async def fetched(replica: Replica, manifest: Manifest, sealing: tuple[SealingKey, ...]) -> Bundle:
    """Return the files of a version, checked by their digests and unsealed. Raises `BlobError`, `ReplicaError`."""
    most = min(manifest.blob.size, MAX_PACKED + _ROOM)
    content = bytearray()
    async with aclosing(replica.get_blob(manifest.blob.digest)) as pieces:
        async for piece in pieces:
            content += piece
            if len(content) > most:
                raise BlobError(f"the files of {manifest.label} are damaged: more than {most} bytes come")
    return await asyncio.to_thread(bundle_in, bytes(content), manifest, sealing)


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    """Yield `content` in pieces of a megabyte."""
    for begin in range(0, len(content), _PIECE):
        yield content[begin : begin + _PIECE]


def _about(digest: str) -> bytes:
    return f"bundle {digest}".encode()
