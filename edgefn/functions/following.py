"""Following a replica in one process: whole commits are applied as they come, and the result is reported.

What the replica held when the process started is applied before the first viewer comes (last known good): no network,
and no control plane, is waited for.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from edgefn.functions.blobs import BlobError, fetched
from edgefn.functions.bundle import Bundle
from edgefn.functions.catalog import Applied, CatalogBuilder, Held, Problem
from edgefn.functions.published import Published, Running
from edgefn.functions.replicas.base import Followed, Replica, ReplicaError, Restarted, Stored
from edgefn.functions.signing import Keys
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import FailedVersion, LocationStatus, Manifest

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
    """Keeps `published` at what `replica` says. `name` is that of this process on the replica's board of statuses.

    `wall` is the time in seconds since the epoch, `report` takes lines for the operator.
    """

    name: str
    replica: Replica
    builder: CatalogBuilder
    published: Published
    wall: Callable[[], float]
    report: Callable[[str], None]
    _sequence: int = 0
    _incarnation: str = ""
    _problems: tuple[Problem, ...] = ()
    _held: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def catch_up(self) -> None:
        """Apply what is there now. Raises `ReplicaError`."""
        self._incarnation = await self.replica.incarnation()
        for stored in await self.replica.read():
            await self._take(stored)
        await self._tell()

    async def run(self) -> None:
        """Apply what comes, for ever; trouble is reported once and tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._heartbeat())

    async def _follow(self) -> None:
        trouble = ""
        while True:
            try:
                async with aclosing(self.replica.follow(self._sequence, self._incarnation)) as followed:
                    async for each in followed:
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
                await self._apply(self.builder.take(followed))

    async def _apply(self, taken: Applied | Held | None) -> None:
        match taken:
            case None:
                return
            case Held(reason=reason):
                self._held = reason
                self.report(reason)
            case Applied(catalog=catalog, problems=problems):
                self._held, self._problems = "", problems
                for problem in problems:
                    self.report(f"{problem.subject}: {problem.why}")
                await self.published.apply(catalog)
        self._news.set()

    async def _heartbeat(self) -> None:
        """Report after each commit, and now and then."""
        while True:
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await self._news.wait()
            except TimeoutError:
                pass
            try:
                await self._tell()
            except ReplicaError:
                await asyncio.sleep(_RETRY)

    async def _tell(self) -> None:
        self._news.clear()
        status = status_of(self.name, self.published.running, self._problems, self._held, self.wall())
        await self.replica.set_status(self.name, status_to_json(status))


def status_of(name: str, running: Running, problems: tuple[Problem, ...], held: str, now: float) -> LocationStatus:
    """Return what a process says of itself. A version that it rolled back counts as failed."""
    failed = list(running.failed)
    failed += [
        FailedVersion(label.partition(":")[0], back.version, f"rolled back: {back.reason}")
        for label, back in running.rolled_back.items()
    ]
    failed += [FailedVersion(_function_of(each.subject), 0, each.why) for each in problems]
    if held:
        failed.append(FailedVersion("", 0, held))
    versions = {label: int(behind[0]) for label, behind in running.versions.items() if behind and behind[0].isdigit()}
    rolled_back = {label: back.version for label, back in running.rolled_back.items()}
    return LocationStatus(
        name, running.generation, now, running=versions, failed=tuple(failed), rolled_back=rolled_back
    )


def _function_of(subject: str) -> str:
    return subject.split(".")[1] if "." in subject else ""
