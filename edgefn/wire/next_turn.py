"""Going on in the next turn of the event loop, so that every other connection gets its own one first."""

import asyncio
from collections.abc import Callable

from edgefn.wire.deadline import nobody


class NextTurn:
    """Calls `go_on` once in the next turn, however often it is asked to in this one; `is_due` until then."""

    __slots__ = ("_go_on", "_handle", "_loop", "is_due")

    def __init__(self, loop: asyncio.AbstractEventLoop, go_on: Callable[[], None]) -> None:
        self._loop = loop
        self._go_on = go_on
        self._handle: asyncio.Handle | None = None
        self.is_due = False

    def ask(self) -> None:
        """Go on in the next turn."""
        if not self.is_due:
            self.is_due = True
            self._handle = self._loop.call_soon(self._run)

    def cancel(self) -> None:
        """Do not go on. Harmless when there is nothing left."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.is_due = False

    def stop(self) -> None:
        """Do not go on, ever: let go of whoever would, for the two hold each other."""
        self.cancel()
        self._go_on = nobody

    def _run(self) -> None:
        self._handle = None
        self.is_due = False
        self._go_on()
