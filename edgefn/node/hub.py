"""The fleet's NATS as its control plane has it: servers that are there, or one of its own; and the streams on them."""

import asyncio
import fcntl
import os
import signal
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgefn.control.fleet import Fleet
from edgefn.functions.blob_stores import BlobStores, Depot, OneDepot
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats import accounts
from edgefn.functions.replicas.nats.inspecting import advice, inspected
from edgefn.functions.replicas.nats.kept_server import KeptServer
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.nats.link import Address, DisconnectedError, Link
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.nats.server import ServerSettings, check_version, find_server
from edgefn.model.control_settings import BlobSettings, ControlSettings, NatsSettings
from edgefn.model.errors import SettingsError
from edgefn.model.location_status import status_from_json, status_to_json
from edgefn.node import world

_PATIENCE: Final = 30.0
"""Seconds for servers that are starting, or electing a leader."""
_REFUSED_PATIENCE: Final = 2.0
"""Seconds for servers that are there and refuse us: they may be starting again with another configuration."""
_LOOK: Final = 5.0  # seconds between two looks at whether servers have come back
_SETTLING: Final = 0.2  # between two tries
_STOPPING: Final = 10.0  # for an orphan to end
_JETSTREAM: Final = "the servers' configuration needs jetstream { store_dir: ..., sync_interval: always }"
_LOCK: Final = "control.lock"


@dataclass(frozen=True, slots=True)
class Hub:
    """The fleet's replica and its members, and what locations need to know of its servers: where, and whom to trust."""

    replica: "FleetReplica"
    fleet: Fleet
    servers: tuple[str, ...]
    ca: str = ""
    tls: ssl.SSLContext | None = None
    server: KeptServer | None = None
    depot: Depot | None = None

    def notes(self) -> Sequence[str]:
        """Return what an operator should know of the servers."""
        return () if self.server is None else self.server.notes

    async def tell_revoked(self) -> None:
        """Let the servers know whom they must cut off. Raises `ReplicaError`."""
        async with self._system() as link:
            await accounts.tell(link, self.fleet.authority, int(world.wall()))

    async def keep_telling(self) -> None:
        """Tell whom to cut off whenever servers have come back, for ever: they may have done so with an empty disk."""
        told = self.replica.link.connections
        while True:
            await asyncio.sleep(_LOOK)
            now = self.replica.link.connections
            if now != told and self.fleet.authority.revoked:
                with suppress(ReplicaError):
                    await self.tell_revoked()
                    told = now

    async def advice(self, copies: int) -> list[str]:
        """Return what the operator of the servers should change in them, as far as these say how they are."""
        try:
            async with self._system() as link:
                return advice(await inspected(link), len(self.servers), copies)
        except ReplicaError as error:
            return [f"the servers do not say how they are set up: {error}"]

    @asynccontextmanager
    async def _system(self) -> AsyncIterator[Link]:
        login = lambda: self.fleet.authority.system_login(int(world.wall()))  # noqa: E731
        link = Link(Address(self.servers, login, tls=self.tls), world.jitter)
        link.open()
        try:
            yield link
        finally:
            await link.close()


class FleetReplica(NatsReplica):
    """The fleet's replica, in which each location has the state that the control plane gives it."""

    def __init__(self, address: Address, fleet: Fleet, depot: Depot | None = None) -> None:
        super().__init__(address, world.jitter, world.pseudonym)
        self._fleet = fleet
        self._depot = depot

    async def delete_blob(self, digest: str) -> None:
        """Forget a blob that nothing refers to any more, in the object store too."""
        await super().delete_blob(digest)
        if self._depot is not None:
            await self._depot.delete(digest)

    async def statuses(self) -> Mapping[str, bytes]:
        """Return the newest status of each location of the fleet."""
        told = await super().statuses()
        return {name: text for name, said in told.items() if (text := self._judged(name, said)) is not None}

    async def follow_statuses(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield (location, status) as they change."""
        async with aclosing(super().follow_statuses()) as followed:
            async for name, said in followed:
                text = self._judged(name, said)
                if text is not None:
                    yield name, text

    def _judged(self, name: str, said: bytes) -> bytes | None:
        state = self._fleet.state(name)
        if state is None:
            return None
        try:
            return status_to_json(replace(status_from_json(said), state=state))
        except ValueError:
            return None


async def open_hub(stack: AsyncExitStack, settings: ControlSettings, report: Callable[[str], None]) -> Hub:
    """Return the fleet's NATS with its streams; `stack` closes it. Raises `SettingsError`."""
    nats = settings.nats
    ca, tls = _trusted(nats)
    try:
        fleet = Fleet(settings.data_dir, world.wall)
        own = None if nats.servers else await _own_server(stack, settings, fleet, report)
        servers = nats.servers if own is None else (own.url,)
        login = lambda: fleet.authority.control_login(int(world.wall()))  # noqa: E731
        depot = _depot(settings.blobs, report)
        replica = FleetReplica(Address(servers, login, tls, name="edgefn-control"), fleet, depot)
        stack.push_async_callback(replica.close)
        await _begin(replica, Keeping(copies=nats.copies))
        hub = Hub(replica, fleet, servers, ca, tls, own, depot)
        if own is None and fleet.authority.revoked:
            await hub.tell_revoked()  # they may have lost their disks, and obey what we wrote before
    except FileNotFoundError as error:
        raise SettingsError((f"{error.filename}: is missing; `edgefn control init` makes it",)) from error
    except (OSError, ValueError, ReplicaError) as error:
        raise SettingsError((f"nats: {error}",)) from error
    return hub


def _depot(blobs: BlobSettings | None, report: Callable[[str], None]) -> Depot | None:
    return None if blobs is None else OneDepot(BlobStores(blobs.options), blobs.url, blobs.least, report)


def _trusted(nats: NatsSettings) -> tuple[str, ssl.SSLContext | None]:
    """Return whom locations trust to have signed the servers' certificates, in PEM, and what we use ourselves."""
    try:
        ca = Path(nats.ca_file).read_text(encoding="ascii") if nats.ca_file else ""
        if nats.servers or nats.tls is None:
            return ca, ssl.create_default_context(cadata=ca) if ca else None
        own = ssl.create_default_context(cafile=nats.tls.certificate)
        own.check_hostname = False  # it is on this machine, and may be reached by another name than locations use
    except FileNotFoundError as error:
        raise SettingsError((f"nats: {error.filename or nats.tls}: there is no such file",)) from error
    except (OSError, ValueError) as error:
        file = nats.ca_file or (nats.tls.certificate if nats.tls is not None else "")
        raise SettingsError((f"nats: {file}: holds no certificate that can be used (PEM): {error}",)) from error
    return ca, own


async def _begin(replica: NatsReplica, keeping: Keeping) -> None:
    """Make the streams; a server that has just started, or elects a leader, is given some time."""
    clock = asyncio.get_running_loop().time
    until, refused_until = clock() + _PATIENCE, clock() + _REFUSED_PATIENCE
    while True:
        try:
            await replica.begin(world.pseudonym(), keeping)
        except DisconnectedError as error:
            if clock() > (refused_until if error.is_refused else until):
                raise
        except ReplicaError as error:
            if not replica.link.has_jetstream and clock() > refused_until:
                raise ReplicaError(f"there is no JetStream: {_JETSTREAM}") from error
            if clock() > until:
                raise ReplicaError(f"no server could be used within {_PATIENCE:g} s: {error}") from error
        else:
            return
        await asyncio.sleep(_SETTLING)


async def _own_server(
    stack: AsyncExitStack, settings: ControlSettings, fleet: Fleet, report: Callable[[str], None]
) -> KeptServer:
    program = find_server(os.environ.get("EDGEFN_NATS_SERVER"))
    await check_version(program)
    directory = Path(settings.data_dir) / "nats"
    stack.enter_context(_alone(directory))
    host, port = settings.nats.listen
    obeys = fleet.authority.server_settings(str(directory / "accounts"), int(world.wall()))
    await asyncio.to_thread(_end_orphan, directory / "server.conf")
    wanted = ServerSettings("control", directory, host, port or -1, obeys)
    if settings.nats.tls is not None:
        tls = settings.nats.tls
        wanted = replace(wanted, certificate=tls.certificate, certificate_key=tls.key)
    server = KeptServer(wanted, program, report, world.timestamp)
    await server.open()
    stack.push_async_callback(server.close)
    return server


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep all other processes from running a server in `directory`. Raises `ReplicaError` when one does."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReplicaError(f"{directory}: a control plane runs its server here already; stop it first") from None
        yield


def _end_orphan(configuration: Path) -> None:
    """End the server of a control plane that was killed, and wait for it: it may have our port and our files yet."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[1:3] == [b"-c", str(configuration).encode()]:
                os.kill(int(entry.name), signal.SIGTERM)
                _wait_for_end(entry)


def _wait_for_end(entry: Path) -> None:
    until = world.monotonic() + _STOPPING
    while entry.exists() and world.monotonic() < until:
        time.sleep(_SETTLING)
