"""A worker's end of the line to its supervisor: says that it is ready, reloads when told, stops when it closes."""

import asyncio
import socket
from collections.abc import Callable

import orjson

from edgefn.model.errors import SettingsError
from edgefn.node.location import Location

PREPARE = b"prepare\n"
ADOPT = b"adopt\n"
DISCARD = b"discard\n"


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
        """Reload whenever the supervisor says so; call `stop` when it is gone."""
        reader, writer = await asyncio.open_unix_connection(sock=self._socket)
        try:
            while await reader.readline() == PREPARE:
                await _reload(location, reader, writer)
        except ConnectionError:
            pass  # the supervisor is gone, which is what ends this
        finally:
            writer.close()
            stop()


async def _reload(location: Location, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Prepare a reload, say what came of it, and do it when the supervisor says that all others are ready too."""

    def say(told: dict[str, object]) -> None:
        writer.write(orjson.dumps(told) + b"\n")

    try:
        async with location.changing() as change:
            say({"prepared": True})
            if await reader.readline() == ADOPT:
                say({"reloaded": location.adopt(change)})
    except SettingsError as error:
        say({"problems": list(error.problems)})
    await writer.drain()
