"""What becomes of a response's headers, from the origin to the store and on to the viewer (AWS: response behavior)."""

from typing import Final, NamedTuple

from edgefn.model.headers import Headers, Line
from edgefn.model.trail import Result
from edgefn.rules.hop_by_hop import HOP_BY_HOP, named_by_connection

_SWITCHING: Final = 101
_GONE: Final = HOP_BY_HOP | {"x-amz-cf-id", "x-amz-cf-pop", "x-cache"}
_GONE_WITH_COOKIES: Final = _GONE | {"set-cookie"}
_SERVER: Final[Line] = ("Server", "CloudFront")


def from_origin(headers: Headers, status: int = 200, *, cookies: bool = True) -> Headers:
    """Return the origin's headers as they are stored and passed on.

    Without those of its connection (RFC 9110 section 7.6.1), but for the Upgrade of a 101; those that `Dressing`
    sets; and Set-Cookie unless `cookies` were forwarded.
    """
    gone = _GONE if cookies else _GONE_WITH_COOKIES
    named = named_by_connection(headers)
    kept = headers.less(gone if named <= gone else gone | named)
    if status == _SWITCHING:
        kept = kept.adding(*(("Upgrade", protocol) for protocol in headers.get_all("upgrade")))
    return kept


class _Dressed(NamedTuple):
    """Headers for the viewer, but for the request's id."""

    by: "Dressing"
    result: Result
    date: str
    headers: Headers


class Dressing:
    """Puts this location's own headers on each response. Made once; the constant parts are ready."""

    def __init__(self, pseudonym: str, pop: str) -> None:
        """Take this location's name in Via, and its X-Amz-Cf-Pop."""
        self.pseudonym = pseudonym
        self._constant: dict[Result, tuple[Line, ...]] = {
            result: (
                ("X-Cache", f"{result.value} from cloudfront"),
                ("Via", f"1.1 {pseudonym} (CloudFront)"),
                ("X-Amz-Cf-Pop", pop),
            )
            for result in Result
        }

    def to_viewer(self, headers: Headers, result: Result, request_id: str, date: str) -> Headers:
        """Return `headers` for the viewer.

        `date` is the time now as a Date value, used where there is none (RFC 9110 section 6.6.1).
        """
        lines = self._constant[result]
        if "date" not in headers:
            lines = (("Date", date), *lines)
        return headers.adding(*lines, ("X-Amz-Cf-Id", request_id))

    def to_viewer_again(self, headers: Headers, result: Result, request_id: str, date: str) -> Headers:
        """Return the same for headers that come again and again: most of it is remembered with them."""
        known = headers.memo
        if not (isinstance(known, _Dressed) and known.by is self and known.result is result and known.date == date):
            lines = self._constant[result]
            lines = lines if "date" in headers else (("Date", date), *lines)
            known = headers.memo = _Dressed(self, result, date, Headers([*headers, *lines]))  # no ring
        return known.headers.adding(("X-Amz-Cf-Id", request_id))


def generated(headers: Headers) -> Headers:
    """Return the headers of a response that was made here: with Server, unless a function has set one."""
    return headers if "server" in headers else headers.adding(_SERVER)
