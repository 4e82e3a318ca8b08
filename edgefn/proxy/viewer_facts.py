"""The CloudFront-* headers of one route: for the cache and the origin side, and for CloudFront Functions."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgefn.model.message import Request
from edgefn.rules.viewer_headers import GeoFacts, Seen, is_edge_header, with_edge_headers


@dataclass(frozen=True, slots=True)
class ViewerFacts:
    """`names` are the headers that the route asks for; `locate` looks an address up, None for an unknown one."""

    names: tuple[str, ...]
    locate: Callable[[str], GeoFacts | None]

    def told(self, asked: Request, request: Request) -> Request:
        """Return `asked` with these headers about the viewer of `request`."""
        return self.shown(asked, request) if self.names else asked

    def shown(self, asked: Request, request: Request) -> Request:
        """Return `asked` as a function may see it: also without those that a viewer made up where there are none."""
        if not self.names and not any(map(is_edge_header, asked.headers.names())):
            return asked
        geo = self.locate(request.viewer.ip)
        seen = Seen(request.viewer, request.headers, request.version, geo)
        return replace(asked, headers=with_edge_headers(asked.headers, self.names, seen))
