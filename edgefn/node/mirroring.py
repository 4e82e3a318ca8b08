"""The mirror of a location: takes over what its fleet publishes, applies its purges, renews its credentials."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace

from edgefn.control.client import ControlError
from edgefn.functions.mirror.mirror import Mirror, Station
from edgefn.functions.purging import Apply, Purging
from edgefn.functions.replicas.base import OwnReplica, ReplicaError
from edgefn.functions.replicas.nats.layout import location_inbox
from edgefn.functions.replicas.nats.link import Address, Login
from edgefn.functions.replicas.nats.nkeys import KeyPair, NkeyError
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.signing import Keys
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LocationStatus
from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.node.membership import FILE, Membership, asked, membership_in, read_membership, write_membership

_RENEW_BEFORE = 3.5 * 86_400
_LOOK = 60.0
_RETRY = 5.0


@dataclass(slots=True)
class _Pass:
    """The credentials in force: fresh ones are asked for when half of their time is over."""

    data_dir: str
    membership: Membership
    report: Callable[[str], None]

    def login(self) -> Login:
        return Login(self.membership.token, KeyPair.from_seed(self.membership.seed))

    async def renew(self) -> None:
        told = ""
        while True:
            await asyncio.sleep(_LOOK)
            mine = self.membership
            if mine.expires - world.wall() > _RENEW_BEFORE:
                continue
            try:
                public = KeyPair.from_seed(mine.seed).public
                fresh = membership_in(await asked(mine.control, mine.renewal, mine.location, public), mine.control)
                self.membership = replace(mine, token=fresh.token, expires=fresh.expires, servers=fresh.servers)
                write_membership(self.data_dir, self.membership)
            except (ControlError, OSError) as error:
                if str(error) != told:
                    self.report(f"the fleet's credentials can't be renewed: {error}")
                told = str(error)


async def open_mirror(
    stack: AsyncExitStack,
    settings: Settings,
    local: OwnReplica,
    keys: Keys,
    apply: Apply,
    report: Callable[[str], None],
) -> None:
    """Mirror the fleet into `local`, and apply its purges, until `stack` closes. Raises `SettingsError`."""
    credentials = _Pass(settings.data_dir, read_membership(settings.data_dir), report)
    try:
        credentials.login()
    except NkeyError as error:
        raise SettingsError((f"{FILE}: {error}; `edgefn location join` makes it anew",)) from error
    name = credentials.membership.location
    address = Address(credentials.membership.servers, credentials.login, inbox=location_inbox(name), name=name)
    upstream = NatsReplica(address, world.jitter, world.pseudonym)
    stack.push_async_callback(upstream.close)

    def total(statuses: Sequence[LocationStatus]) -> LocationStatus:
        own = next((status for status in statuses if status.location == settings.location), None)
        summed = own or LocationStatus(name, 0, world.wall())
        return replace(summed, purge=purging.applied, at=world.wall())

    station = Station(name, total, world.wall, world.pseudonym, world.jitter, report)
    mirror = Mirror(upstream, local, keys, station)
    purging = Purging(local, apply, mirror.tell)
    for work in (_kept(mirror.run, report), purging.run(), credentials.renew()):
        task = asyncio.get_running_loop().create_task(work)
        stack.push_async_callback(_ended, task)


async def _kept(run: Callable[[], Coroutine[object, object, None]], report: Callable[[str], None]) -> None:
    while True:
        try:
            await run()
        except* ReplicaError as group:
            report(f"what the fleet publishes can't be taken over now: {group.exceptions[0]}")
        await asyncio.sleep(_RETRY)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
