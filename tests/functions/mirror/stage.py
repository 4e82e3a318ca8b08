"""A fleet on one machine: a hub, a control plane that publishes, and locations that mirror it."""

import asyncio
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgefn.functions.blobs import fetched
from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.catalog import Applied, CatalogBuilder
from edgefn.functions.committing import Senses
from edgefn.functions.mirror.mirror import Mirror, Station
from edgefn.functions.publishing import Deployed, Publisher
from edgefn.functions.replicas.base import HEAD, PurgeOrder, Replica, Restarted, Stored
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.functions.signing import Keys, SignaturePolicy, SigningKey, key_id
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import Catalog, LocationStatus, Manifest
from edgefn.model.settings import FunctionSettings
from tests.functions.nats.stage import Hub, begun
from tests.waiting import until

SIGNING = SigningKey(os.urandom(32))
CONTROL_KEYS = Keys(signing=SIGNING)
LOCATION_KEYS = Keys(trusted={key_id(SIGNING.public): SIGNING.public}, policy=SignaturePolicy.ENFORCE)


def fresh_id() -> str:
    return uuid.uuid4().hex


async def starts(_manifest: Manifest, _bundle: Bundle) -> str | None:
    return None


def publisher(replica: Replica, keys: Keys = CONTROL_KEYS) -> Publisher:
    return Publisher(replica, keys, starts, Senses(time.time, fresh_id))


def bundle(content: bytes) -> Bundle:
    return Bundle.of([BundleFile("index.js", content)])


async def deploy(control: Publisher, content: bytes, function: str = "hello") -> Deployed:
    settings = FunctionSettings(function, "", "nodejs20.x")
    return await control.deploy(settings, bundle(content), alias="live")


@dataclass(slots=True)
class Location:
    """One machine: its own replica, a worker that follows it, and the mirror that fills it."""

    name: str
    directory: Path
    upstream: NatsReplica
    local: SqliteReplica
    mirror: Mirror
    keys: Keys = LOCATION_KEYS
    lines: list[str] = field(default_factory=list)
    catalog: Catalog = field(default_factory=Catalog)
    purges: list[bytes] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)
    """Those that the worker went through, in order."""

    async def work(self) -> None:
        """Do what a worker does: apply commits and purges, and say so."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._apply())
            group.create_task(self._purge())

    async def _apply(self) -> None:
        builder = CatalogBuilder(self.keys)
        async for each in self.local.follow(0, ""):
            if isinstance(each, Restarted):
                builder.restart()
                continue
            taken = builder.take(each)
            if isinstance(taken, Applied):
                self.catalog = taken.catalog
                self.generations.append(taken.catalog.generation)
                await self._tell()

    async def _purge(self) -> None:
        async for each in self.local.follow_purges(0, ""):
            if isinstance(each, PurgeOrder):
                self.purges.append(each.order)
                await self._tell(each.sequence)

    async def _tell(self, purge: int | None = None) -> None:
        before = (await self.local.statuses()).get(f"{self.name}/0")
        old = 0 if before is None else int(before.split(b'"purge":')[1].split(b",")[0])
        status = LocationStatus(
            f"{self.name}/0", self.catalog.generation, time.time(), purge=old if purge is None else purge
        )
        await self.local.set_status(status.location, status_to_json(status))

    async def live(self, function: str = "hello") -> bytes:
        """Return the code that `live` points at, as a worker reads it from its own machine."""
        published = self.catalog.functions[function]
        manifest = published.versions[published.aliases["live"].targets[0].version]
        return (await fetched(self.local, manifest, ())).files[0].data

    async def reaches(self, generation: int, seconds: float = 30) -> None:
        await self.until(lambda: self.catalog.generation >= generation, seconds)

    async def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something holds; tell what the location said when it does not."""
        try:
            await until(holds, seconds)
        except TimeoutError:
            raise AssertionError(f"{self.name} is at {self.catalog.generation}, and said {self.lines}") from None


@asynccontextmanager
async def location(
    upstream: NatsReplica, directory: Path, name: str = "fra1", keys: Keys = LOCATION_KEYS
) -> AsyncIterator[Location]:
    """Run a location on a replica of its fleet, which is closed with it; the directory is what stays."""
    lines: list[str] = []

    def total(workers: Sequence[LocationStatus]) -> LocationStatus:
        return replace(workers[0], location=name) if workers else LocationStatus(name, 0, time.time())

    station = Station(name, total, time.time, fresh_id, random.random, lines.append)
    async with opened(directory, time.time, fresh_id) as local:
        mirror = Mirror(upstream, local, keys, station)
        running = Location(name, directory, upstream, local, mirror, keys, lines)
        tasks = [asyncio.create_task(running.mirror.run()), asyncio.create_task(running.work())]
        try:
            yield running
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await upstream.close()


@dataclass(frozen=True, slots=True)
class Fleet:
    """A hub, and who publishes on it."""

    hub: Hub
    replica: NatsReplica
    control: Publisher


@asynccontextmanager
async def fleet(directory: Path, keeping: Keeping | None = None) -> AsyncIterator[Fleet]:
    async with begun(directory, keeping) as (hub, replica):
        yield Fleet(hub, replica, publisher(replica))


async def head_of(replica: Replica) -> Stored:
    found = await replica.get(HEAD)
    assert found is not None
    return found


async def waited(control: Publisher, generation: int) -> tuple[str, ...]:
    """Wait until all locations have applied a generation; return which ones."""
    current: tuple[str, ...] = ()
    with suppress(StopAsyncIteration):
        async for progress in control.wait(generation):
            current = progress.current
    return current
