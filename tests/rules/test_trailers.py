"""What may come behind a body."""

import pytest

from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.rules.trailers import fit_for_trailers


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "COOKIE", "Set-Cookie", "X-Forwarded-For", "x_forwarded_for", "Via", "X-Amz-Cf-Id", "X-Cache",
        "CloudFront-Viewer-Country", "Content-Length", "Transfer_Encoding", "TE", "Upgrade", "Vary", "Cache-Control",
        "If-None-Match", "X-Edge-Location", "Host",
    ],
)  # fmt: skip
def test_what_belongs_into_the_head_does_not_come_in_by_the_back_door(name: str) -> None:
    assert list(fit_for_trailers(Headers([(name, "1"), ("X-Sum", "2")]))) == [("X-Sum", "2")]


def test_what_is_known_at_the_end_only_goes_on() -> None:
    kept = Headers([("Content-Digest", "sha-256=:x:"), ("Server-Timing", "a"), ("ETag", '"1"'), ("grpc-status", "0")])
    assert fit_for_trailers(kept) is kept
    assert fit_for_trailers(NO_HEADERS) is NO_HEADERS
