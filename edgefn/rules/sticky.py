"""By what an alias with two versions knows a viewer again."""

from edgefn.model.headers import Headers
from edgefn.model.publishing import Sticky, StickyBy
from edgefn.model.settings import Selecting, Selection
from edgefn.rules.selecting import selected_cookies


def sticky_key(sticky: Sticky, headers: Headers, request_id: str) -> bytes:
    """Return the value of the cookie or header that decides; the request's id for a viewer that brings none."""
    return (_value(sticky, headers) or request_id).encode("utf-8", "surrogateescape")


def _value(sticky: Sticky, headers: Headers) -> str | None:
    match sticky.by:
        case StickyBy.NONE:
            return None
        case StickyBy.HEADER:
            return headers.get(sticky.name)
        case StickyBy.COOKIE:
            named = selected_cookies(headers.get_all("cookie"), Selection(Selecting.ONLY, (sticky.name,)))
            return named[0].partition("=")[2].strip() if named else None
