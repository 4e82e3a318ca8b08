"""Whether a response may be stored, for how long, and what of it (RFC 9111 section 3)."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from edgefn.model.headers import Headers, Line
from edgefn.model.hot import hot_dataclass
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.rules.age import Times, initial_age
from edgefn.rules.cache_control import CacheControl
from edgefn.rules.directives import in_force
from edgefn.rules.freshness import (
    allows_heuristic,
    explicit_lifetime,
    granted_lifetime,
    has_floor,
    heuristic_lifetime,
    is_fresh,
)
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.lookup import asks_not_to_store, is_conditional
from edgefn.rules.ranges import received_span
from edgefn.rules.stale import StaleLimits, stale_limits
from edgefn.rules.validating import has_validator
from edgefn.rules.vary import nominated

_PART = 206
_ABOUT_CONDITIONS = frozenset({412, 416})
_UNDERSTOOD = frozenset(
    {200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 417}
    | {421, 422, 426, 429, 451, 500, 501, 502, 503, 504, 505}
)
_RESTRICTING = frozenset({"must-understand", "no-store", "private"})
_RESTRICTING_FIELDS = frozenset({"authorization", "cache-control"})
_NEVER_STORED = frozenset({"age", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization"})


class Reason(StrEnum):
    """Why a response is not stored."""

    METHOD = "method"
    STATUS = "status"
    CONDITION = "answers-a-condition"
    NOT_UNDERSTOOD = "must-understand"
    REQUEST_NO_STORE = "request-no-store"
    AUTHORIZATION = "authorization"
    NO_STORE = "no-store"
    PRIVATE = "private"
    NO_CACHE = "no-cache"
    VARY_ANY = "vary-any"
    SET_COOKIE = "set-cookie"
    NO_FRESHNESS = "no-explicit-freshness"
    STALE = "stale-on-arrival"
    TOO_LARGE = "too-large"
    STORE = "store-failed"
    INCOMPLETE = "incomplete"
    INVALIDATED = "invalidated-meanwhile"
    SUPERSEDED = "superseded"

    @property
    def is_about_request(self) -> bool:
        """Return whether another viewer's request for the same might have been answered with something to store."""
        return self in {Reason.METHOD, Reason.CONDITION, Reason.REQUEST_NO_STORE, Reason.AUTHORIZATION}


@hot_dataclass(frozen=True, slots=True)
class MayStore:
    """It may be stored: its freshness lifetime and its age on arrival, in seconds, and how stale it may become.

    With no lifetime left it is of use after a validation, or within the limits.
    """

    lifetime: float
    initial_age: float
    stale: StaleLimits

    @property
    def is_fresh(self) -> bool:
        """Return whether it may be served as it is."""
        return is_fresh(self.lifetime, self.initial_age)


@hot_dataclass(frozen=True, slots=True)
class Refuse:
    """It may not."""

    reason: Reason


Verdict: TypeAlias = MayStore | Refuse


@hot_dataclass(frozen=True, slots=True)
class _Facts:
    request: Request
    response: Response
    policy: CachePolicy
    control: CacheControl

    @property
    def is_forced(self) -> bool:
        """Return whether the route's floor outweighs what the origin forbids (AWS: MinTTL above 0)."""
        return has_floor(self.response.status, self.policy)


def may_store(request: Request, response: Response, policy: CachePolicy, times: Times) -> Verdict:
    """Return the verdict on the head of a response to a request that was looked up; its body is judged later."""
    facts = _Facts(request, response, policy, in_force(response.headers, policy.targeted))
    if not _is_plain(facts):
        for rule in _RULES:
            reason = rule(facts)
            if reason is not None:
                return Refuse(reason)
    return _lifetime_verdict(facts, times)


def _is_plain(facts: _Facts) -> bool:
    """Return whether there is nothing that any of the rules could be about: most responses are so."""
    request, response = facts.request, facts.response
    return (
        request.method == "GET"
        and response.status == 200
        and response.tunnel is None
        and _RESTRICTING.isdisjoint(facts.control.directives)
        and _RESTRICTING_FIELDS.isdisjoint(request.headers.names())
        and "vary" not in response.headers
    )


def _lifetime_verdict(facts: _Facts, times: Times) -> Verdict:
    """Return what lifetime there is; without any the response must be of use in another way."""
    headers, control, policy = facts.response.headers, facts.control, facts.policy
    explicit = explicit_lifetime(headers, control, times.received_at)
    age = initial_age(headers, times)
    may_be_used_blindly = facts.is_forced or not control.forbids("no-cache")
    if facts.is_forced and _is_forbidden(control):
        explicit = 0.0  # min_ttl it is, whatever else the origin says
    lifetime = _lifetime(facts, explicit, times.received_at, age) if may_be_used_blindly else 0.0
    limits = stale_limits(control, policy)
    if lifetime is not None and is_fresh(lifetime, age):
        return MayStore(lifetime, age, limits)
    # What nobody has been served from memory so far is not served to anybody when the origin is gone.
    limits = StaleLimits(limits.while_revalidate, limits.if_error, limits.if_error, limits.on_request)
    if "set-cookie" in headers:
        return Refuse(Reason.SET_COOKIE)  # after a validation it would be another viewer's
    is_storable = lifetime is not None or allows_heuristic(facts.response.status, control)
    if is_storable and (has_validator(headers) or limits.while_revalidate or limits.if_error):
        return MayStore(lifetime or 0.0, age, limits)
    if not may_be_used_blindly:
        return Refuse(Reason.NO_CACHE)
    return Refuse(Reason.NO_FRESHNESS if lifetime is None else Reason.STALE)


def _lifetime(facts: _Facts, explicit: float | None, received_at: float, age: float) -> float | None:
    """Return what the origin, the heuristic and the route's TTLs make of it together; None: none at all."""
    status, policy = facts.response.status, facts.policy
    headers, heuristic = facts.response.headers, 0.0
    is_personal = "set-cookie" in headers and "public" not in facts.control
    if explicit is None and not is_personal and allows_heuristic(status, facts.control):
        heuristic = heuristic_lifetime(headers, received_at, policy.heuristic_ttl)
    return granted_lifetime(status, explicit, heuristic, policy, age)


def _method(facts: _Facts) -> Reason | None:
    """Only a GET's response is stored (RFC 9110 section 9.3)."""
    return None if facts.request.method == "GET" else Reason.METHOD


def _status(facts: _Facts) -> Reason | None:
    """Any final status, registered or not, but for 304, and for a 206 that is no single part (RFC 9111 section 3)."""
    status = facts.response.status
    if status == _PART:
        is_part = "range" in facts.request.headers and received_span(facts.response.headers) is not None
        return None if is_part else Reason.STATUS
    return Reason.STATUS if status < 200 or status == 304 or facts.response.tunnel is not None else None


def _condition(facts: _Facts) -> Reason | None:
    """A failed condition or an unsatisfiable range is an answer to this request alone (RFC 9110 section 15.5.13)."""
    about_conditions = facts.response.status in _ABOUT_CONDITIONS and is_conditional(facts.request)
    return Reason.CONDITION if about_conditions else None


def _must_understand(facts: _Facts) -> Reason | None:
    """RFC 9111 section 5.2.2.3."""
    unknown = "must-understand" in facts.control and facts.response.status not in _UNDERSTOOD
    return Reason.NOT_UNDERSTOOD if unknown else None


def _request_no_store(facts: _Facts) -> Reason | None:
    """RFC 9111 section 5.2.1.5."""
    return Reason.REQUEST_NO_STORE if asks_not_to_store(facts.request) else None


def _no_store(facts: _Facts) -> Reason | None:
    """RFC 9111 section 5.2.2.5; with a must-understand that is understood it says nothing (section 5.2.2.3)."""
    forbidden = "no-store" in facts.control and "must-understand" not in facts.control
    return Reason.NO_STORE if forbidden and not facts.is_forced else None


def _private(facts: _Facts) -> Reason | None:
    """With a list of fields only those are not stored (RFC 9111 section 5.2.2.7)."""
    return Reason.PRIVATE if facts.control.forbids("private") and not facts.is_forced else None


def _is_forbidden(control: CacheControl) -> bool:
    return "no-store" in control or control.forbids("private") or control.forbids("no-cache")


def _authorization(facts: _Facts) -> Reason | None:
    """RFC 9111 section 3.5."""
    shared = any(name in facts.control for name in ("public", "must-revalidate", "s-maxage"))
    return Reason.AUTHORIZATION if "authorization" in facts.request.headers and not shared else None


def _vary(facts: _Facts) -> Reason | None:
    """RFC 9111 section 4.1: no request matches `*`."""
    return Reason.VARY_ANY if nominated(facts.response.headers) is None else None


_RULES: tuple[Callable[[_Facts], Reason | None], ...] = (
    _method, _status, _condition, _must_understand, _request_no_store,
    _authorization, _no_store, _private, _vary,
)  # fmt: skip


def stored_headers(headers: Headers, received_at: float, control: CacheControl) -> Headers:
    """Return the fields to store: with a Date, and without Age, those of proxy authentication and the withheld ones.

    RFC 9111 sections 3.1, 5.2.2.4 and 5.2.2.7, RFC 9110 section 6.6.1; hop-by-hop fields are gone before. From now on
    we say the Age.
    """
    withheld = _withheld_names(control)
    kept = headers.less(_NEVER_STORED | withheld if withheld else _NEVER_STORED)
    return kept if "date" in kept else kept.adding(("Date", imf_fixdate(received_at)))


def withheld(headers: Headers, control: CacheControl) -> tuple[Line, ...]:
    """Return the lines that are not stored because the directives name them.

    They are for the viewer whose own request has brought them, and for nobody else.
    """
    names = _withheld_names(control)
    return tuple(line for line in headers if line[0].lower() in names) if names else ()


def _withheld_names(control: CacheControl) -> set[str]:
    """Return the lower-case names of the fields that are not stored (RFC 9111 sections 5.2.2.4 and 5.2.2.7)."""
    return {*control.fields("private"), *control.fields("no-cache")}
