"""Requests that neither a function nor the cache is to see, on their way to the origin and back without a task.

One is sent on a connection that lies ready, and its answer goes out in the same turn of the loop in which the origin's
bytes are here. Whatever must wait, or be tried again, goes the usual way: through the walk.

What repeats itself is not made anew. The head that an origin gets, and the one that a viewer gets, are cut from those
that were sent the last time, where nothing but the target and the request's id is different.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol

from edgefn.model.errors import EdgeError, OriginError, ViewerGoneError
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import BytesBody, Interim, Request, Response, Viewer, drop_interim, no_body
from edgefn.model.trail import OriginAttempt, Result, Trail
from edgefn.proxy.origins import Origins
from edgefn.rules.lookup import Bypass
from edgefn.wire.application import Deliver, Ready
from edgefn.wire.connecting import origin_key
from edgefn.wire.outbound import OriginConnection, Taker, UnheardError, response_of
from edgefn.wire.request_head import request_head
from edgefn.wire.response_head import ResponseHead

_PASSED_ON: Final = frozenset({"GET", "HEAD"})
_PER_REPEAT: Final = 1_700  # bytes of Python's own: measured, on the safe side
_PER_LINE: Final = 200

Outcome = Response | Ready | EdgeError | None
"""What came of a request; None: nothing, and it may be sent again."""


class Cache(Protocol):
    """The cache of a route that stores nothing."""

    def passing(self, request: Request, why: Bypass) -> None:
        """Let the trail tell that `request` is passed by."""

    def passed(self, request: Request, response: Response, why: Bypass) -> Response:
        """Return the response as it goes on; the trail tells of it."""


class Site(Protocol):
    """Hears what became of a request."""

    def relayed(self, relayed: "Relayed", outcome: Outcome) -> None:
        """Deliver the outcome. Called once."""


_Facts = tuple["Relay", str, str, Viewer]


class _Sent(NamedTuple):
    """A head that went to the origin, less its target and the request's id; and all that it was made of besides."""

    facts: _Facts
    line: bytes
    before: bytes
    behind: bytes


class _Written(NamedTuple):
    """The head of an answer to a viewer without the request's id, and the length of the body behind it."""

    before: bytes
    behind: bytes
    length: int
    shown: Response


@dataclass(slots=True)
class _Passed:
    """What became of an origin's headers, to be found when the same ones come again."""

    by: "Relay"
    status: int
    headers: Headers
    written: _Written | None = None


class Relay:
    """Passes on the requests of a route without functions, without a cache, and without a second origin.

    `now` is the monotonic clock, in seconds.
    """

    def __init__(self, origins: Origins, cache: Cache, now: Callable[[], float]) -> None:
        self._origins = origins
        self._cache = cache
        self._now = now
        self._origin = origins.primary
        self._key = origin_key(self._origin)
        self._whole_query = origins.forwarder.forwards_whole_query

    def start(self, request: Request, site: Site, deliver: Deliver) -> "Relayed | None":
        """Send `request`, whose outcome the site hears when it is here; None when it must go the usual way."""
        if request.method not in _PASSED_ON or request.body.length != 0 or "upgrade" in request.headers:
            return None
        relayed = self.sent(request, partial(Known, self, site, deliver))
        if relayed is not None:
            self._cache.passing(request, Bypass.POLICY)
        return relayed

    def sent(self, request: Request, made: "Callable[[Request, OriginConnection, float], Known]") -> "Known | None":
        """Send `request`, and return what `made` makes of it; None when it must go the usual way."""
        connection = self._origins.sender.take_now(self._key)
        if connection is None:
            return None
        try:
            head = self._head(request)
        except EdgeError:
            connection.drop()
            return None  # the usual way raises it again, where it can be told
        relayed = made(request, connection, self._now())
        connection.begin(request, self._origin, head, b"", relayed)
        return relayed

    def again(self, repeat: "RelayRepeat", viewer: Viewer, name: str, site: Site, deliver: Deliver) -> "Relayed | None":
        """Send the same request again, from `viewer` and with the id `name`; None when that can't be at once."""
        connection = self._origins.sender.take_now(self._key)
        if connection is None:
            return None
        relayed = _Again(repeat, viewer, site, deliver, connection, name, self._now())
        connection.begin(relayed, self._origin, b"".join((repeat.front, name.encode(), repeat.behind)), b"", relayed)
        return relayed

    def repeat_of(self, request: Request) -> "RelayRepeat | None":
        """Return what `request` is when it comes again to the letter, if it was sent just now.

        None for HTTP/1.0, whose answers go out another way.
        """
        known = request.headers.memo
        if request.version != "1.1" or not isinstance(known, _Sent) or known.facts != self._facts(request):
            return None
        return RelayRepeat(self, request, known.line + request.target.encode("latin-1") + known.before, known.behind)

    def _facts(self, request: Request) -> _Facts:
        return self, request.method, request.version, request.viewer

    def _head(self, request: Request) -> bytes:
        """Return the request's head for the origin. Raises `EdgeError`.

        While a viewer repeats its fields, only target and id are new; both can't hold a line break.
        """
        known, facts = request.headers.memo, self._facts(request)
        if not isinstance(known, _Sent) or known.facts != facts:
            head = request_head(self._origins.outgoing(request), self._origin.path)
            request.headers.memo = self._cut(request, head, facts)
            return head
        target, name = request.target.encode("latin-1"), request.id.encode()
        return b"".join((known.line, target, known.before, name, known.behind))

    def _cut(self, request: Request, head: bytes, facts: _Facts) -> _Sent | None:
        """Return what is the same in the next head, if that is beyond doubt."""
        line, name = f"{request.method} {self._origin.path}".encode("latin-1"), request.id.encode()
        rest = head.removeprefix(line + request.target.encode("latin-1"))
        before, named, behind = rest.partition(name)
        is_whole = self._whole_query and len(rest) < len(head) and rest.startswith(b" HTTP/1.1\r\n")
        return _Sent(facts, line, before, behind) if is_whole and named and name not in behind else None

    def note(self, request: Request, started: float, outcome: str, answer: Response | None) -> None:
        """Let the trail tell of the origin's part, which was asked on a connection that had served others."""
        attempt = OriginAttempt(self._origin.id, outcome, self._now() - started, reused=True)
        request.trail.attempts.append(attempt)
        if answer is not None:
            request.trail.result = Result.ERROR if answer.from_origin_error else Result.MISS

    def received(self, answer: Response) -> Response:
        """Return the origin's answer without what concerned its connection only."""
        return self._origins.received(answer)

    def passed(self, request: Request, answer: Response) -> Response:
        """Return the origin's answer as it goes on."""
        known = answer.headers.memo
        if not (isinstance(known, _Passed) and known.by is self and known.status == answer.status):
            passed = self._cache.passed(request, self._origins.received(answer), Bypass.POLICY)
            known = answer.headers.memo = _Passed(self, answer.status, Headers(passed.headers))  # no ring
        return answer.dressed(known.headers)


class RelayRepeat:
    """A request that may come again to the letter, and what the origin gets of it around the request's id."""

    __slots__ = ("behind", "front", "ip", "relay", "size", "told")

    def __init__(self, relay: Relay, told: Request, front: bytes, behind: bytes) -> None:
        self.relay = relay
        lines = Headers(told.headers)  # without what else is known of them, which takes as much room again
        self.told = told.alone(lines)
        self.ip = told.viewer.ip
        self.front, self.behind = front, behind
        self.size = _PER_REPEAT + len(front) + len(behind) + _PER_LINE * len(lines)
        self.size += sum(len(name) + len(value) for name, value in lines)

    def request(self, name: str, viewer: Viewer, started: float, interim: Interim) -> Request:
        """Return the request that has come again."""
        told = self.told
        trail = Trail(started, told.trail.route, cache=told.trail.cache, cache_reason=told.trail.cache_reason)
        lines = Headers(told.headers)  # its own: what others remember with them would stay here
        return Request(told.method, told.path, told.query, lines, no_body(), viewer, name, trail, interim=interim)


class Relayed(Taker):
    """One request that was passed on, and what takes the answer that its connection will give."""

    __slots__ = (
        "_abandoned", "_answer", "_connection", "_done", "_known", "_name", "_relay", "_site", "_started", "deliver",
        "interim",
    )  # fmt: skip

    def __init__(
        self, relay: Relay, site: Site, deliver: Deliver, connection: OriginConnection, name: str, started: float
    ) -> None:
        self._relay = relay
        self._site = site
        self._connection = connection
        self._name = name
        self._started = started
        self._known: Request | None = None
        self._done = False
        self._abandoned: EdgeError | None = None
        self._answer: Response | None = None
        self.deliver = deliver
        self.interim: Interim = drop_interim

    @property
    @abstractmethod
    def request(self) -> Request:
        """Return the request."""

    def done(self) -> bool:
        """Return whether the outcome was delivered."""
        return self._done

    def take(self, head: ResponseHead, content: bytes) -> None:
        """Deliver the answer, already written where the last one like it was."""
        known = head.headers.memo
        written = known.written if isinstance(known, _Passed) and known.by is self._relay else None
        is_old = self._known is not None and self._known.version != "1.1"
        if written is None or written.length != len(content) or is_old:
            self.set_result(response_of(head, BytesBody(content)))
            return
        self._done = True
        if self._known is not None:
            self._relay.note(self._known, self._started, str(head.status), written.shown)
        whole = b"".join((written.before, self._name.encode(), written.behind))
        self._site.relayed(self, Ready(whole, content, written.shown))

    def set_result(self, result: Response) -> None:
        """Deliver the answer."""
        self._done = True
        self._answer = result
        self._relay.note(self.request, self._started, str(result.status), result)
        self._site.relayed(self, self._relay.passed(self.request, result))

    def set_exception(self, exception: EdgeError) -> None:
        """Deliver the error, unless the usual way may have better luck."""
        self._done = True
        if isinstance(exception, OriginError):
            self._relay.note(self.request, self._started, exception.failure.value, None)
        self._site.relayed(self, self._abandoned or (None if isinstance(exception, UnheardError) else exception))

    def sent(self, head: bytes) -> None:
        """Remember how the answer was written, if it tells nothing of the time."""
        answer, name = self._answer, self._name.encode()
        known = None if answer is None else answer.headers.memo
        before, named, behind = head.partition(name)
        if answer is None or not isinstance(known, _Passed) or "date" not in known.headers:
            return
        lives_on = self.request.version == "1.1" and b"\r\nConnection: " not in behind
        if lives_on and named and name not in behind and answer.body.length is not None:
            shown = Response(answer.status, answer.reason, NO_HEADERS, no_body(), answer.from_origin_error)
            known.written = _Written(before, behind, answer.body.length, shown)

    def abandon(self) -> None:
        """Drop the connection; an error is delivered at once. Harmless when all is over."""
        if not self._done:
            self._abandoned = ViewerGoneError("the viewer is gone")
            self._connection.abandon(self)


class Known(Relayed):
    """One whose request was read, and so is there from the beginning."""

    __slots__ = ()

    def __init__(
        self, relay: Relay, site: Site, deliver: Deliver, request: Request, connection: OriginConnection, started: float
    ) -> None:
        super().__init__(relay, site, deliver, connection, request.id, started)
        self._known: Request = request

    @property
    def request(self) -> Request:
        """Return the request."""
        return self._known


class _Again(Relayed):
    """One that has come again to the letter: the request itself is made when somebody asks for it."""

    __slots__ = ("_repeat", "_viewer")

    def __init__(  # made once for each request
        self,
        repeat: RelayRepeat,
        viewer: Viewer,
        site: Site,
        deliver: Deliver,
        connection: OriginConnection,
        name: str,
        started: float,
    ) -> None:
        super().__init__(repeat.relay, site, deliver, connection, name, started)
        self._repeat = repeat
        self._viewer = viewer

    @property
    def request(self) -> Request:
        """Return the request."""
        if self._known is None:
            self._known = self._repeat.request(self._name, self._viewer, self._started, self.interim)
        return self._known

    @property
    def method(self) -> str:
        """Return the request's method."""
        return self._repeat.told.method

    @property
    def headers(self) -> Headers:
        """Return the request's headers."""
        return self._repeat.told.headers
