"""A request body on its way to the origin, while the response may be coming already."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from edgefn.model.errors import EdgeError
from edgefn.model.message import Body
from edgefn.wire.patience import Patience
from edgefn.wire.request_head import chunk, last_chunk


class LengthMismatchError(EdgeError):
    """A body was longer or shorter than it had said."""


class Upload:
    """Sends one body. The origin's clock runs only while we wait for the origin, not for the viewer.

    `failed` is called when the body can't be read to its end; the connection must end then.
    """

    def __init__(
        self, transport: asyncio.Transport, body: Body, patience: Patience, failed: Callable[[EdgeError], None]
    ) -> None:
        self._transport = transport
        self._body = body
        self._patience = patience
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.done = False

    def start(self) -> "asyncio.Task[None]":
        """Begin; return the task, which never raises."""
        self._patience.hold(self._loop.time())
        self._task = self._loop.create_task(self._run())
        return self._task

    def cancel(self) -> None:
        """Stop, and give up the body. Harmless once done."""
        if self._task is not None and not self.done:
            self._task.cancel()
            self._body.close()

    def pause(self) -> None:
        """Wait: the origin is slow."""
        self._flowing.clear()

    def resume(self) -> None:
        """Go on."""
        self._flowing.set()

    async def _run(self) -> None:
        with suppress(asyncio.CancelledError):  # only `cancel` does that: the task is ours
            try:
                await self._send()
            except EdgeError as error:
                self._task = None  # nothing is left to cancel
                self._failed(error)
                return
            self.done = True
            self._patience.release(self._loop.time())

    async def _send(self) -> None:
        body, left = self._body, self._body.length
        while data := await body.read():
            if left is None:
                self._transport.write(chunk(data))
            else:
                left -= len(data)
                if left < 0:
                    raise LengthMismatchError("the request body is longer than it said")
                self._transport.write(data)
            if not self._flowing.is_set():
                await self._flow()
        if left is None:
            self._transport.write(last_chunk(body.trailers))
        elif left:
            raise LengthMismatchError("the request body is shorter than it said")

    async def _flow(self) -> None:
        """Wait for the origin to take what is written: its time, not the viewer's."""
        self._patience.release(self._loop.time())
        await self._flowing.wait()
        self._patience.hold(self._loop.time())
