"""A location in a fleet: how it came in, and what it keeps of that."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgefn.control.client import ControlClient, ControlError
from edgefn.control.credentials import write_secret
from edgefn.functions.keys import SEALING_FILE, keys_directory, parse_public, pin, trust
from edgefn.functions.replicas.nats.nkeys import KeyPair, Owner
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.node import world

FILE = "fleet.json"


@dataclass(frozen=True, slots=True)
class Membership:
    """What a location needs to follow its fleet. `seed` was made here and never leaves. Secret.

    `issued` and `expires` are by our own clock: what counts is how long credentials hold, and clocks differ.
    """

    location: str
    control: str
    servers: tuple[str, ...]
    seed: str
    token: str
    expires: float
    renewal: str
    issued: float = 0.0
    ca: str = ""
    """Who signs the certificates of the servers (PEM), "" for whoever the system trusts."""
    control_ca: str = ""
    """The same for the control plane's API."""


def is_member(data_dir: str) -> bool:
    """Return whether the location with this data directory belongs to a fleet."""
    return (Path(data_dir) / FILE).exists()


def read_membership(data_dir: str) -> Membership:
    """Return what the location keeps. Raises `SettingsError`."""
    file = Path(data_dir) / FILE
    try:
        told = json.loads(file.read_text())
        return Membership(**{**told, "servers": tuple(told["servers"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError((f"{file}: can't be read ({error}); `edgefn location join` makes it anew",)) from error


async def join(
    settings: Settings, control: str, token: str, control_ca: str = "", root: bytes | None = None
) -> Membership:
    """Make a key here, have it let in by a one-time token, and keep what it takes.

    `root` is an offline root's word that was brought by hand; without one that of the control plane is believed, now
    and never again. Raises `ControlError`, `OSError`, `KeysError`.
    """
    if root is not None:
        pin(keys_directory(settings.signatures, settings.data_dir), root)
    key = KeyPair(Owner.USER, os.urandom(32))
    told = await _asked(ControlClient(control, token, control_ca), settings.location, key.public)
    membership = replace(membership_in(told, control, world.wall()), seed=key.seed, control_ca=control_ca)
    _keep_keys(settings, told)
    write_membership(settings.data_dir, membership)
    return membership


def _keep_keys(settings: Settings, told: dict[str, object]) -> None:
    directory = keys_directory(settings.signatures, settings.data_dir)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root := str(told.get("root") or ""):
        pin(directory, root.encode())
    if trusted := str(told.get("trusted") or ""):
        trust(directory, *parse_public(trusted))
    if sealing := str(told.get("sealing") or ""):
        write_secret(directory / SEALING_FILE, sealing)


def write_membership(data_dir: str, membership: Membership) -> None:
    """Keep it. Raises `OSError`."""
    write_secret(Path(data_dir) / FILE, json.dumps(asdict(membership), indent=1) + "\n")


async def renewed(mine: Membership) -> Membership:
    """Return the membership with fresh credentials for the same key. Raises `ControlError`."""
    public = KeyPair.from_seed(mine.seed).public
    told = await _asked(ControlClient(mine.control, mine.renewal, mine.control_ca), mine.location, public)
    fresh = membership_in(told, mine.control, world.wall())
    return replace(
        mine, token=fresh.token, issued=fresh.issued, expires=fresh.expires, servers=fresh.servers, ca=fresh.ca
    )


async def _asked(client: ControlClient, location: str, public: str) -> dict[str, object]:
    return await client.change("POST", f"/v1/locations/{location}/credentials", {"key": public})


def membership_in(told: dict[str, object], control: str, now: float) -> Membership:
    """Return what the control plane gave at `now`, but for the key. Raises `ControlError`."""
    match told:
        case {
            "location": str(location),
            "servers": [*servers],
            "token": str(token),
            "issued": int() | float() as issued,
            "expires": int() | float() as expires,
            "renewal": str(renewal),
            "ca": str(ca),
        }:
            ends = now + expires - issued
            return Membership(location, control, tuple(map(str, servers)), "", token, ends, renewal, now, ca)
        case _:
            raise ControlError(f"the control plane at {control} said something else: {sorted(told)}")
