"""Vary: a stored response answers those requests that have the same values of the fields it names."""

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.vary import matches, nominated, selected


def varying(*lines: str) -> Headers:
    return Headers([("Vary", line) for line in lines])


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([], ()),
        ([""], ()),
        (["Accept-Language"], ("accept-language",)),
        (["B, a", "A,,b , "], ("a", "b")),
        (["*"], None),
        (["a, *"], None),
        (["a", "b,*"], None),
        (["a, X-Forwarded-For"], None),
        (["x-amz-cf-id"], None),
        (["a, b c"], None),
        (["a; b"], None),
        (['"*"'], None),
    ],
)
def test_all_lines_name_fields_and_a_star_anywhere_is_a_star(lines: list[str], names: tuple[str, ...] | None) -> None:
    assert nominated(varying(*lines)) == names


def test_an_absent_field_equals_only_an_absent_one() -> None:
    without = selected(("a",), Headers())
    assert matches(without, Headers([("b", "1")]))
    assert not matches(without, Headers([("a", "")]))
    assert not matches(selected(("a",), Headers([("a", "")])), Headers())


def test_each_named_field_must_be_equal_and_the_others_never_matter() -> None:
    stored = selected(("a", "b"), Headers([("A", "1"), ("b", "2")]))
    assert matches(stored, Headers([("B", "2"), ("a", "1"), ("c", "3")]))
    assert not matches(stored, Headers([("a", "1"), ("b", "3")]))
    assert not matches(stored, Headers([("a", "1")]))


def test_repeated_lines_are_one_list() -> None:
    assert matches(selected(("a",), Headers([("a", "1"), ("a", "2")])), Headers([("a", "1, 2")]))


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        ("Accept-Language", "de, en;q=0.5", "DE,en ; q=0.5", True),
        ("Accept-Encoding", "gzip, br", "gzip,br", True),
        ("Accept-Encoding", "gzip, br", "br, gzip", True),
        ("Accept-Encoding", "gzip, br;q=0.50", "BR ;Q=0.5,, gzip;q=1.000", True),
        ("Accept-Encoding", "gzip, br;q=0", "gzip", False),
        ("Accept-Encoding", "gzip, br;q=0.5", "gzip;q=0.5, br", False),
        ("Accept-Encoding", "", "identity", False),
        ("Accept-Encoding", "br, a b", "a b, br", False),
        ("Accept-Encoding", "br, gzip;q=2", "gzip;q=2, br", False),
        ("Accept-Charset", "utf-8, *;q=0.1", "*;q=0.1, UTF-8", True),
        ("Accept-Language", "de-AT, en;q=0.5, fr;q=0.7", "fr;q=0.7, en;q=0.5, de-at", True),
        ("Accept-Language", "de, en", "en, de", False),
        ("Accept-Language", "de;q=0.5, en;q=0.5", "en;q=0.5, de;q=0.5", False),
        ("Accept", "a/b;q=0.5, c/d", "c/d, a/b;q=0.5", False),
        ("Accept-Encoding", "gzip, br" * 50, "br, gzip" * 50, False),
        ("Accept", 'a/b;x="1, 2"', 'a/b;x="1,2"', False),
        ("Accept", "a/b , c/d", "a/b,c/d", True),
        ("Accept", "a/b;x=C", "a/b;x=c", False),
        ("X-List", "a, b", "a,b", False),
        ("Cookie", "a=1; b=2", "a=1;b=2", False),
    ],
)
def test_differences_that_mean_nothing_make_no_variant(name: str, one: str, other: str, equal: bool) -> None:
    stored = selected((name.lower(),), Headers([(name, one)]))
    assert matches(stored, Headers([(name, other)])) is equal
