"""When a version that can't be started, or keeps crashing, may be tried again. Pure: the loop's time is told."""

from dataclasses import dataclass

from edgefn.sandbox.base import Failed

_FREE_INITS = 2
_FREE_CRASHES = 5
_FIRST_DELAY = 0.25
_LONGEST_INIT_DELAY = 30.0
_LONGEST_CRASH_DELAY = 1.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row, and until when nothing new is started. `failure` is what the last init came to.

    Crashes of calls back off later and shorter than failed inits: a viewer may be the one who causes them.
    """

    inits: int = 0
    crashes: int = 0
    until: float = 0.0
    failure: Failed | None = None

    def init_failed(self, failure: Failed, now: float) -> "Backoff":
        """Return what holds after one more failed init: the next try is free, later ones wait ever longer."""
        count = self.inits + 1
        return Backoff(count, self.crashes, now + _delay(count - _FREE_INITS, _LONGEST_INIT_DELAY), failure)

    def crashed(self, now: float) -> "Backoff":
        """Return what holds after one more crash of a call without a success since."""
        count = self.crashes + 1
        return Backoff(0, count, now + _delay(count - _FREE_CRASHES, _LONGEST_CRASH_DELAY), None)

    def started(self) -> "Backoff":
        """Return what holds after an init that went well."""
        return Backoff(0, self.crashes, 0.0, None) if self.inits else self

    def is_holding(self, now: float) -> bool:
        """Return whether nothing may be started yet."""
        return now < self.until


CALM = Backoff()
"""What holds after a call that went well."""


def _delay(step: int, longest: float) -> float:
    """Return seconds: nothing below the first step, then doubling up to `longest`."""
    return 0.0 if step < 0 else min(_FIRST_DELAY * 2.0 ** min(step, 16), longest)
