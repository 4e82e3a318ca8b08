"""A control plane: a publisher on the fleet's NATS, its control API, and its own server where none is named."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from edgefn.control.credentials import ensure_token, write_secret
from edgefn.control.fleet import AUTHORITY, Fleet
from edgefn.control.fleet_purging import fleet_purge_endpoints
from edgefn.control.location_endpoints import Hall, location_endpoints
from edgefn.control.tokens import Tokens
from edgefn.functions.keys import KeysError, make_keys, public_line, read_keys
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats import accounts
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.nats.link import Address, Link
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.nats.server import ServerSettings, check_version, find_server, running
from edgefn.functions.runner import Surroundings
from edgefn.functions.signing import Keys
from edgefn.model.control_settings import ControlSettings
from edgefn.model.errors import SettingsError
from edgefn.model.location_status import status_from_json, status_to_json
from edgefn.model.publishing import LocationState
from edgefn.model.settings import Settings, SignaturePolicy
from edgefn.node import world
from edgefn.node.administering import open_admin
from edgefn.node.function_logs import function_log
from edgefn.node.hosting import function_hosts
from edgefn.node.publishing import Place, open_publishing
from edgefn.node.replication import open_keys, open_replica
from edgefn.node.scratch import scratch_directory

_PATIENCE = 30.0
_SETTLING = 0.2
_STOPPING = 10.0
_LOCK = "control.lock"
_MEMORY = "published"
"""Where a control plane keeps the records of what it published last, so that nobody can change them unnoticed."""

_FRESH = 86_400.0
"""Seconds after which a location that hears of nothing newer says that something is being withheld."""


class FleetReplica(NatsReplica):
    """The fleet's replica, in which each location has the state that the control plane gives it."""

    def __init__(self, address: Address, fleet: Fleet) -> None:
        super().__init__(address, world.jitter, world.pseudonym)
        self._fleet = fleet

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


def as_location(settings: ControlSettings) -> Settings:
    """Return what of a control plane's settings the parts need that it shares with locations."""
    return Settings(
        "control",
        listen=(),
        routes=(),
        origins={},
        admin=settings.admin,
        data_dir=settings.data_dir,
        sandbox=settings.sandbox,
        signatures=settings.signatures,
    )


def prepare(settings: ControlSettings) -> list[str]:
    """Make the keys that a control plane needs, where they are not there yet; return a line for each that was made."""
    made: list[str] = []
    directory = Path(settings.data_dir)
    keys = Path(settings.signatures.keys or directory / "keys")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / AUTHORITY).exists():
            write_secret(directory / AUTHORITY, Authority.begin(os.urandom).write())
            made.append(f"{directory / AUTHORITY}: the keys of the fleet's NATS (secret: keep a copy)")
        if read_keys(keys, SignaturePolicy.WARN).signing is None:
            make_keys(keys, os.urandom)
            made.append(f"{keys}: the keys that sign and seal what is published (secret: keep a copy)")
    except OSError as error:
        raise SettingsError((f"data_dir: {error.filename}: {error.strerror}",)) from error
    except KeysError as error:
        raise SettingsError((f"signatures.keys: {error}",)) from error
    return made


def server_configuration(settings: ControlSettings) -> str:
    """Return what must stand in the configuration of servers that the operator runs. Raises `ReplicaError`."""
    authority = Authority.read((Path(settings.data_dir) / AUTHORITY).read_text())
    return authority.server_settings("./accounts", int(world.wall()))


async def open_fleet(stack: AsyncExitStack, settings: ControlSettings) -> tuple[FleetReplica, Fleet, tuple[str, ...]]:
    """Return the fleet's replica with its streams, its members, and its servers. Raises `SettingsError`."""
    try:
        fleet = Fleet(settings.data_dir, world.wall)
        servers = settings.nats.servers or (await _own_server(stack, settings, fleet),)
        login = lambda: fleet.authority.control_login(int(world.wall()))  # noqa: E731
        replica = FleetReplica(Address(servers, login, name="edgefn-control"), fleet)
        stack.push_async_callback(replica.close)
        await _begin(replica, Keeping(copies=settings.nats.copies))
    except FileNotFoundError as error:
        raise SettingsError((f"{error.filename}: is missing; `edgefn control init` makes it",)) from error
    except (OSError, ValueError, ReplicaError) as error:
        raise SettingsError((f"nats: {error}",)) from error
    return replica, fleet, servers


async def _begin(replica: NatsReplica, keeping: Keeping) -> None:
    """Make the streams; a server that has just started, or elects a leader, is given some time."""
    last: ReplicaError | None = None
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    await replica.begin(world.pseudonym(), keeping)
                except ReplicaError as error:
                    last = error
                else:
                    return
                await asyncio.sleep(_SETTLING)
    except TimeoutError:
        raise ReplicaError(f"no server could be used within {_PATIENCE:g} s: {last}") from None


async def _own_server(stack: AsyncExitStack, settings: ControlSettings, fleet: Fleet) -> str:
    program = find_server(os.environ.get("EDGEFN_NATS_SERVER"))
    await check_version(program)
    directory = Path(settings.data_dir) / "nats"
    stack.enter_context(_alone(directory))
    host, port = settings.nats.listen
    obeys = fleet.authority.server_settings(str(directory / "accounts"), int(world.wall()))
    await asyncio.to_thread(_end_orphan, directory / "server.conf")
    server = ServerSettings("control", directory, host, port or -1, obeys)
    return (await stack.enter_async_context(running(server, program))).url


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


async def open_control_plane(
    stack: AsyncExitStack, settings: ControlSettings, report: Callable[[str], None]
) -> tuple[str, tuple[str, ...]]:
    """Run a control plane until `stack` closes; return the URL of its API, and its servers. Raises `SettingsError`."""
    shared = as_location(settings)
    replica, fleet, servers = await open_fleet(stack, settings)
    keys = open_keys(shared)
    host = await stack.enter_async_context(function_hosts(shared, report))
    scratch = Path(stack.enter_context(scratch_directory(_made(Path(settings.data_dir) / "bundles"))))
    log = stack.enter_context(function_log("control", settings.data_dir))
    around = Surroundings(world.invocation_id, world.timestamp, log)
    place = Place(
        replica,
        keys,
        host,
        scratch,
        around,
        list,
        settings.data_dir,
        locations=lambda: _serving(fleet),
        lifetime=_FRESH,
        memory=await open_replica(stack, settings.data_dir, _MEMORY),
    )
    publisher, publishing = open_publishing(stack, place)
    tokens = _tokens(settings)
    hall = Hall(
        fleet,
        tokens,
        settings.nats.locations or servers,
        *_keys_for_locations(keys, shared),
        world.wall,
        lambda: _tell(fleet, servers),
    )
    endpoints = [
        *publishing,
        *fleet_purge_endpoints(publisher, world.monotonic),
        *location_endpoints(hall),
    ]
    admin = await open_admin(stack, settings.admin, settings.data_dir, endpoints, tokens)
    ip, port = admin.addresses[0]
    return f"http://{f'[{ip}]' if ':' in ip else ip}:{port}", servers


def _serving(fleet: Fleet) -> list[str]:
    """Return the locations that have joined and not retired: they may run anything that is published."""
    members = fleet.members.values()
    return [each.name for each in members if each.joined and each.state is not LocationState.RETIRED]


def _tokens(settings: ControlSettings) -> Tokens:
    try:
        operator = ensure_token(settings.data_dir, world.token())
        return Tokens(settings.data_dir, operator, wall=world.wall, fresh=world.token)
    except (OSError, ValueError) as error:
        raise SettingsError((f"data_dir: {error}",)) from error


def _keys_for_locations(keys: Keys, settings: Settings) -> tuple[str, str]:
    trusted = "" if keys.signing is None else public_line(keys.signing.public, "control").strip()
    sealing = Path(settings.signatures.keys or Path(settings.data_dir) / "keys") / "sealing.key"
    return trusted, sealing.read_text() if sealing.exists() else ""


async def _tell(fleet: Fleet, servers: tuple[str, ...]) -> None:
    link = Link(Address(servers, lambda: fleet.authority.system_login(int(world.wall()))), world.jitter)
    link.open()
    try:
        await accounts.tell(link, fleet.authority, int(world.wall()))
    finally:
        await link.close()


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
