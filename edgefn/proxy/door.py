"""Who comes from another location of ours: edges that ask this one as their shield, and requests that go round."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from edgefn.model.errors import BadRequestError
from edgefn.model.message import Request
from edgefn.rules.shielding import CDN_LOOP, SHIELD_PASS, Pass, is_loop, opened

_log = logging.getLogger("edgefn")
_FIELD: Final = SHIELD_PASS.lower()
_LOOP: Final = CDN_LOOP.lower()
_QUIET: Final = 60.0
"""Seconds between two warnings of false passes: any viewer can send one."""


@dataclass(slots=True)
class Door:
    """Checks passes with the secret that edges know. `cdn_id` is this location's name in CDN-Loop, `wall` the time."""

    secret: bytes = field(repr=False)
    cdn_id: str
    wall: Callable[[], float]
    _warned: float = -math.inf

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
        now = self.wall()
        given = opened(text, request, self.secret, now)
        if given is None and abs(now - self._warned) >= _QUIET:
            self._warned = now
            _log.warning("%s: a pass that is false or too old; is shield.secret the same everywhere?", request.id)
        return given


def as_for(given: Pass, request: Request) -> Request:
    """Return an edge's request as that of the edge's viewer."""
    return replace(without_pass(request), viewer=given.viewer, id=given.request_id)


def without_pass(request: Request) -> Request:
    """Return a request without its pass: neither functions nor origins see one, be it false or sound."""
    return replace(request, headers=request.headers.without(_FIELD))
