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


def asks_for_websocket(method: str, headers: Headers) -> bool:
    """Return whether a request wants to become a WebSocket (RFC 6455 section 4.1)."""
    upgrades = (headers.joined("upgrade") or "").lower().split(",")
    return (
        method == "GET"
        and "websocket" in (protocol.strip() for protocol in upgrades)
        and "upgrade" in named_by_connection(headers)
    )
