"""Sealing files anew with the key of today, so that older keys can be forgotten. Versions stay what they are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from edgefn.functions.blobs import blob_of
from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.committing import Committed, Planned, Planner, PublishError, Senses
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.sealing import SealingKey
from edgefn.model.publishing import Blob, Catalog, Manifest, PublishedFunction
from edgefn.rules.garbage import is_being_deleted
from edgefn.rules.planning import Refused


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many files were sealed anew; `left` says of each that could not be why. `generation` is the newest one."""

    files: int
    left: tuple[str, ...]
    generation: int


@dataclass(frozen=True, slots=True)
class Resealing:
    """Seals files with `seal`. `read` returns those of a version, `keep` stores a blob's bytes and returns the blob."""

    seal: SealingKey
    read: Callable[[Manifest], Awaitable[Bundle]]
    keep: Callable[[Blob, bytes], Awaitable[Blob]]
    change: Callable[[Planner[None]], Awaitable[Committed[None]]]
    senses: Senses

    async def run(self, catalog: Catalog) -> Resealed:
        """Seal what is not sealed so, a file and a commit at a time. What can't be read stays as it is."""
        files, left, generation = 0, list[str](), catalog.generation
        for digest, manifest in _stale(catalog, self.seal.id).items():
            try:
                generation = (await self._sealed(digest, manifest)).generation
                files += 1
            except (BundleError, PublishError, ReplicaError) as error:
                left.append(f"{manifest.label}: {error}")
        return Resealed(files, tuple(left), generation)

    async def _sealed(self, digest: str, manifest: Manifest) -> Committed[None]:
        blob, content = await asyncio.to_thread(blob_of, await self.read(manifest), self.seal)
        kept = await self.keep(blob, content)

        def plan(catalog: Catalog) -> Planned[None] | Refused:
            if is_being_deleted(catalog, kept.digest, self.senses.wall()):
                return Refused("the same files, unused for long, are just being deleted; seal them again soon")
            return Planned(_with_blob(catalog, digest, kept), None)

        committed = await self.change(plan)
        await self.keep(blob, content)  # in case that it was garbage and being deleted when it was looked for
        return committed


def _stale(catalog: Catalog, seal: str) -> dict[str, Manifest]:
    """Return the blobs that are not known to be sealed with a key, by digest, each with a version that has it."""
    return {each.blob.digest: each for each in _manifests(catalog) if each.blob.seal != seal}


def sealed_by(catalog: Catalog) -> Mapping[str, list[str]]:
    """Return for each sealing key the versions whose files it seals; "" for those of which it is not known."""
    found: dict[str, list[str]] = {}
    for manifest in _manifests(catalog):
        found.setdefault(manifest.blob.seal, []).append(manifest.label)
    return found


def _manifests(catalog: Catalog) -> Iterator[Manifest]:
    for function in catalog.functions.values():
        yield from function.versions.values()
        if function.draft is not None:
            yield function.draft


def _with_blob(catalog: Catalog, digest: str, blob: Blob) -> Catalog:
    def moved(manifest: Manifest) -> Manifest:
        return replace(manifest, blob=blob) if manifest.blob.digest == digest else manifest

    def changed(function: PublishedFunction) -> PublishedFunction:
        draft = None if function.draft is None else moved(function.draft)
        versions = {number: moved(manifest) for number, manifest in function.versions.items()}
        if (draft, versions) == (function.draft, function.versions):
            return function
        return replace(function, draft=draft, versions=versions)

    functions = {name: changed(function) for name, function in catalog.functions.items()}
    return catalog if functions == catalog.functions else replace(catalog, functions=functions)
