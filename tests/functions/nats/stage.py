"""Real NATS servers on loopback, and replicas on them."""

import asyncio
import hashlib
import json
import os
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edgefn.functions.replicas.base import Record, ReplicaError
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.layout import RECORDS, Keeping, location_inbox
from edgefn.functions.replicas.nats.link import Address, Link, Login
from edgefn.functions.replicas.nats.nkeys import KeyPair, Owner
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.nats.server import Member, Server, ServerSettings, find_server, start
from tests.free_ports import free_port

T = TypeVar("T")
PROGRAM = find_server(os.environ.get("EDGEFN_NATS_SERVER"))


class Hub:
    """A server that can die and come back on the same port, and the keys that it obeys."""

    def __init__(self, settings: ServerSettings, server: Server, authority: Authority) -> None:
        self.settings = settings
        self.server = server
        self.authority = authority

    @property
    def url(self) -> str:
        return self.server.url

    async def restart(self) -> None:
        port = int(self.url.rpartition(":")[2])
        self.server = await start(replace(self.settings, port=port), PROGRAM)

    def lose_disk(self) -> None:
        """Take from the stopped server what it has stored."""
        directory = self.settings.directory
        os.rename(directory / "jetstream", directory / "jetstream.lost")

    def control(self) -> NatsReplica:
        return opened(Address((self.url,), lambda: self.authority.control_login(int(time.time()))))

    def system(self) -> Link:
        """Return a line on which accounts can be changed."""
        link = Link(Address((self.url,), lambda: self.authority.system_login(int(time.time()))), random.random)
        link.open()
        return link

    def location(self, name: str, key: KeyPair | None = None, seconds: int = 60) -> NatsReplica:
        """Return a replica that may only do what a location may."""
        key = key or user_key()
        now = int(time.time())
        token = self.authority.location_token(name, key.public, now, now + seconds)
        return opened(Address((self.url,), lambda: Login(token, key), inbox=location_inbox(name)))


@asynccontextmanager
async def hub(directory: Path, **settings: str) -> AsyncIterator[Hub]:
    """Run a server that obeys an authority of its own."""
    authority = Authority.begin(os.urandom)
    obeying = authority.server_settings(str(directory / "accounts"), int(time.time()))
    usual = ServerSettings("hub", directory, authority=obeying, max_disk="1GB", max_memory="64MB")
    wanted = replace(usual, **settings)  # type: ignore[arg-type]  # checked by the dataclass
    running = Hub(wanted, await start(wanted, PROGRAM), authority)
    try:
        yield running
    finally:
        await running.server.stop()


class Cluster:
    """Three servers, each a `Hub`, that agree on everything."""

    def __init__(self, hubs: list[Hub]) -> None:
        self.hubs = hubs

    def replica(self) -> NatsReplica:
        """Return the control plane's replica, which knows all servers."""
        authority = self.hubs[0].authority
        urls = tuple(hub.url for hub in self.hubs)
        return opened(Address(urls, lambda: authority.control_login(int(time.time()))))

    async def leader(self, replica: NatsReplica) -> Hub:
        """Return who leads the records."""
        answer = await replica.link.ask(f"$JS.API.STREAM.INFO.{RECORDS}")
        name = json.loads(answer.data)["cluster"]["leader"]
        return next(hub for hub in self.hubs if hub.settings.name == name)


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[tuple[Cluster, NatsReplica]]:
    """Run three servers with the streams on all of them, and the control plane's replica."""
    authority = Authority.begin(os.urandom)
    now, ports = int(time.time()), [free_port() for _ in range(3)]
    hubs = []
    for port in ports:
        place = directory / f"n{port}"
        settings = ServerSettings(
            place.name,
            place,
            authority=authority.server_settings(str(place / "accounts"), now),
            member=Member(port, tuple(other for other in ports if other != port)),
            max_disk="1GB",
            max_memory="64MB",
        )
        hubs.append(Hub(settings, await start(settings, PROGRAM), authority))
    running = Cluster(hubs)
    replica = running.replica()
    try:
        await eventually(lambda: replica.begin("first-log", Keeping(copies=3)))
        yield running, replica
    finally:
        await replica.close()
        await asyncio.gather(*(hub.server.stop(signal.SIGKILL) for hub in hubs))


async def eventually(attempt: Callable[[], Awaitable[T]], seconds: float = 60) -> T:
    """Return what `attempt` returns as soon as it raises no `ReplicaError`."""
    async with asyncio.timeout(seconds):
        while True:
            with suppress(ReplicaError):
                return await attempt()
            await asyncio.sleep(0.1)


@asynccontextmanager
async def begun(directory: Path, keeping: Keeping | None = None) -> AsyncIterator[tuple[Hub, NatsReplica]]:
    """Run a server with its streams, and the control plane's replica on it."""
    async with hub(directory) as running:
        replica = running.control()
        try:
            await replica.begin("first-log", keeping or Keeping())
            yield running, replica
        finally:
            await replica.close()


def opened(address: Address) -> NatsReplica:
    return NatsReplica(address, random.random, lambda: uuid.uuid4().hex)


def user_key() -> KeyPair:
    return KeyPair(Owner.USER, os.urandom(32))


def head(generation: int) -> Record:
    return Record("head", b"%d" % generation)


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start_at in range(0, len(content), size):
        yield content[start_at : start_at + size]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
