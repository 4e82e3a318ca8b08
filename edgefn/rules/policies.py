"""AWS's managed policies, by name and by id (AWS: managed cache policies, managed origin request policies)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from edgefn.model.settings import ALL, NONE, CachePolicy, Forwarding, Selecting, Selection
from edgefn.rules.error_caching import ALWAYS_KEPT

_YEAR: Final = 31_536_000.0
_DAY: Final = 86_400.0
_ERROR_CACHING_MIN_TTL: Final = 10.0
_BOTH: Final = ("gzip", "br")
_METHOD_OVERRIDES: Final = ("host", "origin", "x-http-method", "x-http-method-override", "x-method-override")
_CORS: Final = ("access-control-request-headers", "access-control-request-method", "origin")

_ALL_CLOUDFRONT_2022_06: Final = (
    "CloudFront-Forwarded-Proto",
    "CloudFront-Is-Android-Viewer",
    "CloudFront-Is-Desktop-Viewer",
    "CloudFront-Is-IOS-Viewer",
    "CloudFront-Is-Mobile-Viewer",
    "CloudFront-Is-SmartTV-Viewer",
    "CloudFront-Is-Tablet-Viewer",
    "CloudFront-Viewer-Address",
    "CloudFront-Viewer-ASN",
    "CloudFront-Viewer-City",
    "CloudFront-Viewer-Country",
    "CloudFront-Viewer-Country-Name",
    "CloudFront-Viewer-Country-Region",
    "CloudFront-Viewer-Country-Region-Name",
    "CloudFront-Viewer-Http-Version",
    "CloudFront-Viewer-Latitude",
    "CloudFront-Viewer-Longitude",
    "CloudFront-Viewer-Metro-Code",
    "CloudFront-Viewer-Postal-Code",
    "CloudFront-Viewer-Time-Zone",
    "CloudFront-Viewer-TLS",
)


@dataclass(frozen=True, slots=True)
class ManagedCachePolicy:
    """One of AWS's cache policies."""

    id: str
    name: str
    policy: CachePolicy


@dataclass(frozen=True, slots=True)
class ManagedOriginRequestPolicy:
    """One of AWS's origin request policies."""

    id: str
    name: str
    policy: Forwarding


def _only(*names: str) -> Selection:
    return Selection(Selecting.ONLY, names)


def _as_aws(policy: CachePolicy) -> CachePolicy:
    """Return `policy` with what CloudFront does besides: no heuristics, errors kept, stale served while it may be."""
    return replace(
        policy,
        heuristic_ttl=0.0,
        error_ttls=tuple((status, _ERROR_CACHING_MIN_TTL) for status in ALWAYS_KEPT),
        serve_stale=_YEAR,
        stale_if_error=_YEAR,
        stale_retry=_ERROR_CACHING_MIN_TTL,
    )


CACHE_POLICIES: Final = (
    ManagedCachePolicy(
        "658327ea-f89d-4fab-a63d-7e88639e58f6",
        "CachingOptimized",
        _as_aws(CachePolicy(min_ttl=1.0, default_ttl=_DAY, max_ttl=_YEAR, query=NONE, encodings=_BOTH)),
    ),
    ManagedCachePolicy(
        "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
        "CachingDisabled",
        CachePolicy(enabled=False, max_ttl=0.0, query=NONE),
    ),
    ManagedCachePolicy(
        "b2884449-e4de-46a7-ac36-70bc7f1ddd6d",
        "CachingOptimizedForUncompressedObjects",
        _as_aws(CachePolicy(min_ttl=1.0, default_ttl=_DAY, max_ttl=_YEAR, query=NONE)),
    ),
    ManagedCachePolicy(
        "83da9c7e-98b4-4e11-a168-04f0df8e2c65",
        "UseOriginCacheControlHeaders",
        _as_aws(CachePolicy(max_ttl=_YEAR, headers=_METHOD_OVERRIDES, cookies=ALL, query=NONE, encodings=_BOTH)),
    ),
    ManagedCachePolicy(
        "4cc15a8a-d715-48a4-82b8-cc0b614638fe",
        "UseOriginCacheControlHeaders-QueryStrings",
        _as_aws(CachePolicy(max_ttl=_YEAR, headers=_METHOD_OVERRIDES, cookies=ALL, query=ALL, encodings=_BOTH)),
    ),
    ManagedCachePolicy(
        "08627262-05a9-4f76-9ded-b50ca2e3a84f",
        "Elemental-MediaPackage",
        _as_aws(
            CachePolicy(
                default_ttl=_DAY,
                max_ttl=_YEAR,
                headers=("origin",),
                query=_only("aws.manifestfilter", "start", "end", "m"),
                encodings=("gzip",),
            )
        ),
    ),
    ManagedCachePolicy(
        "2e54312d-136d-493c-8eb9-b001f22f67d2",
        "Amplify",
        _as_aws(
            CachePolicy(
                min_ttl=2.0,
                default_ttl=2.0,
                max_ttl=600.0,
                headers=("authorization", "cloudfront-viewer-country", "host"),
                cookies=ALL,
                query=ALL,
                encodings=_BOTH,
            )
        ),
    ),
)

ORIGIN_REQUEST_POLICIES: Final = (
    ManagedOriginRequestPolicy("216adef6-5c7f-47e4-b989-5492eafa07d3", "AllViewer", Forwarding(viewer_host=True)),
    ManagedOriginRequestPolicy(
        "b689b0a8-53d0-40ab-baf2-68738e2966ac",
        "AllViewerExceptHostHeader",
        Forwarding(headers=Selection(Selecting.EXCEPT, ("host",))),
    ),
    ManagedOriginRequestPolicy(
        "33f36d7e-f396-46d9-90e0-52428a34d9dc",
        "AllViewerAndCloudFrontHeaders-2022-06",
        Forwarding(viewer_host=True, added=_ALL_CLOUDFRONT_2022_06),
    ),
    ManagedOriginRequestPolicy(
        "59781a5b-3903-41f3-afcb-af62929ccde1",
        "CORS-CustomOrigin",
        Forwarding(headers=_only("origin"), cookies=NONE, query=NONE),
    ),
    ManagedOriginRequestPolicy(
        "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",
        "CORS-S3Origin",
        Forwarding(headers=_only(*_CORS), cookies=NONE, query=NONE),
    ),
    ManagedOriginRequestPolicy(
        "acba4595-bd28-49b8-b9fe-13317c0390fa",
        "UserAgentRefererHeaders",
        Forwarding(headers=_only("referer", "user-agent"), cookies=NONE, query=NONE),
    ),
    ManagedOriginRequestPolicy(
        "bf0718e1-ba1e-49d1-88b1-f726733018ae",
        "HostHeaderOnly",
        Forwarding(headers=NONE, cookies=NONE, query=NONE, viewer_host=True),
    ),
    ManagedOriginRequestPolicy(
        "775133bc-15f2-49f9-abea-afb2e0bf67d2",
        "Elemental-MediaTailor-PersonalizedManifests",
        Forwarding(headers=_only(*_CORS, "user-agent", "x-forwarded-for"), cookies=NONE, query=ALL),
    ),
)


def cache_policy(wanted: str) -> CachePolicy | None:
    """Return the managed cache policy with this name (with or without "Managed-") or id, or None."""
    return next((known.policy for known in CACHE_POLICIES if _is(wanted, known.id, known.name)), None)


def origin_request_policy(wanted: str) -> Forwarding | None:
    """Return the managed origin request policy with this name (with or without "Managed-") or id, or None."""
    return next((known.policy for known in ORIGIN_REQUEST_POLICIES if _is(wanted, known.id, known.name)), None)


def names(policies: Iterable[ManagedCachePolicy | ManagedOriginRequestPolicy]) -> list[str]:
    """Return the names of `policies`."""
    return [known.name for known in policies]


def _is(wanted: str, id_: str, name: str) -> bool:
    return wanted.removeprefix("Managed-") == name or wanted.lower() == id_
