"""Other locations, asked in the place of the origins (AWS: Origin Shield)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from edgefn.model.errors import FunctionError, FunctionFault, OriginError
from edgefn.model.message import Request, Response
from edgefn.model.origin import Origin
from edgefn.proxy.origins import Origins, Sender
from edgefn.rules.hop_by_hop import HOP_BY_HOP, asks_for_websocket, named_by_connection
from edgefn.rules.response_headers import from_origin
from edgefn.rules.shielding import CDN_LOOP, SHIELD_PASS, Pass, ranked, sealed

_REST: Final = 10.0
"""Seconds for which a shield that failed is left alone."""
_PERHAPS: Final = 200
_GONE: Final = HOP_BY_HOP | {"cdn-loop", "expect", "via", SHIELD_PASS.lower()}
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FAULTS: Final[Mapping[str, FunctionFault]] = {fault.value: fault for fault in FunctionFault}


@dataclass(frozen=True, slots=True)
class Shielding:
    """The shields of a location and what it needs to speak with them; one for all routes.

    `secret` is known to both sides; `pseudonym` is this location's name in Via, `cdn_id` the one in CDN-Loop. `wall`
    and `monotonic` are clocks, in seconds. A shield that fails is left alone for a while.
    """

    shields: tuple[Origin, ...]
    secret: bytes
    pseudonym: str
    cdn_id: str
    sender: Sender
    wall: Callable[[], float]
    monotonic: Callable[[], float]
    _resting: dict[str, float] = field(default_factory=dict)

    def candidates(self, request: Request) -> list[Origin]:
        """Return the shields to ask, the best one first."""
        now = self.monotonic()
        return [shield for shield in ranked(self.shields, request) if self._resting.get(shield.id, 0.0) <= now]

    def rest(self, shield: Origin) -> None:
        """Leave a shield alone for a while."""
        self._resting[shield.id] = self.monotonic() + _REST

    async def ask(self, request: Request, route: str, shield: Origin) -> Response:
        """Return the shield's answer. Raises `OriginError`, and `FunctionError` for a function that failed there."""
        outgoing = self._outgoing(request, route, shield)
        answer = await self.sender.send(outgoing, shield, request.trail.attempts.append)
        fault = _FAULTS.get((answer.headers.get("x-cache") or "").partition(" ")[0])
        if fault is not None:
            answer.body.close()
            error = FunctionError(
                fault, f"(at the shield {shield.id})", _sentence(fault), rule="it failed at the shield"
            )
            error.origin_status = _PERHAPS  # which a shield does not tell: a change must not be missed
            raise error
        return answer.dressed(from_origin(answer.headers, answer.status))

    def _outgoing(self, request: Request, route: str, shield: Origin) -> Request:
        received = request.headers
        kept = received.less(_GONE | named_by_connection(received))
        via, loop = received.joined("via"), received.joined("cdn-loop")
        own = f"{request.version} {self.pseudonym} (CloudFront)"
        given = Pass(route, request.viewer, request.id, self.wall())
        marks = (
            ("Via", own if via is None else f"{via}, {own}"),
            (CDN_LOOP, self.cdn_id if loop is None else f"{loop}, {self.cdn_id}"),
            (SHIELD_PASS, sealed(given, request, self.secret)),
        )
        return request.bound_for(shield, kept.adding(*marks), request.query)


@dataclass(frozen=True, slots=True)
class Shielded:
    """The origin side of one route behind shields. Where no shield can be asked, the origins themselves are."""

    shielding: Shielding
    route: str
    origins: Origins

    async def serve(self, request: Request, ask: Callable[[Request], Awaitable[Response]]) -> Response:
        """Return a shield's answer; what it would have done is done here when it can't be reached."""
        if request.choice is None and not asks_for_websocket(request.method, request.headers):
            for shield in self.shielding.candidates(request):
                try:
                    return await self.shielding.ask(request, self.route, shield)
                except OriginError as error:
                    self.shielding.rest(shield)
                    if not error.retryable and not _may_ask_again(request):
                        raise
        return await self.origins.serve(request, ask)

    async def fetch(self, asked: Request) -> Response:
        """Return the answer of `asked.origin`. Raises `OriginError`."""
        return await self.origins.fetch(asked)


def _may_ask_again(request: Request) -> bool:
    return request.method in _REPEATABLE and request.body.length == 0


def _sentence(fault: FunctionFault) -> str:
    kind = "Lambda" if fault.value.startswith("Lambda") else "CloudFront"
    return f"The {kind} function associated with the CloudFront distribution is invalid or could not run."
