"""A worker's end of the line to its supervisor: says that it is ready, reloads when told, stops when it closes."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import NamedTuple

import orjson

from edgefn.model.errors import SettingsError
from edgefn.node.location import Location
from edgefn.rules.purges import read
from edgefn.stores.base import StoreError

_log = logging.getLogger("edgefn")

PREPARE = b"prepare"
ADOPT = b"adopt\n"
DISCARD = b"discard\n"
PURGE = b"purge "


class PurgeCommand(NamedTuple):
    """What follows `PURGE` on its line, as a JSON list. `epoch` is the purge's number when a worker has ordered it."""

    id: int
    purge: str
    soft: bool
    epoch: int | None


class PrepareCommand(NamedTuple):
    """What follows `PREPARE` on its line, as a JSON list: its own number, a published configuration, its generation.

    Configuration 0 is a reload: the location's file is read again, and the configuration stays the one in use.
    """

    id: int
    number: int
    generation: int


class Line:
    """The socket pair that the supervisor made, as the worker uses it."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def problems(self, error: SettingsError) -> None:
        """Say that the worker can't start."""
        self._say({"problems": list(error.problems)})

    def ready(self, addresses: list[str]) -> None:
        """Say where the worker listens."""
        self._say({"ready": addresses})

    def _say(self, told: dict[str, object]) -> None:
        self._socket.sendall(orjson.dumps(told) + b"\n")

    async def follow(self, location: Location, stop: Callable[[], None]) -> None:
        """Reload and purge whenever the supervisor says so; call `stop` when it is gone."""
        reader, writer = await asyncio.open_unix_connection(sock=self._socket)
        commands = _Commands(location, reader, writer)
        try:
            async with asyncio.TaskGroup() as purging:
                while line := await commands.next(purging):
                    if line.startswith(PREPARE):  # else the supervisor had no patience with what is over by now
                        wanted = PrepareCommand(*orjson.loads(line.removeprefix(PREPARE)))
                        await _reload(location, wanted, commands, purging)
        except* ConnectionError:
            pass  # the supervisor is gone, which is what ends this
        finally:
            writer.close()
            stop()


class _Commands:
    """What the supervisor says, and what it is told. Purges are done at once, whatever else is under way."""

    def __init__(self, location: Location, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._location = location
        self._reader = reader
        self._writer = writer

    async def next(self, purging: asyncio.TaskGroup) -> bytes:
        """Return the next command that is no purge, b"" at the end."""
        while (line := await self._reader.readline()).startswith(PURGE):
            purging.create_task(self._purge(line.removeprefix(PURGE)))
        return line

    async def _purge(self, told: bytes) -> None:
        wanted = PurgeCommand(*orjson.loads(told))
        purge = read(wanted.purge)
        try:
            if wanted.epoch is None:
                hit = await self._location.purge(purge, soft=wanted.soft)
            else:
                hit = await self._location.purge_as_told(purge, soft=wanted.soft, epoch=wanted.epoch)
        except StoreError as error:
            self.say({"purged": wanted.id, "failed": str(error)})
        except Exception as error:  # noqa: BLE001  # whoever purges must hear of it, and the worker goes on
            _log.exception("purging")
            self.say({"purged": wanted.id, "failed": f"it failed inside edgefn: {error!r}"})
        else:
            counts = [hit.epoch, hit.memory.entries, hit.memory.size, hit.disk.entries, hit.disk.size]
            self.say({"purged": wanted.id, "hit": counts})
        await self._writer.drain()

    def say(self, told: dict[str, object]) -> None:
        """Tell the supervisor."""
        self._writer.write(orjson.dumps(told) + b"\n")

    async def drain(self) -> None:
        """Wait until that is on its way."""
        await self._writer.drain()


async def _reload(location: Location, wanted: PrepareCommand, commands: _Commands, purging: asyncio.TaskGroup) -> None:
    """Prepare a reload, say what came of it, and do it when the supervisor says that all others are ready too."""
    try:
        revision = await location.revision(wanted.number, wanted.generation) if wanted.number else None
        async with location.changing(revision) as change:
            commands.say({"about": wanted.id, "prepared": True})
            if await commands.next(purging) == ADOPT:
                commands.say({"about": wanted.id, "reloaded": location.adopt(change)})
    except SettingsError as error:
        commands.say({"about": wanted.id, "problems": list(error.problems)})
    await commands.drain()
