"""A NATS server of our own that is kept running: whenever it ends by itself, another one takes its place."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.server import Server, ServerSettings, start

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 15.0
_STEADY: Final = 30.0
"""Seconds after which a server has started well, and the next pause is the first one again."""


@dataclass(slots=True)
class KeptServer:
    """One server, on the same port for good. `report` hears of each end and each start; `timestamp` tells the time."""

    settings: ServerSettings
    program: str
    report: Callable[[str], None]
    timestamp: Callable[[], str]
    url: str = ""
    notes: tuple[str, ...] = ()
    """What whoever looks after it should know: how often it ended, and why it does not run."""
    _server: Server | None = None
    _restarts: int = 0
    _task: asyncio.Task[None] | None = field(default=None)

    async def open(self) -> None:
        """Start it. Raises `ReplicaError` when it does not start."""
        self._server = await start(self.settings, self.program)
        self.url = self._server.url
        self.settings = replace(self.settings, port=int(self.url.rpartition(":")[2]))
        self._task = asyncio.get_running_loop().create_task(self._keep(self._server))

    async def close(self) -> None:
        """End it for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._server is not None:
            await self._server.stop()

    async def _keep(self, server: Server) -> None:
        clock = asyncio.get_running_loop().time
        pause = _FIRST_PAUSE
        while True:
            began = clock()
            status = await server.ended()
            self._server = None
            pause = _FIRST_PAUSE if clock() - began > _STEADY else min(pause * 2, _LONGEST_PAUSE)
            self._say(f"the NATS server ended with status {status}; another one starts in {pause:g} s")
            server = await self._started(pause)
            self._restarts += 1
            times = "once" if self._restarts == 1 else f"{self._restarts} times"
            self._say(f"the NATS server was started again ({times} so far)")

    async def _started(self, pause: float) -> Server:
        """Start another one, after ever longer pauses while it keeps failing."""
        while True:
            await asyncio.sleep(pause)
            try:
                self._server = await start(self.settings, self.program)
            except (ReplicaError, OSError) as error:
                pause = min(pause * 2, _LONGEST_PAUSE)
                self._say(f"the NATS server could not be started: {error}; another try in {pause:g} s")
            else:
                return self._server

    def _say(self, what: str) -> None:
        self.notes = (f"{what}, at {self.timestamp()}",)
        self.report(what)
