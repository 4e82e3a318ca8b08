"""The mirror of a location: takes over what its fleet publishes, applies its purges, renews its credentials."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from edgefn.functions.blob_stores import BlobStores
from edgefn.functions.log_answering import LogAnswers
from edgefn.functions.logbook import log_directory
from edgefn.functions.mirror.mirror import Mirror, Station
from edgefn.functions.purging import Apply, Purging
from edgefn.functions.replicas.base import OwnReplica, ReplicaError
from edgefn.functions.replicas.nats.calls import Calls
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.signing import Keys
from edgefn.model.publishing import LocationStatus
from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.node.credentials import Credentials
from edgefn.node.tending import tend

_RETRY = 5.0  # seconds


async def open_mirror(
    stack: AsyncExitStack,
    settings: Settings,
    local: OwnReplica,
    keys: Keys,
    apply: Apply,
    report: Callable[[str], None],
) -> Callable[[], Sequence[str]]:
    """Mirror the fleet into `local`, and apply its purges, until `stack` closes. Raises `SettingsError`.

    Returns what tells what whoever asks how the location is should know.
    """
    credentials = Credentials.read(settings.data_dir, report)
    name = credentials.membership.location
    upstream = NatsReplica(credentials.address(), world.jitter, world.pseudonym)
    stack.push_async_callback(upstream.close)

    def total(statuses: Sequence[LocationStatus]) -> LocationStatus:
        own = next((status for status in statuses if status.location == settings.location), None)
        summed = own or LocationStatus(name, 0, world.wall())
        return replace(summed, purge=purging.applied, at=world.wall(), notes=tuple(credentials.notes()))

    station = Station(name, total, world.wall, world.pseudonym, world.jitter, report)
    mirror = Mirror(upstream, local, keys, station, BlobStores(settings.blob_options))
    purging = Purging(local, apply, mirror.tell)
    answers = LogAnswers(Calls(upstream.link), name, log_directory(settings.data_dir), world.ago)
    fresh = credentials.keep_fresh(upstream.link.renew)
    for work in (_kept(mirror.run, report), purging.run(), fresh, answers.run()):
        tend(stack, work)
    return credentials.notes


async def _kept(run: Callable[[], Coroutine[object, object, None]], report: Callable[[str], None]) -> None:
    while True:
        try:
            await run()
        except* ReplicaError as group:
            report(f"what the fleet publishes can't be taken over now: {group.exceptions[0]}")
        await asyncio.sleep(_RETRY)
