"""Following a replica in one process: whole commits are applied as they come, and the result is reported.

What the replica held when the process started is applied before the first viewer comes (last known good): no network,
and no control plane, is waited for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from edgefn.functions.bites import fed_in_bites, in_bites
from edgefn.functions.blobs import BlobError, fetched
from edgefn.functions.bundle import Bundle
from edgefn.functions.catalog import Applied, CatalogBuilder, Held, Problem
from edgefn.functions.published import Running
from edgefn.functions.replicas.base import Followed, Replica, ReplicaError, Restarted, Stored
from edgefn.functions.signing import Keys
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import Catalog, FailedVersion, LocationStatus, Manifest

_HEARTBEAT = 5.0
_RETRY = 1.0


@dataclass(frozen=True, slots=True)
class BlobFetch:
    """Reads the files of versions from a replica."""

    replica: Replica
    keys: Keys

    async def __call__(self, manifest: Manifest) -> Bundle:
        """Return the files of a version, checked and unsealed. Raises `ReplicaError`."""
        try:
            return await fetched(self.replica, manifest, self.keys.sealing)
        except BlobError as error:
            raise ReplicaError(str(error)) from error


@dataclass(slots=True)
class Following:
    """Has `apply` called with each catalog of `replica`, one after the other; `news` after each, and when one is held.

    `report` takes lines for the operator.
    """

    replica: Replica
    builder: CatalogBuilder
    apply: Callable[[Catalog], Awaitable[object]]
    report: Callable[[str], None]
    news: Callable[[], None]
    problems: tuple[Problem, ...] = ()
    held: str = ""
    _generation: int = 0
    _sequence: int = 0
    _incarnation: str = ""
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def generation(self) -> int:
        """Return the generation that has been applied wholly."""
        return self._generation

    async def catch_up(self) -> None:
        """Apply what is there now. Raises `ReplicaError`."""
        self._incarnation = await self.replica.incarnation()
        async for stored in in_bites(await self.replica.read()):
            await self._take(stored)

    async def reach(self, generation: int) -> None:
        """Wait until that generation has been applied: without end, if it never comes."""
        while self._generation < generation:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Apply what comes, for ever; trouble is reported once and tried again."""
        trouble = ""
        while True:
            try:
                async with aclosing(self.replica.follow(self._sequence, self._incarnation)) as followed:
                    async for each in fed_in_bites(followed):
                        trouble = ""
                        await self._take(each)
            except ReplicaError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self.report(f"what is published can't be followed now, and stays as it is: {error}")
            await asyncio.sleep(_RETRY)

    async def _take(self, followed: Followed) -> None:
        match followed:
            case Restarted(incarnation=incarnation):
                self.builder.restart()
                self._sequence, self._incarnation = 0, incarnation
            case Stored(sequence=sequence):
                self._sequence = sequence
                await self._heed(self.builder.take(followed))

    async def _heed(self, taken: Applied | Held | None) -> None:
        match taken:
            case None:
                return
            case Held(reason=reason):
                self.held = reason
                self.report(reason)
            case Applied(catalog=catalog, problems=problems):
                self.held, self.problems = "", problems
                for problem in problems:
                    self.report(f"{problem.subject}: {problem.why}")
                await self.apply(catalog)
                self._generation = catalog.generation
        self._moved.set()
        self.news()


@dataclass(slots=True)
class Reporting:
    """Puts the word of this process on the replica's board of statuses, under `name`: when told, and now and then."""

    name: str
    replica: Replica
    status: Callable[[], LocationStatus]
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def soon(self) -> None:
        """Have the status reported again soon."""
        self._news.set()

    async def run(self) -> None:
        """Report, for ever; what can't be reported is tried again."""
        while True:
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await self._news.wait()
            except TimeoutError:
                pass
            try:
                await self.now()
            except ReplicaError:
                await asyncio.sleep(_RETRY)

    async def now(self) -> None:
        """Report. Raises `ReplicaError`."""
        self._news.clear()
        await self.replica.set_status(self.name, status_to_json(self.status()))


def status_of(name: str, running: Running, following: Following, now: float) -> LocationStatus:
    """Return what a process says of itself. A version that it rolled back counts as failed."""
    failed = list(running.failed)
    failed += [
        FailedVersion(label.partition(":")[0], back.version, f"rolled back: {back.reason}")
        for label, back in running.rolled_back.items()
    ]
    failed += [FailedVersion(_function_of(each.subject), 0, each.why) for each in following.problems]
    if following.held:
        failed.append(FailedVersion("", 0, following.held))
    versions = {label: int(behind[0]) for label, behind in running.versions.items() if behind and behind[0].isdigit()}
    rolled_back = {label: back.version for label, back in running.rolled_back.items()}
    return LocationStatus(
        name, following.generation, now, running=versions, failed=tuple(failed), rolled_back=rolled_back
    )


def _function_of(subject: str) -> str:
    kind, *parts = subject.split(".")
    return parts[0] if parts and kind != "config" else ""
