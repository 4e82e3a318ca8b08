"""The origin side of one route: what is sent where, and when the second origin of a group is asked."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.message import Request, Response
from edgefn.model.origin import Origin
from edgefn.model.origin_choice import OriginChoice
from edgefn.model.trail import OriginAttempt
from edgefn.rules.forwarding import Forwarder, finish
from edgefn.rules.response_headers import from_origin
from edgefn.wire.connecting import OriginKey
from edgefn.wire.outbound import OriginConnection

_MAY_FAIL_OVER = frozenset({"GET", "HEAD", "OPTIONS"})


class Sender(Protocol):
    """Speaks HTTP to origins."""

    async def send(self, request: Request, origin: Origin, attempt: Callable[[OriginAttempt], None]) -> Response:
        """Return the response as soon as its head is here. Raises `EdgeError`, mostly `OriginError`."""

    def take_now(self, key: OriginKey) -> OriginConnection | None:
        """Return an idle connection, whose `begin` is to be called at once; None when there is none."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The `usual` origins of the route, or what a viewer-request function chose for one request.

    `resolve` maps a domain to the "host:port" that stands for it.
    """

    forwarder: Forwarder
    usual: OriginChoice
    sender: Sender
    resolve: Mapping[str, str]

    def serve(self, request: Request, ask: Callable[[Request], Awaitable[Response]]) -> Awaitable[Response]:
        """Ask the primary, then the secondary if the outcome calls for it (AWS: origin failover).

        Raises what the last one raised.
        """
        choice = request.choice or self.usual
        if len(choice.members) > 1 and request.method in _MAY_FAIL_OVER and request.body.length == 0:
            return self._with_failover(request, ask, choice)
        return ask(self._outgoing(request, choice.members[0]))

    async def _with_failover(
        self, request: Request, ask: Callable[[Request], Awaitable[Response]], choice: OriginChoice
    ) -> Response:
        response = await self._unless_failing(request, ask, choice)
        return response or await ask(self._outgoing(request, choice.members[1]))

    async def _unless_failing(
        self, request: Request, ask: Callable[[Request], Awaitable[Response]], choice: OriginChoice
    ) -> Response | None:
        try:
            response = await ask(self._outgoing(request, choice.members[0]))
        except OriginError as error:
            if _failover_status(error.failure) in choice.statuses:
                return None
            raise
        if response.origin_status in choice.statuses:
            response.body.close()
            return None
        return response

    def _outgoing(self, request: Request, origin: Origin) -> Request:
        return self.forwarder.to_origin(request, origin)

    async def fetch(self, asked: Request) -> Response:
        """Return the answer of `asked.origin`, without what concerned its connection only. Raises `OriginError`."""
        if asked.origin is None:
            raise OriginError(OriginFailure.REFUSED, "the request is bound to no origin")
        origin = self._resolved(asked.origin)
        return self.received(await self.sender.send(finish(asked, origin), origin, asked.trail.attempts.append))

    @property
    def primary(self) -> Origin:
        """Return the first of the usual ones."""
        return self._resolved(self.usual.members[0])

    def outgoing(self, request: Request) -> Request:
        """Return the request as that gets it."""
        return finish(self._outgoing(request, self.usual.members[0]), self.primary)

    def received(self, answer: Response) -> Response:
        """Return an origin's answer without what concerned its connection only."""
        cookies = self.forwarder.forwards_cookies
        return answer.dressed(from_origin(answer.headers, answer.status, cookies=cookies))

    def _resolved(self, origin: Origin) -> Origin:
        if origin.address is None and origin.domain in self.resolve:
            return replace(origin, address=self.resolve[origin.domain])
        return origin


def _failover_status(failure: OriginFailure) -> int:
    """Return the status that must be listed for a failure to fail over: 504 for a timeout, else 503 (AWS)."""
    return 504 if failure.is_timeout else 503
