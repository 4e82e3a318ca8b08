"""Which fields may come behind a body (RFC 9110 section 6.5.1).

What routes a message, frames it, says who asks or how to store it counts in the head only. Whoever merges trailers into
the head would take it from there, past all that the head went through.
"""

from typing import Final

from edgefn.model.headers import Headers
from edgefn.rules.hop_by_hop import HOP_BY_HOP

_HEAD_ONLY: Final = HOP_BY_HOP | {
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-cache",
    "x-real-ip",
}
_HEAD_ONLY_PREFIXES: Final = (
    "access-control-",
    "cloudfront-",
    "if-",
    "x-accel-",
    "x-amz-cf-",
    "x-edge-",
    "x-forwarded-",
)


def fit_for_trailers(trailers: Headers) -> Headers:
    """Return `trailers` less what belongs into a head; underscores don't disguise it."""
    if not trailers:
        return trailers
    return trailers.less({name for name in trailers.names() if _is_head_only(name.replace("_", "-"))})


def _is_head_only(name: str) -> bool:
    return name in _HEAD_ONLY or name.startswith(_HEAD_ONLY_PREFIXES)
