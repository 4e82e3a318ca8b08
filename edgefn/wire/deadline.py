"""One moment at which something is over, moved often and reached seldom."""

import asyncio
from collections.abc import Callable
from math import inf

_EARLY = 0.002  # event loops ring up to a millisecond or two before the time


def nobody() -> None:
    """Stand for one who is called no more."""


class Deadline:
    """Calls `expire` once when the time is up. Moving it later costs no new timer, so it fits a hot path."""

    __slots__ = ("_at", "_expire", "_loop", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def set(self, seconds: float) -> None:
        """Expire in `seconds`, whatever was set before."""
        self._at = self._loop.time() + seconds
        if self._at < self._timer_at:
            self._arm()

    def clear(self) -> None:
        """Do not expire until set again."""
        self._at = inf

    def stop(self) -> None:
        """Let go of the timer, and of whoever is called, for good: else the two would hold each other."""
        self._expire = nobody
        self._at = self._timer_at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = inf
        if self._at - _EARLY <= self._loop.time():
            self._at = inf
            self._expire()
        elif self._at < inf:
            self._arm()
