"""Misses of a route without functions, fetched and stored without a task: see `passing`."""

import logging
from collections.abc import Callable
from functools import partial

from edgefn.model.errors import EdgeError
from edgefn.model.message import Request, Response
from edgefn.proxy.cache import Cache
from edgefn.proxy.miss import Miss
from edgefn.proxy.passing import Outcome, Passage, Passing
from edgefn.wire.outbound import OriginConnection

_log = logging.getLogger("edgefn")


class Misses:
    """Fetches by `passing` what `cache` does not have."""

    def __init__(self, passing: Passing, cache: Cache) -> None:
        self._passing = passing
        self._cache = cache

    def start(self, request: Request, deliver: Callable[[Outcome], None]) -> Passage | None:
        """Send `request`, whose outcome is delivered when it is here; None when it must go the usual way."""
        miss = self._cache.miss_now(request)
        if miss is None:
            return None
        passage = self._passing.sent(request, partial(_Fetch, self._passing, miss, deliver=deliver))
        if passage is None:
            miss.leave()
        return passage


class _Fetch(Passage):
    """One such request."""

    __slots__ = ("_miss",)

    def __init__(
        self,
        passing: Passing,
        miss: Miss,
        request: Request,
        connection: OriginConnection,
        started: float,
        *,
        deliver: Callable[[Outcome], None],
    ) -> None:
        super().__init__(passing, request, connection, started, deliver=deliver)
        self._miss = miss

    def set_result(self, answer: Response) -> None:
        """Deliver the answer, on its way into the store if it may be stored."""
        self._done = True
        self._passing.note(self, str(answer.status), answer)
        try:
            outcome: Outcome = self._miss.received(self._passing.received(answer))
        except Exception as error:  # noqa: BLE001  # the last resort: whatever broke, the viewer gets an answer
            _log.exception("%s: internal error", self.request.id)
            answer.close()
            outcome = EdgeError(repr(error))
        self._deliver(outcome)

    def set_exception(self, error: EdgeError) -> None:
        """Deliver the error, unless the usual way may have better luck."""
        if self._abandoned is None:
            self._miss.failed(error)
        else:
            self._miss.leave()
        super().set_exception(error)
