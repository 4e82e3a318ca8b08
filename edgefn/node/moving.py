"""Filling a fleet's streams from a replica on disk: when one machine becomes a fleet, and after its disks were lost."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgefn.functions.committing import PublishError, Senses
from edgefn.functions.keys import SEALING_FILE, SIGNING_FILE, TRUSTED_FILE, keys_directory
from edgefn.functions.moving import move
from edgefn.functions.publishing import Publisher, untried
from edgefn.functions.replicas.base import Replica, ReplicaError
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.functions.signing import Keys
from edgefn.model.control_settings import ControlSettings
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings, SignaturePolicy
from edgefn.node import world
from edgefn.node.control_plane import as_location
from edgefn.node.replication import open_keys

_KEYS = (SIGNING_FILE, SEALING_FILE, TRUSTED_FILE)


def take_keys(source: Settings, settings: ControlSettings) -> None:
    """Copy the keys of a location to its control plane, which has none yet. Raises `SettingsError`."""
    theirs = keys_directory(source.signatures, source.data_dir)
    ours = keys_directory(settings.signatures, settings.data_dir)
    try:
        ours.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _KEYS:
            if (theirs / name).exists() and not (ours / name).exists():
                shutil.copy2(theirs / name, ours / name)
    except OSError as error:
        raise SettingsError((f"keys: {error.filename or ours}: {error.strerror}",)) from error


async def move_into(
    replica: Replica, directory: Path, settings: ControlSettings, tell: Callable[[str], None], *, anew: bool = False
) -> int:
    """Write all that `directory` holds into `replica`; with `anew` under a generation above any that a location has.

    Returns the exit status; `tell` takes lines. It may be repeated after it broke off.
    """
    try:
        async with opened(directory, world.wall, world.pseudonym) as source:
            moved = await move(source, replica, tell)
        tell(f"moved: {moved} records and their files")
        keys = _lenient_keys(settings)
        publisher = Publisher(replica, keys, untried, Senses(world.wall, world.pseudonym))
        if keys.signing is not None:
            resealed = await publisher.seal_anew()
            for line in resealed.left:
                tell(f"its files stay sealed as they were: {line}")
            tell(f"signed with the keys of the control plane: generation {await publisher.sign_anew()}")
        if anew:
            tell(f"for locations that have seen more: generation {await publisher.renew()}")
    except (ReplicaError, PublishError) as error:
        tell(f"edgefn control: {error}")
        return 1
    return 0


def _lenient_keys(settings: ControlSettings) -> Keys:
    """Return the keys such that what is not signed yet can be read, to be signed."""
    signatures = replace(settings.signatures, policy=SignaturePolicy.WARN)
    return open_keys(as_location(replace(settings, signatures=signatures)))
