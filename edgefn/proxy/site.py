"""One configuration, ready to answer: chooses the route before the walk, and dresses the response after it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgefn.model.errors import BadRequestError, EdgeError, ViewerGoneError
from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response, Viewer, no_body, usual_reason
from edgefn.model.settings import ErrorPage, RouteSettings, ViewerProtocol
from edgefn.model.trail import Result, Trail
from edgefn.proxy.access_log import access_line
from edgefn.proxy.door import Door, as_for, without_pass
from edgefn.proxy.failures import Failure, failure
from edgefn.proxy.misses import Misses
from edgefn.proxy.relay import Outcome, Relay, Relayed, RelayRepeat
from edgefn.proxy.repeats import Cache as RepeatsCache
from edgefn.proxy.repeats import Repeats
from edgefn.proxy.walk import Walk, Walked
from edgefn.rules.error_page import error_response
from edgefn.rules.forwarding import LOOP, has_been_here
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.log_line import one_line
from edgefn.rules.max_forwards import is_counted, step
from edgefn.rules.response_headers import Dressing, generated
from edgefn.rules.routing import Allowed, Forbidden, Redirected, Routes, admission, with_default_root
from edgefn.rules.shielding import Pass
from edgefn.wire.application import Deliver, Pending, Ready

_log = logging.getLogger("edgefn")

_PAGED = frozenset({Result.ERROR, Result.LAMBDA_EXECUTION_ERROR, Result.LAMBDA_VALIDATION_ERROR})


class Cache(RepeatsCache, Protocol):
    """The part of a route's cache that needs no waiting."""

    def serve_now(self, request: Request) -> Response | None:
        """Return a fresh stored response, or None."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One route's walk, and the short cuts past it. Each is None where it would leave something out."""

    route: RouteSettings
    walk: Walk
    direct: Walk
    """The same walk past all shields: what an edge gets that asks this location as its own."""
    cache: Cache | None
    """Has what lies fresh in memory: for routes where no function runs on every request."""
    may_walk_now: bool = False
    """Whether the walk itself may come to its end without waiting."""
    relay: Relay | None = None
    """Passes requests on: for routes without functions, without a second origin, and without a cache."""
    misses: Misses | None = None
    """Fetches what is not stored: for routes without functions and without a second origin."""
    behind_hook: Cache | None = None
    """The cache of a route whose only function that runs on every request is at viewer-request."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a site is told of the world. `wall` and `monotonic` are clocks in seconds; `timestamp` is ISO 8601."""

    new_id: Callable[[], str]
    wall: Callable[[], float]
    monotonic: Callable[[], float]
    timestamp: Callable[[], str]
    access_log: Callable[[str], None] | None


class Site:
    """Answers viewers (the `Application` of `wire`). Swapped whole when the configuration changes."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        dressing: Dressing,
        around: Surroundings,
        *,
        default_root_object: str,
        error_pages: Mapping[int, ErrorPage],
        repeats: Repeats,
        door: Door | None = None,
    ) -> None:
        """Take the lanes and what they share."""
        self._lanes = tuple(lanes)
        self._routes = Routes([lane.route for lane in lanes])
        self._dressing = dressing
        self._around = around
        self._default_root_object = default_root_object
        self._error_pages = error_pages
        self._door = door
        self._repeats = repeats
        self._date = (0, "")
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def open(self) -> tuple[str, Trail]:
        """Return the id and the trail of a request that has just come in."""
        return self._around.new_id(), Trail(started=self._around.monotonic())

    def answer_now(self, request: Request, deliver: Deliver) -> Response | Request | Pending | None:
        """Return a fresh stored response, if whatever function is to see it needs no waiting.

        Otherwise return what will deliver the answer, or what viewer-request made of `request`, for `answer`, or None
        where nothing has been done.
        """
        if self._default_root_object and request.path == "/":
            return None
        if self._door is not None and self._door.concerns(request):
            return None
        lane = self._lane(request.path)
        request.trail.route = lane.route.path
        if self._error_pages or lane.route.viewer_protocol is not ViewerProtocol.ALLOW_ALL:
            return None
        if self._routes.is_ambiguous(request.path):  # also what is stored: it was fetched by other routes, perhaps
            return None
        if lane.relay is not None and "via" not in request.headers:
            return self._counted(lane.relay.start(request, self, deliver))
        if lane.cache is not None:
            found: Response | Request | None = lane.cache.serve_now(request)
            if found is None and lane.misses is not None and "via" not in request.headers:
                return self._counted(lane.misses.start(request, self, deliver))
        elif lane.may_walk_now and not is_counted(request):
            found = self._walked_now(lane, request)
        else:
            return None
        return self._dressed(request, found) if isinstance(found, Response) else found

    def _counted(self, relayed: Relayed | None) -> Relayed | None:
        if relayed is not None:
            self._running += 1
        return relayed

    def relayed(self, relayed: Relayed, outcome: Outcome) -> None:
        """Deliver what has come of a request that was passed on."""
        self._over()
        if outcome is None or isinstance(outcome, Ready):
            relayed.deliver(outcome)
            return
        request = relayed.request
        if isinstance(outcome, EdgeError):
            _tell(request, outcome)
            outcome = self._failed(request, failure(outcome))
        headers = self._dressing.to_viewer_again(outcome.headers, request.trail.result, request.id, self._date_now())
        relayed.deliver(outcome.dressed(headers))

    def answer_again(self, block: bytes, viewer: Viewer, deliver: Deliver) -> tuple[bytes, bytes] | Pending | None:
        """Return head and body of what answers a request that comes again, to the letter or in all that matters.

        Otherwise return what will deliver it, or None.
        """
        name = _known_as(block, viewer)
        repeat = self._repeats.get(name)
        if repeat is None:
            return None
        if isinstance(repeat, RelayRepeat):
            return self._relayed_again(repeat, viewer, deliver)
        request_id = self._around.new_id()
        answer = repeat.answer(request_id)
        if answer is None:
            self._repeats.drop(name)
            return None
        trail = repeat.trail(self._around.monotonic()) if self._around.access_log is not None else None
        if repeat.passage is not None and not repeat.passage.again(request_id, viewer, trail):
            if repeat.passage.is_over:
                self._repeats.drop(name)
            return None
        if trail is not None:
            request = replace(repeat.request, viewer=viewer, id=request_id, trail=trail)
            self.sent(request, request_id, trail, repeat.response, sum(map(len, answer)), complete=True)
        return answer

    def _relayed_again(self, repeat: RelayRepeat, viewer: Viewer, deliver: Deliver) -> Pending | None:
        if viewer.ip != repeat.ip:
            return None
        return self._counted(repeat.relay.again(repeat, viewer, self._around.new_id(), self, deliver))

    def remember(self, block: bytes, request: Request, head: bytes, response: Response) -> None:
        """Remember a request that `answer_now` has answered, and how, should it come again."""
        if request.body.length != 0:
            return
        lane, name = self._lane(request.path), _known_as(block, request.viewer)
        if lane.relay is not None:
            if self._around.access_log is None:  # a line in it wants a request and a trail each time
                self._repeats.learn_relay(name, lane.relay, request)
        elif lane.cache is not None:
            self._repeats.learn(name, request, head, lane.cache)
        elif lane.behind_hook is not None and isinstance(response, Walked):
            self._repeats.learn(name, request, head, lane.behind_hook, response)

    @staticmethod
    def _walked_now(lane: Lane, request: Request) -> Response | Request | None:
        try:
            return lane.walk.now(request)
        except Exception:  # noqa: BLE001  # `answer` meets it again, and turns it into a response
            return None

    async def answer(self, request: Request, asked: Request | None = None) -> Response:
        """Return the answer; every error has become a response. `asked` is what `answer_now` has returned."""
        self._running += 1
        try:
            if is_counted(request):
                return self._dressed(request, await self._answer_counted(request))
            return self._dressed(request, await self._answer(request, asked))
        except Exception as error:  # noqa: BLE001  # the last resort: whatever broke, the viewer gets an answer
            _log.exception("%s: internal error", request.id)
            return self._dressed(request, self._failed(request, failure(EdgeError(repr(error)))))
        finally:
            self._over()

    async def _answer_counted(self, request: Request) -> Response:
        """Answer a request that may go so many steps only; `answer_now` has done nothing with it."""
        try:
            onward = step(request)
        except BadRequestError as error:
            return self._failed(request, failure(error))
        return onward if isinstance(onward, Response) else await self._answer(onward, None)

    def _over(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until no request is on its way through this site."""
        if self._running:
            self._idle.clear()
            await self._idle.wait()

    def _lane(self, path: str) -> Lane:
        return self._lanes[self._routes.position(path)]

    async def _answer(self, request: Request, asked: Request | None) -> Response:
        if self._door is not None and self._door.concerns(request):
            try:
                given = self._door.admitted(request)
            except BadRequestError as error:
                return self._failed(request, failure(error))
            if given is not None:
                return await self._answer_edge(given, as_for(given, request))
            request = without_pass(request)
        if "via" in request.headers and has_been_here(request.headers, self._dressing.pseudonym):
            return self._failed(request, failure(BadRequestError(508, LOOP)))  # now: it would wait for itself
        meant = with_default_root(request.path, self._default_root_object)
        if meant != request.path:
            request = replace(request, path=meant)
        lane = self._lane(request.path)
        request.trail.route = lane.route.path
        if self._routes.is_ambiguous(request.path):
            return self._failed(request, failure(BadRequestError(400, "the path can be read in two ways")))
        turned_away = _turned_away(lane.route.viewer_protocol, request)
        if turned_away is not None:
            return turned_away
        try:
            response = await lane.walk(request, asked)
        except EdgeError as error:
            _tell(request, error)
            failed = failure(error)
            response = self._failed(request, failed)
            if not failed.page:
                return response
        page = self._page_for(request, response)
        return response if page is None else await self._paged(page, request, response)

    async def _answer_edge(self, given: Pass, request: Request) -> Response:
        """Return what an edge asks for: by the route that it has chosen, without what the edge does itself."""
        lane = next((lane for lane in self._lanes if lane.route.path == given.route), None) or self._lane(request.path)
        request.trail.route = lane.route.path
        try:
            return await lane.direct.without_viewer_hooks(request, request)
        except EdgeError as error:
            _tell(request, error)
            return self._failed(request, failure(error))

    @staticmethod
    def _failed(request: Request, failed: Failure) -> Response:
        request.trail.result = failed.result
        request.trail.detail = failed.detail
        return error_response(failed.status, failed.sentence, request.id)

    def _page_for(self, request: Request, response: Response) -> ErrorPage | None:
        """Return the custom error page to show instead of `response`, if any (AWS: custom error responses)."""
        page = self._error_pages.get(response.status)
        return page if page is not None and page.path and request.trail.result in _PAGED else None

    async def _paged(self, page: ErrorPage, request: Request, response: Response) -> Response:
        """Return `page`, or `response` when the page itself can't be had."""
        asked = replace(
            request, method="GET", path=page.path, query=None, headers=_for_page(request.headers), body=no_body()
        )
        try:
            shown = await self._lane(page.path).walk.without_viewer_hooks(asked, request)
        except EdgeError:
            return response
        except BaseException:  # the viewer has left
            response.close()
            raise
        finally:
            request.trail.result = Result.ERROR
        if shown.status >= 400:
            shown.body.close()
            return response
        response.body.close()
        status = page.response_status or response.status
        return replace(shown, status=status, reason=usual_reason(status))

    def refuse(self, error: BadRequestError, request_id: str, trail: Trail) -> Response:
        """Return the page for what was no request."""
        failed = failure(error)
        trail.result = failed.result
        trail.detail = failed.detail
        response = error_response(failed.status, failed.sentence, request_id)
        return self._dressed_as(response, Result.ERROR, request_id)

    def _dressed(self, request: Request, response: Response) -> Response:
        return self._dressed_as(response, request.trail.result, request.id)

    def _dressed_as(self, response: Response, result: Result, request_id: str) -> Response:
        return response.dressed(self._dressing.to_viewer(response.headers, result, request_id, self._date_now()))

    def _date_now(self) -> str:
        second = int(self._around.wall())
        if second != self._date[0]:
            self._date = (second, imf_fixdate(second))
        return self._date[1]

    def sent(
        self,
        request: Request | None,
        request_id: str,
        trail: Trail,
        response: Response,
        size: int,
        complete: bool,  # noqa: FBT001  # as `wire.application` has it
    ) -> None:
        """Write the access log line."""
        around = self._around
        if around.access_log is None:
            return
        if not complete and not trail.detail:
            trail.detail = "ClientCommError: not all of it was sent"
        seconds = around.monotonic() - trail.started
        around.access_log(
            access_line(around.timestamp(), request, request_id, response, trail, sent=size, seconds=seconds)
        )


def _known_as(block: bytes, viewer: Viewer) -> bytes:
    """Return what tells a request from others: with TLS the same bytes ask for another URI.

    Always with the scheme in front, for else a viewer could write that of the others itself.
    """
    return b"http\n" + block if viewer.tls is None else b"https\n" + block


def _turned_away(policy: ViewerProtocol, request: Request) -> Response | None:
    """Return the answer to a viewer that may not come this way, None to one that may."""
    match admission(policy, request):
        case Allowed():
            return None
        case Redirected(status=status, location=location):
            request.trail.result = Result.REDIRECT
            return Response(status, usual_reason(status), generated(Headers([("Location", location)])))
        case Forbidden(reason=reason):
            request.trail.result = Result.ERROR
            return error_response(403, reason, request.id)


def _for_page(headers: Headers) -> Headers:
    """Return the viewer's headers without those that were about the page it asked for."""
    return headers.without("range", "if-range", "if-none-match", "if-modified-since", "content-length", "content-type")


def _tell(request: Request, error: EdgeError) -> None:
    """Log what an operator must know of: all but what viewers do by themselves."""
    if not isinstance(error, ViewerGoneError | BadRequestError):
        told = one_line(f"{request.method} {request.path}: {failure(error).detail}")
        _log.error("%s %s", request.id, told)
