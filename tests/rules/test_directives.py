"""Whose directives hold: a targeted field's, or Cache-Control's."""

import pytest

from edgefn.model.headers import Headers, Line
from edgefn.model.settings import CachePolicy
from edgefn.rules.directives import in_force

OURS, CDN, ALL = "Edgefn-Cache-Control", "CDN-Cache-Control", "Cache-Control"


def held(*lines: Line) -> dict[str, str | None]:
    return dict(in_force(Headers(lines), CachePolicy().targeted).directives)


@pytest.mark.parametrize(
    ("lines", "directives"),
    [
        ([(ALL, "max-age=1")], {"max-age": "1"}),
        ([(ALL, "max-age=1"), (CDN, "max-age=2")], {"max-age": "2"}),
        ([(ALL, "max-age=1"), (CDN, "max-age=2"), (OURS, "no-store")], {"no-store": None}),
        ([(ALL, "max-age=1"), (CDN, "max-age=2"), (OURS, "")], {"max-age": "2"}),
        ([(ALL, "max-age=1"), (CDN, "max-age=2"), (OURS, "max-age=3 x")], {"max-age": "2"}),
        ([(ALL, "max-age=1"), (CDN, "max-age=2"), (CDN, "no-cache")], {"max-age": "2", "no-cache": None}),
        ([(ALL, "max-age=1"), (CDN, "max-age=2"), (CDN, "NO-CACHE")], {"max-age": "1"}),
        ([(ALL, "max-age=1"), ("Surrogate-Control", "max-age=2")], {"max-age": "1"}),
    ],
)
def test_the_first_that_is_there_valid_and_not_empty_decides(lines: list[Line], directives: dict[str, str]) -> None:
    assert held(*lines) == directives


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ('max-age="60", x', {"x": None}),
        ("max-age=1.5, x", {"x": None}),
        ("max-age, x", {"x": None}),
        ("max-age=-1", {"max-age": "-1"}),
        ("max-age=60;q=1", {"max-age": "60"}),
        ("max-age=999999999999999", {"max-age": "2147483648"}),
        ("max-age=1, max-age=2", {"max-age": "2"}),
        ("no-store=?0, max-age=1", {"max-age": "1"}),
        ("no-store=1", {"no-store": None}),
        ('private="set-cookie"', {"private": "set-cookie"}),
        ("private=set-cookie", {"private": "set-cookie"}),
        ("stale-while-revalidate=5, stale-if-error=x", {"stale-while-revalidate": "5"}),
    ],
)
def test_values_must_have_the_right_type_to_count(text: str, directives: dict[str, str | None]) -> None:
    assert held((CDN, text)) == directives


def test_a_negative_lifetime_is_none_left() -> None:
    assert in_force(Headers([(CDN, "max-age=-1")]), ("cdn-cache-control",)).seconds("max-age") == 0


def test_it_is_told_where_they_came_from() -> None:
    assert in_force(Headers([(CDN, "x")]), ("cdn-cache-control",)).is_targeted
    assert not in_force(Headers([(CDN, "x")]), ()).is_targeted
