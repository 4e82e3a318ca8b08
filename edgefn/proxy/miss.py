"""One thing that is not stored, on its way from the origin into the store without a task."""

from collections.abc import Callable

from edgefn.model.errors import EdgeError
from edgefn.model.message import Request, Response
from edgefn.proxy.errand import Errand
from edgefn.proxy.fetching import Fetching
from edgefn.proxy.flights import Duty
from edgefn.rules.age import Times
from edgefn.rules.lookup import Lookup


class Miss:
    """The duty to fetch what is not stored under `key`. `now` is wall-clock seconds."""

    __slots__ = ("_duty", "_errand", "_fetching", "_now", "_requested_at")

    def __init__(self, fetching: Fetching, request: Request, key: str, duty: Duty, now: Callable[[], float]) -> None:
        self._fetching = fetching
        self._errand = Errand(request, key, _by_nobody, None, Lookup.URI_MISS)
        self._duty = duty
        self._now = now
        self._requested_at = now()

    def received(self, answer: Response) -> Response:
        """Return the origin's answer, on its way into the store if it may be stored."""
        with self._duty:
            times = Times(self._requested_at, self._now())
            return self._fetching.received_now(self._errand, self._duty, answer, times)

    def failed(self, error: EdgeError) -> None:
        """Take note that none came. Others who wait fetch it then."""
        self._fetching.failed_now(self._errand, self._duty, error)

    def leave(self) -> None:
        """Leave it to others: nothing was sent."""
        self._duty.hand_on()


async def _by_nobody(request: Request) -> Response:
    raise EdgeError(f"{request.id} is fetched another way")
