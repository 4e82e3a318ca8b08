"""Cache-Control is read by its grammar; what is outside of it may restrict the cache but never loosens it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.rules.cache_control import MOST_SECONDS, delta_seconds, parse

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1)
ARGUMENT = st.none() | st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        (None, {}),
        ("", {}),
        (" , ,", {}),
        ("no-store", {"no-store": None}),
        ("No-Store,MAX-AGE=5", {"no-store": None, "max-age": "5"}),
        ("max-age=1 ,\tpublic", {"max-age": "1", "public": None}),
        ('max-age="100"', {"max-age": "100"}),
        (r'max-age="1\0\0"', {"max-age": "100"}),
        ('private="a, no-store", public', {"private": "a, no-store", "public": None}),
        (r'x="\", no-store", max-age=1', {"x": '", no-store', "max-age": "1"}),
        ("max-age='5, no-store'", {"max-age": "'5", "no-store'": None}),
        ("max-age=1, max-age=2", {"max-age": "1"}),
        ('private="a", private', {"private": None}),
        ('private, private="a"', {"private": None}),
        ('no-cache="a", no-cache=""', {"no-cache": None}),
        ('no-cache="a", private="b", no-cache=c', {"no-cache": "a,c", "private": "b"}),
        ("no-store =1, public", {"no-store": "", "public": None}),
        ("a=, b", {"a": "", "b": None}),
        ("=5, b", {"b": None}),
        ('a=x"y, no-store"', {"a": 'x"y', 'no-store"': None}),
        ('a="b"c, d', {"a": '"b"c', "d": None}),
        ('a="never closed, no-store', {"a": '"never closed', "no-store": None}),
        ("max-age= 5", {"max-age": " 5"}),
    ],
)
def test_a_value_is_read_as_these_directives(text: str | None, directives: dict[str, str | None]) -> None:
    assert parse(text).directives == directives


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("public", None),
        ("max-age=0", 0),
        ("max-age=007", 7),
        ("max-age=2147483647", 2147483647),
        ("max-age=2147483648", MOST_SECONDS),
        ("max-age=" + "9" * 5000, MOST_SECONDS),
        ("max-age=" + "0" * 5000 + "3", 3),
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=-1", 0),
        ("max-age=+1", 0),
        ("max-age=1.5", 0),
        ("max-age=1s", 0),
        ("max-age= 5", 0),
        ("max-age =5", 0),
        ('max-age\t="5"', 0),
        ("max-age=\xb2", 0),
        ('max-age="5', 0),
        ("max-age='5'", 0),
    ],
)
def test_what_is_no_number_of_seconds_counts_as_none_left(text: str, seconds: int | None) -> None:
    assert parse(text).seconds("max-age") == seconds


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    control = parse(text)
    assert all(name == name.lower() and name for name in control.directives)
    assert all((control.seconds(name) or 0) >= 0 for name in control.directives)


@given(st.dictionaries(TOKEN, ARGUMENT))
def test_what_is_written_by_the_grammar_is_read_back(directives: dict[str, str | None]) -> None:
    members = [name if value is None else f"{name}={_quoted(value)}" for name, value in directives.items()]
    assert parse(" ,".join(members)).directives == directives


def _quoted(value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


@given(st.integers(min_value=0))
def test_seconds_never_wrap(seconds: int) -> None:
    assert delta_seconds(str(seconds)) == min(seconds, MOST_SECONDS)


def test_a_long_hostile_value_takes_no_longer_than_its_length() -> None:
    members = ['a="\\', 'b="c', "d=", '"', "\\"]
    text = ",".join(members * 20_000)
    assert "b" in parse(text)
