"""One running location: its parts started in order, swapped on a reload, and drained in reverse order."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from edgefn.control.purging import purge_endpoints
from edgefn.control.running import Operations, running_endpoints
from edgefn.functions.catalog import CatalogBuilder
from edgefn.functions.following import BlobFetch, Following, Reporting, status_of
from edgefn.functions.logs import LineWriter
from edgefn.functions.opening import VersionOpener
from edgefn.functions.published import Published
from edgefn.functions.registry import Registry
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import Catalog, LocationStatus, Revision, Use
from edgefn.model.settings import FunctionLogging, Settings
from edgefn.node import world
from edgefn.node.administering import open_admin
from edgefn.node.configured import Configured, LastGood, Read, own_functions
from edgefn.node.files import Files, read_files
from edgefn.node.function_logs import function_log
from edgefn.node.functions import Callees, Functions
from edgefn.node.hosting import Stores, function_hosts
from edgefn.node.membership import is_member
from edgefn.node.parts import Lasting, site_of
from edgefn.node.publishing import Place, open_publishing
from edgefn.node.reloading import refuse_changes_that_need_a_restart, refuse_what_is_lacking, reload_and_tell
from edgefn.node.replication import open_keys, open_replica
from edgefn.node.scratch import scratch_directory
from edgefn.node.stocking import opened_stock
from edgefn.proxy.background import Background
from edgefn.proxy.flights import Flights
from edgefn.proxy.site import Site
from edgefn.rules.purges import Purge
from edgefn.rules.uses import uses_of
from edgefn.rules.worker_sum import worker_name
from edgefn.sandbox.process.tasks import Tasks
from edgefn.stores.base import NOTHING
from edgefn.stores.stock import Hit
from edgefn.wire.listening import FreshCertificates, Listening
from edgefn.wire.pool import Pool

_PATIENCE = 45.0
"""Seconds for this process to apply a generation that its supervisor knows already."""


@dataclass(slots=True)
class Running:
    """The configuration in force, and what it runs on."""

    settings: Settings
    site: Site


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration that was read, and found good to the last part: nothing is left that could fail."""

    settings: Settings
    revision: Revision | None
    site: Site
    callees: Callees
    certificates: FreshCertificates


class Location:
    """Runs one location while its `async with` block does.

    `settings` are those of its file, `read` returns them anew, `report` takes lines for the operator. Entering raises
    `SettingsError`, also for an address that is taken. Leaving drains; when that is cancelled, requests end at once.
    `worker` is its number when it is one of several.
    """

    _place: Place

    def __init__(
        self,
        settings: Settings,
        *,
        read: Read,
        report: Callable[[str], None],
        worker: int | None = None,
    ) -> None:
        self._name = settings.location if worker is None else worker_name(settings.location, worker)
        self._is_worker = worker is not None
        self._settings = settings
        self._read = read
        self._report = report
        self._stack = AsyncExitStack()
        self._reloading = asyncio.Lock()
        self._tasks = Tasks()

    @property
    def addresses(self) -> list[str]:
        """Return the URLs that viewers can use."""
        listen = self._running.settings.listen
        bound = zip(listen, self._listening.addresses, strict=False)
        return [f"{'https' if at.certificates else 'http'}://{_host(ip)}:{port}" for at, (ip, port) in bound]

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            await self._tasks.close()
            await self._listening.drain(self._running.settings.drain_timeout)
        finally:
            # Also when the wait for the tasks was cancelled: else viewers would hear of origins that are gone.
            await self._listening.drain(0)
            await self._stack.aclose()

    async def _start(self) -> None:
        _make_directory(self._settings.data_dir)
        keys = open_keys(self._settings)
        self._last_good = LastGood(self._settings.data_dir, self._settings.site, keys, self._is_worker)
        self._configured = Configured(
            self._settings.site, self._take, self._report, self._last_good.mark_deleted, self._last_good.read()
        )
        settings = self._configured.first_settings(self._read)
        access = self._stack.enter_context(LineWriter(self._open_log(settings.access_log)))
        pool = Pool()
        self._stack.push_async_callback(pool.close)
        self._stock = await self._stack.enter_async_context(opened_stock(settings))
        background = Background()
        self._stack.push_async_callback(background.close)
        flights = Flights(epoch=self._stock.epoch)
        self._stock.follow(flights.purged)
        name = f"{world.pseudonym()}.cloudfront.net"
        self._lasting = Lasting(pool, self._stock, flights, background, name, access.write)
        self._functions = await self._open_functions(settings)
        callees = await self._functions.open(settings)
        self._functions.adopt(callees)
        await self._catch_up()
        site = site_of(settings, callees.of, self._lasting, read_files(settings))
        self._running = Running(settings, site)
        self._listening = Listening(site, settings.viewer)
        if not self._is_worker or self._configured.kept is None:
            await self._configured.follow(self._following.builder.catalog)
        await self._follow_published()
        await self._listening.start(settings.listen, reuse_port=settings.workers != 1)
        if settings.workers == 1 and is_member(settings.data_dir):
            from edgefn.node.mirroring import open_mirror  # the extra `cluster` is needed by fleets only

            place = self._place
            notes = await open_mirror(self._stack, settings, self._replica, place.keys, self.purge, self._report)
            self._place = replace(place, notes=notes)
        operations = Operations(self._health, self.reload)
        if settings.admin is not None:
            endpoints = [*running_endpoints(operations), *purge_endpoints(self.purge)]
            mirrors = is_member(settings.data_dir)
            endpoints += open_publishing(self._stack, self._place, mirrors=mirrors)[1]
            await open_admin(self._stack, settings.admin, settings.data_dir, endpoints)

    def _open_log(self, name: str) -> TextIO:
        if name in {"-", ""}:
            return sys.stdout
        try:
            return self._stack.enter_context(Path(name).open("a", encoding="utf-8"))
        except OSError as error:
            raise SettingsError((f"access_log: {name}: can't be opened: {error.strerror}",)) from error

    async def _open_functions(self, settings: Settings) -> Functions:
        self._stores = settings.kvs
        stores = Stores(lambda: self._stores)
        hosts = await self._stack.enter_async_context(function_hosts(settings, self._report, stores))
        self._hosts = hosts
        self._replica = await open_replica(self._stack, settings.data_dir)
        bundles = Path(self._stack.enter_context(scratch_directory(_make_directory(settings.data_dir, "bundles"))))
        log = self._stack.enter_context(function_log(settings.location, settings.data_dir, settings.function_log))
        reports = settings.function_log is FunctionLogging.ALL
        around, keys = Surroundings(world.invocation_id, world.timestamp, log, reports), open_keys(settings)
        self._place = Place(
            self._replica,
            keys,
            hosts,
            bundles,
            around,
            self._uses,
            settings.data_dir,
            functions=lambda: own_functions(self._read, self._running.settings),
        )
        opener = VersionOpener(hosts, bundles, BlobFetch(self._replica, keys), around)
        published = Published(opener, world.monotonic, self._report)
        functions = Functions(Registry(hosts, bundles, around), published)
        self._stack.push_async_callback(functions.close)
        return functions

    async def _catch_up(self) -> None:
        """Open what is published and named."""
        builder, published = CatalogBuilder(open_keys(self._settings)), self._functions.published
        self._reporting = Reporting(self._name, self._replica, self._status)
        news = self._reporting.soon
        self._following = Following(self._replica, builder, published.apply, self._report, news)
        try:
            await self._following.catch_up()
        except ReplicaError as error:
            raise SettingsError((f"data_dir: what is published can't be read: {error}",)) from error

    async def _follow_published(self) -> None:
        """Keep up with what is published from now on, and say so."""
        if not self._is_worker:  # several workers take another configuration into use together
            self._following.apply = self._apply
        try:
            await self._reporting.now()
        except ReplicaError as error:
            raise SettingsError((f"data_dir: the status can't be reported: {error}",)) from error
        healing = self._functions.published.heal(self._reporting.soon)
        works = [self._following.run(), self._reporting.run(), healing]
        if not self._is_worker:
            works.append(self._configured.heal(lambda: self._following.builder.catalog, self._reporting.soon))
        for work in works:
            self._tasks.start(work)

    async def _apply(self, catalog: Catalog) -> None:
        await self._functions.published.apply(catalog)
        await self._configured.follow(catalog)

    def _status(self) -> LocationStatus:
        running = self._functions.published.running
        return self._configured.complete(status_of(self._name, running, self._following, world.wall()))

    def _uses(self) -> list[Use]:
        return uses_of(self._running.settings)

    def _health(self) -> dict[str, object]:
        settings = self._running.settings
        return {
            "location": settings.location,
            "addresses": self.addresses,
            "functions": sorted(settings.functions),
            "sandbox": self._hosts.tier,
        }

    async def purge(self, purge: Purge, *, soft: bool) -> Hit:
        """Let what the purge hits be gone, or stale; return what that was. Raises `StoreError`.

        Once it returns nothing of it is served, by no worker, and nothing whose fetch had begun before is stored.
        """
        return await self._stock.purge(purge, soft=soft)

    async def purge_as_told(self, purge: Purge, *, soft: bool, epoch: int) -> Hit:
        """Do the same when another worker has ordered the purge by that number already. Raises `StoreError`."""
        if self._stock.shares_its_ledger:
            return Hit(epoch, await self._stock.hit_by(epoch), NOTHING)
        return await self._stock.purge(purge, soft=soft)

    async def revision(self, number: int, generation: int) -> Revision:
        """Return a published configuration of a generation, once this process has applied that. Raises `SettingsError`.

        So whatever its hooks name is open here, if it can be.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._following.reach(generation)
        except TimeoutError as error:
            raise SettingsError((f"generation {generation} was not applied within {_PATIENCE:g} s",)) from error
        site = self._following.builder.catalog.configurations.get(self._configured.site)
        if site is None or number not in site.revisions:
            raise SettingsError((f"configuration {number} is not published any more",))
        return site.revisions[number]

    def reload_soon(self) -> None:
        """Reload in the background; what went wrong is reported."""
        self._tasks.start(reload_and_tell(self.reload, self._report))

    async def reload(self) -> str:
        """Read the configuration again and swap to it; return a line about it. Raises `SettingsError`: no change.

        Requests that are under way end on the configuration that they began with.
        """
        async with self.changing() as change:
            said = self.adopt(change)
        await self._configured.follow(self._following.builder.catalog)
        self._reporting.soon()
        return f"{said}{self._configured.note()}"

    async def _take(self, revision: Revision, generation: int) -> str:
        """Take a published configuration into use, and keep it; return a line about it. Raises `SettingsError`."""
        del generation  # this process has applied it already
        async with self.changing(revision) as change:
            if not self._is_worker:
                await asyncio.to_thread(self._last_good.write, revision)
            return self.adopt(change)

    @asynccontextmanager
    async def changing(self, revision: Revision | None = None) -> AsyncIterator[Change]:
        """Give the configuration as it is on disk now, ready for `adopt`; what isn't adopted in the block is undone.

        A `revision` takes the place of the published configuration in use. Raises `SettingsError`. One at a time.
        """
        async with self._reloading:
            change = await self._prepare(revision)
            try:
                yield change
            finally:
                if self._running.site is not change.site:
                    await self._functions.discard(change.callees)

    async def _prepare(self, fresh: Revision | None) -> Change:
        revision = self._configured.kept if fresh is None else fresh
        before = self._running.settings
        settings, files, certificates = await asyncio.to_thread(self._reread_all, before, revision)
        callees = await self._functions.open(settings)
        try:
            if fresh is not None:
                refuse_what_is_lacking(settings, self._functions.published)
            site = site_of(settings, callees.of, self._lasting, files)
        except BaseException:
            await self._functions.discard(callees)
            raise
        return Change(settings, revision, site, callees, certificates)

    def _reread_all(self, before: Settings, revision: Revision | None) -> tuple[Settings, Files, FreshCertificates]:
        """Read all that may take a while. Runs on a thread of its own; changes nothing."""
        settings = self._read(revision)
        refuse_changes_that_need_a_restart(before, settings, dict(self._hosts.lent))
        return settings, read_files(settings), self._listening.load_certificates()

    def adopt(self, change: Change) -> str:
        """Swap to a configuration, all at once; return a line about it."""
        before, settings = self._running, change.settings
        retired = self._functions.adopt(change.callees)
        self._listening.use_certificates(change.certificates)
        self._listening.swap(change.site, settings.viewer)
        self._running = Running(settings, change.site)
        self._stores = settings.kvs
        self._functions.published.hurry()
        self._configured.use(change.revision, settings)
        self._retire(before, retired, settings.drain_timeout)
        return f"reloaded (routes: {len(settings.routes)}, functions: {len(settings.functions)})"

    def _retire(self, before: Running, runners: list[Runner], patience: float) -> None:
        self._tasks.start(self._close_when_idle(before, runners, patience))

    async def _close_when_idle(self, before: Running, runners: list[Runner], patience: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(before.site.wait_idle(), patience)
        await self._functions.let_go(before.settings, runners)
        self._reporting.soon()


def _make_directory(*parts: str) -> Path:
    directory = Path(*parts)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError((f"data_dir: {directory} can't be made: {error.strerror}",)) from error
    return directory


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
