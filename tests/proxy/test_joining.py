"""Parts are put together without a byte lost, moved or made up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.proxy.joining import as_part, combined
from edgefn.stores.base import Stored
from tests.proxy.cache_stage import NOW

WHOLE = bytes(range(40))


def received(first: int, last: int) -> Stored:
    headers = Headers([("ETag", '"x"'), ("Content-Range", f"bytes {first}-{last}/{len(WHOLE)}")])
    stored = as_part(Stored(206, "", headers, WHOLE[first : last + 1], NOW, NOW, 60.0, 0.0))
    assert stored is not None
    return stored


spans = st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)).map(sorted), min_size=1, max_size=8)


@given(spans, st.integers(1, 50))
def test_whatever_is_held_is_of_the_whole(asked: list[list[int]], most: int) -> None:
    held = received(*asked[0])
    for first, last in asked[1:]:
        held = combined(held, received(first, last), most)
        new = range(first, last + 1)
        begin = held.part.first if held.part else 0
        assert WHOLE[begin : begin + len(held.body)] == held.body
        assert begin <= new.start
        assert new.stop <= begin + len(held.body)
        assert len(held.body) <= max(most, len(new))
        assert (held.status, held.part is None) == ((200, True) if held.body == WHOLE else (206, False))
        assert "content-range" not in held.headers


def test_what_was_put_together_bears_the_tags_of_each() -> None:
    one, other = replace(received(0, 9), tags=("a", "b")), replace(received(10, 19), tags=("b", "c"))
    assert combined(one, other, 50).tags == ("a", "b", "c")
