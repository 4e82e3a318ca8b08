"""Accept-Encoding as a route's cache tells it apart."""

import pytest

from edgefn.rules.accept_encoding import normalised

BOTH = ("gzip", "br")


@pytest.mark.parametrize(
    ("offered", "enabled", "result"),
    [
        (None, BOTH, "identity"),
        ("", BOTH, "identity"),
        ("gzip, deflate, br, zstd", BOTH, "br,gzip"),
        ("BR", BOTH, "br"),
        ("gzip;q=0.5", BOTH, "gzip"),
        ("gzip;q=0, br ; q=0.000", BOTH, "identity"),
        ("gzip, br", ("gzip",), "gzip"),
        ("*", BOTH, "identity"),
        ("gzip;q=2, br", BOTH, "br"),
        ("gzip br", BOTH, "identity"),
        (",,gzip,", BOTH, "gzip"),
    ],
)
def test_only_what_is_offered_and_enabled_counts(offered: str | None, enabled: tuple[str, ...], result: str) -> None:
    assert normalised(offered, enabled) == result
