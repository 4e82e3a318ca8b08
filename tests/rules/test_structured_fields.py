"""Dictionaries of structured fields: all of it is right, or there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.rules.structured_fields import Member, Token, parse_dictionary


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", {}),
        ("   ", {}),
        ("a", {"a": True}),
        ("a=1", {"a": 1}),
        ("a=-1, b=?0,c=?1", {"a": -1, "b": False, "c": True}),
        ("a=1.5", {"a": 1.5}),
        ("a=999999999999999", {"a": 999_999_999_999_999}),
        ('a="x, y=\\"1\\\\"', {"a": 'x, y="1\\'}),
        ("a=token/x:y", {"a": Token("token/x:y")}),
        ("a=*", {"a": Token("*")}),
        ("a=:aGk=:", {"a": b"aGk="}),
        ('a=(1 "b"  c)', {"a": (1, "b", Token("c"))}),
        ("a=()", {"a": ()}),
        ("a=( 1 )", {"a": (1,)}),
        ("a;x;y=1, b=2; z", {"a": True, "b": 2}),
        ("a=(1;x=2);y", {"a": (1,)}),
        ("a=1, b=2, a=3", {"b": 2, "a": 3}),
        ("  a=1 \t,\t b", {"a": 1, "b": True}),
        ("*a-b_c.d1", {"*a-b_c.d1": True}),
    ],
)
def test_a_dictionary_is_read(text: str, members: dict[str, Member]) -> None:
    assert parse_dictionary(text) == members


@pytest.mark.parametrize(
    "text",
    [
        "A", "a=", "a=1,", ",a", "a,,b", "a=1 b=2", "a = 1", "a= 1", "1a", "a=1;", "a=1;B", "a;=1", 'a="x', "a='x'",
        'a="\\n"', 'a="\xe9"', "a=1.", "a=1.2345", "a=.5", "a=1234567890123.1", "a=1000000000000000", "a=--1", "a=1x",
        "a=?2", "a=?", "a=:?:", "a=(1", "a=(1,2)", 'a=("b""c")', "a=1\n", "\ta=1", "a=1\t", "a=@1", "max-age=60;;x",
    ],
)  # fmt: skip
def test_one_error_anywhere_and_there_is_none(text: str) -> None:
    assert parse_dictionary(text) is None
    assert parse_dictionary(f"fine=1, {text}") is None or text.startswith("\t")


@given(st.text(st.sampled_from('ab=1?0.-",;: ()*\\\t\xe9'), max_size=40))
def test_it_never_raises(text: str) -> None:
    members = parse_dictionary(text)
    assert members is None or all(key == key.lower() for key in members)


@given(st.dictionaries(st.from_regex(r"[a-z*][a-z0-9_.*-]*", fullmatch=True), st.integers(-(10**15) + 1, 10**15 - 1)))
def test_integers_come_back_as_they_were(members: dict[str, int]) -> None:
    assert parse_dictionary(", ".join(f"{key}={value}" for key, value in members.items())) == members
