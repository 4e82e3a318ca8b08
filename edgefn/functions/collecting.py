"""Collecting garbage: versions that nobody needs, and later the blobs that nothing refers to any more."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from edgefn.functions.committing import Committer, Planned, PublishError, Senses
from edgefn.functions.replicas.base import Replica, ReplicaError
from edgefn.model.publishing import Catalog, LocationStatus, Use
from edgefn.rules import garbage

DAY = 86_400.0
_LEASE = 120.0
_MARGIN = 60.0
_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Collected:
    """What went: versions as "name:version", and blobs by their digests. `marked` blobs wait for their deletion."""

    versions: tuple[str, ...]
    blobs: tuple[str, ...]
    marked: int


async def keep_collecting(
    collect: Callable[[], Awaitable[Collected]], every: float, report: Callable[[str], None]
) -> None:
    """Collect each `every` seconds, for ever. `report` takes a line for what went, and for new trouble."""
    trouble = ""
    while True:
        await asyncio.sleep(every)
        try:
            collected = await collect()
        except (PublishError, ReplicaError) as error:
            if str(error) != trouble:
                trouble = str(error)
                report(f"what nobody needs any more was not deleted: {error}")
            continue
        trouble = ""
        if collected.versions or collected.blobs:
            versions = ", ".join(collected.versions) or "none"
            report(f"deleted what nobody needed any more: versions: {versions}; files: {len(collected.blobs)}")


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects the garbage of one replica. Several may work at once; each blob has one that deletes it."""

    replica: Replica
    committer: Committer
    senses: Senses

    async def collect(self, in_use: Collection[Use], statuses: Mapping[str, LocationStatus], age: float) -> Collected:
        """Delete what is older than `age` seconds and needed by nobody. Raises `PublishError`, `ReplicaError`."""
        await self.committer.catalog()
        if self.committer.problems:
            subjects = ", ".join(problem.subject for problem in self.committer.problems[:5])
            raise PublishError(f"it can't be told what {subjects} needs, so nothing is deleted; see to that first")
        versions = await self._versions(in_use, statuses, age)
        blobs = await self.replica.blobs()
        marked = await self._change(lambda catalog: garbage.marked(catalog, blobs, self.senses.wall()))
        ripe = garbage.ripe(marked, statuses.values(), self.senses.wall(), age)
        deleted = await self._delete(ripe) if ripe else ()
        return Collected(versions, deleted, len(marked.garbage) - len(deleted))

    async def _versions(
        self, in_use: Collection[Use], statuses: Mapping[str, LocationStatus], age: float
    ) -> tuple[str, ...]:
        running = garbage.running_versions(statuses.values())
        gone: list[str] = []
        for _ in range(_ROUNDS):

            def plan(catalog: Catalog) -> Planned[Mapping[str, Collection[int]]]:
                unneeded = garbage.unneeded(catalog, in_use, running, self.senses.wall() - age)
                return Planned(garbage.without_versions(catalog, unneeded), unneeded)

            went = (await self.committer.change(plan)).told
            if not went:
                break
            gone += [f"{name}:{version}" for name, versions in went.items() for version in versions]
        return tuple(gone)

    async def _delete(self, ripe: Collection[str]) -> tuple[str, ...]:
        """Delete blobs under a lease: while it lasts, nobody refers to them."""
        until = self.senses.wall() + _LEASE

        def plan(catalog: Catalog) -> Planned[tuple[str, ...]]:
            return Planned(*garbage.condemned(catalog, ripe, self.senses.wall(), until))

        ours = (await self.committer.change(plan)).told
        deleted = []
        for digest in ours:
            if self.senses.wall() > until - _MARGIN:
                break
            await self.replica.delete_blob(digest)
            deleted.append(digest)
        await self._change(lambda catalog: garbage.forgotten(catalog, deleted))
        return tuple(deleted)

    async def _change(self, plan: Callable[[Catalog], Catalog]) -> Catalog:
        def planned(catalog: Catalog) -> Planned[Catalog]:
            after = plan(catalog)
            return Planned(after, after)

        return (await self.committer.change(planned)).told
