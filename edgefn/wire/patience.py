"""How long an origin may take. Pure: facts and `now` in seconds, no timers.

A connection asks `verdict` now and then (the pool's tick) instead of setting timers for each request.
"""

from math import inf


class Patience:
    """Watches one exchange: the silence between bytes, and the whole.

    It is held while the silence is not the origin's doing: our reader is slow, or the viewer's upload is.
    """

    __slots__ = ("_ends", "_held_at", "_holds", "_quiet_bound", "_quiet_since", "_whole_bound")

    def __init__(self) -> None:
        self._quiet_bound = inf
        self._whole_bound: float | None = None
        self._quiet_since = inf
        self._ends = inf
        self._holds = 0
        self._held_at = 0.0

    def begin(self, now: float, quiet_bound: float, whole_bound: float | None) -> None:
        """Start to wait for a response."""
        self._quiet_bound = quiet_bound
        self._whole_bound = whole_bound
        self._quiet_since = now
        self._ends = inf if whole_bound is None else now + whole_bound
        self._holds = 0

    def heard(self, now: float) -> None:
        """Note that the origin did something."""
        self._quiet_since = now

    def hold(self, now: float) -> None:
        """Stop the clock, until as many `release` calls have come."""
        if self._holds == 0:
            self._held_at = now
        self._holds += 1

    def release(self, now: float) -> None:
        """Undo one `hold`. Time held counts for nothing."""
        self._holds -= 1
        if self._holds == 0:
            self._quiet_since = now
            self._ends += now - self._held_at

    def verdict(self, now: float) -> str | None:
        """Return why the origin has taken too long, or None."""
        if self._holds:
            return None
        if now - self._quiet_since >= self._quiet_bound:
            return f"nothing came for {self._quiet_bound:g} s"
        if now >= self._ends:
            return f"the response was not complete after {self._whole_bound:g} s"
        return None
