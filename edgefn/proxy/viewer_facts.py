"""The CloudFront-* headers of one route, added between viewer-request and the cache lookup."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgefn.model.message import Request
from edgefn.rules.viewer_headers import GeoFacts, Seen, with_edge_headers


@dataclass(frozen=True, slots=True)
class ViewerFacts:
    """`names` are the headers that the route asks for; `locate` looks an address up, None for an unknown one."""

    names: tuple[str, ...]
    locate: Callable[[str], GeoFacts | None]

    def told(self, asked: Request, request: Request) -> Request:
        """Return `asked` with these headers about the viewer of `request`."""
        if not self.names:
            return asked
        geo = self.locate(request.viewer.ip)
        seen = Seen(request.viewer, request.headers, request.version, geo)
        return replace(asked, headers=with_edge_headers(asked.headers, self.names, seen))
