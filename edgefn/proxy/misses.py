"""Misses of a route without functions, fetched and stored without a task: see `relay`."""

import logging
from functools import partial

from edgefn.model.errors import EdgeError
from edgefn.model.message import Request, Response
from edgefn.proxy.cache import Cache
from edgefn.proxy.miss import Miss
from edgefn.proxy.relay import Known, Outcome, Relay, Relayed, Site
from edgefn.wire.application import Deliver
from edgefn.wire.outbound import OriginConnection

_log = logging.getLogger("edgefn")


class Misses:
    """Fetches by `relay` what `cache` does not have."""

    def __init__(self, relay: Relay, cache: Cache) -> None:
        self._relay = relay
        self._cache = cache

    def start(self, request: Request, site: Site, deliver: Deliver) -> Relayed | None:
        """Send `request`, whose outcome the site hears when it is here; None when it must go the usual way."""
        miss = self._cache.miss_now(request)
        if miss is None:
            return None
        relayed = self._relay.sent(request, partial(_Fetch, miss, self._relay, site, deliver))
        if relayed is None:
            miss.leave()
        return relayed


class _Fetch(Known):
    """One such request."""

    __slots__ = ("_miss",)

    def __init__(
        self,
        miss: Miss,
        relay: Relay,
        site: Site,
        deliver: Deliver,
        request: Request,
        connection: OriginConnection,
        started: float,
    ) -> None:
        super().__init__(relay, site, deliver, request, connection, started)
        self._miss = miss

    def set_result(self, result: Response) -> None:
        """Deliver the answer, on its way into the store if it may be stored."""
        self._done = True
        self._relay.note(self.request, self._started, str(result.status), result)
        try:
            outcome: Outcome = self._miss.received(self._relay.received(result))
        except Exception as error:  # noqa: BLE001  # the last resort: whatever broke, the viewer gets an answer
            _log.exception("%s: internal error", self._name)
            result.close()
            outcome = EdgeError(repr(error))
        self._site.relayed(self, outcome)

    def set_exception(self, exception: EdgeError) -> None:
        """Deliver the error, unless the usual way may have better luck."""
        if self._abandoned is None:
            self._miss.failed(exception)
        else:
            self._miss.leave()
        super().set_exception(exception)
