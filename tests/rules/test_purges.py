"""What a purge is about, as pure facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.rules.purges import (
    ByHost,
    ByKey,
    ByPath,
    ByTag,
    Everything,
    Purge,
    hits,
    place_of,
    ranges,
    read,
    sieved,
    written,
)

TEXT = st.text("ab*/\n\r\xff", max_size=8)
LINES = st.text("ab/\xff", max_size=6)
PURGES = st.one_of(
    st.builds(ByKey, TEXT),
    st.builds(ByPath, st.text("ab*/", max_size=8), st.none() | LINES),
    st.builds(ByHost, LINES),
    st.builds(ByTag, TEXT),
    st.just(Everything()),
)


def test_a_place_is_a_key_with_its_host_first() -> None:
    assert place_of("https\nshop.test\n/a\rx:1\ny") == "shop.test\nhttps\n/a\rx:1\ny"
    assert place_of("anything\relse") == "\n\nanything\relse"


@given(st.text("ab*", max_size=8), st.text("ab*", max_size=12))
def test_a_star_at_the_end_stands_for_any_characters_and_for_itself_elsewhere(pattern: str, target: str) -> None:
    like = target.startswith(pattern[:-1]) if pattern.endswith("*") else target == pattern
    assert hits(ByPath(pattern), f"h\nhttps\n{target}", ()) is like


@given(PURGES)
def test_what_was_written_is_read(purge: Purge) -> None:
    assert read(written(purge)) == purge


@pytest.mark.parametrize("text", ["", "[", "[]", '["path"]', '["path",1,null]', '["tag",null]', '{"a":1}', "7"])
def test_what_can_not_be_read_hits_everything(text: str) -> None:
    assert read(text) == Everything()


@given(st.tuples(st.sampled_from(["http", "https"]), LINES, TEXT), PURGES)
def test_whatever_a_purge_hits_is_left_in_the_sieve(parts: tuple[str, str, str], purge: Purge) -> None:
    key = "\n".join(parts)
    tags = (purge.tag,) if isinstance(purge, ByTag) else ()
    assert sieved(purge, [key]) or not hits(purge, place_of(key), tags)


@given(st.lists(st.tuples(LINES, LINES, TEXT), max_size=5), PURGES)
def test_whatever_a_purge_hits_lies_in_its_ranges(parts: list[tuple[str, str, str]], purge: Purge) -> None:
    places = [place_of(f"{scheme}\n{host}\n{target}") for scheme, host, target in parts]
    if isinstance(purge, ByTag | Everything):
        return
    found = ranges(purge, [f"{host}\n{scheme}\n".encode() for scheme, host, _ in parts])
    for place in places:
        if hits(purge, place, ()):
            assert any(begin <= place.encode() < end for begin, end in found)
