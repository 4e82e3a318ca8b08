"""READ FIRST. The order in which things happen to a request; nothing else decides it.

    viewer -> route -> [viewer-request] -> cache lookup --hit-------------------------> [viewer-response] -> viewer
                            |                  | miss                                          ^
                            | response         v                                               |
                            +--------> [origin-request] -> origin -> [origin-response] -> store +
                            v                  | response (stored, origin-response skipped)
                          viewer (no cache, no viewer-response)

There is one walk per route. `Site` chooses the route before it, and dresses the response after it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY
from typing import Protocol

from edgefn.model.headers import Headers
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Body, Request, Response
from edgefn.proxy.passages import Passed


class Hooks(Protocol):
    """The four moments at which a function may step in. Without a function each returns what it was given."""

    async def viewer_request(self, request: Request) -> Request | Response:
        """Ask the function what to look up, or what to answer at once."""

    async def origin_request(self, request: Request) -> Request | Response:
        """Ask the function what to send where, or what to answer in the origin's stead."""

    async def origin_response(self, asked: Request, response: Response) -> Response:
        """Let the function change what will be stored."""

    async def viewer_response(self, asked: Request, response: Response, request: Request) -> Response:
        """Let the function change what goes out; `request` is what came in."""

    def viewer_request_now(self, request: Request) -> Passed | None:
        """Return what comes of `request`, if that needs no waiting; None: nothing has been done."""

    def viewer_response_now(self, asked: Request, response: Response, request: Request) -> Response | None:
        """Return what `viewer_response` would, if it needs no waiting; None: nothing has been done."""


class ViewerFacts(Protocol):
    """Knows what the edge tells the origin side about a viewer."""

    def told(self, asked: Request, request: Request) -> Request:
        """Return `asked` with the CloudFront-* headers of its route; `request` is what came in."""


class Cache(Protocol):
    """Answers from what is stored, or fetches and stores."""

    def serve(self, request: Request, fetch: Callable[[Request], Awaitable[Response]]) -> Awaitable[Response]:
        """Return the response to `request`, calling `fetch` only when it must."""

    def serve_now(self, request: Request) -> Response | None:
        """Return a fresh stored response that needs no waiting, or None."""


class Origins(Protocol):
    """The origin side of one route: one origin, or a group of two with failover."""

    def serve(self, request: Request, ask: Callable[[Request], Awaitable[Response]]) -> Awaitable[Response]:
        """Return what `ask` got from the first origin whose answer counts; `ask` is called once per origin."""

    async def fetch(self, asked: Request) -> Response:
        """Return the answer of `asked.origin`, whatever its status. Raises `OriginError`."""


@hot_dataclass(frozen=True, slots=True)
class Walked(Response):
    """A response to which the whole way needed no waiting, and that remembers the way, should the request come again.

    `told` is what the cache was asked, `passed` what came of the request at viewer-request.
    """

    _: KW_ONLY
    told: Request
    passed: Passed

    @classmethod
    def of(cls, response: Response, told: Request, passed: Passed) -> "Walked":
        """Return `response` as one that came this way."""
        return cls(
            response.status, response.reason, response.headers, response.body, response.from_origin_error,
            response.origin_status, response.tunnel, told=told, passed=passed,
        )  # fmt: skip

    def carrying(self, headers: Headers, body: Body) -> "Walked":
        """Return the same with `headers` and `body`."""
        return Walked(
            self.status, self.reason, headers, body, self.from_origin_error, self.origin_status, self.tunnel,
            told=self.told, passed=self.passed,
        )  # fmt: skip


class Walk:
    """One route's way from the viewer to the origin and back."""

    def __init__(self, hooks: Hooks, facts: ViewerFacts, cache: Cache, origins: Origins) -> None:
        self._hooks = hooks
        self._facts = facts
        self._cache = cache
        self._origins = origins

    def now(self, request: Request) -> Response | Request | None:
        """Return the response to `request`, if the whole way to it needs no waiting: a `Walked` out of the cache.

        Otherwise return what viewer-request made of it, to go on from there, or None where nothing has been done.
        """
        passed = self._hooks.viewer_request_now(request)
        if passed is None:
            return None
        asked = passed.asked
        if isinstance(asked, Response):
            return asked
        told = self._facts.told(asked, request)
        response = self._cache.serve_now(told)
        if response is not None and not response.from_origin_error:
            response = self._hooks.viewer_response_now(asked, response, request)
        return asked if response is None else Walked.of(response, told, passed)

    async def __call__(self, request: Request, asked: Request | Response | None = None) -> Response:
        """Return the response to `request`, of which viewer-request made `asked`, if it has run. Raises `EdgeError`."""
        if asked is None:
            asked = await self._hooks.viewer_request(request)
        if isinstance(asked, Response):
            return asked  # answered at the door: not cached, no viewer-response
        response = await self.without_viewer_hooks(asked, request)
        if response.from_origin_error:
            return response  # the origin said >= 400: no viewer-response
        return await self._hooks.viewer_response(asked, response, request)

    def without_viewer_hooks(self, asked: Request, request: Request) -> Awaitable[Response]:
        """Return the response from the cache or the origin side alone: what a custom error page needs.

        `request` is what came in.
        """
        return self._cache.serve(self._facts.told(asked, request), self._from_origin)

    def _from_origin(self, asked: Request) -> Awaitable[Response]:
        return self._origins.serve(asked, self._ask)

    async def _ask(self, outgoing: Request) -> Response:
        asked = await self._hooks.origin_request(outgoing)
        if isinstance(asked, Response):
            return asked  # in the origin's stead: cacheable, no origin-response
        return await self._hooks.origin_response(asked, await self._origins.fetch(asked))
