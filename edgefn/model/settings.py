"""The whole configuration as frozen values. Made by `edgefn.configuration`; swapped whole, never edited.

Sizes are bytes and times seconds, unless a field says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from edgefn.model.hook import Event
from edgefn.model.origin import Origin


class Selecting(StrEnum):
    """How a `Selection` reads its names."""

    ALL = "all"
    NONE = "none"
    ONLY = "only"
    EXCEPT = "except"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which headers, cookies or query parameters are meant. Header names are lower-case."""

    mode: Selecting
    names: tuple[str, ...] = ()


ALL = Selection(Selecting.ALL)
NONE = Selection(Selecting.NONE)


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """A route's cache settings (AWS: cache policy). TTLs as in CloudFront's table; all zero is no floor at all."""

    enabled: bool = True
    """False is CachingDisabled: nothing is stored, nothing collapsed."""
    min_ttl: float = 0.0
    default_ttl: float = 0.0
    max_ttl: float = 31_536_000.0
    headers: tuple[str, ...] = ()
    """Those that enter the key, lower-case; `cookies` and `query` are the same."""
    cookies: Selection = NONE
    query: Selection = ALL
    sort_query: bool = False
    """The order of the parameters makes no difference to the key."""
    encodings: tuple[str, ...] = ()
    """The codings (of gzip, br, zstd) for which Accept-Encoding is normalised and enters the key.

    With none it is an ordinary header.
    """
    compress: bool = False
    """The edge compresses, by these codings, what the origin didn't."""
    heuristic_ttl: float = 86_400.0
    """The most that Last-Modified can earn a response that says nothing of its lifetime."""
    error_ttls: tuple[tuple[int, float], ...] = ()
    """The least times to keep a response, or a failure (502, 504), by status (AWS: ErrorCachingMinTTL)."""
    serve_stale: float = 86_400.0
    """How long beyond its lifetime a response may stand in for an origin that can't be reached."""
    stale_if_error: float = 0.0
    """The same for one that answers 500, 502, 503 or 504, unless the response says itself how long."""
    stale_retry: float = 1.0
    """How long the origin is left alone after either."""
    honour_request: bool = False
    """Cache-Control and Pragma of a viewer count."""
    targeted: tuple[str, ...] = ("edgefn-cache-control", "cdn-cache-control")
    """The fields, lower-case, that outweigh Cache-Control here, the first one first (RFC 9213)."""
    tag_headers: tuple[str, ...] = ("cache-tag",)
    """The fields, lower-case, that list the tags to purge by."""
    cache_status: bool = True
    """Each answer says in Cache-Status how the cache handled it (RFC 9211)."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What of the viewer's request the origin gets (AWS: origin request policy).

    `viewer_host`: the viewer's Host goes on instead of the origin's.
    `added` are the CloudFront-* headers to add, by canonical name.
    What is in the cache key goes to the origin in any case.
    """

    headers: Selection = ALL
    cookies: Selection = ALL
    query: Selection = ALL
    viewer_host: bool = False
    added: tuple[str, ...] = ()


class ViewerProtocol(StrEnum):
    """AWS's ViewerProtocolPolicy."""

    ALLOW_ALL = "allow-all"
    REDIRECT_TO_HTTPS = "redirect-to-https"
    HTTPS_ONLY = "https-only"


class OnFailure(StrEnum):
    """What becomes of a request whose function failed: the error (as AWS), or what may stand in for the function.

    OPEN: the function is left out. STALE: a stale response is served, if there is one. PREVIOUS: the last good version
    of the alias runs instead.
    """

    FAIL = "fail"
    OPEN = "open"
    STALE = "stale"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class HookSettings:
    """Which function runs at a hook. `qualifier` is a version or an alias; "" is the configured code."""

    function: str
    qualifier: str = ""
    include_body: bool = False
    on_failure: OnFailure = OnFailure.FAIL


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """A path pattern and what holds below it (AWS: cache behavior). `origin` names an origin or an origin group."""

    path: str
    origin: str
    viewer_protocol: ViewerProtocol = ViewerProtocol.ALLOW_ALL
    cache: CachePolicy = field(default_factory=CachePolicy)
    forwarding: Forwarding = field(default_factory=Forwarding)
    hooks: Mapping[Event, HookSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OriginGroup:
    """A primary and a secondary origin, and the statuses on which the second one is asked."""

    id: str
    members: tuple[str, str]
    statuses: frozenset[int]


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """A custom error response: for `status`, the page at `path`, sent as `response_status` (None: unchanged)."""

    status: int
    path: str
    response_status: int | None = None
    ttl: float = 10.0


CLOUDFRONT_JS: Final = "cloudfront-js-"
"""What the runtimes of CloudFront Functions begin with. All other functions are Lambda@Edge's."""


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """A function and its limits."""

    name: str
    path: str
    """Absolute: a directory, a zip, or one source file."""
    runtime: str
    handler: str = "index.handler"
    timeout: float = 5.0
    memory: int = 128
    """In MB, as AWS."""
    environment: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 100
    """Bounds the sandboxes, and so the invocations at one time."""
    provisioned: int = 0
    """So many sandboxes are started ahead."""
    idle_timeout: float = 300.0
    network: tuple[str, ...] = ()
    """The "host:port" that it may connect to; empty: no network at all."""
    kvs: str = ""
    """The absolute path of the key-value store that it reads, or the name of one where it runs; "": none."""
    layers: tuple[str, ...] = ()
    """Absolute paths too: their files lie under those of `path`, the later ones over the earlier ones."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a PEM chain and its key; served to the names that the certificate itself lists."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Listen:
    """One viewer address; with certificates it speaks TLS (the first one when SNI matches none)."""

    host: str
    port: int
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewerLimits:
    """What a viewer may send and how slowly (CloudFront's quotas). Sizes in bytes."""

    headers_size: int = 32_768
    headers_count: int = 256
    url_size: int = 8_192
    body_size: int = 64 * 1024**3
    headers_timeout: float = 30.0
    keepalive_timeout: float = 60.0
    half_close_timeout: float = 10.0
    stall_timeout: float = 60.0
    connections: int = 10_000


class QuotaProfile(StrEnum):
    """Which of AWS's quota tables holds for functions."""

    AWS_2025 = "aws-2025"
    AWS_LEGACY = "aws-legacy"


class SandboxMode(StrEnum):
    """How weak a sandbox the operator accepts."""

    REQUIRED = "required"
    LANDLOCK = "landlock"
    NONE_I_KNOW = "none-i-know"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """`user`: whom to become before a sandbox starts, when edgefn itself is root. "" picks edgefn, then nobody.

    `interpreters` are programs by the runtime that they run; for others one is looked for.
    """

    mode: SandboxMode = SandboxMode.REQUIRED
    user: str = ""
    parked: int = 1
    interpreters: Mapping[str, str] = field(default_factory=dict)


class SignaturePolicy(StrEnum):
    """What becomes of a record without a signature that counts (AWS: UntrustedArtifactOnDeployment)."""

    WARN = "warn"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class SignatureSettings:
    """`keys` is the directory of keys, "" for the one in the data directory (`functions.keys`)."""

    keys: str = ""
    policy: SignaturePolicy = SignaturePolicy.WARN


class FunctionLogging(StrEnum):
    """What is logged of functions: all, only what they write themselves, or nothing."""

    ALL = "all"
    OUTPUT = "output"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ShieldSettings:
    """Locations to ask in the place of the origins, and the file with the secret that both sides know.

    Without `locations` this location is only a shield of others.
    """

    secret: str
    locations: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """One location. `routes` end with the catch-all; none at all: nothing is configured yet, a published configuration
    brings them. `site` is whose that is, "" for nobody's. `resolve` maps a domain to "host:port", for tests.

    `workers` 0 is one per core; `access_log` "-" is standard output and "" none. `kvs` are the absolute paths of the
    key-value stores, by name.
    """

    location: str
    listen: tuple[Listen, ...]
    routes: tuple[RouteSettings, ...]
    origins: Mapping[str, Origin]
    site: str = "main"
    origin_groups: Mapping[str, OriginGroup] = field(default_factory=dict)
    functions: Mapping[str, FunctionSettings] = field(default_factory=dict)
    kvs: Mapping[str, str] = field(default_factory=dict)
    admin: tuple[str, int] | None = ("127.0.0.1", 8081)
    workers: int = 1
    data_dir: str = "./var"
    cache_memory: int = 256 * 1024**2
    cache_disk: int = 0
    default_root_object: str = ""
    error_pages: Mapping[int, ErrorPage] = field(default_factory=dict)
    quotas: QuotaProfile = QuotaProfile.AWS_2025
    viewer: ViewerLimits = field(default_factory=ViewerLimits)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    signatures: SignatureSettings = field(default_factory=SignatureSettings)
    geo_database: str = ""
    shield: ShieldSettings | None = None
    blob_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    distribution_id: str = "EDGEFN00000000"
    distribution_domain: str = ""
    resolve: Mapping[str, str] = field(default_factory=dict)
    access_log: str = "-"
    function_log: FunctionLogging = FunctionLogging.ALL
    drain_timeout: float = 30.0
