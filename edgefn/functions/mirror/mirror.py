"""The mirror: one per machine. Keeps the location's own replica at what its fleet's says, and tells the fleet so.

Workers follow the location's own replica and know of no other. So they serve before any network is there, and go on
when it is not: with what was taken over last.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from edgefn.functions.mirror.blobs import Blobs, Elsewhere, without_files
from edgefn.functions.mirror.purges import Purges
from edgefn.functions.mirror.records import Records
from edgefn.functions.replicas.base import OwnReplica, Replica, ReplicaError
from edgefn.functions.signing import Keys
from edgefn.model.location_status import status_from_json, status_to_json
from edgefn.model.publishing import FailedVersion, LocationStatus

HEARTBEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Station:
    """What a mirror is told of its location: its name, how its workers' statuses sum up, and where lines go.

    `wall` is the time in seconds since the epoch, `fresh_id` gives names that are used once, `jitter` 0 to 1.
    """

    location: str
    total: Callable[[Sequence[LocationStatus]], LocationStatus]
    wall: Callable[[], float]
    fresh_id: Callable[[], str]
    jitter: Callable[[], float]
    report: Callable[[str], None]


@dataclass(slots=True)
class Mirror:
    """Keeps `local` at what `upstream` says. `keys` judge what comes; some large files may be had `elsewhere`."""

    upstream: Replica
    local: OwnReplica
    keys: Keys
    station: Station
    elsewhere: Elsewhere | None = None
    records: Records = field(init=False)
    purges: Purges = field(init=False)
    _workers: dict[str, LocationStatus] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        report = self.station.report
        blobs = Blobs(self.upstream, self.local, self.elsewhere, report)
        self.records = Records(self.upstream, self.local, self.keys, blobs, report, self.tell, self.station.wall)
        self.purges = Purges(self.upstream, self.local, self.records, self.station.fresh_id, report, self.tell)

    async def run(self) -> None:
        """Mirror for ever. Raises `ReplicaError` when the location's own replica can't be read at the start."""
        await self.records.load()
        await self.purges.load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.records.run())
            group.create_task(self.purges.run())
            group.create_task(self._hear_workers())
            group.create_task(self._tell_fleet())

    def tell(self) -> None:
        """Let the fleet know soon what is different: more is applied, say."""
        self._news.set()

    def status(self) -> LocationStatus:
        """Return the location's status, in the sequences of the fleet, with what the mirror itself has to say."""
        total = self.station.total(tuple(self._workers.values()))
        catalog, now = self.records.builder.catalog, self.station.wall()
        failed = [
            FailedVersion(manifest.function, manifest.version, why)
            for manifest, why in without_files(catalog, self.records.blobs.missing)
        ]
        if self.records.held:
            failed.append(FailedVersion("", 0, self.records.held))
        expires = self.records.builder.head.expires
        if expires and now > expires:
            failed.append(FailedVersion("", 0, "nothing was published for longer than it should have been"))
        purge = self.purges.confirmed(total.purge)
        known = {(each.function, each.version) for each in total.failed}
        new = [each for each in failed if (each.function, each.version) not in known]
        return replace(total, location=self.station.location, purge=purge, failed=(*total.failed, *new))

    async def _hear_workers(self) -> None:
        async with aclosing(self.local.follow_statuses()) as statuses:
            async for name, text in statuses:
                try:
                    self._workers[name] = status_from_json(text)
                except ValueError as error:
                    self.station.report(f"the status of {name} can't be read: {error}")
                self.tell()

    async def _tell_fleet(self) -> None:
        """Report each change, and now and then that we are still there."""
        told: LocationStatus | None = None
        while True:
            is_due = not await self._is_there_news()
            self._news.clear()
            status = self.status()
            if not is_due and told is not None and replace(status, at=told.at) == told:
                continue
            try:
                await self.upstream.set_status(self.station.location, status_to_json(status))
            except ReplicaError:
                await asyncio.sleep(1)  # Said again with the next connection.
                told = None
                self.tell()
            else:
                told = status

    async def _is_there_news(self) -> bool:
        """Wait for something to tell; return False when none came until it is time to say that we are still there."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS * (0.8 + 0.4 * self.station.jitter())):
                return await self._news.wait()
        except TimeoutError:
            return False
