"""Opens the replica of this machine: what is published here, or what was last replicated from elsewhere."""

from contextlib import AsyncExitStack
from pathlib import Path

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.model.errors import SettingsError
from edgefn.node import world


async def open_replica(stack: AsyncExitStack, data_dir: str) -> SqliteReplica:
    """Return the replica below `data_dir`; `stack` closes it. Raises `SettingsError` where it can't be used."""
    try:
        return await stack.enter_async_context(opened(Path(data_dir) / "replica", world.wall, world.pseudonym))
    except ReplicaError as error:
        raise SettingsError((f"data_dir: what is published can't be read: {error}",)) from error
