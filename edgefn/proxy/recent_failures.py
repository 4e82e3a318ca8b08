"""Failures of origins that are remembered for a while, so that not every viewer waits for the same one."""

from collections.abc import Callable

from cachetools import LRUCache

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.settings import CachePolicy
from edgefn.rules.freshness import error_ttl

_MOST = 1024  # keys


class RecentFailures:
    """What failed last, by cache key, for as long as the route keeps a 502 or 504 (AWS: error caching)."""

    def __init__(self, policy: CachePolicy, now: Callable[[], float]) -> None:
        self._policy = policy
        self._now = now
        self._failed: LRUCache[str, tuple[float, OriginFailure, str]] = LRUCache(_MOST)

    def remember(self, key: str, error: OriginError) -> None:
        """Let `recall` return its like for a while, if the route says so."""
        ttl = error_ttl(504 if error.failure.is_timeout else 502, self._policy)
        if ttl > 0:
            self._failed[key] = (self._now() + ttl, error.failure, str(error))

    def recall(self, key: str) -> OriginError | None:
        """Return the failure that an attempt would most likely end in."""
        if not self._failed:
            return None
        until, failure, why = self._failed.get(key, (0.0, OriginFailure.CLOSED, ""))
        return OriginError(failure, f"{why} (a moment ago)") if self._now() < until else None
