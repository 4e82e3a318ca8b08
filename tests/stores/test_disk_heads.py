"""A head, packed, is the head: every field of it."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.headers import Headers
from edgefn.rules.stale import StaleLimits
from edgefn.stores.base import Part, Stored
from edgefn.stores.disk.heads import FORMAT, packed, unpacked

LATIN = st.text(st.characters(max_codepoint=255), max_size=20)
SECONDS = st.floats(0, 2**40)
STORED = st.builds(
    Stored,
    st.integers(100, 999),
    LATIN,
    st.builds(Headers, st.lists(st.tuples(LATIN, LATIN), max_size=5)),
    st.just(b""),
    SECONDS,
    SECONDS,
    SECONDS,
    SECONDS,
    st.lists(st.tuples(LATIN, st.none() | LATIN), max_size=3).map(tuple),
    st.booleans(),
    st.builds(StaleLimits, SECONDS, SECONDS, SECONDS, st.booleans()),
    SECONDS,
    st.lists(LATIN, max_size=3).map(tuple),
    st.none() | LATIN,
    st.none() | st.builds(Part, st.integers(0, 2**40), st.integers(0, 2**40)),
)


@given(STORED, st.integers(0, 2**40))
def test_what_was_packed_comes_out_as_it_was(stored: Stored, length: int) -> None:
    assert unpacked(packed(stored, length)) == (stored, length)


def test_the_body_is_not_in_it() -> None:
    stored = Stored(200, "OK", Headers(), b"", 1.0, 1.0, 1.0, 1.0)
    assert packed(replace(stored, body=b"secret"), 6) == packed(stored, 6)


def test_no_field_is_forgotten() -> None:
    """A field that is new must be packed too, and then be named here."""
    assert {field.name for field in fields(Stored)} == {
        *("status", "reason", "headers", "body", "requested_at", "received_at", "lifetime", "initial_age", "vary"),
        *("from_origin_error", "stale", "retry_at", "tags", "origin_tag", "part", "shelved"),
    }
    assert [field.name for field in fields(StaleLimits)] == FORMAT.split(",")[16:20]
    assert FORMAT.split(",")[20:] == ["first", "total"]
