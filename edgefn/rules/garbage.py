"""What nobody needs any more of what is published: old versions, and blobs that nothing refers to.

Versions go at once: who runs one has reported it. A blob is marked first. A day later, when every active location has
seen that it is marked, it is deleted under a lease, within which nobody may refer to it again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from edgefn.model.publishing import Catalog, Garbage, LocationState, LocationStatus, Manifest, PublishedFunction, Use
from edgefn.rules.uses import uses_in

_KEEP = 10
_AT_ONCE = 400


def unneeded(
    catalog: Catalog, uses: Collection[Use], running: Collection[tuple[str, int]], oldest: float
) -> Mapping[str, Collection[int]]:
    """Return the versions by function that nobody needs, at most so many as fit in one commit.

    Needed are those that an alias points at or would go back to, that a hook uses, of a published configuration too,
    that a location runs, that were published after `oldest`, and the newest ten of each function.
    """
    uses = [*uses, *uses_in(catalog)]
    found = (
        (name, version)
        for name, function in sorted(catalog.functions.items())
        for version in sorted(set(function.versions) - set(_needed(function, uses, running, oldest)))
    )
    versions: dict[str, list[int]] = {}
    for name, version in islice(found, _AT_ONCE):
        versions.setdefault(name, []).append(version)
    return versions


def _needed(
    function: PublishedFunction, uses: Collection[Use], running: Collection[tuple[str, int]], oldest: float
) -> Iterator[int]:
    yield from sorted(function.versions)[-_KEEP:]
    for alias in function.aliases.values():
        yield from (target.version for target in alias.targets)
        if alias.previous is not None:
            yield alias.previous
    yield from (version for name, version in running if name == function.name)
    used = {use.qualifier for use in uses if use.function == function.name}
    yield from (
        number for number, manifest in function.versions.items() if str(number) in used or manifest.published > oldest
    )


def without_versions(catalog: Catalog, versions: Mapping[str, Collection[int]]) -> Catalog:
    """Return the catalog without these versions; itself when there are none."""
    if not versions:
        return catalog
    functions = dict(catalog.functions)
    for name, gone in versions.items():
        function = functions[name]
        left = {number: manifest for number, manifest in function.versions.items() if number not in gone}
        functions[name] = replace(function, versions=left)
    return replace(catalog, functions=functions)


def running_versions(statuses: Iterable[LocationStatus]) -> frozenset[tuple[str, int]]:
    """Return the (function, version) that some location runs; a retired one's word counts no more."""
    return frozenset(
        (label.partition(":")[0], version)
        for status in statuses
        if status.state is not LocationState.RETIRED
        for label, version in status.running.items()
    )


def _referenced(catalog: Catalog) -> frozenset[str]:
    """Return the digests of the blobs that the catalog refers to."""
    return frozenset(manifest.blob.digest for manifest in _manifests(catalog))


def _manifests(catalog: Catalog) -> Iterator[Manifest]:
    for function in catalog.functions.values():
        yield from function.versions.values()
        if function.draft is not None:
            yield function.draft


def marked(catalog: Catalog, blobs: Collection[str], now: float) -> Catalog:
    """Return the catalog in which all blobs are marked that nothing refers to; itself when nothing changes."""
    needed = _referenced(catalog)
    fresh = Garbage(now, catalog.generation + 1)
    garbage = {digest: catalog.garbage.get(digest, fresh) for digest in sorted(blobs) if digest not in needed}
    garbage |= {digest: each for digest, each in catalog.garbage.items() if each.deleting > now}
    return catalog if garbage == catalog.garbage else replace(catalog, garbage=garbage)


def ripe(catalog: Catalog, statuses: Iterable[LocationStatus], now: float, age: float) -> tuple[str, ...]:
    """Return the blobs that may be deleted: marked `age` seconds ago, in a generation that active locations have."""
    seen = [status.generation for status in statuses if status.state is LocationState.ACTIVE]
    least = min(seen, default=catalog.generation)
    return tuple(
        digest
        for digest, each in sorted(catalog.garbage.items())
        if each.since <= now - age and each.generation <= least and each.deleting <= now
    )


def condemned(catalog: Catalog, digests: Collection[str], now: float, until: float) -> tuple[Catalog, tuple[str, ...]]:
    """Return the catalog in which somebody deletes these blobs until then, and which ones they are.

    Left out are those that are not marked any more, and those that somebody else is deleting.
    """
    taken = {
        digest: replace(each, deleting=until)
        for digest, each in catalog.garbage.items()
        if digest in digests and each.deleting <= now
    }
    return (replace(catalog, garbage={**catalog.garbage, **taken}) if taken else catalog), tuple(taken)


def forgotten(catalog: Catalog, digests: Collection[str]) -> Catalog:
    """Return the catalog in which nothing is said of these blobs."""
    garbage = {digest: each for digest, each in catalog.garbage.items() if digest not in digests}
    return catalog if garbage == catalog.garbage else replace(catalog, garbage=garbage)


def is_being_deleted(catalog: Catalog, digest: str, now: float) -> bool:
    """Return whether somebody may be deleting a blob now, so that it can't be referred to."""
    each = catalog.garbage.get(digest)
    return each is not None and each.deleting > now
