"""Fields that concern one connection only, and never what lies behind it (RFC 9110 section 7.6.1)."""

from typing import Final

from edgefn.model.headers import Headers, Line

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

UPGRADE_TO_WEBSOCKET: Final[tuple[Line, ...]] = (("Connection", "Upgrade"), ("Upgrade", "websocket"))


def named_by_connection(headers: Headers) -> frozenset[str]:
    """Return the lower-case names that Connection lists (RFC 9110 section 7.6.1)."""
    listed = headers.joined("connection")
    if listed is None:
        return frozenset()
    return _USUAL.get(listed) or _names(listed)


def _names(listed: str) -> frozenset[str]:
    return frozenset(option.strip(" \t").lower() for option in listed.split(","))


_USUAL: Final = {listed: _names(listed) for listed in ("keep-alive", "Keep-Alive", "close", "Upgrade")}


def without_named(headers: Headers) -> Headers:
    """Return `headers` less the lines that Connection names; of itself it keeps a wish to upgrade only.

    To be done before anything is decided by `headers`: what a viewer could talk away later, it could talk away from
    what a function has set, or from the origin alone and not from the cache key.
    """
    listed = named_by_connection(headers)
    named = listed - _NOT_ITS_TO_NAME
    if not named:
        return headers
    rest = headers.less(named | {"connection"})
    return rest.adding(("Connection", "Upgrade")) if "upgrade" in listed else rest


_NOT_ITS_TO_NAME: Final = HOP_BY_HOP | {"", "close", "content-length", "expect", "host"}
"""Options of the connection itself, and the fields that tell what and how much is asked for."""


def asks_for_websocket(method: str, headers: Headers) -> bool:
    """Return whether a request wants to become a WebSocket (RFC 6455 section 4.1)."""
    upgrades = (headers.joined("upgrade") or "").lower().split(",")
    return (
        method == "GET"
        and "websocket" in (protocol.strip() for protocol in upgrades)
        and "upgrade" in named_by_connection(headers)
    )
