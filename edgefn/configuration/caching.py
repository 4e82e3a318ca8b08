"""A route's `cache` and `forward`: what is stored for how long under which key, and what the origin gets to see."""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from edgefn.configuration.kinds import Choice, Duration, Judged, Text
from edgefn.configuration.quantities import format_duration
from edgefn.configuration.reading import Field, Section, Values, did_you_mean
from edgefn.configuration.selections import HEADERS, PARAMETERS, KeyHeaders
from edgefn.configuration.shapes import ListOf
from edgefn.model.settings import CachePolicy, Forwarding, Selecting
from edgefn.rules.policies import (
    CACHE_POLICIES,
    ORIGIN_REQUEST_POLICIES,
    cache_policy,
    names,
    origin_request_policy,
)
from edgefn.rules.viewer_headers import CANONICAL, NOT_AVAILABLE, NOT_IN_KEY

_FOREVER: Final = 100 * 365 * 86_400
_UNKEYABLE: Final = frozenset({"connection", "cookie", "te", "trailer", "transfer-encoding", "upgrade", *NOT_IN_KEY})


def _cache_policy_flaw(text: str) -> str | None:
    known = names(CACHE_POLICIES)
    return None if cache_policy(text) else f'"{text}" is no managed cache policy; {did_you_mean(text, known)}'


def _origin_policy_flaw(text: str) -> str | None:
    known = names(ORIGIN_REQUEST_POLICIES)
    if origin_request_policy(text):
        return None
    return f'"{text}" is no managed origin request policy; {did_you_mean(text, known)}'


class _KeyFields:
    headers = Field("headers", KeyHeaders(), "The headers whose values tell stored responses apart. Default: none.")
    cookies = Field("cookies", PARAMETERS, "The cookies in the key. Default: none.")
    query = Field("query", PARAMETERS, "The query parameters in the key. Default: all.")
    encodings = Field(
        "encodings",
        ListOf(Text("gzip or br", "gzip|br"), 0, 2),
        "For these codings Accept-Encoding is normalised and enters the key. Default: none.",
    )


def _build_key(values: Values) -> Values:
    for name in values.get(_KeyFields.headers) or ():
        if name in _UNKEYABLE:
            hint = "name cookies under cookies" if name == "cookie" else "take it out"
            values.wrong(_KeyFields.headers, f'"{name}" can\'t be in the key; {hint}')
    return values


KEY: Final = Section("routes[].cache.key", _KeyFields, _build_key)


class _CacheFields:
    policy = Field(
        "policy",
        Judged("a managed cache policy", _cache_policy_flaw, names(CACHE_POLICIES)),
        "One of AWS's managed cache policies, by name or id; the other keys change single settings of it.",
    )
    min_ttl = Field("min_ttl", Duration(0, _FOREVER), "The least time to keep a response. Default: 0s.")
    default_ttl = Field(
        "default_ttl", Duration(0, _FOREVER), "How long to keep a response that does not say. Default: 0s, or min_ttl."
    )
    max_ttl = Field(
        "max_ttl", Duration(0, _FOREVER), "The most time to keep a response; 0 stores nothing. Default: 365d."
    )
    key = Field("key", KEY, "What tells stored responses apart, besides the path.")


def _build_cache(values: Values) -> CachePolicy:
    policy = _with_ttls(values, cache_policy(values.get(_CacheFields.policy) or "") or CachePolicy())
    key = values.get(_CacheFields.key)
    if key is None:
        return policy
    headers, cookies = key.get(_KeyFields.headers), key.get(_KeyFields.cookies)
    query, encodings = key.get(_KeyFields.query), key.get(_KeyFields.encodings)
    return replace(
        policy,
        headers=policy.headers if headers is None else headers,
        cookies=cookies or policy.cookies,
        query=query or policy.query,
        encodings=policy.encodings if encodings is None else encodings,
    )


def _with_ttls(values: Values, base: CachePolicy) -> CachePolicy:
    """Return `base` with the TTLs given; those that are not give way (AWS: MinTTL <= DefaultTTL <= MaxTTL)."""
    least, default, most = (
        values.get(f) for f in (_CacheFields.min_ttl, _CacheFields.default_ttl, _CacheFields.max_ttl)
    )
    min_ttl = base.min_ttl if least is None else least
    default_ttl = max(base.default_ttl, min_ttl) if default is None else default
    max_ttl = base.max_ttl if most is None else most
    if default is None and most is not None:
        default_ttl = max(min(default_ttl, max_ttl), min_ttl)
    if default_ttl < min_ttl:
        values.wrong(_CacheFields.default_ttl, f"is less than min_ttl, {format_duration(min_ttl)}; write at least that")
    elif default_ttl > max_ttl:
        values.wrong(
            _CacheFields.max_ttl, f"is {format_duration(max_ttl)}; write at least {format_duration(default_ttl)}"
        )
    return replace(base, enabled=max_ttl > 0, min_ttl=min_ttl, default_ttl=default_ttl, max_ttl=max_ttl)


CACHE: Final = Section("routes[].cache", _CacheFields, _build_cache)


class _Host(StrEnum):
    ORIGIN = "origin"
    VIEWER = "viewer"


def _added_flaw(text: str) -> str | None:
    if text.lower() in CANONICAL:
        return None
    if text.lower() in NOT_AVAILABLE:
        return f'"{text}" is not available in this version of edgefn; take it out'
    return f'"{text}" is not a header that can be added; {did_you_mean(text, CANONICAL.values())}'


class _ForwardFields:
    policy = Field(
        "policy",
        Judged("a managed origin request policy", _origin_policy_flaw, names(ORIGIN_REQUEST_POLICIES)),
        "One of AWS's managed origin request policies, by name or id; the other keys change single settings of it.",
    )
    headers = Field("headers", HEADERS, "The viewer's headers that the origin gets. Default: all.")
    cookies = Field("cookies", PARAMETERS, "The cookies that the origin gets. Default: all.")
    query = Field("query", PARAMETERS, "The query parameters that the origin gets. Default: all.")
    host = Field("host", Choice(_Host), "Whose name the origin gets as Host. Default: origin.")
    add = Field(
        "add",
        ListOf(Judged("a CloudFront-* header", _added_flaw, CANONICAL.values())),
        "CloudFront-* headers to add, such as CloudFront-Viewer-Country.",
    )


def _build_forward(values: Values) -> Forwarding:
    base = origin_request_policy(values.get(_ForwardFields.policy) or "") or Forwarding()
    headers = values.get(_ForwardFields.headers)
    added = values.get(_ForwardFields.add)
    return Forwarding(
        headers=headers or base.headers,
        cookies=values.get(_ForwardFields.cookies) or base.cookies,
        query=values.get(_ForwardFields.query) or base.query,
        viewer_host=_viewer_host(values, base),
        added=base.added if added is None else tuple(dict.fromkeys(CANONICAL[name.lower()] for name in added)),
    )


def _viewer_host(values: Values, base: Forwarding) -> bool:
    """Return whether the viewer's Host goes on: `host` says it, or `headers` lists it as AWS's policies do."""
    host, headers = values.get(_ForwardFields.host), values.get(_ForwardFields.headers)
    if host is not None:
        return host is _Host.VIEWER
    if headers is None:
        return base.viewer_host
    return headers.mode is Selecting.ONLY and "host" in headers.names


FORWARD: Final = Section("routes[].forward", _ForwardFields, _build_forward)
