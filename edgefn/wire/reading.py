"""Whether a connection reads on, or lets the far side wait."""

import asyncio


class Reading:
    """Turns the reading of a transport on and off; it begins turned on."""

    __slots__ = ("_transport", "is_on")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.is_on = True

    def turn(self, *, on: bool) -> None:
        """Read from now on, or do not. Harmless when it is so already."""
        if on is not self.is_on:
            self.is_on = on
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
