"""Which route a path takes, and whether its viewer may come over plain HTTP (AWS: cache behavior settings).

The route is chosen before viewer-request, by the normalised path; the path itself goes on as it came.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from edgefn.model.message import Request
from edgefn.model.settings import RouteSettings, ViewerProtocol

_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SLASHES: Final = re.compile(r"//+")
_SLASH_IN_DISGUISE: Final = re.compile(r"%2[Ff]|%5[Cc]|\\")
_READ_DIFFERENTLY: Final = re.compile(r"//|%2[Ff]|%5[Cc]|\\")
_REMEMBERED: Final = 4_096  # paths, the latest
_SHORT: Final = 256  # characters of a path that may be remembered
_KEEPS_METHOD: Final = frozenset({"DELETE", "OPTIONS", "PATCH", "POST", "PUT"})


def normalised(path: str) -> str:
    """Return `path` for matching (RFC 3986 section 6.2.2, and runs of slashes as one).

    Percent-encodings of unreserved characters are decoded and the others upper-cased; then dot segments go.
    """
    if "%" in path:
        path = _ENCODED.sub(_decoded, path)
    if "//" in path:
        path = _SLASHES.sub("/", path)
    return _without_dots(path) if "/." in path else path


def _decoded(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[1], 16))
    return character if character in _UNRESERVED else encoded[0].upper()


def _without_dots(path: str) -> str:
    """Return `path` without `.` and `..` segments (RFC 3986 section 5.2.4)."""
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _other_readings(path: str) -> Iterator[str]:
    """Yield what origins may make of `path` that `normalised` does not."""
    parted = _SLASH_IN_DISGUISE.sub("/", path)
    yield normalised(parted)
    for each in (path, parted):
        yield _SLASHES.sub("/", _without_dots(_ENCODED.sub(_decoded, each)))


def pattern(path_pattern: str) -> re.Pattern[str]:
    """Return what matches as a whole the normalised paths that fit `path_pattern`.

    A leading "/" is implied, `*` is any characters, `?` exactly one. Each `*` but the last is settled for good where
    what follows it first fits, so that no path makes matching slow.
    """
    literal = "/" + path_pattern.removeprefix("/")
    first, *others = (_piece(piece) for piece in _ENCODED.sub(_decoded, literal).split("*"))
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle) + f".*{last}", re.DOTALL)


def _piece(text: str) -> str:
    return ".".join(re.escape(part) for part in text.split("?"))


class Routes:
    """The routes of a location; the first one that fits a path wins."""

    def __init__(self, routes: Sequence[RouteSettings]) -> None:
        """Take `routes`, of which the last must fit every path; raises ValueError otherwise."""
        if not routes or routes[-1].path not in {"*", "/*"}:
            raise ValueError("the last route must be for all paths")
        self._routes = tuple(routes)
        self._patterns = tuple(pattern(route.path).fullmatch for route in routes[:-1])
        self._remembered = lru_cache(_REMEMBERED)(self._placed)

    def is_ambiguous(self, path: str) -> bool:
        """Return whether an origin may read the raw `path` as one of another route than it takes here.

        Origins differ in whether an encoded slash or a backslash parts segments, and in whether `..` takes an empty
        segment away. Between two such readings a path could pass the hooks that stand before what it then gets.
        """
        if not self._patterns or _READ_DIFFERENTLY.search(path) is None:
            return False
        position = self.position(path)
        return any(self._fitting(reading) != position for reading in _other_readings(path))

    def match(self, path: str) -> RouteSettings:
        """Return the route of the raw `path`."""
        return self._routes[self.position(path)]

    def position(self, path: str) -> int:
        """Return which route, counted from 0, the raw `path` takes."""
        if not self._patterns:
            return 0
        return self._remembered(path) if len(path) <= _SHORT else self._placed(path)

    def _placed(self, path: str) -> int:
        return self._fitting(normalised(path))

    def _fitting(self, plain: str) -> int:
        position = 0
        for fits in self._patterns:
            if fits(plain):
                break
            position += 1
        return position


def with_default_root(path: str, default_root_object: str) -> str:
    """Return the path that is meant: the default root object for exactly "/" (AWS: default root object)."""
    return f"/{default_root_object}" if path == "/" and default_root_object else path


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request goes on."""


@dataclass(frozen=True, slots=True)
class Redirected:
    """The viewer must come again over HTTPS."""

    status: int
    location: str


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The viewer gets 403."""

    reason: str


Admission: TypeAlias = Allowed | Redirected | Forbidden
ALLOWED: Final = Allowed()


def admission(policy: ViewerProtocol, request: Request) -> Admission:
    """Return whether `request` may go on (AWS: viewer protocol policy)."""
    if policy is ViewerProtocol.ALLOW_ALL or request.viewer.tls is not None:
        return ALLOWED
    if policy is ViewerProtocol.HTTPS_ONLY:
        return Forbidden("only HTTPS is served here")
    return _redirection(request)


def _redirection(request: Request) -> Redirected | Forbidden:
    """Return the way to HTTPS: 301 for GET and HEAD; 307, which HTTP/1.0 does not know, for what has a body."""
    host = re.sub(r":\d*$", "", request.headers.get("host") or "")
    if not host:
        return Forbidden("there is no Host to redirect to")
    location = f"https://{host}{request.target}"
    if request.method in {"GET", "HEAD"}:
        return Redirected(301, location)
    if request.method in _KEEPS_METHOD and request.version != "1.0":
        return Redirected(307, location)
    return Forbidden("this request can't be redirected to HTTPS")
