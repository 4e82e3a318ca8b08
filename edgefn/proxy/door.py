"""Who comes from another location of ours: edges that ask this one as their shield, and requests that go round."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from edgefn.model.errors import BadRequestError
from edgefn.model.message import Request
from edgefn.rules.shielding import CDN_LOOP, SHIELD_PASS, Pass, is_loop, opened

_log = logging.getLogger("edgefn")
_FIELD: Final = SHIELD_PASS.lower()
_LOOP: Final = CDN_LOOP.lower()


@dataclass(frozen=True, slots=True)
class Door:
    """Checks passes with the secret that edges know. `cdn_id` is this location's name in CDN-Loop, `wall` the time."""

    secret: bytes
    cdn_id: str
    wall: Callable[[], float]

    def concerns(self, request: Request) -> bool:
        """Return whether `request` may come from another location."""
        return _FIELD in request.headers or _LOOP in request.headers

    def admitted(self, request: Request) -> Pass | None:
        """Return the pass of a request from an edge, None for one from an ordinary viewer.

        Raises `BadRequestError` for a request that has been here before (RFC 8586 section 3).
        """
        if is_loop(request.headers, self.cdn_id):
            raise BadRequestError(508, "This request has passed here before.")
        text = request.headers.get(_FIELD)
        if text is None:
            return None
        given = opened(text, request, self.secret, self.wall())
        if given is None:
            _log.warning("%s: a pass that is false or too old; is shield.secret the same everywhere?", request.id)
        return given


def as_for(given: Pass, request: Request) -> Request:
    """Return an edge's request as that of the edge's viewer."""
    return replace(request, viewer=given.viewer, id=given.request_id, headers=request.headers.without(_FIELD))
