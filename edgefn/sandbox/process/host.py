"""Everything that runs Node.js and Python functions for one process of the proxy."""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass

from edgefn.sandbox.base import Code, Invocation, Log, OpenError, Outcome
from edgefn.sandbox.process.bundles import Bundle
from edgefn.sandbox.process.hiring import Hiring, Senses
from edgefn.sandbox.process.interpreters import declared
from edgefn.sandbox.process.launch import Language, Launcher, LaunchError
from edgefn.sandbox.process.parking import Parking, Profile, profile_of
from edgefn.sandbox.process.pool import Pool, PoolStatistics, Sizes
from edgefn.sandbox.process.tasks import Tasks

_log = logging.getLogger(__name__)

_END_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """A snapshot: one entry per open version, and how many parked workers stand ready."""

    pools: tuple[PoolStatistics, ...]
    parked: int


class ProcessHost:
    """Opens versions as `Sandbox`es. Keeps `parked` functionless workers for each profile in use."""

    def __init__(self, launcher: Launcher, *, parked: int, senses: Senses) -> None:
        self._senses = senses
        self._launcher = launcher
        self._warned: set[str] = set()
        self._tasks = Tasks()
        self._home = tempfile.mkdtemp(prefix="host-", dir=launcher.slots)
        os.chmod(self._home, 0o711)  # noqa: S103  # the sandbox's user passes through, and lists nothing
        self._parking = Parking(launcher, self._home, parked, senses.monotonic, self._tasks)
        self._open: list[Version] = []
        self._count = 0

    def statistics(self) -> HostStatistics:
        """Return a snapshot."""
        return HostStatistics(tuple(version.pool.statistics for version in self._open), self._parking.parked)

    async def open(self, code: Code, *, concurrency: int, provisioned: int, idle_timeout: float, log: Log) -> "Version":
        """Return the sandboxes of a version, its provisioned ones ready. Raises `OpenError`; nothing is left then.

        `idle_timeout` in seconds. `log` is told every line of output with the request's id, "" outside of requests.
        """
        profile = profile_of(code, await self._language(code.runtime))
        self._count += 1
        self._parking.use(profile)
        bundle = Bundle(code.root, self._home, f"version{self._count}", self._tasks)
        sizes = Sizes(concurrency, min(provisioned, concurrency), idle_timeout)
        pool = Pool(Hiring(code, profile, self._parking, bundle, log, self._senses), sizes, self._tasks)
        version = Version(self, pool, bundle, profile)
        self._open.append(version)
        try:
            await self._prepare(version)
        except BaseException:
            await version.close()
            raise
        return version

    async def _language(self, runtime: str) -> Language:
        """Return what a runtime is written in, made sure that something runs it; warn, once, of another version."""
        asked = declared(runtime)
        if asked is None:
            raise OpenError(f"no process runs {runtime!r}")
        try:
            warning = await asyncio.to_thread(self._launcher.look_up, runtime)
        except LaunchError as error:
            raise OpenError(str(error)) from error
        if warning and runtime not in self._warned:
            self._warned.add(runtime)
            _log.warning("%s", warning)
        return asked.language

    async def close(self) -> None:
        """Stop everything, wait until it is gone, and leave no file behind."""
        for version in tuple(self._open):
            await version.close()
        await self._parking.close()
        await self._tasks.finish(_END_PATIENCE)
        await self._tasks.close()
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)

    def forget(self, version: "Version") -> None:
        """Let go of a version that closes. Harmless when repeated."""
        if version in self._open:
            self._open.remove(version)
            self._parking.disuse(version.profile)

    async def _prepare(self, version: "Version") -> None:
        try:
            await version.bundle.open()
        except OSError as error:
            raise OpenError(f"the bundle can't be read: {error}") from error
        await self._parking.fill(version.profile)
        failure = await version.pool.provision()
        if failure is not None:
            raise OpenError(f"{failure.type}: {failure.message}", failure)


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A `Sandbox`: one open version, with what the host keeps for it."""

    host: ProcessHost
    pool: Pool
    bundle: Bundle
    profile: Profile

    @property
    def stopping_is_cheap(self) -> bool:
        """Return False: with the function would go a warm worker."""
        return False

    @property
    def may_answer_at_once(self) -> bool:
        """Return False: another process must have its turn first."""
        return False

    def run_now(self, invocation: Invocation) -> None:
        """Do nothing."""

    def run(self, invocation: Invocation) -> Coroutine[object, object, Outcome]:
        """Run one event to its end or its limit. Cancelling stops the function."""
        return self.pool.run(invocation)

    async def close(self) -> None:
        """Stop all its workers, wait until they are gone, and remove its files."""
        self.host.forget(self)
        await self.pool.close()
        await self.bundle.close()
