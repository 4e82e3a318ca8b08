"""A route's `cache` and `forward`: what is stored for how long under which key, and what the origin gets to see."""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from edgefn.configuration.kinds import Choice, Duration, Flag, Judged, Text
from edgefn.configuration.origins import HEADER_NAME
from edgefn.configuration.quantities import format_duration
from edgefn.configuration.reading import Field, Section, Values, did_you_mean
from edgefn.configuration.selections import HEADERS, PARAMETERS, KeyHeaders
from edgefn.configuration.shapes import ListOf, MapOf
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
    sort_query = Field(
        "sort_query",
        Flag(),
        "The order of the query parameters makes no difference to the key; the origin gets them as they came."
        " Default: false.",
    )
    encodings = Field(
        "encodings",
        ListOf(Text("gzip, br or zstd", "gzip|br|zstd"), 0, 3),
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
    heuristic_ttl = Field(
        "heuristic_ttl",
        Duration(0, _FOREVER),
        "The most that Last-Modified can earn a response that does not say; 0 is nothing. Default: 1d.",
    )
    error_ttl = Field(
        "error_ttl",
        MapOf(Duration(0, _FOREVER), "[45][0-9][0-9]", "a status from 400 to 599"),
        "The least time to keep an error, by status; 502 and 504 also where no answer came. Default: none.",
    )
    serve_stale = Field(
        "serve_stale",
        Duration(0, _FOREVER),
        "How long beyond its lifetime to serve a response when the origin can't be reached. Default: 1d.",
    )
    stale_if_error = Field(
        "stale_if_error",
        Duration(0, _FOREVER),
        "The same when it answers 500, 502, 503 or 504, where the response does not say. Default: 0s.",
    )
    stale_retry = Field(
        "stale_retry", Duration(0, 3600), "How long to leave the origin alone after either. Default: 1s."
    )
    honour_request = Field("honour_request", Flag(), "Viewers' Cache-Control and Pragma count. Default: false.")
    targeted = Field(
        "targeted",
        ListOf(Text("a header name", HEADER_NAME), 0, 8),
        "The fields that outweigh Cache-Control here. Default: [Edgefn-Cache-Control, CDN-Cache-Control].",
    )
    tag_headers = Field(
        "tag_headers", ListOf(Text("a header name", HEADER_NAME), 0, 8), "What lists tags. Default: [Cache-Tag]."
    )
    cache_status = Field("cache_status", Flag(), "Answers say in Cache-Status what the cache did. Default: true.")
    compress = Field(
        "compress",
        Flag(),
        "Compress what the origin did not, with what key.encodings lists; puts gzip into that. Default: false.",
    )
    key = Field("key", KEY, "What tells stored responses apart, besides the path.")


def _build_cache(values: Values) -> CachePolicy:
    policy = _with_ttls(values, cache_policy(values.get(_CacheFields.policy) or "") or CachePolicy())
    policy = _with_errors(values, _with_headers(values, policy))
    return _compressing(_with_key(values, policy))


def _with_errors(values: Values, base: CachePolicy) -> CachePolicy:
    """Return `base` with what is given of lifetimes that the origin does not grant."""
    heuristic, serve_stale = values.get(_CacheFields.heuristic_ttl), values.get(_CacheFields.serve_stale)
    if_error, retry = values.get(_CacheFields.stale_if_error), values.get(_CacheFields.stale_retry)
    errors = values.get(_CacheFields.error_ttl)
    return replace(
        base,
        heuristic_ttl=base.heuristic_ttl if heuristic is None else heuristic,
        serve_stale=base.serve_stale if serve_stale is None else serve_stale,
        stale_if_error=base.stale_if_error if if_error is None else if_error,
        stale_retry=base.stale_retry if retry is None else retry,
        error_ttls=base.error_ttls if errors is None else tuple((int(key), ttl) for key, ttl in errors.items()),
    )


def _with_headers(values: Values, base: CachePolicy) -> CachePolicy:
    """Return `base` with what is given about the fields that count and those that are added."""
    honour, status = values.get(_CacheFields.honour_request), values.get(_CacheFields.cache_status)
    targeted, tags = values.get(_CacheFields.targeted), values.get(_CacheFields.tag_headers)
    compress = values.get(_CacheFields.compress)
    return replace(
        base,
        honour_request=base.honour_request if honour is None else honour,
        cache_status=base.cache_status if status is None else status,
        targeted=base.targeted if targeted is None else tuple(name.lower() for name in targeted),
        tag_headers=base.tag_headers if tags is None else tuple(name.lower() for name in tags),
        compress=base.compress if compress is None else compress,
    )


def _compressing(policy: CachePolicy) -> CachePolicy:
    """Return `policy` such that what is compressed here is told apart from what is not."""
    if not policy.compress or "gzip" in policy.encodings:
        return policy
    return replace(policy, encodings=(*policy.encodings, "gzip"))


def _with_key(values: Values, policy: CachePolicy) -> CachePolicy:
    key = values.get(_CacheFields.key)
    if key is None:
        return policy
    headers, cookies = key.get(_KeyFields.headers), key.get(_KeyFields.cookies)
    query, encodings = key.get(_KeyFields.query), key.get(_KeyFields.encodings)
    sort = key.get(_KeyFields.sort_query)
    return replace(
        policy,
        headers=policy.headers if headers is None else headers,
        cookies=cookies or policy.cookies,
        query=query or policy.query,
        sort_query=policy.sort_query if sort is None else sort,
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
