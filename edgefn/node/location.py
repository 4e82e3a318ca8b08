"""One running location: its parts started in order, swapped on a reload, and drained in reverse order."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from edgefn.control.purging import purge_endpoints
from edgefn.control.running import Operations, running_endpoints
from edgefn.functions.catalog import CatalogBuilder
from edgefn.functions.following import BlobFetch, Following
from edgefn.functions.logs import LineWriter
from edgefn.functions.opening import VersionOpener
from edgefn.functions.published import Published
from edgefn.functions.registry import Registry
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import Use
from edgefn.model.settings import FunctionLogging, Settings
from edgefn.node import world
from edgefn.node.administering import open_admin
from edgefn.node.files import Files, read_files
from edgefn.node.function_logs import function_log
from edgefn.node.functions import Callees, Functions
from edgefn.node.hosting import function_hosts
from edgefn.node.membership import is_member
from edgefn.node.parts import Lasting, site_of
from edgefn.node.publishing import Place, open_publishing
from edgefn.node.replication import open_keys, open_replica
from edgefn.node.scratch import scratch_directory
from edgefn.node.stocking import opened_stock
from edgefn.proxy.background import Background
from edgefn.proxy.flights import Flights
from edgefn.proxy.site import Site
from edgefn.rules.purges import Purge
from edgefn.rules.uses import uses_of
from edgefn.rules.worker_sum import worker_name
from edgefn.stores.base import NOTHING
from edgefn.stores.stock import Hit
from edgefn.wire.listening import FreshCertificates, Listening
from edgefn.wire.pool import Pool

_log = logging.getLogger("edgefn")


@dataclass(slots=True)
class Running:
    """The configuration in force, and what it runs on."""

    settings: Settings
    site: Site


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration that was read, and found good to the last part: nothing is left that could fail."""

    settings: Settings
    site: Site
    callees: Callees
    certificates: FreshCertificates


class Location:
    """Runs one location while its `async with` block does.

    `reread` returns the settings anew for a reload, `report` takes lines for the operator. Entering raises
    `SettingsError`, also for an address that is taken. Leaving drains; when that is cancelled, requests end at once.
    `worker` is its number when it is one of several.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reread: Callable[[], Settings],
        report: Callable[[str], None],
        worker: int | None = None,
    ) -> None:
        self._name = settings.location if worker is None else worker_name(settings.location, worker)
        self._settings = settings
        self._reread = reread
        self._report = report
        self._stack = AsyncExitStack()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

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
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._listening.drain(self._running.settings.drain_timeout)
        finally:
            # Also when the wait for the tasks was cancelled: else viewers would hear of origins that are gone.
            await self._listening.drain(0)
            await self._stack.aclose()

    async def _start(self) -> None:
        settings = self._settings
        _make_directory(settings.data_dir)
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
        await self._follow_published()
        site = site_of(settings, callees.of, self._lasting, read_files(settings))
        self._running = Running(settings, site)
        self._listening = Listening(site, settings.viewer)
        await self._listening.start(settings.listen, reuse_port=settings.workers != 1)
        if settings.workers == 1 and is_member(settings.data_dir):
            from edgefn.node.mirroring import open_mirror  # the extra `cluster` is needed by fleets only

            place = self._place
            await open_mirror(self._stack, settings, self._replica, place.keys, self.purge, self._report)
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
        hosts = await self._stack.enter_async_context(function_hosts(settings, self._report))
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
            functions=lambda: self._running.settings.functions,
        )
        opener = VersionOpener(hosts, bundles, BlobFetch(self._replica, keys), around)
        published = Published(opener, world.monotonic, self._report)
        functions = Functions(Registry(hosts, bundles, around), published)
        self._stack.push_async_callback(functions.close)
        return functions

    async def _follow_published(self) -> None:
        """Open what is published and named, and keep up with it from then on."""
        builder, published = CatalogBuilder(open_keys(self._settings)), self._functions.published
        following = Following(self._name, self._replica, builder, published, world.wall, self._report)
        try:
            await following.catch_up()
        except ReplicaError as error:
            raise SettingsError((f"data_dir: what is published can't be read: {error}",)) from error
        task = asyncio.get_running_loop().create_task(following.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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

    def reload_soon(self) -> None:
        """Reload in the background; what went wrong is reported."""
        task = asyncio.get_running_loop().create_task(reload_and_tell(self.reload, self._report))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> str:
        """Read the configuration again and swap to it; return a line about it. Raises `SettingsError`: no change.

        Requests that are under way end on the configuration that they began with.
        """
        async with self.changing() as change:
            return self.adopt(change)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Change]:
        """Give the configuration as it is on disk now, ready for `adopt`; what isn't adopted in the block is undone.

        Raises `SettingsError`. One at a time.
        """
        async with self._reloading:
            change = await self._prepare()
            try:
                yield change
            finally:
                if self._running.site is not change.site:
                    await self._functions.discard(change.callees)

    async def _prepare(self) -> Change:
        settings, files, certificates = await asyncio.to_thread(self._reread_all, self._running.settings)
        callees = await self._functions.open(settings)
        site = site_of(settings, callees.of, self._lasting, files)
        return Change(settings, site, callees, certificates)

    def _reread_all(self, before: Settings) -> tuple[Settings, Files, FreshCertificates]:
        """Read all that may take a while. Runs on a thread of its own; changes nothing."""
        settings = self._reread()
        refuse_changes_that_need_a_restart(before, settings)
        return settings, read_files(settings), self._listening.load_certificates()

    def adopt(self, change: Change) -> str:
        """Swap to a configuration, all at once; return a line about it."""
        before, settings = self._running, change.settings
        retired = self._functions.adopt(change.callees)
        self._listening.use_certificates(change.certificates)
        self._listening.swap(change.site, settings.viewer)
        self._running = Running(settings, change.site)
        self._retire(before, retired, settings.drain_timeout)
        return f"reloaded (routes: {len(settings.routes)}, functions: {len(settings.functions)})"

    def _retire(self, before: Running, runners: list[Runner], patience: float) -> None:
        task = asyncio.get_running_loop().create_task(self._close_when_idle(before, runners, patience))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close_when_idle(self, before: Running, runners: list[Runner], patience: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(before.site.wait_idle(), patience)
        await self._functions.let_go(before.settings, runners)


async def reload_and_tell(reload: Callable[[], Awaitable[str]], tell: Callable[[str], None]) -> None:
    """Reload; `tell` hears what came of it, or all that was wrong."""
    try:
        tell(await reload())
    except SettingsError as error:
        tell("the configuration was not reloaded:")
        for problem in error.problems:
            tell(f"  {problem}")


def _make_directory(*parts: str) -> Path:
    directory = Path(*parts)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError((f"data_dir: {directory} can't be made: {error.strerror}",)) from error
    return directory


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def refuse_changes_that_need_a_restart(before: Settings, after: Settings) -> None:
    """Raise `SettingsError` when a setting differs that a running location can't change."""
    fixed = (
        "location",
        "listen",
        "admin",
        "data_dir",
        "workers",
        "cache_memory",
        "cache_disk",
        "sandbox",
        "signatures",
        "access_log",
        "function_log",
    )
    problems = tuple(
        f"{name}: can't change while the location runs; restart it"
        for name in fixed
        if getattr(before, name) != getattr(after, name)
    )
    if problems:
        raise SettingsError(problems)
