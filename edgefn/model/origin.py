"""Where a request goes: an origin of the configuration, or one that an origin-request function chose."""

from dataclasses import dataclass
from enum import StrEnum

from edgefn.model.headers import NO_HEADERS, Headers

PEM_BEGIN = "-----BEGIN CERTIFICATE-----"


class OriginKind(StrEnum):
    """The two shapes of `origin` in an event."""

    CUSTOM = "custom"
    S3 = "s3"


@dataclass(frozen=True, slots=True)
class Origin:
    """Everything that is needed to reach an origin. Times are seconds; `path` is "" or starts with "/".

    `response_timeout` bounds the wait for the first byte and between bytes; `completion_timeout` the whole
    response (None: no bound). `keepalive_timeout` is how long an idle connection is kept.
    `tls_ca` is the absolute path of a PEM file with the authorities to trust, or begins with `PEM_BEGIN` and is what
    such a file holds; None: the system's authorities.
    `address` overrides where to connect ("host:port"); names, SNI and Host still follow `domain`.
    `region` and `auth_method` are those of an S3 origin. `host_header` is the Host value when it is not the domain's.
    """

    id: str
    domain: str
    port: int
    protocol: str = "http"
    kind: OriginKind = OriginKind.CUSTOM
    path: str = ""
    custom_headers: Headers = NO_HEADERS
    connect_timeout: float = 10.0
    connection_attempts: int = 3
    response_timeout: float = 30.0
    completion_timeout: float | None = None
    keepalive_timeout: float = 5.0
    ssl_protocols: tuple[str, ...] = ("TLSv1.2",)
    tls_verify: bool = True
    tls_ca: str | None = None
    address: str | None = None
    region: str = ""
    auth_method: str = "none"
    host_header: str = ""

    @property
    def authority(self) -> str:
        """Return the Host value for this origin: the default port is left out (RFC 9110 section 7.2)."""
        if self.host_header:
            return self.host_header
        default = 443 if self.protocol == "https" else 80
        host = f"[{self.domain}]" if ":" in self.domain else self.domain
        return host if self.port == default else f"{host}:{self.port}"
