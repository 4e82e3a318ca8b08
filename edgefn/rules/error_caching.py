"""How long errors are kept (AWS: how CloudFront caches HTTP 4xx and 5xx status codes)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edgefn.model.settings import CachePolicy, ErrorPage

ALWAYS_KEPT: Final = (404, 414, 500, 501, 502, 503, 504)
"""The errors that AWS keeps whatever their origin says."""


def with_error_pages(policy: CachePolicy, pages: Mapping[int, ErrorPage]) -> CachePolicy:
    """Return the policy with the `ttl` of each error page as the least time for its error.

    What the route says itself of a status comes first. 400, 403 and 405 are kept only for as long as their origin says.
    """
    own = {status for status, _ in policy.error_ttls}
    added = tuple((status, page.ttl) for status, page in pages.items() if status in ALWAYS_KEPT and status not in own)
    return replace(policy, error_ttls=(*policy.error_ttls, *added)) if policy.enabled and added else policy
