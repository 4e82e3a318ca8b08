"""What the origin gets of a viewer's request (AWS: request and response behavior; origin request policies)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from edgefn.model.headers import Headers, Line
from edgefn.model.message import Request
from edgefn.model.origin import Origin
from edgefn.model.settings import ALL, NONE, RouteSettings, Selecting, Selection
from edgefn.rules.accept_encoding import normalised
from edgefn.rules.hop_by_hop import HOP_BY_HOP, UPGRADE_TO_WEBSOCKET, asks_for_websocket, named_by_connection
from edgefn.rules.selecting import is_selected, selected_cookies, selected_query
from edgefn.rules.viewer_headers import is_edge_header, wanted

USER_AGENT: Final = "Amazon CloudFront"

_REMOVED: Final = HOP_BY_HOP | {"expect", "x-forwarded-proto", "x-real-ip"}
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
_SAFE: Final = frozenset({"GET", "HEAD"})
_WEBSOCKET_PREFIX: Final = "sec-websocket-"


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What this location says of itself. `pseudonym` is its name in Via, `<32 hex digits>.cloudfront.net`."""

    pseudonym: str


def to_origin(request: Request, route: RouteSettings, origin: Origin, facts: EdgeFacts) -> Request:
    """Return the request that `origin` would get, as an origin-request function sees it.

    The origin's custom headers are not yet in; see `finish`.
    """
    websocket = asks_for_websocket(request.method, request.headers)
    headers = Headers(_forwarded(request, route, websocket=websocket))
    if not _keeps_viewer_host(route) or "host" not in headers:
        headers = headers.replacing("Host", origin.authority)
    if not _is_forwarded("user-agent", request.method, route):
        headers = headers.replacing("User-Agent", USER_AGENT)
    if route.cache.encodings:
        accepted = normalised(request.headers.joined("accept-encoding"), route.cache.encodings)
        headers = headers.replacing("Accept-Encoding", accepted)
    headers = _appending(headers, "X-Forwarded-For", request.viewer.ip)
    headers = _appending(headers, "Via", f"{request.version} {facts.pseudonym} (CloudFront)")
    headers = headers.adding(("X-Amz-Cf-Id", request.id), *(UPGRADE_TO_WEBSOCKET if websocket else ()))
    return replace(request, headers=headers, query=forwarded_query(request.query, route), origin=origin)


def finish(request: Request, origin: Origin) -> Request:
    """Return `request`, as origin-request left it, with what only the origin itself is to see.

    The origin's custom headers take the place of same-named ones; Host stays what the function made of it.
    """
    custom = origin.custom_headers
    headers = request.headers.without(*custom.names()).adding(*custom)
    if "host" not in headers:
        headers = headers.replacing("Host", origin.authority)
    return replace(request, headers=headers, origin=origin)


def forwarded_query(query: str | None, route: RouteSettings) -> str | None:
    """Return the parameters that go on, in their order; None when that leaves none."""
    return selected_query(query, union(route.forwarding.query, route.cache.query))


def forwards_cookies(route: RouteSettings) -> bool:
    """Return whether any cookie goes on; without, no Set-Cookie comes back (AWS: cache based on cookies)."""
    return union(route.forwarding.cookies, route.cache.cookies) != NONE


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


def _keeps_viewer_host(route: RouteSettings) -> bool:
    return route.forwarding.viewer_host or "host" in route.cache.headers


def _forwarded(request: Request, route: RouteSettings, *, websocket: bool) -> Iterator[Line]:
    """Yield the lines that go on as they are."""
    added = {name.lower() for name in wanted(route)}
    # What is in the cache key has told responses apart, so Connection can't talk the origin out of seeing it.
    protected = added.union(route.cache.headers, ("host",))
    gone = (_REMOVED | named_by_connection(request.headers).difference(protected)) - {"host"}
    for line in request.headers:
        name = line[0].lower()
        if name in gone or name.startswith(_REMOVED_PREFIXES):
            continue
        if name == "cookie":
            yield from _cookies(line, route)
        elif is_edge_header(name):
            if name in added:
                yield line
        elif name.startswith(_WEBSOCKET_PREFIX):
            if websocket:
                yield line
        elif _is_forwarded(name, request.method, route):
            yield line


def _is_forwarded(name: str, method: str, route: RouteSettings) -> bool:
    """Return whether the viewer's header `name` goes on (AWS: HTTP request headers and CloudFront behavior)."""
    if name in route.cache.headers or name in _FORWARDED_ANYWAY or is_selected(name, route.forwarding.headers):
        return True
    return name == "authorization" and method not in _SAFE


def _cookies(line: Line, route: RouteSettings) -> Iterator[Line]:
    """Yield the Cookie line with the cookies that go on, if any."""
    chosen = union(route.forwarding.cookies, route.cache.cookies)
    if chosen == ALL:
        yield line
    elif kept := selected_cookies(line[1:], chosen):
        yield line[0], "; ".join(kept)


def _appending(headers: Headers, name: str, member: str) -> Headers:
    """Return `headers` with `member` at the end of the list `name` (RFC 9110 section 5.3)."""
    there = headers.joined(name.lower())
    return headers.replacing(name, f"{there}, {member}" if there else member)
