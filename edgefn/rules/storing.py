"""Whether a response may be stored, for how long, and what of it (RFC 9111 section 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from edgefn.model.headers import Headers
from edgefn.model.message import Request, Response
from edgefn.model.settings import CachePolicy
from edgefn.rules.age import Times, initial_age
from edgefn.rules.cache_control import CacheControl, parse
from edgefn.rules.freshness import explicit_lifetime, granted_lifetime, has_floor, is_fresh
from edgefn.rules.http_date import imf_fixdate
from edgefn.rules.lookup import asks_not_to_store, is_conditional
from edgefn.rules.vary import nominated

_PARTS = frozenset({206, 304})  # they need rules of their own, which are not here
_ABOUT_CONDITIONS = frozenset({412, 416})
_UNDERSTOOD = frozenset(
    {200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 417, 421}
    | {422, 426, 429, 451, 500, 501, 502, 503, 504, 505}
)
_NEVER_STORED = ("age", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization")


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
    NO_FRESHNESS = "no-explicit-freshness"
    STALE = "stale-on-arrival"
    TOO_LARGE = "too-large"
    INCOMPLETE = "incomplete"
    INVALIDATED = "invalidated-meanwhile"


@dataclass(frozen=True, slots=True)
class Store:
    """It may be stored: its freshness lifetime and its age on arrival, in seconds."""

    lifetime: float
    initial_age: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not."""

    reason: Reason


Verdict: TypeAlias = Store | Refuse


@dataclass(frozen=True, slots=True)
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
    control = parse(response.headers.joined("cache-control"))
    facts = _Facts(request, response, policy, control)
    for rule in _RULES:
        reason = rule(facts)
        if reason is not None:
            return Refuse(reason)
    return _lifetime_verdict(facts, times)


def _lifetime_verdict(facts: _Facts, times: Times) -> Verdict:
    """Return whether there is any lifetime left; without one a response is of no use yet."""
    headers = facts.response.headers
    explicit = explicit_lifetime(headers, facts.control, times.received_at)
    if facts.is_forced and _is_forbidden(facts.control):
        explicit = 0.0  # min_ttl it is, whatever else the origin says
    age = initial_age(headers, times)
    lifetime = granted_lifetime(facts.response.status, explicit, facts.policy, age)
    if lifetime is None:
        return Refuse(Reason.NO_FRESHNESS)
    return Store(lifetime, age) if is_fresh(lifetime, age) else Refuse(Reason.STALE)


def _method(facts: _Facts) -> Reason | None:
    """Only a GET's response is stored (RFC 9110 section 9.3)."""
    return None if facts.request.method == "GET" else Reason.METHOD


def _status(facts: _Facts) -> Reason | None:
    """Any final status, registered or not, but for parts and for 304 (RFC 9111 section 3)."""
    status = facts.response.status
    return Reason.STATUS if status < 200 or status in _PARTS or facts.response.tunnel is not None else None


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
    """With a list of fields it counts as without (RFC 9111 section 5.2.2.7)."""
    return Reason.PRIVATE if "private" in facts.control and not facts.is_forced else None


def _no_cache(facts: _Facts) -> Reason | None:
    """It could be used after a validation only (RFC 9111 section 5.2.2.4), and there is none yet."""
    return Reason.NO_CACHE if "no-cache" in facts.control and not facts.is_forced else None


def _is_forbidden(control: CacheControl) -> bool:
    return any(name in control for name in ("no-store", "private", "no-cache"))


def _authorization(facts: _Facts) -> Reason | None:
    """RFC 9111 section 3.5."""
    shared = any(name in facts.control for name in ("public", "must-revalidate", "s-maxage"))
    return Reason.AUTHORIZATION if "authorization" in facts.request.headers and not shared else None


def _vary(facts: _Facts) -> Reason | None:
    """RFC 9111 section 4.1: no request matches `*`."""
    return Reason.VARY_ANY if nominated(facts.response.headers) is None else None


_RULES: tuple[Callable[[_Facts], Reason | None], ...] = (
    _method, _status, _condition, _must_understand, _request_no_store,
    _authorization, _no_store, _private, _no_cache, _vary,
)  # fmt: skip


def stored_headers(headers: Headers, received_at: float) -> Headers:
    """Return the fields to store: with a Date, and without Age and those of proxy authentication.

    RFC 9111 section 3.1 and RFC 9110 section 6.6.1; hop-by-hop fields are gone before. From now on we say the Age.
    """
    kept = headers.without(*_NEVER_STORED)
    return kept if "date" in kept else kept.adding(("Date", imf_fixdate(received_at)))
