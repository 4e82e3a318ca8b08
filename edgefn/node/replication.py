"""Opens the replica of this machine, what is published here or was last replicated from elsewhere; and its keys."""

from contextlib import AsyncExitStack
from pathlib import Path

from edgefn.functions.keys import TRUST_FILE, KeysError, keys_directory, read_chain, read_keys
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.functions.signing import Keys
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings, SignaturePolicy
from edgefn.node import world


async def open_replica(stack: AsyncExitStack, data_dir: str, name: str = "replica") -> SqliteReplica:
    """Return the replica `name` below `data_dir`; `stack` closes it. Raises `SettingsError` where it can't be used."""
    try:
        return await stack.enter_async_context(opened(Path(data_dir) / name, world.wall, world.pseudonym))
    except ReplicaError as error:
        raise SettingsError((f"data_dir: what is published can't be read: {error}",)) from error


def open_keys(settings: Settings) -> Keys:
    """Return the keys that sign, seal and are trusted here. Raises `SettingsError` where they can't be used."""
    signatures = settings.signatures
    directory = keys_directory(signatures, settings.data_dir)
    try:
        keys = read_keys(directory, signatures.policy)
    except KeysError as error:
        raise SettingsError((f"signatures.keys: {error}",)) from error
    if signatures.policy is SignaturePolicy.ENFORCE and not keys.verifies:
        told = (
            f"signatures.policy: enforce needs somebody to trust, and {directory} has no keys: `edgefn keys` makes some"
        )
        raise SettingsError((told,))
    return keys


def root_chain(settings: Settings) -> bytes | None:
    """Return the root's word on who may sign, as it lies with the keys, None without one. Raises `SettingsError`."""
    try:
        return read_chain(keys_directory(settings.signatures, settings.data_dir) / TRUST_FILE)
    except KeysError as error:
        raise SettingsError((f"signatures.keys: {error}",)) from error
