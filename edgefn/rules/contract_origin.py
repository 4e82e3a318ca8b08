"""What an origin-request function may do to the origin. Fields that come back unchanged are not judged."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from edgefn.model.headers import Headers
from edgefn.model.message import Request
from edgefn.model.origin import Origin, OriginKind
from edgefn.rules.contract_headers import HeaderField, changes, merged
from edgefn.rules.edge_headers import is_denied_to_origin
from edgefn.rules.event import header_map, shown_origin
from edgefn.rules.violation import ORIGIN, ORIGIN_HEADERS, ViolatedError

_LABEL = r"[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# Resolvers read names like these as IPv4 addresses: 127.1, 2130706433, 0x7f.0.0.1.
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_PATH = re.compile(r"/[0-9A-Za-z._~!$&'()*+,;=:@%/-]*")
_SSL_PROTOCOLS = frozenset({"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"})
_OAI = "origin-access-identity"

_MISSING: Mapping[str, object] = {
    "authMethod": "none",
    "customHeaders": {},
    "keepaliveTimeout": 5,
    "path": "",
    "readTimeout": 30,
    "region": "",
    "responseCompletionTimeout": 0,
    "sslProtocols": ["TLSv1.2"],
}
"""What a field is that a function left out. The others must be there."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Fields:
    """One shape of `origin` as it was shown (empty after a switch) and as it came back."""

    kind: OriginKind
    shown: Mapping[str, object]
    given: Mapping[str, object]

    def is_changed(self, name: str) -> bool:
        return name not in self.shown or self.given.get(name) != self.shown[name]

    def take(self, name: str, now: T, read: Callable[[object], T | None]) -> T:
        """Return `now` when `name` is unchanged, else what `read` makes of it. Raises when that is None."""
        if not self.is_changed(name):
            return now
        value = read(self.given.get(name, _MISSING.get(name)))
        if value is None:
            raise self.invalid(name)
        return value

    def invalid(self, name: str) -> ViolatedError:
        rule = f"the function returned an invalid origin configuration, {name}"
        sentence = f"{ORIGIN}The value of {name[0].upper()}{name[1:]} is invalid."
        return ViolatedError(f"origin.{self.kind}.{name}", rule, sentence)


def judge_origin(sent: Origin | None, result: object) -> Origin | None:
    """Return the origin that origin-request's `result` chose (AWS: the event's `origin` field).

    One at another place than `sent` has no id, and nothing of how the operator connects to `sent`.
    Raises `ViolatedError`.
    """
    shown = None if sent is None else shown_origin(sent)
    if result == shown:
        return sent
    kind, given = _shape(result)
    base = sent if sent is not None and sent.kind is kind else _blank(kind, sent)
    fields = _Fields(kind, {} if shown is None else shown.get(kind, {}), given)
    match kind:
        case OriginKind.CUSTOM:
            return _settled(base, _custom(base, fields))
        case OriginKind.S3:
            return _settled(base, _s3(base, fields))


def check_overlap(sent: Request, headers: Headers, origin: Origin | None) -> None:
    """Raise `ViolatedError` when a function set a custom header that the request has, or the other way round."""
    if origin is None or (origin is sent.origin and headers is sent.headers):
        return
    before = set() if sent.origin is None else set(sent.origin.custom_headers.names()) & set(sent.headers.names())
    for name in origin.custom_headers.names():
        if name in headers and name not in before:
            rule = "the function returned a custom header that is also in the request's headers"
            raise ViolatedError(f"origin.{origin.kind}.customHeaders.{name}", rule, ORIGIN_HEADERS)


def _shape(result: object) -> tuple[OriginKind, Mapping[str, object]]:
    """Return which of the two shapes `result` has, and its fields."""
    kinds = [kind for kind in OriginKind if isinstance(result, dict) and result.get(kind) is not None]
    if not isinstance(result, dict) or len(kinds) != 1:
        rule = "the function returned an invalid origin configuration, not exactly one of custom and s3"
        raise ViolatedError("origin", rule, f"{ORIGIN}There must be exactly one of custom and s3.")
    given: object = result[kinds[0]]
    if not isinstance(given, dict):
        rule = "the function returned an invalid origin configuration, not an object"
        raise ViolatedError(f"origin.{kinds[0]}", rule, f"{ORIGIN}It is not an object.")
    return kinds[0], given


def _blank(kind: OriginKind, sent: Origin | None) -> Origin:
    """Return an origin of another shape, to be filled in; only the patience with connecting stays."""
    blank = Origin(id="", domain="", port=443, protocol="https", kind=kind)
    if sent is None:
        return blank
    return replace(blank, connect_timeout=sent.connect_timeout, connection_attempts=sent.connection_attempts)


def _custom(base: Origin, fields: _Fields) -> Origin:
    return replace(
        _common(base, fields),
        domain=fields.take("domainName", base.domain, _domain),
        port=fields.take("port", base.port, _port),
        protocol=fields.take("protocol", base.protocol, _protocol),
        keepalive_timeout=fields.take("keepaliveTimeout", base.keepalive_timeout, _timeout),
        ssl_protocols=fields.take("sslProtocols", base.ssl_protocols, _ssl_protocols),
    )


def _s3(base: Origin, fields: _Fields) -> Origin:
    """Return the bucket that `fields` name. An access identity stays one; a function can't bring its own."""
    method = fields.take("authMethod", base.auth_method, _auth_method)
    if method == _OAI and base.auth_method != _OAI:
        raise fields.invalid("authMethod")
    region = fields.take("region", base.region, _region)
    if method == _OAI and not region and fields.is_changed("region"):
        raise fields.invalid("region")
    domain = fields.take("domainName", base.domain, _bucket_domain)
    return replace(_common(base, fields), domain=domain, auth_method=method, region=region)


def _common(base: Origin, fields: _Fields) -> Origin:
    wait = fields.take("readTimeout", base.response_timeout, _timeout)
    whole = fields.take("responseCompletionTimeout", base.completion_timeout or 0.0, _completion_timeout)
    is_new = fields.is_changed("readTimeout") or fields.is_changed("responseCompletionTimeout")
    if whole and whole < wait and is_new:
        raise fields.invalid("responseCompletionTimeout")
    return replace(
        base,
        path=fields.take("path", base.path, _path),
        response_timeout=wait,
        completion_timeout=whole or None,
        custom_headers=_custom_headers(base, fields),
    )


def _custom_headers(base: Origin, fields: _Fields) -> Headers:
    """Return the custom headers; a name that is new or changed must not be a denied one."""
    path, sent = f"origin.{fields.kind}.customHeaders", base.custom_headers
    field = HeaderField(path, sent, header_map(sent), malformed=ORIGIN_HEADERS, not_array=ORIGIN_HEADERS)
    found = changes(field, fields.given.get("customHeaders", {}))
    for name, lines in found.items():
        if lines and is_denied_to_origin(name):
            rule = "the function tried to add a blacklisted custom header"
            raise ViolatedError(f"{path}.{name}", rule, ORIGIN_HEADERS)
    return merged(sent, found)


def _settled(base: Origin, judged: Origin) -> Origin:
    """Return `judged` without what the operator said about connecting to `base`, if it is elsewhere.

    A bucket stays behind the S3 address that the operator gave, for that serves all buckets.
    """
    if (judged.domain, judged.port, judged.protocol) == (base.domain, base.port, base.protocol):
        return judged
    if judged.kind is OriginKind.S3 and base.address is not None:
        return replace(judged, id="")
    return replace(judged, id="", address=None, tls_ca=None, tls_verify=True)


def _domain(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > 253 or not _DOMAIN.fullmatch(value):
        return None
    return None if _ENDS_IN_NUMBER.fullmatch(value) else value


def _bucket_domain(value: object) -> str | None:
    domain = _domain(value)
    return domain if domain is not None and len(domain) <= 128 and domain == domain.lower() else None


def _path(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > 255:
        return None
    return value if value == "" or (_PATH.fullmatch(value) and not value.endswith("/")) else None


def _port(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if value in {80, 443} or 1024 <= value <= 65_535 else None


def _protocol(value: object) -> str | None:
    return value if isinstance(value, str) and value in {"http", "https"} else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _timeout(value: object) -> float | None:
    seconds = _number(value)
    return seconds if seconds is not None and 1 <= seconds <= 120 else None


def _completion_timeout(value: object) -> float | None:
    seconds = _number(value)
    return seconds if seconds is not None and seconds >= 0 else None


def _ssl_protocols(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not value:
        return None
    given = tuple(item for item in value if isinstance(item, str) and item in _SSL_PROTOCOLS)
    return given if len(given) == len(value) else None


def _auth_method(value: object) -> str | None:
    return value if isinstance(value, str) and value in {_OAI, "none"} else None


def _region(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z0-9-]*", value) else None
