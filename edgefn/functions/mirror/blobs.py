"""Fetching the files of what is published, before anything refers to them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from edgefn.functions.replicas.base import Replica, ReplicaError, UnavailableError, UnknownOutcomeError
from edgefn.model.publishing import Catalog, Manifest

_AT_ONCE = 4
_RETRY_SECONDS = 0.5


class Elsewhere(Protocol):
    """Object stores that have some blobs too."""

    def get(self, url: str, digest: str) -> AsyncGenerator[bytes, None]:
        """Yield a blob in pieces. Raises `ReplicaError`."""


class _AwayError(ReplicaError):
    """It is the fleet's replica that can't be reached, and not our own."""


@dataclass(slots=True)
class Blobs:
    """The blobs of one location. `missing` says of those that can't be had why not, by their digest.

    Stores `elsewhere` are asked first where a manifest names one, and only once; `report` hears when that was in vain.
    """

    upstream: Replica
    local: Replica
    elsewhere: Elsewhere | None = None
    report: Callable[[str], None] | None = None
    missing: dict[str, str] = field(default_factory=dict)
    _there: set[str] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fetch(self, catalog: Catalog) -> None:
        """Have all blobs that `catalog` refers to, but for those that are then `missing`.

        It waits for as long as the fleet's replica is away. A blob that is there and wrong, or that the disk has no
        room for, is given up: whatever needs it stays on what it was.
        """
        needed = {manifest.blob.digest: manifest for manifest in manifests(catalog)}
        async with self._lock:
            self.missing = {digest: why for digest, why in self.missing.items() if digest in needed}
            there = await self._known()
            room = asyncio.Semaphore(_AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for digest, manifest in needed.items():
                    if digest not in there:
                        group.create_task(self._fetch(manifest, room))

    async def forget(self, catalog: Catalog) -> None:
        """Delete the blobs that nothing in `catalog` refers to any more."""
        needed = {manifest.blob.digest for manifest in manifests(catalog)} | catalog.garbage.keys()
        there = await self._known()
        for digest in there - needed:
            await self.local.delete_blob(digest)
            there.discard(digest)

    async def _known(self) -> set[str]:
        """Return the blobs that are there: looked up once, as nobody else writes them."""
        if self._there is None:
            self._there = set(await self.local.blobs())
        return self._there

    async def _fetch(self, manifest: Manifest, room: asyncio.Semaphore) -> None:
        digest = manifest.blob.digest
        async with room:
            if await self._fetch_elsewhere(manifest):
                return
            while True:
                try:
                    async with aclosing(_at_most(self.upstream.get_blob(digest), manifest)) as pieces:
                        await self.local.put_blob(digest, pieces)
                except _AwayError:
                    await asyncio.sleep(_RETRY_SECONDS)
                except ReplicaError as error:
                    self.missing[digest] = f"the files of {manifest.label} could not be fetched: {error}"
                    return
                else:
                    self.missing.pop(digest, None)
                    (await self._known()).add(digest)
                    return

    async def _fetch_elsewhere(self, manifest: Manifest) -> bool:
        """Fetch a blob from the store that its manifest names, if it can be had there."""
        blob = manifest.blob
        if self.elsewhere is None or not blob.url:
            return False
        try:
            async with aclosing(_at_most(self.elsewhere.get(blob.url, blob.digest), manifest)) as pieces:
                await self.local.put_blob(blob.digest, pieces)
        except ReplicaError as error:
            if self.report is not None:
                self.report(f"the files of {manifest.label} are asked of the hub: {error}")
            return False
        self.missing.pop(blob.digest, None)
        (await self._known()).add(blob.digest)
        return True


def manifests(catalog: Catalog) -> list[Manifest]:
    """Return all versions and drafts: a hook may name any of them."""
    functions = catalog.functions.values()
    drafts = [function.draft for function in functions if function.draft is not None]
    return [*drafts, *(version for function in functions for version in function.versions.values())]


def without_files(catalog: Catalog, missing: Mapping[str, str]) -> list[tuple[Manifest, str]]:
    """Return the versions whose blob is missing, and why."""
    return [(each, missing[each.blob.digest]) for each in manifests(catalog) if each.blob.digest in missing]


async def _at_most(pieces: AsyncGenerator[bytes, None], manifest: Manifest) -> AsyncGenerator[bytes, None]:
    """Yield no more than the signed manifest says: a fleet's server must not fill our disk."""
    left = manifest.blob.size
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise ReplicaError(f"more than {manifest.blob.size} bytes came")
                yield piece
        except (UnavailableError, UnknownOutcomeError) as error:
            raise _AwayError(str(error)) from error
