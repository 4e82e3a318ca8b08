"""The top of the file: one location, its listeners, its stores, and everything that is declared in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from edgefn.configuration.blob_stores import OPTIONS
from edgefn.configuration.document import Node, Scalar
from edgefn.configuration.functions import FUNCTION
from edgefn.configuration.functions import NAME as FUNCTION_NAME
from edgefn.configuration.functions import NAMING as FUNCTION_NAMING
from edgefn.configuration.guarding import SANDBOX, SIGNATURES
from edgefn.configuration.kinds import (
    Address,
    AddressText,
    Choice,
    Duration,
    FilePath,
    Judged,
    Size,
    Text,
    Whole,
    Workers,
)
from edgefn.configuration.listening import LISTEN
from edgefn.configuration.origins import GROUP, NAME, NAMING, ORIGIN, origin_of, url_flaw
from edgefn.configuration.reading import Declared, Field, Json, Reading, Section, Values
from edgefn.configuration.routes import Routes
from edgefn.configuration.shapes import Either, ListOf, MapOf, OneOrMany
from edgefn.model.origin import Origin
from edgefn.model.settings import (
    ErrorPage,
    FunctionLogging,
    FunctionSettings,
    OriginGroup,
    QuotaProfile,
    SandboxSettings,
    Settings,
    ShieldSettings,
    SignatureSettings,
    ViewerLimits,
)

T = TypeVar("T")

_TB: Final = 1024**4
_ERROR_STATUSES: Final = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
_LISTED: Final = ", ".join(map(str, _ERROR_STATUSES))
_PATTERN: Final = "|".join(map(str, _ERROR_STATUSES))
_NOWHERE: Final = ("", 0)
MAIN_SITE: Final = "main"
NO_SITE: Final = "off"


@dataclass(frozen=True, slots=True)
class _Admin:
    shape: str = "host:port, such as 127.0.0.1:8081, or off"

    def read(self, node: Node, at: str, reading: Reading) -> tuple[str, int]:
        """Return host and port, nowhere for `off`."""
        if isinstance(node, Scalar) and node.text == "off":
            return _NOWHERE
        return Address(self.shape).read(node, at, reading)

    def schema(self) -> Json:
        """Return an address or the word."""
        return {"oneOf": [Address().schema(), {"const": "off"}]}


SITE_NAME: Final = r"[A-Za-z0-9_-]{1,64}"


class _CacheFields:
    memory = Field(
        "memory",
        Size(0, _TB),
        "Memory for stored responses, in each process; knowing requests that come again takes up to an eighth more.",
        "256MB",
    )
    disk = Field("disk", Size(0, 1024 * _TB), "Disk for them, for all processes, in data_dir/cache; 0 is none.", "0")


CACHE: Final = Section("cache", _CacheFields, lambda values: (values[_CacheFields.memory], values[_CacheFields.disk]))


class _ViewerFields:
    headers_size = Field("headers_size", Size(1024, 1024**2), "Request line and headers; more is 494.", "32KB")
    headers_count = Field("headers_count", Whole(8, 10_000), "Header lines; more is 494.", "256")
    url_size = Field("url_size", Size(256, 1024**2), "Path and query; more is 414.", "8KB")
    body_size = Field("body_size", Size(0, _TB), "The body; more is 413.", "64GB")
    headers_timeout = Field("headers_timeout", Duration(0.01, 3600), "To send a request's headers.", "30s")
    keepalive_timeout = Field("keepalive_timeout", Duration(0, 3600), "Between requests of a connection.", "60s")
    half_close_timeout = Field(
        "half_close_timeout", Duration(0.01, 3600), "For an answer to begin after the viewer has ended its side.", "10s"
    )
    stall_timeout = Field("stall_timeout", Duration(0.01, 3600), "Without a byte going either way.", "60s")
    connections = Field("connections", Whole(1, 1_000_000), "Connections at one time, in each process.", "10000")


def _build_viewer(values: Values) -> ViewerLimits:
    return ViewerLimits(
        headers_size=values[_ViewerFields.headers_size],
        headers_count=values[_ViewerFields.headers_count],
        url_size=values[_ViewerFields.url_size],
        body_size=values[_ViewerFields.body_size],
        headers_timeout=values[_ViewerFields.headers_timeout],
        keepalive_timeout=values[_ViewerFields.keepalive_timeout],
        half_close_timeout=values[_ViewerFields.half_close_timeout],
        stall_timeout=values[_ViewerFields.stall_timeout],
        connections=values[_ViewerFields.connections],
    )


VIEWER: Final = Section("viewer", _ViewerFields, _build_viewer)


class _ShieldFields:
    secret = Field(
        "secret",
        FilePath("a path of a file"),
        "A file of at least 32 bytes that only the locations know: who has it may ask as an edge.",
        required=True,
    )
    locations = Field(
        "locations",
        ListOf(Judged("http://host:port or https://host:port", url_flaw), 1, 64),
        "Where the shields serve viewers. Default: none, this location is a shield of others only.",
    )


def _build_shield(values: Values) -> ShieldSettings:
    urls = values.get(_ShieldFields.locations) or ()
    return ShieldSettings(values[_ShieldFields.secret], tuple(map(_shield, urls)))


def _shield(url: str) -> Origin:
    """Return a shield as what requests are sent to. One that can't be reached must not be waited for long."""
    return replace(origin_of(url), id=url, connect_timeout=2.0, connection_attempts=1, keepalive_timeout=60.0)


SHIELD: Final = Section("shield", _ShieldFields, _build_shield)


class _DistributionFields:
    id = Field("id", Text("an id such as EDFDVBD6EXAMPLE", r"[A-Za-z0-9]{1,64}"), "As in events.", "EDGEFN00000000")
    domain = Field("domain", Text("a domain", r"[A-Za-z0-9.-]{1,253}"), "As in events. Default: one made of the id.")


def _build_distribution(values: Values) -> tuple[str, str]:
    return values[_DistributionFields.id], values.get(_DistributionFields.domain) or ""


DISTRIBUTION: Final = Section("distribution", _DistributionFields, _build_distribution)

_PAGE_PATH: Final = Text("a path such as /errors/404.html", r"/[!-~]*")


class _PageFields:
    path = Field("path", _PAGE_PATH, "Where the page is; the routes say which origin has it.", required=True)
    status = Field(
        "status", Text(f"200, or one of {_LISTED}", f"200|{_PATTERN}"), "The status to send. Default: as it was."
    )
    ttl = Field("ttl", Duration(0, 31_536_000), "How long to keep the error, at least.", "10s")


def _build_page(values: Values) -> ErrorPage:
    status = values.get(_PageFields.status)
    return ErrorPage(0, values[_PageFields.path], None if status is None else int(status), values[_PageFields.ttl])


@dataclass(frozen=True, slots=True)
class _PagePath:
    shape: str = _PAGE_PATH.shape

    def read(self, node: Node, at: str, reading: Reading) -> ErrorPage:
        """Return the page at a path, sent with the status unchanged."""
        return ErrorPage(0, _PAGE_PATH.read(node, at, reading))

    def schema(self) -> Json:
        """Return a string with a pattern."""
        return _PAGE_PATH.schema()


PAGE: Final = Section("error_pages.STATUS", _PageFields, _build_page)


_STORE_PATH: Final = FilePath("a path of a JSON file, or of a directory of them")


class _StoreFields:
    path = Field("path", _STORE_PATH, "The file, or a directory whose JSON files are one store.", required=True)


STORE: Final = Section("kvs.NAME", _StoreFields, lambda values: values[_StoreFields.path])

STORES: Final = MapOf(Either(_STORE_PATH, STORE), FUNCTION_NAME, FUNCTION_NAMING)


class _Fields:
    location = Field(
        "location",
        Text("a name such as fra1", r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
        "The name of this location.",
        required=True,
    )
    site = Field(
        "site",
        Text("a name such as main, or off", SITE_NAME),
        "Whose published configuration (`edgefn apply`) takes the place of this file's, once there is one; `off`: "
        "nobody's. With a name here, what is published may be left out of the file.",
        MAIN_SITE,
    )
    listen = Field("listen", OneOrMany(LISTEN), "Where viewers are served.", required=True)
    admin = Field("admin", _Admin(), "Where control API, metrics and dashboard are; keep it private.", "127.0.0.1:8081")
    workers = Field("workers", Workers(), "Processes; `auto` is one per core.", "1")
    data_dir = Field("data_dir", FilePath("a path of a directory"), "Functions, disk cache and logs.", "./var")
    cache = Field("cache", CACHE, "How much is stored.")
    origins = Field(
        "origins", MapOf(ORIGIN, NAME, NAMING), "Where answers come from, by name. Required without `site`."
    )
    origin_groups = Field("origin_groups", MapOf(GROUP, NAME, NAMING), "Pairs of origins with failover, by name.")
    functions = Field("functions", MapOf(FUNCTION, FUNCTION_NAME, FUNCTION_NAMING), "The functions, by name.")
    kvs = Field("kvs", STORES, "Key-value stores, by name.")
    routes = Field(
        "routes", Routes(), "Which requests go where; the first one that fits wins. Required as `origins` is."
    )
    default_root_object = Field(
        "default_root_object",
        Text("a path such as index.html, without a slash in front", r"(?!/)[!->@-~]{1,255}"),
        "What is served for `/`.",
    )
    error_pages = Field(
        "error_pages",
        MapOf(Either(_PagePath(), PAGE), _PATTERN, f"one of the statuses {_LISTED}"),
        "Pages to send in place of errors, by status.",
    )
    quotas = Field("quotas", Choice(QuotaProfile), "Which of AWS's quotas for functions hold.", QuotaProfile.AWS_2025)
    viewer = Field("viewer", VIEWER, "What a viewer may send, and how slowly.")
    sandbox = Field("sandbox", SANDBOX, "How functions are shut in.")
    signatures = Field("signatures", SIGNATURES, "Who may publish.")
    blob_options = Field(
        "blob_options",
        OPTIONS,
        "For reading large bundles from the object store of the fleet, in place of what the environment says "
        "(AWS_ACCESS_KEY_ID and the like).",
    )
    geo_database = Field("geo_database", FilePath("a path of an .mmdb file"), "For the geographic headers.")
    shield = Field("shield", SHIELD, "Other locations between this one and the origins (AWS: Origin Shield).")
    distribution = Field("distribution", DISTRIBUTION, "What events say of the distribution.")
    resolve = Field(
        "resolve",
        MapOf(AddressText(), r"[A-Za-z0-9._-]{1,253}", "a domain"),
        "Domains that are found at host:port instead, whoever asks for them.",
    )
    access_log = Field(
        "access_log", FilePath("a path, - for standard output, or off", ("-", "off")), "Where requests are logged.", "-"
    )
    function_log = Field(
        "function_log",
        Choice(FunctionLogging),
        "What is logged of functions: also a START, END and REPORT line for each invocation, or only what they write.",
        FunctionLogging.ALL,
    )
    drain_timeout = Field(
        "drain_timeout", Duration(0, 3600), "How long requests under way may take when edgefn stops.", "30s"
    )


def build(values: Values) -> Settings:
    """Return the settings of a document in which nothing was found wrong."""
    admin = values[_Fields.admin]
    cache_memory, cache_disk = values.get(_Fields.cache) or (256 * 1024**2, 0)
    distribution_id, distribution_domain = values.get(_Fields.distribution) or ("EDGEFN00000000", "")
    log = values[_Fields.access_log]
    return Settings(
        location=values[_Fields.location],
        listen=values[_Fields.listen],
        site="" if values[_Fields.site] == NO_SITE else values[_Fields.site],
        routes=values.get(_Fields.routes) or (),
        origins=_origins(values),
        origin_groups=_groups(values),
        functions=_functions(values),
        kvs=values.get(_Fields.kvs) or {},
        admin=None if admin == _NOWHERE else admin,
        workers=values[_Fields.workers],
        data_dir=values[_Fields.data_dir],
        cache_memory=cache_memory,
        cache_disk=cache_disk,
        default_root_object=values.get(_Fields.default_root_object) or "",
        error_pages=_error_pages(values),
        quotas=values[_Fields.quotas],
        viewer=values.get(_Fields.viewer) or ViewerLimits(),
        sandbox=values.get(_Fields.sandbox) or SandboxSettings(),
        signatures=values.get(_Fields.signatures) or SignatureSettings(),
        blob_options=values.get(_Fields.blob_options) or {},
        geo_database=values.get(_Fields.geo_database) or "",
        shield=values.get(_Fields.shield),
        distribution_id=distribution_id,
        distribution_domain=distribution_domain,
        resolve=_lowered(values.get(_Fields.resolve) or {}),
        access_log="" if log == "off" else log,
        function_log=values[_Fields.function_log],
        drain_timeout=values[_Fields.drain_timeout],
    )


def _origins(values: Values) -> dict[str, Origin]:
    return {name: replace(origin, id=name) for name, origin in (values.get(_Fields.origins) or {}).items()}


def _groups(values: Values) -> dict[str, OriginGroup]:
    return {name: replace(group, id=name) for name, group in (values.get(_Fields.origin_groups) or {}).items()}


def _functions(values: Values) -> dict[str, FunctionSettings]:
    stores = values.get(_Fields.kvs) or {}
    return {
        name: replace(function, name=name, kvs=stores.get(function.kvs, ""))
        for name, function in (values.get(_Fields.functions) or {}).items()
    }


def _error_pages(values: Values) -> dict[int, ErrorPage]:
    pages = values.get(_Fields.error_pages) or {}
    return {int(status): replace(page, status=int(status)) for status, page in pages.items()}


def _lowered(mapping: Mapping[str, T]) -> dict[str, T]:
    return {key.lower(): value for key, value in mapping.items()}


def declared(values: Values) -> Declared:
    """Return what the document declares, for the checks that look across it."""
    return Declared(
        origins=values.names(_Fields.origins),
        groups=values.names(_Fields.origin_groups),
        function_names=values.names(_Fields.functions),
        stores=values.names(_Fields.kvs),
        functions=_functions(values),
        quotas=values[_Fields.quotas],
    )


def check(values: Values) -> None:
    """Report what is wrong between the top settings themselves."""
    _check_shared(values)
    for name in set(values.names(_Fields.origins)).intersection(values.names(_Fields.origin_groups)):
        values.wrong(_Fields.origin_groups, f'"{name}" is the name of an origin too; take another one')
    taken = [(listen.host, listen.port) for listen in values.get(_Fields.listen) or () if listen.port]
    if values[_Fields.admin] in taken:
        values.wrong(_Fields.admin, "is an address of listen too; take another port")
    if len(set(taken)) < len(taken):
        values.wrong(_Fields.listen, "has an address twice; take one out")


def _check_shared(values: Values) -> None:
    """Report what is missing of that which only a named site may bring instead."""
    wanted: tuple[Field[object], ...] = (_Fields.origins, _Fields.routes)
    is_brought = values.given(_Fields.site) is not None and values[_Fields.site] != NO_SITE
    if is_brought and not any(values.given(each) for each in wanted):
        return
    for each in wanted:
        if values.given(each) is None:
            values.wrong(each, f"is missing; write {each.kind.shape}")


def _nothing(values: Values) -> Values:
    return values


LOCATION: Final = Section("", _Fields, _nothing)
