"""Which headers functions may not see, touch, or send to an origin (AWS: restrictions on edge functions).

Tables only. All names are lower-case; a name in a `_PREFIXES` table stands for all that begin with it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from edgefn.model.hook import Event

HIDDEN = frozenset(
    {
        "client-cert",
        "client-cert-chain",
        "cloudfront-viewer-cert-pem",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-accel-buffering",
        "x-accel-charset",
        "x-accel-limit-rate",
        "x-accel-redirect",
        "x-amzn-auth",
        "x-amzn-cf-billing",
        "x-amzn-cf-id",
        "x-amzn-cf-xff",
        "x-amzn-errortype",
        "x-amzn-fle-profile",
        "x-amzn-header-count",
        "x-amzn-header-order",
        "x-amzn-lambda-integration-tag",
        "x-amzn-requestid",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
HIDDEN_PREFIXES = ("x-amz-cf-", "x-edge-")

READ_ONLY: Mapping[Event, frozenset[str]] = MappingProxyType(
    {
        Event.VIEWER_REQUEST: frozenset({"cdn-loop", "content-length", "host", "transfer-encoding", "via"}),
        Event.ORIGIN_REQUEST: frozenset(
            {
                "accept-encoding",
                "cdn-loop",
                "content-length",
                "if-modified-since",
                "if-none-match",
                "if-range",
                "if-unmodified-since",
                "transfer-encoding",
                "via",
            }
        ),
        Event.ORIGIN_RESPONSE: frozenset({"transfer-encoding", "via"}),
        Event.VIEWER_RESPONSE: frozenset({"content-encoding", "content-length", "transfer-encoding", "via", "warning"}),
    }
)

NOT_ADDED: Mapping[Event, frozenset[str]] = MappingProxyType(
    {
        Event.VIEWER_REQUEST: frozenset({"cloudfront-viewer-country"}),
        Event.ORIGIN_REQUEST: frozenset(),
        Event.ORIGIN_RESPONSE: frozenset(),
        Event.VIEWER_RESPONSE: frozenset(),
    }
)

ORIGIN_DENIED = frozenset(
    {
        "cache-control",
        "connection",
        "content-length",
        "cookie",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "request-range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-real-ip",
    }
)
ORIGIN_DENIED_PREFIXES = ("x-amz-", "x-edge-")


def is_hidden(name: str) -> bool:
    """Return whether no function may see or add the lower-case `name`."""
    return name in HIDDEN or name.startswith(HIDDEN_PREFIXES)


def is_denied_to_origin(name: str) -> bool:
    """Return whether the lower-case `name` can't be one of an origin's custom headers."""
    return name in ORIGIN_DENIED or name.startswith(ORIGIN_DENIED_PREFIXES)
