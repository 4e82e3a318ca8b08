"""Publishing: what people do with functions, each time as one commit that counts whole or not at all.

Blobs come before the records that refer to them, and a version is tried before it is published.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from edgefn.functions.blob_stores import Depot
from edgefn.functions.blobs import BlobError, blob_of, fetched, in_pieces
from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.catalog import Problem
from edgefn.functions.collecting import DAY, Collected, Collector
from edgefn.functions.committing import Committed, Committer, Planned, Planner, PublishError, Senses
from edgefn.functions.documents import DocumentError, settings_from_document, settings_to_document
from edgefn.functions.replicas.base import Replica, ReplicaError
from edgefn.functions.resealing import Resealed, Resealing
from edgefn.functions.righting import Righted, Watch
from edgefn.functions.signing import Keys
from edgefn.model.location_status import status_from_json
from edgefn.model.publishing import WHOLE, Alias, Blob, Catalog, LocationStatus, Manifest, PublishedFunction, Use
from edgefn.model.settings import FunctionSettings
from edgefn.rules import planning
from edgefn.rules.garbage import is_being_deleted
from edgefn.rules.planning import Made, Plan, Refused
from edgefn.rules.rollout import EVERYTHING, About, Progress, progress
from edgefn.rules.worker_sum import is_worker

T = TypeVar("T")

Trial: TypeAlias = Callable[[Manifest, Bundle], Awaitable[str | None]]
"""Starts a version and stops it again; returns why it does not start, or None."""


async def untried(manifest: Manifest, bundle: Bundle) -> str | None:
    """Try nothing: the `Trial` of whoever only signs or moves what was tried when it was published."""
    del manifest, bundle
    return None


_TICK = 1.0
_LOOKS = 10
_WATCH_SECONDS = 2.0
_NO_WATCH = Watch()


@dataclass(frozen=True, slots=True)
class Published:
    """The version that a draft was published as: a new one, or one that is the same."""

    manifest: Manifest
    is_new: bool


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment came to. `alias` is None when none was wanted; `generation` is the one to wait for."""

    manifest: Manifest
    is_new: bool
    alias: Alias | None
    generation: int


@dataclass(frozen=True, slots=True)
class _Prepared:
    draft: Manifest
    content: bytes


class Publisher:
    """Publishes on any replica. All that changes something raises `PublishError` or `ReplicaError`.

    `lifetime` is for how many seconds what is published counts as fresh, 0 for ever: `keep_fresh` renews it, and a
    location that hears of nothing newer for longer says so (it goes on serving): somebody may be withholding it.
    `depot` is where large blobs go besides.
    """

    def __init__(
        self,
        replica: Replica,
        keys: Keys,
        trial: Trial,
        senses: Senses,
        *,
        lifetime: float = 0.0,
        watch: Watch = _NO_WATCH,
        depot: Depot | None = None,
    ) -> None:
        self._replica = replica
        self._keys = keys
        self._trial = trial
        self._senses = senses
        self._lifetime = lifetime
        self._committer = Committer(replica, keys, senses, lifetime, watch)
        self._depot = depot

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with some of what is published, as far as it was read last."""
        return self._committer.problems

    @property
    def righted(self) -> Sequence[Righted]:
        """Return what was put right since the start, the newest last."""
        return tuple(self._committer.righted)

    async def catalog(self) -> Catalog:
        """Return what is published now."""
        return await self._committer.catalog()

    async def update(self, settings: FunctionSettings, bundle: Bundle, description: str = "") -> Manifest:
        """Make this the function's draft, `$LATEST`, and return it. It is tried before."""
        prepared = await self._prepared(settings, bundle, description)
        await self._planned(lambda catalog: self._updated(catalog, prepared.draft))
        await self._store(prepared)
        return prepared.draft

    async def publish(self, function: str, description: str = "") -> Published:
        """Make a version of the draft; the same code and configuration twice give the same version."""

        def plan(catalog: Catalog) -> Planned[Published] | Refused:
            made = planning.made(catalog, function, description, self._senses.wall())
            return made if isinstance(made, Refused) else Planned(made.catalog, Published(made.manifest, made.is_new))

        return (await self._committer.change(plan)).told

    async def deploy(
        self,
        settings: FunctionSettings,
        bundle: Bundle,
        *,
        alias: str | None,
        weight: int = WHOLE,
        description: str = "",
    ) -> Deployed:
        """Update the draft, publish it, and point `alias` at the version: wholly, or with `weight` beside the old one.

        All in one commit: whoever follows sees all of it or nothing.
        """
        prepared = await self._prepared(settings, bundle, description)
        draft = prepared.draft

        def plan(catalog: Catalog) -> Planned[tuple[Made, Alias | None]] | Refused:
            updated = self._updated(catalog, draft)
            if isinstance(updated, Refused):
                return updated
            made = planning.made(updated, draft.function, description, self._senses.wall())
            if isinstance(made, Refused) or alias is None:
                return made if isinstance(made, Refused) else Planned(made.catalog, (made, None))
            pointed = planning.pointed(made.catalog, draft.function, alias, made.manifest.version, weight)
            if isinstance(pointed, Refused):
                return pointed
            return Planned(pointed, (made, pointed.functions[draft.function].aliases[alias]))

        committed = await self._committer.change(plan)
        await self._store(prepared)
        made, pointed = committed.told
        return Deployed(made.manifest, made.is_new, pointed, committed.generation)

    async def set_alias(self, alias: Alias) -> int:
        """Make an alias, or change it; return the generation."""
        return await self._planned(lambda catalog: planning.aliased(catalog, alias))

    async def delete_alias(self, function: str, name: str, in_use: Collection[Use] = ()) -> int:
        """Delete an alias that no hook uses; return the generation."""
        return await self._planned(lambda catalog: planning.without_alias(catalog, function, name, in_use))

    async def delete_version(self, function: str, version: int, in_use: Collection[Use] = ()) -> int:
        """Delete a version that no alias and no hook uses; return the generation."""
        return await self._planned(lambda catalog: planning.without_version(catalog, function, version, in_use))

    async def delete_function(self, function: str, in_use: Collection[Use] = ()) -> int:
        """Delete a function that no hook uses, with all its versions and aliases; return the generation."""
        return await self._planned(lambda catalog: planning.without_function(catalog, function, in_use))

    async def rollback(self, function: str, alias: str, *, failing: int | None = None) -> Alias:
        """Take the newer of two versions out of an alias, or point it at its previous version; return it.

        With `failing`, nothing is changed unless that is the version that would go: an automatic rollback that comes
        too late must not undo what people have done meanwhile.
        """

        def plan(catalog: Catalog) -> Planned[Alias] | Refused:
            known = catalog.functions.get(function, PublishedFunction(function)).aliases.get(alias)
            if failing is not None and (known is None or known.targets[-1].version != failing):
                return Refused(f"{function}:{alias} does not point at version {failing} any more")
            planned = planning.rolled_back(catalog, function, alias)
            if isinstance(planned, Refused):
                return planned
            return Planned(planned, planned.functions[function].aliases[alias])

        return (await self._committer.change(plan)).told

    async def change(self, plan: Planner[T]) -> Committed[T]:
        """Make any planned change; return what the plan told, and the generation to wait for."""
        return await self._committer.change(plan)

    async def renew(self, least_generation: int = 0) -> int:
        """Commit nothing new, under a new generation of at least `least_generation`; return it.

        For a log that was restored from a backup: what it holds counts again, also for locations (and publishers) that
        have seen higher generations. The highest one that any location reports counts as seen.
        """
        seen = [status.generation for status in (await self.statuses()).values()]
        return await self._committer.renew(max([least_generation, *(each + 1 for each in seen)]))

    async def keep_fresh(self) -> None:
        """Commit nothing new whenever half of the lifetime is over, for ever. What can't be done is tried again."""
        while self._lifetime:
            with suppress(PublishError, ReplicaError):
                await self._committer.refresh()
            await asyncio.sleep(self._lifetime / _LOOKS)

    async def keep_right(self) -> None:
        """Put right what somebody without the right to publish has written, within seconds, for ever."""
        while True:
            with suppress(PublishError, ReplicaError):
                await self._committer.put_right()
            await asyncio.sleep(_WATCH_SECONDS)

    async def sign_anew(self) -> int:
        """Sign and seal all records with the keys of today; return the generation. `seal_anew` is for the files."""
        return await self._committer.write_anew()

    async def seal_anew(self) -> Resealed:
        """Seal all files with the key of today; return what came of it. Without such a key nothing is done."""
        catalog = await self.catalog()
        if not self._keys.sealing:
            return Resealed(0, (), catalog.generation)
        return await Resealing(self._keys.sealing[0], self.read_bundle, self._keep, self.change, self._senses).run(
            catalog
        )

    async def publish_trust(self, chain: bytes) -> int:
        """Publish the root's word on who may sign what; return the generation. All records must count by it already."""
        return await self._committer.publish_trust(chain)

    async def collect(
        self, in_use: Collection[Use] = (), age: float = DAY, *, locations: Collection[str] = ()
    ) -> Collected:
        """Delete versions and blobs that nobody has needed for `age` seconds; return what went.

        A version goes that no alias points at or would go back to, no hook uses, no location runs, and that is not
        among the newest ten of its function. A blob goes `age` seconds after nothing referred to it any more, when
        all active locations know that. Nothing goes while one of `locations` has not said what it runs, and in a
        replica that follows another one: its fleet sees to that.
        """
        await self.catalog()
        statuses = await self.statuses()
        if self._committer.is_mirror or not statuses.keys() >= set(locations):
            return Collected((), (), 0)
        return await Collector(self._replica, self._committer, self._senses).collect(in_use, statuses, age)

    async def read_bundle(self, manifest: Manifest) -> Bundle:
        """Return the files of a version: fetched, checked by their digests, unsealed. Raises `PublishError`."""
        try:
            return await fetched(self._replica, manifest, self._keys.sealing)
        except BlobError as error:
            raise PublishError(str(error)) from error

    async def order_purge(self, order: bytes) -> int:
        """Append a purge for all locations; return its sequence."""
        return await self._replica.order_purge(order, self._senses.new_op())

    async def statuses(self) -> Mapping[str, LocationStatus]:
        """Return the newest status of each location that has one that can be read."""
        statuses = {}
        for location, text in (await self._replica.statuses()).items():
            if not is_worker(location):
                with suppress(ValueError):
                    statuses[location] = status_from_json(text)
        return statuses

    async def wait(
        self, generation: int, *, fraction: float = 1.0, patience: float = 30.0, about: About = EVERYTHING
    ) -> AsyncGenerator[Progress, None]:
        """Yield how far the locations have got: at once, and then whenever that changes.

        It ends when `fraction` of the active ones that `about` is about have applied `generation`, when some failed and
        none that can be reached is still at it, when there are locations and it is about none of them, or after
        `patience` seconds: the last one tells by `is_done(fraction)`.
        """
        last: Progress | None = None
        statuses = dict(await self.statuses())
        async with aclosing(_ticking(self._replica.follow_statuses(), patience)) as changes:
            async for change in changes:
                if change is not None and not is_worker(change[0]):
                    with suppress(ValueError):
                        statuses[change[0]] = status_from_json(change[1])
                now = progress(statuses.values(), generation, self._senses.wall(), about)
                if now != last:
                    yield now
                    last = now
                is_over = now.is_done(fraction) or (now.is_settled() and now.failed)
                if is_over or (about.site and statuses and not now.active):
                    return

    async def _prepared(self, settings: FunctionSettings, bundle: Bundle, description: str) -> "_Prepared":
        """Return a draft that starts, its blob being there. Raises `PublishError`, `ReplicaError`."""
        try:
            sound = settings_from_document(settings.name, settings_to_document(settings))
            sealing = self._keys.sealing[0] if self._keys.sealing else None
            blob, content = await asyncio.to_thread(blob_of, bundle, sealing)
        except (BundleError, DocumentError) as error:
            raise PublishError(f"{settings.name} can't be published: {error}") from error
        draft = Manifest(sound, 0, bundle.digest, self._addressed(blob), description)
        catalog = await self.catalog()
        refused = self._updated(catalog, draft)
        if isinstance(refused, Refused):
            raise PublishError(refused.reason)
        known = catalog.functions.get(draft.function, PublishedFunction(draft.function))
        if not any(draft.is_like(each) for each in (known.draft, *known.versions.values()) if each is not None):
            why = await self._trial(draft, bundle)
            if why is not None:
                raise PublishError(f"{draft.function} is not published, as it does not start: {why}")
        prepared = _Prepared(draft, content)
        await self._store(prepared)
        return prepared

    async def _store(self, prepared: "_Prepared") -> None:
        """Put a draft's blob where it isn't yet: before it is referred to, so that nobody ever misses it, and after
        that, in case that it was garbage and being deleted when it was looked for.
        """
        await self._keep(prepared.draft.blob, prepared.content)

    def _addressed(self, blob: Blob) -> Blob:
        return blob if self._depot is None else replace(blob, url=self._depot.address(blob))

    async def _keep(self, blob: Blob, content: bytes) -> Blob:
        """Put a blob where it isn't yet; return it with the address of the depot that has it too."""
        kept = self._addressed(blob)
        await self._replica.put_blob(kept.digest, in_pieces(content))
        if self._depot is not None and kept.url:
            await self._depot.put(kept, content)
        return kept

    def _updated(self, catalog: Catalog, draft: Manifest) -> Plan:
        if is_being_deleted(catalog, draft.blob.digest, self._senses.wall()):
            return Refused(
                f"the same files, unused for long, are just being deleted; deploy {draft.function} again soon"
            )
        return planning.updated(catalog, draft)

    async def _planned(self, plan: Callable[[Catalog], Plan]) -> int:
        def planned(catalog: Catalog) -> Planned[None] | Refused:
            after = plan(catalog)
            return after if isinstance(after, Refused) else Planned(after, None)

        return (await self._committer.change(planned)).generation


async def _ticking(
    changes: AsyncGenerator[tuple[str, bytes], None], patience: float
) -> AsyncGenerator[tuple[str, bytes] | None, None]:
    """Yield None at once, then what `changes` brings, None each second without any; end after `patience` seconds."""
    clock = asyncio.get_running_loop().time
    end = clock() + patience
    pending: asyncio.Future[tuple[str, bytes]] | None = None
    try:
        yield None
        while (left := end - clock()) > 0:
            pending = pending or asyncio.ensure_future(anext(changes))
            done, _ = await asyncio.wait({pending}, timeout=min(_TICK, left))
            if not done:
                yield None
                continue
            try:
                change = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            yield change
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        await changes.aclose()
