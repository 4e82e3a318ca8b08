"""What a key-value store may hold."""

import pytest

from edgefn.rules.kvs import Changes, TooMuch, changed, total_size, within_limits


def test_puts_and_deletes_make_a_new_store() -> None:
    before = {"a": "1", "b": "2"}
    assert changed(before, Changes({"c": "3", "a": "9"}, ["b", "nothing"])) == {"a": "9", "c": "3"}
    assert before == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("k" * 512, "", True),
        ("k" * 513, "", False),
        ("\u00e9" * 257, "", False),
        ("", "", False),
        ("k", "v" * 1024, True),
        ("k", "v" * 1025, False),
        ("k", "\u20ac" * 342, False),
    ],
)
def test_keys_and_values_have_limits_in_bytes(key: str, value: str, fits: bool) -> None:
    assert isinstance(within_limits({key: value}), TooMuch) is not fits


def test_a_store_has_a_limit() -> None:
    pairs = {f"{number:08}": "v" * 1016 for number in range(5 * 1024)}
    assert total_size(pairs) == 5 * 1024**2
    assert within_limits(pairs) == pairs
    assert isinstance(within_limits({**pairs, "x": ""}), TooMuch)


def test_an_update_changes_at_most_fifty_keys() -> None:
    fifty = {str(number): "" for number in range(50)}
    assert changed({}, Changes(fifty)) == fifty
    assert isinstance(changed({}, Changes(fifty, ["one"])), TooMuch)
