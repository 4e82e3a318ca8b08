"""What the origin gets of a viewer's request (AWS: request and response behavior; origin request policies)."""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from edgefn.model.errors import BadRequestError
from edgefn.model.headers import Headers, Line
from edgefn.model.message import Request, Viewer
from edgefn.model.origin import Origin
from edgefn.model.settings import ALL, NONE, RouteSettings, Selecting, Selection
from edgefn.rules.accept_encoding import normalised
from edgefn.rules.hop_by_hop import HOP_BY_HOP, UPGRADE_TO_WEBSOCKET, asks_for_websocket, named_by_connection
from edgefn.rules.selecting import is_selected, selected_cookies, selected_query
from edgefn.rules.viewer_headers import is_edge_header, wanted

LOOP: Final = "The request has passed here before: an origin, or a name that it has, leads back to this location."
_USER_AGENT: Final = "Amazon CloudFront"

_REMOVED: Final = HOP_BY_HOP | {"edgefn-shield", "expect", "host", "x-forwarded-proto", "x-real-ip"}
_REMOVED_PREFIXES: Final = ("x-edge-", "x-amz-cf-")
_FORWARDED_ANYWAY: Final = frozenset(
    {
        "cache-control",
        "cdn-loop",
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "from",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "max-forwards",
        "origin",
        "pragma",
        "range",
        "request-range",
        "via",
        "warning",
        "x-forwarded-for",
    }
)
_REWRITTEN: Final = frozenset({"via", "x-forwarded-for"})
_CACHED: Final = frozenset({"GET", "HEAD"})
_WEBSOCKET_PREFIX: Final = "sec-websocket-"
_REMEMBERED: Final = 4_096  # names of headers
_SHORT: Final = 64  # characters of a name that may be remembered


class _Fate(Enum):
    """What becomes of a viewer's header line."""

    KEPT = auto()
    DROPPED = auto()
    REWRITTEN = auto()
    KEPT_IF_NOT_CACHED = auto()
    KEPT_FOR_WEBSOCKET = auto()
    COOKIE = auto()


class _Made(NamedTuple):
    """The lines for an origin, and all besides the viewer's own ones that they were made of."""

    facts: tuple["Forwarder", Origin, str, str, Viewer]
    headers: Headers


class Forwarder:
    """Makes the outgoing requests of one route. What the route says of each header name is worked out once.

    `pseudonym` is this location's name in Via, `<32 hex digits>.cloudfront.net`.
    """

    def __init__(self, route: RouteSettings, pseudonym: str) -> None:
        self._route = route
        self._pseudonym = pseudonym
        self._keeps_host = route.forwarding.viewer_host or "host" in route.cache.headers
        self._query = union(route.forwarding.query, route.cache.query)
        self._cookies = union(route.forwarding.cookies, route.cache.cookies)
        self._added = {name.lower() for name in wanted(route)}
        # What is in the cache key has told responses apart, so Connection can't talk the origin out of seeing it.
        # What goes anyway need not be named.
        self._beyond_connection = self._added.union(route.cache.headers, ("host",), HOP_BY_HOP)
        self._fates: dict[str, _Fate] = {}
        self._hides_user_agent = not self._forwards("user-agent")

    @property
    def forwards_cookies(self) -> bool:
        """Whether any cookie goes on; without, no Set-Cookie comes back (AWS: cache based on cookies)."""
        return self._cookies != NONE

    @property
    def forwards_whole_query(self) -> bool:
        """Whether the query goes on as it is."""
        return self._query == ALL

    def to_origin(self, request: Request, origin: Origin) -> Request:
        """Return the request that `origin` would get, as an origin-request function sees it.

        The origin's custom headers are not yet in; see `finish`. Raises `BadRequestError` for one that goes round.
        """
        headers = self._lasting(request, origin).adding(("X-Amz-Cf-Id", request.id))
        return request.bound_for(origin, headers, selected_query(request.query, self._query))

    def _lasting(self, request: Request, origin: Origin) -> Headers:
        """Return all lines but those of this one request: the same again when a viewer repeats its fields."""
        facts = (self, origin, request.method, request.version, request.viewer)
        known = request.headers.memo
        if not (isinstance(known, _Made) and known.facts == facts):
            known = request.headers.memo = _Made(facts, self._made(request, origin))
        return known.headers

    def _made(self, request: Request, origin: Origin) -> Headers:
        received = request.headers
        if has_been_here(received, self._pseudonym):
            raise BadRequestError(508, LOOP)
        websocket = "upgrade" in received and asks_for_websocket(request.method, received)
        named = named_by_connection(received) - self._beyond_connection if "connection" in received else None
        lines: list[Line] = [("Host", self._host(received, origin))]
        rewritten: dict[str, list[str]] = {}
        for line in received:
            fate = self._fates.get(line[0]) or self._learnt(line[0])
            if named and line[0].lower() in named:
                continue
            if fate is _Fate.KEPT:
                lines.append(line)
            elif fate is _Fate.REWRITTEN:
                rewritten.setdefault(line[0].lower(), []).append(line[1])
            elif fate is not _Fate.DROPPED:
                lines += self._kept(fate, line, request.method, websocket=websocket)
        lines += self._marks(request, rewritten)
        if websocket:
            lines += UPGRADE_TO_WEBSOCKET
        return Headers(lines)

    def _host(self, received: Headers, origin: Origin) -> str:
        return (self._keeps_host and received.get("host")) or origin.authority

    def _marks(self, request: Request, rewritten: Mapping[str, list[str]]) -> Iterator[Line]:
        """Yield the lines that this location writes anew."""
        if self._hides_user_agent:
            yield "User-Agent", _USER_AGENT
        encodings = self._route.cache.encodings
        if encodings:
            offered = rewritten.get("accept-encoding")
            yield "Accept-Encoding", normalised(", ".join(offered) if offered else None, encodings)
        via = f"{request.version} {self._pseudonym} (CloudFront)"
        yield "X-Forwarded-For", ", ".join([*rewritten.get("x-forwarded-for", ()), request.viewer.ip])
        yield "Via", ", ".join([*rewritten.get("via", ()), via])

    def _kept(self, fate: _Fate, line: Line, method: str, *, websocket: bool) -> tuple[Line, ...]:
        """Return what is kept of a line whose fate depends on the request."""
        if fate is _Fate.COOKIE:
            return self._kept_cookies(line)
        kept = websocket if fate is _Fate.KEPT_FOR_WEBSOCKET else method not in _CACHED
        return (line,) if kept else ()

    def _kept_cookies(self, line: Line) -> tuple[Line, ...]:
        """Return the Cookie line with the cookies that go on, if any."""
        kept = selected_cookies(line[1:], self._cookies)
        return ((line[0], "; ".join(kept)),) if kept else ()

    def _learnt(self, received: str) -> _Fate:
        """Return the fate of a header name as received.

        Names are up to viewers: no long ones are remembered, and so many others; then those that still come anew.
        """
        fate = self._fate(received.lower())
        if len(received) <= _SHORT:
            if len(self._fates) >= _REMEMBERED:
                self._fates.clear()
            self._fates[received] = fate
        return fate

    def _fate(self, name: str) -> _Fate:
        if name in _REWRITTEN:
            return _Fate.REWRITTEN
        if name == "cookie":
            return _Fate.KEPT if self._cookies == ALL else _Fate.COOKIE
        if name in _REMOVED or name.startswith(_REMOVED_PREFIXES) or _is_disguised(name):
            return _Fate.DROPPED
        if is_edge_header(name):
            return _Fate.KEPT if name in self._added else _Fate.DROPPED
        if name.startswith(_WEBSOCKET_PREFIX):
            return _Fate.KEPT_FOR_WEBSOCKET
        if name == "accept-encoding" and self._route.cache.encodings:
            return _Fate.REWRITTEN
        if self._forwards(name):
            return _Fate.KEPT
        return _Fate.KEPT_IF_NOT_CACHED if name == "authorization" else _Fate.DROPPED

    def _forwards(self, name: str) -> bool:
        """Return whether the viewer's header `name` goes on (AWS: HTTP request headers and CloudFront behavior)."""
        route = self._route
        return name in route.cache.headers or name in _FORWARDED_ANYWAY or is_selected(name, route.forwarding.headers)


def has_been_here(headers: Headers, pseudonym: str) -> bool:
    """Return whether a request has gone through the location of that name before (RFC 9110 section 7.6.3)."""
    via = headers.joined("via")
    return via is not None and pseudonym in via


def _is_disguised(name: str) -> bool:
    """Return whether CGI and WSGI origins could take `name` for one that only this location tells them."""
    if "_" not in name:
        return False
    true = name.replace("_", "-")
    said_here = true in _REMOVED or true in _REWRITTEN or true == "content-length"
    return said_here or true.startswith(_REMOVED_PREFIXES) or is_edge_header(true)


def finish(request: Request, origin: Origin) -> Request:
    """Return `request`, as origin-request left it, with what only the origin itself is to see.

    The origin's custom headers take the place of same-named ones; Host stays what the function made of it.
    """
    custom = origin.custom_headers
    headers = request.headers
    if custom:
        headers = headers.without(*custom.names()).adding(*custom)
    if "host" not in headers:
        headers = headers.replacing("Host", origin.authority)
    if headers is request.headers and origin is request.origin:
        return request
    return request.bound_for(origin, headers, request.query)


def union(first: Selection, second: Selection) -> Selection:
    """Return the selection of what either means: what is in the cache key goes on in any case."""
    match first.mode, second.mode:
        case (Selecting.ALL, _) | (_, Selecting.NONE):
            return first
        case (_, Selecting.ALL) | (Selecting.NONE, _):
            return second
        case (Selecting.ONLY, Selecting.ONLY):
            return Selection(Selecting.ONLY, (*first.names, *second.names))
        case (Selecting.EXCEPT, Selecting.EXCEPT):
            return _except(name for name in first.names if name in second.names)
        case (Selecting.EXCEPT, _):
            return _except(name for name in first.names if name not in second.names)
        case _:
            return _except(name for name in second.names if name not in first.names)


def _except(names: Iterable[str]) -> Selection:
    excepted = tuple(names)
    return Selection(Selecting.EXCEPT, excepted) if excepted else ALL
