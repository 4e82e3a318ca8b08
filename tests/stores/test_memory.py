"""The memory store: what was used least recently goes first, and its estimate of its own size is honest."""

import gc
import tracemalloc

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.stale import StaleLimits
from edgefn.stores.base import Part, Stored
from edgefn.stores.memory import MemoryStore


def stored(number: int, body: int, lines: int, vary: tuple[tuple[str, str | None], ...] = ()) -> Stored:
    headers = Headers([(f"Name-{number}-{line}", f"value {number} {line}") for line in range(lines)])
    assert "x" not in headers  # as a lookup leaves it: with its index
    times = (number + 0.1, number + 0.2, number + 60.5, number + 0.3)
    limits = StaleLimits(number + 0.4, number + 0.6, number + 0.7, on_request=True)
    tags = tuple(f"tag {number} {line}" for line in range(lines))
    return Stored(
        200, "OK", headers, bytes(body), *times, vary, stale=limits, tags=tags, origin_tag=f'"{number}"',
        part=Part(number + 300, number + 400),
    )  # fmt: skip


def test_what_was_used_least_recently_goes_first() -> None:
    store = MemoryStore(30_000)
    for number in range(8):
        store.put(str(number), stored(number, 2_000, 1))
        store.get("0")
    assert store.get("0")
    assert store.get("7")
    assert not store.get("1")


def test_what_is_asked_for_once_does_not_drive_out_what_is_asked_for_again() -> None:
    """A crawler comes by: three times as much as there is room for, each asked for once."""
    store = MemoryStore(200_000)
    regulars = [f"regular {number}" for number in range(30)]
    for key in regulars:
        store.put(key, stored(1, 2_000, 1))
        store.get(key)
    for number in range(300):
        store.put(f"crawled {number}", stored(number, 2_000, 1))
        store.peek(f"crawled {number}")
    assert all(store.get(key) for key in regulars)
    assert store.get("crawled 299")
    assert store.size <= 200_000


def test_regulars_do_not_keep_out_new_ones_for_ever() -> None:
    store = MemoryStore(100_000)
    for number in range(100):
        store.put(f"old {number}", stored(number, 2_000, 1))
        store.get(f"old {number}")
    for number in range(100):
        store.put(f"new {number}", stored(number, 2_000, 1))
        store.get(f"new {number}")
    assert not any(store.get(f"old {number}") for number in range(100))
    assert store.get("new 99")


def test_the_largest_thing_that_comes_finds_room() -> None:
    store = MemoryStore(100_000)
    for number in range(100):
        store.put(str(number), stored(number, 2_000, 1))
        store.get(str(number))
    for number in range(8):
        store.put("large", stored(number, store.largest, 1, (("n", str(number)),)))
        assert store.peek("large")[0].vary == (("n", str(number)),)
    assert store.size <= 100_000


@pytest.mark.parametrize(("body", "lines"), [(0, 0), (100, 10), (10_000, 10), (0, 60)])
def test_the_estimate_covers_the_memory_that_python_spends(body: int, lines: int) -> None:
    count = 400
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        store = MemoryStore(2**30)
        for number in range(count):
            vary = (("lang", f"{number} lang"),)
            store.put(f"https\nshop.test\n/thing/{number}\rx:{number}", stored(number, body, lines, vary))
        spent = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(store) == count
    assert 0.5 * store.size <= spent <= store.size


def test_evicted_and_removed_entries_leave_nothing_behind() -> None:
    store = MemoryStore(20_000)
    for number in range(100):
        store.put(f"a\r{number}", stored(number, 1_000, 1))
    assert store.size <= 20_000
    store.remove("a")
    entries = store._entries
    assert (len(store), store.size, entries.variants, entries._extended, entries._tagged) == (0, 0, 0, {}, {})


def test_variants_of_one_key_can_not_fill_the_store() -> None:
    store = MemoryStore(80_000)
    store.put("b", stored(0, 1_000, 1))
    for number in range(32):
        store.put("a", stored(number, 9_000, 1, (("n", str(number)),)))
    assert store.get("b")
    assert 1 < len(store.get("a")) < 32


@pytest.mark.parametrize("capacity", [0, 1, 100, 3_000])
def test_a_store_without_room_keeps_nothing_and_complains_of_nothing(capacity: int) -> None:
    store = MemoryStore(capacity)
    store.put("a", stored(1, 0, 1))
    store.put("a" * 10_000, stored(1, 0, 1))
    store.remove("a")
    assert len(store) == 0
