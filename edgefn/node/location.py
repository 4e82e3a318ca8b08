"""One running location: its parts started in order, swapped on a reload, and drained in reverse order."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from edgefn.control.admin import Operations
from edgefn.functions.logs import LineWriter
from edgefn.functions.registry import Registry
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.node.administering import open_admin
from edgefn.node.geo import open_database
from edgefn.node.hosting import function_hosts
from edgefn.node.parts import Lasting, site_of
from edgefn.proxy.background import Background
from edgefn.proxy.flights import Flights
from edgefn.proxy.site import Site
from edgefn.stores.memory import MemoryStore
from edgefn.wire.listening import Listening
from edgefn.wire.pool import Pool

_log = logging.getLogger("edgefn")


@dataclass(slots=True)
class Running:
    """The configuration in force, and what it runs on."""

    settings: Settings
    site: Site
    registry: Registry


class Location:
    """Runs one location while its `async with` block does.

    `reread` returns the settings anew for a reload, `report` takes lines for the operator. Entering raises
    `SettingsError`, also for an address that is taken. Leaving drains; when that is cancelled, requests end at once.
    """

    def __init__(self, settings: Settings, *, reread: Callable[[], Settings], report: Callable[[str], None]) -> None:
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
            await self._stack.aclose()

    async def _start(self) -> None:
        settings = self._settings
        _make_directory(settings.data_dir)
        access = self._stack.enter_context(LineWriter(self._open_log(settings.access_log)))
        self._function_log = self._stack.enter_context(LineWriter(sys.stderr))
        pool = Pool()
        self._stack.push_async_callback(pool.close)
        store = MemoryStore(settings.cache_memory)
        background = Background()
        self._stack.push_async_callback(background.close)
        self._lasting = Lasting(pool, store, Flights(), background, f"{world.pseudonym()}.cloudfront.net", access.write)
        registry = await self._open_registry(settings)
        runners, _ = await registry.open(settings.functions)
        site = site_of(settings, runners, self._lasting, open_database(settings.geo_database))
        self._running = Running(settings, site, registry)
        self._listening = Listening(site, settings.viewer)
        await self._listening.start(settings.listen, reuse_port=settings.workers != 1)
        admin = await open_admin(settings, Operations(self._health, self.reload))
        if admin is not None:
            self._stack.push_async_callback(admin.close)

    def _open_log(self, name: str) -> TextIO:
        if name in {"-", ""}:
            return sys.stdout
        try:
            return self._stack.enter_context(Path(name).open("a", encoding="utf-8"))
        except OSError as error:
            raise SettingsError((f"access_log: {name}: can't be opened: {error.strerror}",)) from error

    async def _open_registry(self, settings: Settings) -> Registry:
        hosts = await self._stack.enter_async_context(function_hosts(settings, self._report))
        bundles = _make_directory(settings.data_dir, "bundles")
        around = Surroundings(world.invocation_id, world.timestamp, self._log_function)
        registry = Registry(hosts, bundles, around)
        self._stack.push_async_callback(registry.close)
        return registry

    def _log_function(self, name: str, line: str) -> None:
        self._function_log.write(f"{name}: {line}")

    def _health(self) -> dict[str, object]:
        settings = self._running.settings
        return {"location": settings.location, "addresses": self.addresses, "functions": sorted(settings.functions)}

    def reload_soon(self) -> None:
        """Reload in the background; what went wrong is reported."""
        task = asyncio.get_running_loop().create_task(reload_and_tell(self.reload, self._report))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> str:
        """Read the configuration again and swap to it; return a line about it. Raises `SettingsError`: no change.

        Requests that are under way end on the configuration that they began with.
        """
        async with self._reloading:
            settings = self._reread()
            before = self._running
            refuse_changes_that_need_a_restart(before.settings, settings)
            locate = open_database(settings.geo_database)
            self._listening.reload_certificates()
            # The last step that can fail: with it the functions of before may be on their way out.
            runners, retired = await before.registry.open(settings.functions)
            site = site_of(settings, runners, self._lasting, locate)
            self._listening.swap(site, settings.viewer)
            self._running = Running(settings, site, before.registry)
            self._retire(before.site, retired, settings.drain_timeout)
            return f"reloaded (routes: {len(settings.routes)}, functions: {len(settings.functions)})"

    def _retire(self, site: Site, runners: list[Runner], patience: float) -> None:
        task = asyncio.get_running_loop().create_task(_close_when_idle(site, runners, patience))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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


async def _close_when_idle(site: Site, runners: list[Runner], patience: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(site.wait_idle(), patience)
    for runner in runners:
        await runner.close()


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
        "access_log",
    )
    problems = tuple(
        f"{name}: can't change while the location runs; restart it"
        for name in fixed
        if getattr(before, name) != getattr(after, name)
    )
    if problems:
        raise SettingsError(problems)
