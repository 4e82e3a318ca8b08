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
    """Everything that is needed to reach an origin. Times are seconds."""

    id: str
    domain: str
    port: int
    protocol: str = "http"
    kind: OriginKind = OriginKind.CUSTOM
    path: str = ""
    """Comes before the path of each request: "", or begins with "/"."""
    custom_headers: Headers = NO_HEADERS
    connect_timeout: float = 10.0
    connection_attempts: int = 3
    response_timeout: float = 30.0
    """Bounds the wait for the first byte, and between bytes."""
    completion_timeout: float | None = None
    """Bounds the whole response; None: no bound."""
    keepalive_timeout: float = 5.0
    """How long an idle connection is kept."""
    ssl_protocols: tuple[str, ...] = ("TLSv1.2",)
    tls_verify: bool = True
    tls_ca: str | None = None
    """Whom to trust: the absolute path of a PEM file, or what such a file holds, which begins with `PEM_BEGIN`.

    None: the system's.
    """
    address: str | None = None
    """Where to connect instead, "host:port"; names, SNI and Host still follow `domain`."""
    region: str = ""
    """Of a bucket, as `auth_method`."""
    auth_method: str = "none"
    host_header: str = ""
    """The Host value, when it is not the domain's."""

    @property
    def authority(self) -> str:
        """Return the Host value for this origin: the default port is left out (RFC 9110 section 7.2)."""
        if self.host_header:
            return self.host_header
        default = 443 if self.protocol == "https" else 80
        host = f"[{self.domain}]" if ":" in self.domain else self.domain
        return host if self.port == default else f"{host}:{self.port}"
