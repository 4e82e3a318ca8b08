"""A worker's end of the line to its supervisor: says that it is ready, reloads when told, stops when it closes."""

import asyncio
import socket
from collections.abc import Callable

import orjson

from edgefn.model.errors import SettingsError
from edgefn.node.location import Location


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
            while await reader.readline():
                writer.write(orjson.dumps(await _reloaded(location)) + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # the supervisor is gone, which is what ends this
        finally:
            writer.close()
            stop()


async def _reloaded(location: Location) -> dict[str, object]:
    try:
        return {"reloaded": await location.reload()}
    except SettingsError as error:
        return {"problems": list(error.problems)}
