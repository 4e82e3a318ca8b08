"""How many more steps a TRACE or OPTIONS request may go: Max-Forwards (RFC 9110 section 7.6.2)."""

import re
from dataclasses import replace
from typing import Final

from edgefn.model.errors import BadRequestError
from edgefn.model.headers import Headers
from edgefn.model.message import BytesBody, Request, Response, usual_reason
from edgefn.rules.response_headers import generated

_FIELD: Final = "max-forwards"
_COUNTED: Final = frozenset({"OPTIONS", "TRACE"})
_DIGITS: Final = re.compile(r"0*([0-9]+)", re.ASCII)
_LONGEST: Final = 9
_MOST: Final = 999_999_999
_METHODS: Final = "GET, HEAD, OPTIONS, PUT, PATCH, POST, DELETE, TRACE"
_SECRET: Final = frozenset({"authorization", "cookie", "edgefn-shield", "proxy-authorization"})


def is_counted(request: Request) -> bool:
    """Return whether the steps of a request are counted."""
    return request.method in _COUNTED and _FIELD in request.headers


def step(request: Request) -> Request | Response:
    """Return a counted request as it goes on, with one step less; where none is left, what answers it here.

    Raises `BadRequestError` for a count that is none.
    """
    values = request.headers.get_all(_FIELD)
    digits = _DIGITS.fullmatch(values[0]) if len(values) == 1 else None
    if digits is None:
        raise BadRequestError(400, "Max-Forwards is not one whole number")
    left = int(digits[1]) if len(digits[1]) <= _LONGEST else _MOST
    if left:
        return replace(request, headers=request.headers.replacing("Max-Forwards", str(left - 1)))
    return _traced(request) if request.method == "TRACE" else _options()


def _options() -> Response:
    """RFC 9110 section 9.3.7: what is said of the location itself."""
    return Response(200, usual_reason(200), generated(Headers([("Allow", _METHODS)])), BytesBody(b""))


def _traced(request: Request) -> Response:
    """RFC 9110 section 9.3.8: the request as it came, without what only its receiver should know."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers if name.lower() not in _SECRET)
    content = f"TRACE {request.target} HTTP/{request.version}\r\n{lines}\r\n".encode("latin-1")
    headers = generated(Headers([("Content-Type", "message/http")]))
    return Response(200, usual_reason(200), headers, BytesBody(content))
