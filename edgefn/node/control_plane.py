"""A control plane: a publisher on the fleet's NATS, and its control API."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from edgefn.control.credentials import ensure_token, write_secret
from edgefn.control.fleet import AUTHORITY, Fleet
from edgefn.control.fleet_logs import FleetBook
from edgefn.control.fleet_purging import fleet_purge_endpoints
from edgefn.control.location_endpoints import Hall, Told, location_endpoints
from edgefn.control.log_endpoints import OwnBook
from edgefn.control.tokens import Tokens
from edgefn.functions.keys import SEALING_FILE, KeysError, keys_directory, make_keys, public_line, read_keys
from edgefn.functions.logbook import log_directory
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.calls import Calls
from edgefn.functions.runner import Surroundings
from edgefn.functions.signing import Keys
from edgefn.model.control_settings import ControlSettings
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LocationState
from edgefn.model.settings import Settings, SignaturePolicy
from edgefn.node import world
from edgefn.node.administering import open_admin
from edgefn.node.function_logs import function_log
from edgefn.node.hosting import Stores, function_hosts
from edgefn.node.hub import Hub, open_hub
from edgefn.node.publishing import Place, open_publishing
from edgefn.node.replication import open_keys, open_replica, root_chain
from edgefn.node.scratch import scratch_directory
from edgefn.node.tending import tend
from edgefn.node.trusting import notes as trust_notes
from edgefn.node.trusting import publish_trust
from edgefn.wire.tls import Certificates

_MEMORY = "published"
"""Where a control plane keeps the records of what it published last, so that nobody can change them unnoticed."""

_HEAD = """\
# Whom the NATS servers of this fleet obey; `edgefn control init` writes it. It holds signed tokens, and no key.
# Copy it to each server (NATS 2.12 or newer) beside a configuration like this, and start that:
#
#   include "nats-server.conf"
#   server_name: nats1                               # another name for each
#   listen: "0.0.0.0:4222"                           # locations and the control plane come here
#   jetstream { store_dir: "/var/lib/nats", sync_interval: always }
#   tls { cert_file: "nats1.pem", key_file: "nats1.key" }
#   cluster { name: edgefn, listen: "10.0.0.1:6222",  # of three servers only, and for their eyes only
#             routes: ["nats-route://10.0.0.2:6222", "nats-route://10.0.0.3:6222"] }
#
# No `authorization`, `accounts` or `operator` of another fleet may stand beside it.
"""
_FRESH = 86_400.0
"""Seconds after which a location that hears of nothing newer says that something is being withheld."""


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
    """Make the keys that a control plane needs, where they are not there yet; return a line for each that was made.

    Raises `SettingsError`.
    """
    made: list[str] = []
    directory = Path(settings.data_dir)
    keys = keys_directory(settings.signatures, settings.data_dir)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / AUTHORITY).exists():
            write_secret(directory / AUTHORITY, Authority.begin(os.urandom).write())
            made.append(f"{directory / AUTHORITY}: the keys of the fleet's NATS (secret: keep a copy)")
        if read_keys(keys, SignaturePolicy.WARN).signing is None:
            make_keys(keys, os.urandom)
            made.append(f"{keys}: the keys that sign and seal what is published (secret: keep a copy)")
    except OSError as error:
        raise SettingsError(
            (f"data_dir: {error.filename or directory}: {error.strerror}; make room, or name another directory",)
        ) from error
    except KeysError as error:
        raise SettingsError((f"signatures.keys: {error}",)) from error
    return made


def write_server_configuration(settings: ControlSettings) -> Path:
    """Write what must stand in the configuration of servers that the operator runs; return where.

    Raises `SettingsError`.
    """
    file = Path(settings.data_dir) / "nats-server.conf"
    try:
        authority = Authority.read((Path(settings.data_dir) / AUTHORITY).read_text())
        write_secret(file, _HEAD + authority.server_settings("./accounts", int(world.wall())))
    except (OSError, ReplicaError) as error:
        raise SettingsError((f"{file}: {error}",)) from error
    return file


async def open_control_plane(
    stack: AsyncExitStack, settings: ControlSettings, report: Callable[[str], None]
) -> tuple[str, tuple[str, ...]]:
    """Run a control plane until `stack` closes; return the URL of its API, and its servers. Raises `SettingsError`."""
    shared = as_location(settings)
    if settings.tls is not None:
        Certificates((settings.tls,))  # what is wrong with it is said before a server is started
    hub = await open_hub(stack, settings, report)
    keys, chain = open_keys(shared), root_chain(shared)
    await publish_trust(hub.replica, keys, chain, report)
    place = await _place(stack, settings, hub, keys, report)
    publisher, publishing = open_publishing(stack, place)
    tokens = _tokens(settings)
    if hub.server is None:
        tend(stack, hub.keep_telling())
    root = "" if chain is None else chain.decode()
    told = Told(settings.nats.locations or hub.servers, hub.ca, *_keys_for_locations(keys, shared), root)

    async def tell() -> None:
        await hub.tell_revoked()
        if hub.server is None:
            try:
                await asyncio.to_thread(write_server_configuration, settings)
            except SettingsError as error:
                report(f"who is revoked is not written for servers that lose their disks: {error}")

    hall = Hall(hub.fleet, tokens, told, world.wall, tell, int(settings.credentials_lifetime))
    endpoints = [
        *publishing,
        *fleet_purge_endpoints(publisher, world.monotonic),
        *location_endpoints(hall),
    ]
    admin = await open_admin(stack, settings.admin, settings.data_dir, endpoints, tokens, settings.tls)
    ip, port = admin.addresses[0]
    scheme = "http" if settings.tls is None else "https"
    return f"{scheme}://{f'[{ip}]' if ':' in ip else ip}:{port}", hub.servers


async def _place(
    stack: AsyncExitStack, settings: ControlSettings, hub: Hub, keys: Keys, report: Callable[[str], None]
) -> Place:
    """Return what publishing needs of this process; `stack` closes it."""
    scratch = Path(stack.enter_context(scratch_directory(_made(Path(settings.data_dir) / "bundles"))))
    stores = Stores(lambda: settings.kvs, _empty_store(scratch))
    host = await stack.enter_async_context(function_hosts(as_location(settings), report, stores))
    log = stack.enter_context(function_log("control", settings.data_dir))
    around = Surroundings(world.invocation_id, world.timestamp, log)
    serving = partial(_serving, hub.fleet)
    own = OwnBook(log_directory(settings.data_dir), world.ago)
    return Place(
        hub.replica,
        keys,
        host,
        scratch,
        around,
        uses=list,
        data_dir=settings.data_dir,
        locations=serving,
        lifetime=_FRESH,
        memory=await open_replica(stack, settings.data_dir, _MEMORY),
        notes=lambda: (*hub.notes(), *trust_notes(keys.trust)),
        depot=hub.depot,
        book=FleetBook(Calls(hub.replica.link), serving, own, world.timestamp, world.pseudonym),
        stores=settings.kvs.keys(),
    )


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
    sealing = keys_directory(settings.signatures, settings.data_dir) / SEALING_FILE
    return trusted, sealing.read_text() if sealing.exists() else ""


def _empty_store(directory: Path) -> str:
    """Return a key-value store for functions that are tried here and have theirs at the locations only."""
    file = directory / "no-store.json"
    try:
        file.write_text("{}")
    except OSError as error:
        raise SettingsError((f"data_dir: {file}: {error.strerror}",)) from error
    return str(file)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
