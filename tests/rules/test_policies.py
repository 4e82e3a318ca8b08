"""AWS's managed policies."""

import pytest

from edgefn.model.settings import ALL, NONE, Selecting
from edgefn.rules.policies import (
    CACHE_POLICIES,
    ORIGIN_REQUEST_POLICIES,
    cache_policy,
    names,
    origin_request_policy,
)
from edgefn.rules.viewer_headers import CANONICAL


@pytest.mark.parametrize(
    ("name", "ttls", "enabled"),
    [
        ("CachingOptimized", (1, 86_400, 31_536_000), True),
        ("CachingDisabled", (0, 0, 0), False),
        ("CachingOptimizedForUncompressedObjects", (1, 86_400, 31_536_000), True),
        ("UseOriginCacheControlHeaders", (0, 0, 31_536_000), True),
        ("UseOriginCacheControlHeaders-QueryStrings", (0, 0, 31_536_000), True),
        ("Elemental-MediaPackage", (0, 86_400, 31_536_000), True),
        ("Amplify", (2, 2, 600), True),
    ],
)
def test_a_cache_policy_keeps_for_as_long_as_aws_says(name, ttls, enabled):
    policy = cache_policy(name)
    assert (policy.min_ttl, policy.default_ttl, policy.max_ttl) == ttls
    assert policy.enabled is enabled


@pytest.mark.parametrize("known", [*CACHE_POLICIES, *ORIGIN_REQUEST_POLICIES], ids=lambda known: known.name)
def test_a_policy_goes_by_its_name_the_consoles_name_and_its_id(known):
    find = cache_policy if known in CACHE_POLICIES else origin_request_policy
    assert find(known.name) == find(f"Managed-{known.name}") == find(known.id) == find(known.id.upper()) == known.policy


def test_errors_and_staleness_are_those_of_aws():
    policy = cache_policy("CachingOptimized")
    assert dict(policy.error_ttls) == dict.fromkeys((404, 414, 500, 501, 502, 503, 504), 10.0)
    assert (policy.heuristic_ttl, policy.stale_if_error, policy.serve_stale) == (0, 31_536_000, 31_536_000)
    assert cache_policy("CachingDisabled").error_ttls == ()


def test_no_two_policies_share_a_name_or_an_id():
    everything = (*CACHE_POLICIES, *ORIGIN_REQUEST_POLICIES)
    assert len({known.id for known in everything}) == len(set(names(everything))) == len(everything) == 15


@pytest.mark.parametrize("wanted", ["", "cachingoptimized", "AllViewer ", "Managed-"])
def test_another_name_is_no_policy(wanted):
    assert cache_policy(wanted) is None
    assert origin_request_policy(wanted) is None


def test_the_keys_are_those_of_aws():
    assert cache_policy("CachingOptimized").query == NONE
    assert cache_policy("CachingOptimized").encodings == ("gzip", "br")
    assert cache_policy("CachingOptimizedForUncompressedObjects").encodings == ()
    assert cache_policy("UseOriginCacheControlHeaders").cookies == ALL
    assert cache_policy("UseOriginCacheControlHeaders").query == NONE
    assert cache_policy("UseOriginCacheControlHeaders-QueryStrings").query == ALL
    assert cache_policy("Amplify").headers == ("authorization", "cloudfront-viewer-country", "host")
    assert cache_policy("Elemental-MediaPackage").query.names == ("aws.manifestfilter", "start", "end", "m")


@pytest.mark.parametrize(
    ("name", "viewer_host", "mode", "listed"),
    [
        ("AllViewer", True, Selecting.ALL, ()),
        ("AllViewerExceptHostHeader", False, Selecting.EXCEPT, ("host",)),
        ("AllViewerAndCloudFrontHeaders-2022-06", True, Selecting.ALL, ()),
        ("CORS-CustomOrigin", False, Selecting.ONLY, ("origin",)),
        ("UserAgentRefererHeaders", False, Selecting.ONLY, ("referer", "user-agent")),
        ("HostHeaderOnly", True, Selecting.NONE, ()),
    ],
)
def test_an_origin_request_policy_forwards_what_aws_says(name, viewer_host, mode, listed):
    policy = origin_request_policy(name)
    assert policy.viewer_host is viewer_host
    assert (policy.headers.mode, policy.headers.names) == (mode, listed)


def test_every_header_that_a_policy_adds_can_be_made():
    for known in ORIGIN_REQUEST_POLICIES:
        assert set(known.policy.added) <= set(CANONICAL.values())
