"""The CloudFront-* request headers, made from facts about the viewer (AWS: add CloudFront request headers).

They are added behind viewer-request and before the cache lookup. Whatever the viewer itself sent under these names
does not count: `with_edge_headers` takes it out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from edgefn.model.headers import Headers
from edgefn.model.message import Viewer
from edgefn.model.settings import RouteSettings

MAX_HEADER_ORDER: Final = 7680
_MAX_USER_AGENT: Final = 512
_PREFIX: Final = "cloudfront-"


@dataclass(frozen=True, slots=True)
class GeoFacts:
    """What a geographic database says about an address. "" where it says nothing."""

    country: str = ""
    country_name: str = ""
    region: str = ""
    region_name: str = ""
    city: str = ""
    postal_code: str = ""
    latitude: str = ""
    longitude: str = ""
    metro_code: str = ""
    time_zone: str = ""
    asn: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What this location sees of a viewer. `received` are the fields as they came in, before any function."""

    viewer: Viewer
    received: Headers
    version: str = "1.1"
    geo: GeoFacts | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """What kind of device a viewer is; several may hold."""

    desktop: bool
    mobile: bool
    tablet: bool
    smart_tv: bool
    android: bool
    ios: bool


_SMART_TV: Final = re.compile(
    r"smart-?tv|googletv|google tv|appletv|apple tv|hbbtv|netcast|web0s|webos\.tv|bravia|\baft[a-z]{1,4}\b|roku|viera"
    r"|android ?tv|tizen.*\btv\b|crkey",
    re.IGNORECASE,
)
_TABLET: Final = re.compile(r"ipad|tablet|kindle|playbook|\bsilk/(?!.*\bmobile\b)|\bkf[a-z]{2,4}\b", re.IGNORECASE)
_MOBILE: Final = re.compile(
    r"iphone|ipod|\bmobile\b|mobi\b|windows phone|blackberry|bb10|opera mini|iemobile|symbian", re.IGNORECASE
)
_ANDROID: Final = re.compile(r"android", re.IGNORECASE)
_IOS: Final = re.compile(r"iphone|ipad|ipod", re.IGNORECASE)


@lru_cache(maxsize=1024)
def classify(text: str) -> Device:
    """Return what the start of a User-Agent says of its device; what says nothing is a desktop, as with CloudFront."""
    android = _ANDROID.search(text) is not None
    smart_tv = _SMART_TV.search(text) is not None
    phone = _MOBILE.search(text) is not None
    tablet = not smart_tv and (_TABLET.search(text) is not None or (android and not phone))
    mobile = not smart_tv and not tablet and (phone or android)
    return Device(
        desktop=not (mobile or tablet or smart_tv),
        mobile=mobile,
        tablet=tablet,
        smart_tv=smart_tv,
        android=android,
        ios=_IOS.search(text) is not None,
    )


def _device(kind: Callable[[Device], bool]) -> Callable[[Seen], str]:
    def told(seen: Seen) -> str:
        user_agent = seen.received.get("user-agent") or ""
        return "true" if kind(classify(user_agent[:_MAX_USER_AGENT])) else "false"

    return told


def _geo(fact: Callable[[GeoFacts], str]) -> Callable[[Seen], str]:
    # Everything printable stays as it is: only what a header can't carry is percent-encoded.
    return lambda seen: "" if seen.geo is None else quote(fact(seen.geo), safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")


def _address(seen: Seen) -> str:
    return f"{seen.viewer.ip}:{seen.viewer.port}"


def _tls(seen: Seen) -> str:
    return "" if seen.viewer.tls is None else f"{seen.viewer.tls[0]}:{seen.viewer.tls[1]}:fullHandshake"


def _order(seen: Seen) -> str:
    return ":".join(name for name, _ in seen.received)[:MAX_HEADER_ORDER]


_VALUES: Final[Mapping[str, Callable[[Seen], str]]] = MappingProxyType(
    {
        "CloudFront-Is-Desktop-Viewer": _device(lambda device: device.desktop),
        "CloudFront-Is-Mobile-Viewer": _device(lambda device: device.mobile),
        "CloudFront-Is-Tablet-Viewer": _device(lambda device: device.tablet),
        "CloudFront-Is-SmartTV-Viewer": _device(lambda device: device.smart_tv),
        "CloudFront-Is-Android-Viewer": _device(lambda device: device.android),
        "CloudFront-Is-IOS-Viewer": _device(lambda device: device.ios),
        "CloudFront-Viewer-Country": _geo(lambda geo: geo.country),
        "CloudFront-Viewer-Country-Name": _geo(lambda geo: geo.country_name),
        "CloudFront-Viewer-Country-Region": _geo(lambda geo: geo.region),
        "CloudFront-Viewer-Country-Region-Name": _geo(lambda geo: geo.region_name),
        "CloudFront-Viewer-City": _geo(lambda geo: geo.city),
        "CloudFront-Viewer-Postal-Code": _geo(lambda geo: geo.postal_code),
        "CloudFront-Viewer-Latitude": _geo(lambda geo: geo.latitude),
        "CloudFront-Viewer-Longitude": _geo(lambda geo: geo.longitude),
        "CloudFront-Viewer-Metro-Code": _geo(lambda geo: geo.metro_code),
        "CloudFront-Viewer-Time-Zone": _geo(lambda geo: geo.time_zone),
        "CloudFront-Forwarded-Proto": lambda seen: "http" if seen.viewer.tls is None else "https",
        "CloudFront-Viewer-Http-Version": lambda seen: seen.version,
        "CloudFront-Viewer-ASN": _geo(lambda geo: geo.asn),
        "CloudFront-Viewer-Address": _address,
        "CloudFront-Viewer-TLS": _tls,
        "CloudFront-Viewer-Header-Order": _order,
        "CloudFront-Viewer-Header-Count": lambda seen: str(len(seen.received)),
    }
)
CANONICAL: Final[Mapping[str, str]] = MappingProxyType({name.lower(): name for name in _VALUES})
"""Every header that can be added: lower-case name -> name."""

NOT_IN_KEY: Final = frozenset(
    {
        "cloudfront-viewer-asn",
        "cloudfront-viewer-address",
        "cloudfront-viewer-tls",
        "cloudfront-viewer-header-order",
        "cloudfront-viewer-header-count",
    }
)
"""Too different from viewer to viewer to enter a cache key (AWS: origin request policies only)."""

NOT_AVAILABLE: Final = frozenset({"cloudfront-viewer-ja3-fingerprint", "cloudfront-viewer-ja4-fingerprint"})


def is_edge_header(name: str) -> bool:
    """Return whether the lower-case `name` is one that only the edge may set."""
    return name.startswith(_PREFIX) and (name in CANONICAL or name in NOT_AVAILABLE)


def wanted(route: RouteSettings) -> tuple[str, ...]:
    """Return the canonical names that `route` wants added: its `forwarding.added`, and those in the cache key."""
    in_key = (CANONICAL[name] for name in route.cache.headers if name in CANONICAL)
    return tuple(dict.fromkeys((*route.forwarding.added, *in_key)))


def with_edge_headers(headers: Headers, names: tuple[str, ...], seen: Seen) -> Headers:
    """Return `headers` with the CloudFront-* headers `names`, and without any that the viewer made up."""
    made_up = [name for name in headers.names() if is_edge_header(name)]
    lines = ((name, _VALUES[name](seen)) for name in names)
    return headers.without(*made_up).adding(*(line for line in lines if line[1]))
