"""Between an edge and its shield (AWS: Origin Shield): which shield is asked, and what the two tell each other.

A pass says for which viewer and on which route an edge asks. It is sealed with a secret that both locations know, and
for this very request: whoever does not know the secret is an ordinary viewer to the shield.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final

import orjson

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Viewer
from edgefn.model.origin import Origin

SHIELD_PASS: Final = "Edgefn-Shield"  # noqa: S105  # the name of a field, no secret
CDN_LOOP: Final = "CDN-Loop"
_LONGEST_AGE: Final = 300.0
"""Seconds for which a pass is good, either way: clocks differ."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What an edge says of a request: its route's path pattern, who asks, under which id, and when (Unix time)."""

    route: str
    viewer: Viewer
    request_id: str
    at: float


def sealed(given: Pass, request: Request, secret: bytes) -> str:
    """Return the value of the field `SHIELD_PASS` for `request`."""
    viewer = given.viewer
    told = orjson.dumps([given.route, viewer.ip, viewer.port, viewer.tls, given.request_id, given.at])
    return f"{urlsafe_b64encode(told).decode()}.{_seal(told, request, secret)}"


def opened(text: str, request: Request, secret: bytes, now: float) -> Pass | None:
    """Return what a pass says, None for one that is false, old, or for another request."""
    told, _, seal = text.partition(".")
    try:
        content = urlsafe_b64decode(told.encode())
        expected = _seal(content, request, secret)
        if not hmac.compare_digest(seal.encode("utf-8", "surrogateescape"), expected.encode()):
            return None
        document: object = orjson.loads(content)
    except ValueError:
        return None
    match document:
        case [str(route), str(ip), int(port), tls, str(request_id), int() | float() as at]:
            if abs(now - at) > _LONGEST_AGE:
                return None
            secured = (str(tls[0]), str(tls[1])) if isinstance(tls, list) and len(tls) == 2 else None
            return Pass(route, Viewer(ip, port, secured), request_id, at)
        case _:
            return None


def _seal(told: bytes, request: Request, secret: bytes) -> str:
    about = "\n".join((request.method, request.headers.get("host") or "", request.target))
    return hmac.new(secret, about.encode("latin-1", "replace") + b"\n" + told, sha256).hexdigest()


def ranked(shields: Sequence[Origin], request: Request) -> list[Origin]:
    """Return the shields, the one for this request's target first: the same in all edges, whatever else there is.

    When one is gone, only what it would have got moves to others (rendezvous hashing).
    """
    about = f"{request.headers.get('host')}\n{request.target}".encode("utf-8", "surrogateescape")
    return sorted(shields, key=lambda shield: blake2b(about, key=shield.id.encode()[:64], digest_size=8).digest())


def cdn_id(location: str) -> str:
    """Return what a location calls itself in CDN-Loop (RFC 8586 section 2)."""
    return f"edgefn-{location}"


def is_loop(headers: Headers, own_id: str) -> bool:
    """Return whether a request has been here before (RFC 8586 section 3)."""
    text = headers.joined(CDN_LOOP.lower())
    return text is not None and any(member.partition(";")[0].strip() == own_id for member in text.split(","))
