"""The clock of the guests: one epoch per millisecond while any of them runs, and none while all is quiet."""

import threading
from collections.abc import Callable

PERIOD = 0.001
"""Seconds of one epoch, and so of a guest's slice."""

_QUIET_TICKS = 50


class Ticker:
    """A thread that calls `tick`. It falls asleep when nobody has touched it for some ticks."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._touched = False
        self._asleep = False
        self._closing = False
        self._wake = threading.Event()
        self._pause = threading.Lock()
        self._pause.acquire()
        self._thread = threading.Thread(target=self._run, name="edgefn-epochs", daemon=True)
        self._thread.start()

    def touch(self) -> None:
        """Tell that a guest is about to run: time passes for it from now on."""
        self._touched = True
        if self._asleep:
            self._wake.set()

    @property
    def asleep(self) -> bool:
        """Return whether it ticks no more until touched."""
        return self._asleep

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        quiet = 0
        while not self._closing:
            # Nobody ever releases it: the cheapest way to wait for a while.
            self._pause.acquire(timeout=PERIOD)
            self._tick()
            quiet = 0 if self._touched else quiet + 1
            self._touched = False
            if quiet > _QUIET_TICKS:
                self._sleep()
                quiet = 0

    def _sleep(self) -> None:
        """Wait to be touched. `touch` writes first and then asks, this asks the other way around: none gets lost."""
        self._wake.clear()
        self._asleep = True
        if not self._touched and not self._closing:
            self._wake.wait()
        self._asleep = False
