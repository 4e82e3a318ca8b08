"""Several workers on the same ports: starts them, starts them again, reloads and stops them together.

Each worker is a location of its own in a process of its own; the kernel spreads connections over them (SO_REUSEPORT).
A worker and its supervisor talk in lines over a socket pair; when it closes, the worker stops.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from edgefn.control.purging import purge_endpoints
from edgefn.control.running import Operations, running_endpoints
from edgefn.functions.catalog import CatalogBuilder
from edgefn.functions.following import Following
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.summing import WorkerSum
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LocationStatus, Revision
from edgefn.model.settings import Settings
from edgefn.node.administering import open_admin
from edgefn.node.configured import Configured, LastGood, Read
from edgefn.node.membership import is_member
from edgefn.node.publishing import open_place, open_publishing
from edgefn.node.reloading import refuse_changes_that_need_a_restart, reload_and_tell
from edgefn.node.replication import open_keys, open_replica
from edgefn.node.worker import DISCARD
from edgefn.node.workers import WorkerGoneError, WorkerProcess, WorkerSilentError, start_worker
from edgefn.rules.purges import Purge
from edgefn.sandbox.process.tasks import Tasks
from edgefn.stores.base import StoreError
from edgefn.stores.stock import Hit

_START_PATIENCE: Final = 60.0  # seconds, as all of these
_STOP_GRACE: Final = 5.0  # beyond the time for draining
_FIRST_DELAY: Final = 0.5  # before a worker that ended is started again; doubled each time that it does not start
_LONGEST_DELAY: Final = 10.0


def _say_nothing(_: str) -> None:
    """Say nothing: the workers follow the same, and have said it."""


async def _tell_end(work: Coroutine[object, object, None], report: Callable[[str], None]) -> None:
    try:
        await work
    except ReplicaError as error:
        report(f"the location's status is not reported any more: {error}")


class Supervisor:
    """Runs the workers of one location while its `async with` block does. As `Location`, from the outside."""

    def __init__(self, config: str, settings: Settings, *, read: Read, report: Callable[[str], None]) -> None:
        self._config = config
        self._settings = settings
        self._read = read
        self._report = report
        self._stack = AsyncExitStack()
        self._workers: dict[int, WorkerProcess] = {}
        self._tasks = Tasks()
        self._reloading = asyncio.Lock()
        self._stopping = False
        self.addresses: list[str] = []

    async def __aenter__(self) -> Self:
        if any(listen.port == 0 for listen in self._settings.listen):
            raise SettingsError(("listen: several workers can't share port 0; name a port, or set workers: 1",))
        try:
            self._last_good = LastGood(self._settings.data_dir, self._settings.site, open_keys(self._settings))
            self._configured = Configured(
                self._settings.site, self._take, self._report, self._last_good.mark_deleted, self._last_good.read()
            )
            self._settings = self._configured.first_settings(self._read)
            for number in range(self._settings.workers or os.cpu_count() or 1):
                await self._start(number)
            await self._follow_published()
            mirrors = is_member(self._settings.data_dir)
            await self._open_admin(await self._follow_fleet() if mirrors else tuple)
        except BaseException:
            await self._stack.aclose()
            await self._stop()
            raise
        for number in self._workers:
            self._keep(number)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            await self._stack.aclose()
        finally:
            await self._stop()

    async def _follow_fleet(self) -> Callable[[], Sequence[str]]:
        from edgefn.node.mirroring import open_mirror  # the extra `cluster` is needed by fleets only

        settings = self._settings
        replica = await open_replica(self._stack, settings.data_dir)
        return await open_mirror(self._stack, settings, replica, open_keys(settings), self.purge, self._report)

    async def _open_admin(self, notes: Callable[[], Sequence[str]]) -> None:
        settings, stack = self._settings, self._stack
        if settings.admin is None:
            return
        opened = await open_place(stack, lambda: self._settings, self._read, self._report)
        place = replace(opened, notes=notes)
        endpoints = [*running_endpoints(Operations(self._health, self.reload)), *purge_endpoints(self.purge)]
        endpoints += open_publishing(stack, place, mirrors=is_member(settings.data_dir))[1]
        await open_admin(stack, settings.admin, settings.data_dir, endpoints)

    async def _start(self, number: int) -> None:
        worker = await start_worker(self._config, number)
        self._workers[number] = worker
        try:
            told = await worker.answer(_START_PATIENCE)
        except WorkerGoneError as error:
            raise SettingsError((f"{error} before it was ready; see what it said above",)) from error
        match told:
            case {"ready": [*addresses]}:
                self.addresses = [str(address) for address in addresses]
            case {"problems": [*problems]}:
                raise SettingsError(tuple(str(problem) for problem in problems))
            case _:
                raise SettingsError((f"worker {number} said {told}",))

    async def _follow_published(self) -> None:
        """Take published configurations into use, and report the location's status from those of its workers."""
        replica = await open_replica(self._stack, self._settings.data_dir)
        summing = WorkerSum(self._settings.location, len(self._workers), replica, self._completed)
        news = asyncio.Event()
        self._following = Following(
            replica, CatalogBuilder(open_keys(self._settings)), self._configured.follow, _say_nothing, news.set
        )
        try:
            await self._following.catch_up()
        except ReplicaError as error:
            raise SettingsError((f"data_dir: what is published can't be read: {error}",)) from error
        healing = self._configured.heal(lambda: self._following.builder.catalog, news.set)
        for work in (self._following.run(), summing.run(), summing.tell_of(news), healing):
            self._tasks.start(_tell_end(work, self._report))

    def _completed(self, status: LocationStatus) -> LocationStatus:
        """Return the sum of what the workers say, no further than configurations have been decided on."""
        generation = min(status.generation, self._following.generation)
        return self._configured.complete(replace(status, generation=generation))

    async def _stop(self) -> None:
        self._stopping = True
        await self._tasks.close()
        patience = self._settings.drain_timeout + _STOP_GRACE
        await asyncio.gather(*(worker.stop(patience) for worker in self._workers.values()))

    def _keep(self, number: int) -> None:
        self._tasks.start(self._kept(number))

    async def _kept(self, number: int) -> None:
        """Start the worker again whenever it ends by itself, after ever longer waits while it keeps failing."""
        delay = _FIRST_DELAY
        while not self._stopping:
            status = await self._workers[number].process.wait()
            await self._workers[number].forget()
            self._report(f"worker {number} ended with status {status}; another one starts in {delay:g} s")
            await asyncio.sleep(delay)
            try:
                async with self._reloading:  # it starts with the old configuration or with the new one, and takes part
                    await self._start(number)
            except (SettingsError, OSError) as error:
                self._report(f"worker {number} could not be started: {error}")
                delay = min(delay * 2, _LONGEST_DELAY)
                await self._workers[number].stop(_STOP_GRACE)
            else:
                delay = _FIRST_DELAY

    def _health(self) -> dict[str, object]:
        alive = sum(worker.process.returncode is None for worker in self._workers.values())
        return {
            "location": self._settings.location,
            "addresses": self.addresses,
            "functions": sorted(self._settings.functions),
            "workers": alive,
        }

    def reload_soon(self) -> None:
        """Reload in the background; what went wrong is reported."""
        self._tasks.start(reload_and_tell(self.reload, self._report))

    async def reload(self) -> str:
        """Have every worker read the configuration again; return a line about it.

        Raises `SettingsError`: then no worker has changed. A worker that ends meanwhile starts again with what is
        on disk.
        """
        async with self._reloading:
            revision = self._configured.kept
            said = await self._swapped(revision)
        await self._configured.follow(self._following.builder.catalog)
        return f"{said}{self._configured.note()}"

    async def _take(self, revision: Revision, generation: int) -> str:
        """Have every worker take a published configuration into use, and keep it. Raises `SettingsError`: none did."""
        async with self._reloading:
            return await self._swapped(revision, generation, self._last_good.write)

    async def _swapped(
        self, revision: Revision | None, generation: int = 0, keep: Callable[[Revision], None] | None = None
    ) -> str:
        """Swap all workers to a configuration, kept by `keep` before; generation 0 is a reload of the one in use."""
        settings = await asyncio.to_thread(self._read, revision)
        refuse_changes_that_need_a_restart(self._settings, settings)
        fresh = revision.number if revision is not None and generation else 0
        ready = await self._prepare(fresh, generation)
        if keep is not None and revision is not None:
            try:
                await asyncio.to_thread(keep, revision)
            except SettingsError:
                self._discard(ready)
                raise
        said = await self._adopt(ready)
        self._settings = settings
        self._configured.use(revision, settings)
        return f"{said} by {len(self._workers)} workers"

    async def _prepare(self, fresh: int, generation: int) -> list[WorkerProcess]:
        """Return the workers that are ready to swap. Raises `SettingsError` when one has found something wrong."""
        ready: list[WorkerProcess] = []
        problems: list[str] = []
        for number, worker in self._workers.items():
            try:
                told = await worker.prepare(fresh, generation)
            except WorkerSilentError as error:
                worker.tell(DISCARD)
                told = (str(error),)
            except WorkerGoneError as error:
                self._report(f"worker {number}: {error}; it starts again with the new configuration")
                continue
            problems += (f"worker {number}: {problem}" for problem in told)
            if not told:
                ready.append(worker)
        if problems:
            self._discard(ready)
            raise SettingsError(tuple(problems))
        return ready

    @staticmethod
    def _discard(ready: list[WorkerProcess]) -> None:
        for worker in ready:
            worker.tell(DISCARD)

    async def _adopt(self, ready: list[WorkerProcess]) -> str:
        said = "reloaded"
        for worker in ready:
            try:
                said = await worker.adopt()
            except WorkerGoneError as error:
                self._report(f"{error}; it starts again with the new configuration")
        return said

    async def purge(self, purge: Purge, *, soft: bool) -> Hit:
        """Let what the purge hits be gone, or stale, in all workers; return what that was. Raises `StoreError`.

        One worker orders it, where all others see it; then each is asked for what it had.
        """
        first, others = await self._ordered(purge, soft=soft)
        asked = (worker.purge(purge, soft=soft, epoch=first.epoch) for worker in others)
        memory = first.memory
        for hit in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(hit, Hit):
                memory += hit.memory
            elif not isinstance(hit, WorkerGoneError):  # whoever is gone has nothing in memory
                raise hit
        return Hit(first.epoch, memory, first.disk)

    async def _ordered(self, purge: Purge, *, soft: bool) -> tuple[Hit, list[WorkerProcess]]:
        """Return what the worker says that ordered it, and all others."""
        workers = list(self._workers.values())
        for worker in workers:
            try:
                hit = await worker.purge(purge, soft=soft, epoch=None)
            except WorkerGoneError:
                continue
            return hit, [other for other in workers if other is not worker]
        raise StoreError("no worker is running that could purge")
