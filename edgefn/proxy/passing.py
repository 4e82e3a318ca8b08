"""Requests that neither a function nor the cache is to see, on their way to the origin and back without a task.

One is sent on a connection that lies ready, and its answer goes out in the same turn of the loop in which the origin's
bytes are here. Whatever must wait, or be tried again, goes the usual way: through the walk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from edgefn.model.errors import EdgeError, OriginError, ViewerGoneError
from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import BytesBody, Request, Response, Viewer, no_body
from edgefn.model.trail import OriginAttempt, Result
from edgefn.proxy.cache import Cache
from edgefn.proxy.origins import Origins
from edgefn.rules.lookup import Bypass
from edgefn.wire.application import Ready
from edgefn.wire.connecting import origin_key
from edgefn.wire.outbound import OriginConnection, Taker, UnheardError, response_of
from edgefn.wire.request_head import request_head
from edgefn.wire.response_head import ResponseHead

_SAFE: Final = frozenset({"GET", "HEAD"})

Outcome = Response | Ready | EdgeError | None
"""What came of a request; None: nothing, and it may be sent again."""


_Facts = tuple["Passing", str, str, Viewer]


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

    by: "Passing"
    status: int
    headers: Headers
    written: _Written | None = None


class Passing:
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

    def start(self, request: Request, deliver: Callable[[Outcome], None]) -> "Passage | None":
        """Send `request`, whose outcome is delivered when it is here; None when it must go the usual way."""
        if request.method not in _SAFE or request.body.length != 0 or "upgrade" in request.headers:
            return None
        passage = self.sent(request, partial(Passage, self, deliver=deliver))
        if passage is not None:
            self._cache.passing(request, Bypass.POLICY)
        return passage

    def sent(self, request: Request, made: "Callable[[Request, OriginConnection, float], Passage]") -> "Passage | None":
        """Send `request`, and return what `made` makes of it; None when it must go the usual way."""
        connection = self._origins.sender.take_now(self._key)
        if connection is None:
            return None
        try:
            head = self._head(request)
        except EdgeError:
            connection.drop()
            return None  # the usual way raises it again, where it can be told
        passage = made(request, connection, self._now())
        connection.begin(request, self._origin, head, b"", passage)
        return passage

    def _head(self, request: Request) -> bytes:
        """Return the request's head for the origin. Raises `EdgeError`.

        While a viewer repeats its fields, only target and id are new; both can't hold a line break.
        """
        known = request.headers.memo
        facts = (self, request.method, request.version, request.viewer)
        if not isinstance(known, _Sent) or known.facts != facts:
            head = request_head(self._origins.outgoing(request), self._origin.path)
            request.headers.memo = self._cut(request, head, facts)
            return head
        target, name = request.target.encode("latin-1"), request.id.encode()
        return b"".join((known.line, target, known.before, name, known.behind))

    def _cut(self, request: Request, head: bytes, facts: "_Facts") -> "_Sent | None":
        """Return what is the same in the next head, if that is beyond doubt."""
        line = f"{request.method} {self._origin.path}".encode("latin-1")
        rest = head.removeprefix(line + request.target.encode("latin-1"))
        before, named, behind = rest.partition(request.id.encode())
        is_whole = self._whole_query and len(rest) < len(head) and rest.startswith(b" HTTP/1.1\r\n")
        return _Sent(facts, line, before, behind) if is_whole and named and request.id.encode() not in behind else None

    def note(self, passage: "Passage", outcome: str, answer: Response | None) -> None:
        """Let the trail tell of the origin's part."""
        trail, seconds = passage.request.trail, self._now() - passage.started
        trail.attempts.append(OriginAttempt(self._origin.id, outcome, seconds, reused=True))
        if answer is not None:
            trail.result = Result.ERROR if answer.from_origin_error else Result.MISS

    def received(self, answer: Response) -> Response:
        """Return the origin's answer without what concerned its connection only."""
        return self._origins.received(answer)

    def passed(self, request: Request, answer: Response) -> Response:
        """Return the origin's answer as it goes on."""
        known = answer.headers.memo
        if not (isinstance(known, _Passed) and known.by is self and known.status == answer.status):
            passed = self._cache.passed(request, self._origins.received(answer), Bypass.POLICY)
            known = answer.headers.memo = _Passed(self, answer.status, passed.headers)
        return answer.dressed(known.headers)


class Passage(Taker):
    """One such request, and the `Answer` that its connection will give."""

    __slots__ = ("_abandoned", "_answer", "_connection", "_deliver", "_done", "_passing", "request", "started")

    def __init__(
        self,
        passing: Passing,
        request: Request,
        connection: OriginConnection,
        started: float,
        *,
        deliver: Callable[[Outcome], None],
    ) -> None:
        self._passing = passing
        self._connection = connection
        self._deliver = deliver
        self._done = False
        self._abandoned: EdgeError | None = None
        self._answer: Response | None = None
        self.request = request
        self.started = started

    def done(self) -> bool:
        """Return whether the outcome was delivered."""
        return self._done

    def take(self, head: ResponseHead, content: bytes) -> None:
        """Deliver the answer, already written where the last one like it was."""
        known = head.headers.memo
        written = known.written if isinstance(known, _Passed) and known.by is self._passing else None
        if written is None or written.length != len(content) or self.request.version != "1.1":
            self.set_result(response_of(head, BytesBody(content)))
            return
        self._done = True
        self._passing.note(self, str(head.status), written.shown)
        name = self.request.id.encode()
        self._deliver(Ready(b"".join((written.before, name, written.behind)), content, written.shown))

    def set_result(self, answer: Response) -> None:
        """Deliver the answer."""
        self._done = True
        self._answer = answer
        self._passing.note(self, str(answer.status), answer)
        self._deliver(self._passing.passed(self.request, answer))

    def set_exception(self, error: EdgeError) -> None:
        """Deliver the error, unless the usual way may have better luck."""
        self._done = True
        if isinstance(error, OriginError):
            self._passing.note(self, error.failure.value, None)
        self._deliver(self._abandoned or (None if isinstance(error, UnheardError) else error))

    def sent(self, head: bytes) -> None:
        """Remember how the answer was written, if it tells nothing of the time."""
        answer, name = self._answer, self.request.id.encode()
        known = None if answer is None else answer.headers.memo
        before, named, behind = head.partition(name)
        if answer is None or not isinstance(known, _Passed) or "date" not in known.headers:
            return
        if named and name not in behind and answer.body.length is not None:
            shown = Response(answer.status, answer.reason, NO_HEADERS, no_body(), answer.from_origin_error)
            known.written = _Written(before, behind, answer.body.length, shown)

    def abandon(self) -> None:
        """Drop the connection; an error is delivered at once. Harmless when all is over."""
        if not self._done:
            self._abandoned = ViewerGoneError("the viewer is gone")
            self._connection.abandon(self)
