"""`origins` and `origin_groups`: where answers come from."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from edgefn.configuration.authorities import Authorities
from edgefn.configuration.kinds import AddressText, Choice, Duration, Flag, Judged, Text, Whole
from edgefn.configuration.reading import Declared, Field, Section, Values, did_you_mean
from edgefn.configuration.shapes import ListOf, MapOf
from edgefn.model.headers import Headers
from edgefn.model.origin import Origin, OriginKind
from edgefn.model.settings import OriginGroup
from edgefn.rules.edge_headers import is_denied_to_origin

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
NAMING: Final = "a name of letters, digits, dots, dashes and underscores"
HEADER_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}"

MAX_HEADERS: Final = 30
MAX_HEADERS_SIZE: Final = 10_240
MAX_HEADER_VALUE: Final = 1783
FAILOVER: Final = (400, 403, 404, 416, 429, 500, 502, 503, 504)

_URL_SHAPE: Final = "http://host:port/path or https://host/path"
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_S3: Final = re.compile(r".+\.s3(?:[.-](?!website)(?:dualstack\.)?([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")


def url_flaw(text: str) -> str | None:
    """Return what is wrong with an origin's URL, or None."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return f'"{text}" is not a URL; write {_URL_SHAPE}'
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.hostname or "") or port == 0:
        return f'"{text}" is not a URL of an origin; write {_URL_SHAPE}'
    if url.username is not None or "?" in text or "#" in text:
        return f'"{text}" has more than scheme, host, port and path; write {_URL_SHAPE}'
    if not _PATH.fullmatch(url.path) or len(url.path) > 255:
        return f'"{url.path}" can\'t be the path of an origin; percent-encode it, in at most 255 characters'
    return None


@dataclass(frozen=True, slots=True)
class _Tls:
    verify: bool
    ca: str | None
    protocols: tuple[str, ...]


_PROTOCOLS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2")


class _TlsFields:
    verify = Field("verify", Flag(), "Whether the origin's certificate must be valid for its name.", "true")
    ca = Field(
        "ca",
        Authorities(),
        "Authorities to trust instead of the system's. `edgefn apply` publishes the certificates in the file.",
    )
    protocols = Field(
        "protocols",
        ListOf(Text("TLSv1, TLSv1.1 or TLSv1.2", "|".join(map(re.escape, _PROTOCOLS))), 1, 3),
        "The TLS versions that events show; the newest common one is used. Default: `[TLSv1.2]`.",
    )


def _build_tls(values: Values) -> _Tls:
    protocols = values.get(_TlsFields.protocols) or ("TLSv1.2",)
    return _Tls(values[_TlsFields.verify], values.get(_TlsFields.ca), protocols)


TLS: Final = Section("tls", _TlsFields, _build_tls)


class _Fields:
    url = Field("url", Judged(_URL_SHAPE, url_flaw), "Scheme, host, port and path of the origin.", required=True)
    type = Field("type", Choice(OriginKind), "`s3` for a bucket. Default: by the domain, `s3` for *.s3.*amazonaws.com.")
    address = Field("address", AddressText(), "Where to connect instead; Host, TLS names and events keep the url's.")
    connect_timeout = Field("connect_timeout", Duration(0.001, 60), "Bounds one attempt to connect.", "10s")
    connection_attempts = Field("connection_attempts", Whole(1, 3), "How often to try to connect.", "3")
    response_timeout = Field(
        "response_timeout", Duration(0.001, 120), "Bounds the wait for the first byte, and between bytes.", "30s"
    )
    completion_timeout = Field(
        "completion_timeout", Duration(0.001, 86_400), "Bounds the whole response. Default: no bound."
    )
    keepalive_timeout = Field("keepalive_timeout", Duration(0, 300), "How long an idle connection is kept.", "5s")
    headers = Field(
        "headers",
        MapOf(Text("the header's value", r"[\t\x20-\x7e]*"), HEADER_NAME, "a header name"),
        "Custom headers for this origin; each takes the place of the viewer's header of that name.",
    )
    tls = Field("tls", TLS, "How to trust the origin.")


def _build(values: Values) -> Origin:
    url = urlsplit(values[_Fields.url])
    domain = (url.hostname or "").lower()
    bucket = _S3.fullmatch(domain)
    kind = values.get(_Fields.type) or (OriginKind.S3 if bucket else OriginKind.CUSTOM)
    tls = values.get(_Fields.tls) or _Tls(verify=True, ca=None, protocols=("TLSv1.2",))
    completion = values.get(_Fields.completion_timeout)
    if completion is not None and completion < values[_Fields.response_timeout]:
        values.wrong(_Fields.completion_timeout, "is shorter than response_timeout; write at least as much")
    _check_headers(values)
    return Origin(
        id="",
        domain=domain,
        port=_port(url),
        protocol=url.scheme,
        kind=kind,
        path=url.path.rstrip("/"),
        custom_headers=Headers((values.get(_Fields.headers) or {}).items()),
        connect_timeout=values[_Fields.connect_timeout],
        connection_attempts=values[_Fields.connection_attempts],
        response_timeout=values[_Fields.response_timeout],
        completion_timeout=completion,
        keepalive_timeout=values[_Fields.keepalive_timeout],
        ssl_protocols=tls.protocols,
        tls_verify=tls.verify,
        tls_ca=tls.ca,
        address=values.get(_Fields.address),
        region=(bucket[1] or "us-east-1") if bucket and kind is OriginKind.S3 else "",
    )


def origin_of(text: str) -> Origin:
    """Return the origin at a URL in which `url_flaw` finds nothing, with the defaults for all the rest."""
    url = urlsplit(text)
    return Origin("", (url.hostname or "").lower(), _port(url), url.scheme, path=url.path.rstrip("/"))


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _check_headers(values: Values) -> None:
    """Report custom headers beyond AWS's quotas, or of a name that it denies (AWS: add custom headers)."""
    headers = values.get(_Fields.headers) or {}
    for name in headers:
        if is_denied_to_origin(name.lower()):
            values.wrong(_Fields.headers, f'"{name}" can\'t be a custom header; take it out')
        if len(headers[name]) > MAX_HEADER_VALUE:
            values.wrong(_Fields.headers, f'the value of "{name}" is longer than {MAX_HEADER_VALUE}; shorten it')
    if len(headers) > MAX_HEADERS:
        values.wrong(_Fields.headers, f"has {len(headers)} headers; write at most {MAX_HEADERS}")
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADERS_SIZE:
        values.wrong(_Fields.headers, f"is longer than {MAX_HEADERS_SIZE} characters in all; shorten it")


ORIGIN: Final = Section("origins.NAME", _Fields, _build)


class _GroupFields:
    members = Field(
        "members",
        ListOf(Text("an origin's name", NAME), 2, 2),
        "The primary origin, and the one that is asked when it fails.",
        required=True,
    )
    failover = Field(
        "failover",
        ListOf(Text(f"one of {', '.join(map(str, FAILOVER))}", "|".join(map(str, FAILOVER))), 1, len(FAILOVER)),
        "The statuses on which the second origin is asked; 503 stands for a failed connection too, 504 for a timeout.",
        required=True,
    )


def _build_group(values: Values) -> OriginGroup:
    members = values[_GroupFields.members]
    statuses = frozenset(int(status) for status in values[_GroupFields.failover])

    def check(declared: Declared) -> None:
        for name in members:
            if name not in declared.origins:
                meant = did_you_mean(name, declared.origins)
                values.wrong(_GroupFields.members, f'there is no origin "{name}"; {meant}')

    if len(members) != 2 or members[0] == members[1]:
        values.wrong(_GroupFields.members, "must be two different origins")
        return OriginGroup("", ("", ""), statuses)
    values.later(check)
    return OriginGroup("", (members[0], members[1]), statuses)


GROUP: Final = Section("origin_groups.NAME", _GroupFields, _build_group)
