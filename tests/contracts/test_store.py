"""What every store of cached responses promises."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.purges import ByHost, ByKey, ByPath, ByTag, Everything, Purge
from edgefn.rules.stale import StaleLimits
from edgefn.stores.base import Order, Part, Purged, Store, Stored
from edgefn.stores.memory import MemoryStore

CAPACITY = 2**20
MAKERS: dict[str, Callable[[int], Store]] = {"memory": MemoryStore}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest) -> Store:
    return MAKERS[request.param](CAPACITY)


@pytest.fixture(params=MAKERS)
def large(request: pytest.FixtureRequest) -> Store:
    return MAKERS[request.param](64 * CAPACITY)


def stored(body: bytes = b"hello", vary: tuple[tuple[str, str | None], ...] = (), received_at: float = 1.0) -> Stored:
    return Stored(
        200,
        "OK",
        Headers([("X", "\xff"), ("x", "2")]),
        body,
        received_at,
        received_at,
        60.0,
        0.0,
        vary,
        from_origin_error=True,
        stale=StaleLimits(1.0, 2.0, 3.0, on_request=True),
        retry_at=4.0,
        tags=("a", "\xff"),
        origin_tag='"x"',
        part=Part(5, 100),
    )


def test_nothing_is_there_before_it_is_put(store: Store) -> None:
    assert list(store.get("a")) == []


def test_what_was_put_comes_back_as_it_was(store: Store) -> None:
    store.put("a", stored())
    assert list(store.get("a")) == [stored()]
    assert list(store.get("b")) == []


def test_variants_come_newest_first(store: Store) -> None:
    variants = [stored(vary=(("lang", language),)) for language in ("fr", "de", None)]
    for variant in variants:
        store.put("a", variant)
    assert list(store.get("a")) == variants[::-1]


def test_a_variant_takes_the_place_of_its_like(store: Store) -> None:
    store.put("a", stored(b"old", (("lang", "fr"),)))
    store.put("a", stored(b"other", (("lang", None),)))
    store.put("a", stored(b"new", (("lang", "fr"),)))
    assert [variant.body for variant in store.get("a")] == [b"new", b"other"]


def test_the_variants_of_a_key_have_a_bound_and_the_oldest_go(store: Store) -> None:
    for number in range(1000):
        store.put("a", stored(b"x", (("n", str(number)),)))
    kept = [variant.vary[0][1] for variant in store.get("a")]
    assert kept == [str(999 - index) for index in range(len(kept))]
    assert 8 <= len(kept) <= 100


def test_removing_drops_all_variants_and_may_be_repeated(store: Store) -> None:
    store.put("a", stored(vary=(("lang", "fr"),)))
    store.put("a", stored())
    store.remove("a")
    store.remove("a")
    assert list(store.get("a")) == []


def test_removing_drops_the_keys_that_extend_it_and_no_others(store: Store) -> None:
    for key in ("a", "a\rx", "a\ry", "ab", "ab\rx", "b"):
        store.put(key, stored())
    store.remove("a")
    left = [key for key in ("a", "a\rx", "a\ry", "ab", "ab\rx", "b") if store.get(key)]
    assert left == ["ab", "ab\rx", "b"]


def test_an_extended_key_goes_alone(store: Store) -> None:
    store.put("a", stored())
    store.put("a\rx", stored())
    store.put("a\ry", stored())
    store.remove("a\rx")
    assert [bool(store.get(key)) for key in ("a", "a\rx", "a\ry")] == [True, False, True]


def test_the_largest_fits_and_one_byte_more_changes_nothing(store: Store) -> None:
    largest = stored(b"x" * store.largest)
    store.put("a", largest)
    store.put("a", stored(b"x" * (store.largest + 1)))
    assert list(store.get("a")) == [largest]


def test_an_empty_body_is_a_body(store: Store) -> None:
    store.put("a", stored(b""))
    assert list(store.get("a")) == [stored(b"")]


def test_it_never_holds_more_than_it_may(store: Store) -> None:
    for number in range(100):
        store.put(str(number), stored(bytes(store.largest)))
    held = sum(len(variant.body) for number in range(100) for variant in store.get(str(number)))
    assert 0 < held <= CAPACITY
    assert list(store.get("99"))


def test_to_peek_shows_the_same(store: Store) -> None:
    store.put("a", stored())
    assert list(store.peek("a")) == [stored()]
    assert list(store.peek("b")) == []


def test_a_variant_can_be_dropped_alone(store: Store) -> None:
    store.put("a", stored(b"1", (("lang", "fr"),)))
    store.put("a", stored(b"2", (("lang", "de"),)))
    for _ in range(2):
        store.drop("a", (("lang", "fr"),))
        assert [each.body for each in store.peek("a")] == [b"2"]
    store.drop("a", (("lang", "de"),))
    store.drop("b", ())
    assert list(store.peek("a")) == []


def test_clearing_drops_all(store: Store) -> None:
    store.put("a", stored())
    store.put("b\rx", stored())
    store.clear()
    assert [list(store.get(key)) for key in ("a", "b\rx")] == [[], []]


A, A1, B = "https\nshop.test\n/a", "https\nshop.test\n/a/1?q=2", "https\nshop.test\n/b"
ELSEWHERE, PLAIN = "https\nother.test\n/a/1?q=2", "http\nshop.test\n/a"
EXTENDED = "https\nshop.test\n/a/2\raccept-encoding=gzip"
KEYS = [A, A1, B, ELSEWHERE, PLAIN, EXTENDED]
PURGES: dict[str, tuple[Purge, list[str]]] = {
    "one key": (ByKey(A), [A]),
    "a key and what extends it": (ByKey("https\nshop.test\n/a/2"), [EXTENDED]),
    "an exact path": (ByPath("/a"), [A, PLAIN]),
    "a prefix": (ByPath("/a/*"), [A1, ELSEWHERE, EXTENDED]),
    "a prefix on one host": (ByPath("/a*", "shop.test"), [A, A1, PLAIN, EXTENDED]),
    "a star in the middle": (ByPath("/*?q=2"), []),
    "all paths": (ByPath("*"), KEYS),
    "a host": (ByHost("shop.test"), [A, A1, B, PLAIN, EXTENDED]),
    "a host that has none": (ByHost("shop"), []),
    "a tag": (ByTag("/a/1?q=2"), [A1, ELSEWHERE]),
    "a tag that none has": (ByTag("/a/*"), []),
    "everything": (Everything(), KEYS),
}


def swept(store: Store, purge: Purge, *, soft: bool = False) -> Purged:
    """Purge, and clear all of it away; return what that was."""
    sweep = store.purge(Order(1, purge, is_soft=soft, at=5.0))
    while store.sweep():
        assert not sweep.is_over or isinstance(purge, Everything)
    assert sweep.is_over
    return sweep.hit


@pytest.mark.parametrize("name", PURGES)
def test_a_hard_purge_drops_what_it_hits_and_counts_it(store: Store, name: str) -> None:
    purge, hit = PURGES[name]
    for key in KEYS:
        store.put(key, replace(stored(), tags=(key.split("\n")[2],)))
    purged = swept(store, purge)
    assert (purged.entries, bool(purged.size)) == (len(hit), bool(hit))
    assert [key for key in KEYS if store.peek(key)] == [key for key in KEYS if key not in hit]
    assert swept(store, purge).entries == 0


@pytest.mark.parametrize("name", PURGES)
def test_a_soft_purge_lets_what_it_hits_be_stale(store: Store, name: str) -> None:
    purge, hit = PURGES[name]
    for key in KEYS:
        store.put(key, replace(stored(), tags=(key.split("\n")[2],)))
    assert swept(store, purge, soft=True).entries == len(hit)
    for key in KEYS:
        assert [each.lifetime for each in store.peek(key)] == [4.0 if key in hit else 60.0]


def test_a_purge_by_tag_hits_the_variants_that_bear_it(store: Store) -> None:
    store.put("a", replace(stored(b"1", (("lang", "fr"),)), tags=("x",)))
    store.put("a", replace(stored(b"2", (("lang", "de"),)), tags=("y",)))
    assert swept(store, ByTag("x")).entries == 1
    assert [each.body for each in store.peek("a")] == [b"2"]


MANY = [f"http\nshop.test\n/{number}" for number in range(3_000)]
SLICED = {"a path": ByPath("/*"), "a host": ByHost("shop.test"), "a tag": ByTag("t"), "everything": Everything()}


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", SLICED)
def test_what_was_purged_is_not_found_as_it_was_though_most_of_it_is_yet_to_be_cleared_away(
    large: Store, name: str, soft: bool
) -> None:
    for key in MANY:
        large.put(key, replace(stored(), tags=("t",)))
    sweep = large.purge(Order(1, SLICED[name], is_soft=soft, at=5.0))
    steps = 0
    for key in MANY[::100]:
        assert [each.lifetime for each in large.get(key)] == ([4.0] if soft else [])
        large.put(key, stored(b"new"))  # by a fetch that began after the purge
        steps += large.sweep()
    while large.sweep():
        steps += 1
    assert sweep.is_over
    assert sweep.hit.entries == len(MANY)
    assert steps > len(MANY) / 200  # whoever sweeps lets others in between
    for key in MANY:
        expected = [(b"new", 60.0)] if key in MANY[::100] else [(b"hello", 4.0)] if soft else []
        assert [(each.body, each.lifetime) for each in large.peek(key)] == expected


def test_purges_that_overlap_are_each_done_to_what_was_there_before_them(large: Store) -> None:
    for key in MANY:
        large.put(key, stored())
    soft = large.purge(Order(1, ByPath("/1*"), is_soft=True, at=5.0))
    large.put(MANY[1], stored(b"between"))
    hard = large.purge(Order(2, ByPath("/11*"), is_soft=False, at=6.0))
    large.put(MANY[11], stored(b"after"))
    while large.sweep():
        pass
    assert (soft.hit.entries, hard.hit.entries) == (1_111, 111)
    found = {key: [(each.body, each.lifetime) for each in large.peek(key)] for key in (*MANY[:3], MANY[11], MANY[110])}
    assert list(found.values()) == [
        [(b"hello", 60.0)], [(b"between", 60.0)], [(b"hello", 60.0)], [(b"after", 60.0)], [],
    ]  # fmt: skip


def test_a_store_that_was_cleared_is_empty_at_once_and_takes_what_comes(large: Store) -> None:
    for key in MANY:
        large.put(key, stored())
    large.clear()
    assert not any(large.peek(key) for key in MANY)
    large.put(MANY[0], stored(b"new"))
    while large.sweep():
        pass
    assert [each.body for each in large.get(MANY[0])] == [b"new"]
