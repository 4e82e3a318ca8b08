"""The origin that a viewer-request function chooses (AWS: helper methods for origin modification)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgefn.model.headers import CONTROL, TOKEN, Headers
from edgefn.model.origin import Origin, OriginKind
from edgefn.model.origin_choice import OriginChoice
from edgefn.rules.cff_violation import ORIGIN, invalid
from edgefn.rules.contract_origin import judge_origin
from edgefn.rules.edge_headers import is_denied_to_origin
from edgefn.rules.event import as_wire, shown_origin
from edgefn.rules.violation import ViolatedError

_HOST = re.compile(r"[0-9A-Za-z._~-]{1,253}(?::[0-9]{1,5})?")
_FAILOVER = frozenset({400, 403, 404, 416, 429, 500, 502, 503, 504})

Given = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class KnownOrigins:
    """What there is to choose from: all origins by id, and the (primary) one that the route would take."""

    assigned: Origin | None = None
    by_id: Mapping[str, Origin] = field(default_factory=dict)


NO_ORIGINS = KnownOrigins()


def judged_choice(edge: object, known: KnownOrigins) -> OriginChoice | None:
    """Return the choice in what a sandbox says beside the result, or None. Raises `ViolatedError`."""
    match edge.get("origin") if isinstance(edge, dict) else None:
        case None:
            return None
        case {"update": dict(given)}:
            return OriginChoice((_updated(given, known),))
        case {"select": str(name), **rest}:
            return OriginChoice((_overridden(_named(name, known), rest.get("overrides")),))
        case {"group": dict(given)}:
            return _group(given, known)
        case _:
            raise invalid("origin", "an origin in no known form", ORIGIN)


def _group(given: Given, known: KnownOrigins) -> OriginChoice:
    match given:
        case {"originIds": [first, second], "failoverCriteria": {"statusCodes": [*codes]}}:
            statuses = frozenset(code for code in codes if isinstance(code, int) and code in _FAILOVER)
            if not codes or len(statuses) != len(set(codes)):
                raise invalid("origin.failoverCriteria", "a status on which nothing can fail over", ORIGIN)
            return OriginChoice((_member(first, known), _member(second, known)), statuses)
        case _:
            raise invalid("origin.originIds", "no group of two origins with failoverCriteria.statusCodes", ORIGIN)


def _member(given: object, known: KnownOrigins) -> Origin:
    match given:
        case str(name):
            return _named(name, known)
        case {"originId": str(name), **rest}:
            return _overridden(_named(name, known), rest.get("originOverrides"))
        case _:
            raise invalid("origin.originIds", "a member of a group that is no origin id", ORIGIN)


def _named(name: str, known: KnownOrigins) -> Origin:
    if name not in known.by_id:
        raise invalid("origin.originId", f"an origin id that the configuration does not have: {name[:80]}", ORIGIN)
    return known.by_id[name]


def _overridden(origin: Origin, overrides: object) -> Origin:
    """Return an origin with another Host; `sni` and `allowedCertificateNames` follow the origin's own name here."""
    if overrides is None:
        return origin
    if not isinstance(overrides, dict):
        raise invalid("origin.overrides", "overrides that are not an object", ORIGIN)
    return replace(origin, host_header=_host(overrides, origin.host_header))


def _updated(given: Given, known: KnownOrigins) -> Origin:
    """Return the assigned origin with the given fields in the place of its own."""
    if known.assigned is None:
        raise invalid("origin", "another origin, but there is none to change", ORIGIN)
    base = known.assigned
    judged = judge_origin(base, {base.kind.value: _shape(base, given)})
    if judged is None:
        raise invalid("origin", "no origin", ORIGIN)
    timeouts = _object(given, "timeouts")
    return replace(
        judged,
        host_header=_host(given, "" if judged.domain != base.domain else base.host_header),
        custom_headers=_custom_headers(given, base),
        connection_attempts=_whole(given, "connectionAttempts", base.connection_attempts, 3),
        connect_timeout=_whole(timeouts, "connectionTimeout", base.connect_timeout, 10),
    )


def _shape(base: Origin, given: Given) -> dict[str, object]:
    """Return the origin as an origin-request function would return it, for the judge of those."""
    shape = dict(shown_origin(base)[base.kind.value])
    config, timeouts = _object(given, "customOriginConfig"), _object(given, "timeouts")
    renamed = (
        (given, "domainName", "domainName"),
        (given, "originPath", "path"),
        (timeouts, "readTimeout", "readTimeout"),
        (timeouts, "responseCompletionTimeout", "responseCompletionTimeout"),
    )
    custom = (
        (timeouts, "keepAliveTimeout", "keepaliveTimeout"),
        (config, "port", "port"),
        (config, "protocol", "protocol"),
        (config, "sslProtocols", "sslProtocols"),
    )
    for source, name, shown_name in (*renamed, *(custom if base.kind is OriginKind.CUSTOM else ())):
        if name in source:
            shape[shown_name] = source[name]
    return shape


def _object(given: Given, name: str) -> Given:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise invalid(f"origin.{name}", f"{name} that is not an object", ORIGIN)
    return value


def _host(given: Given, otherwise: str) -> str:
    host = given.get("hostHeader", otherwise)
    if not isinstance(host, str) or (host and not _HOST.fullmatch(host)):
        raise invalid("origin.hostHeader", "a hostHeader that is no host", ORIGIN)
    return host


def _custom_headers(given: Given, base: Origin) -> Headers:
    """Return the custom headers: those given take the place of all that the origin had."""
    headers = given.get("customHeaders")
    if headers is None:
        return base.custom_headers
    if not isinstance(headers, dict):
        raise invalid("origin.customHeaders", "customHeaders that are not an object", ORIGIN)
    return Headers(_custom_header(name, value) for name, value in headers.items())


def _custom_header(name: str, value: object) -> tuple[str, str]:
    denied = not TOKEN.fullmatch(name) or is_denied_to_origin(name.lower())
    if denied or not isinstance(value, str) or CONTROL.search(value):
        raise invalid(f"origin.customHeaders.{name}", "a custom header that is not allowed", ORIGIN)
    return name, as_wire(value)


def _whole(given: Given, name: str, otherwise: float, most: int) -> int:
    value = given.get(name, otherwise)
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or (value is not otherwise and not 1 <= value <= most)
    ):
        raise ViolatedError(f"origin.{name}", f"the function returned an invalid origin, {name}", ORIGIN)
    return int(value)
