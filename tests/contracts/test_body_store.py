"""What every store promises whose bodies are not in memory. Its makers open it in a directory of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.purges import ByHost, ByKey, ByPath, ByTag, Everything, Purge
from edgefn.rules.stale import StaleLimits
from edgefn.stores.base import Found, Part, Stored, StoreError
from edgefn.stores.disk.base import BodyStore, Outcome, TooLargeError
from edgefn.stores.disk.store import opened

CAPACITY = 2**24
NOW = 1_000.0
Maker = Callable[[Path, int], AbstractAsyncContextManager[BodyStore]]
MAKERS: dict[str, Maker] = {"disk": opened}
SIZES = (0, 1, 32_768, 32_769, 65_536, 65_537, 300_000, 1_000_000)


@pytest.fixture(params=MAKERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BodyStore]:
    async with MAKERS[request.param](tmp_path / "store", CAPACITY) as opened_store:
        yield opened_store


def stored(**fields: object) -> Stored:
    plain = Stored(200, "OK", Headers([("X", "\xff"), ("x", "2")]), b"", 990.0, 991.0, 60.0, 2.0)
    return replace(plain, **fields)  # type: ignore[arg-type]  # checked by the dataclass


@cache
def bytes_of(size: int) -> bytes:
    return bytes(index * 7 % 251 for index in range(size))


def key(path: str = "/", host: str = "shop.test", scheme: str = "https") -> str:
    return f"{scheme}\n{host}\n{path}"


async def put(store: BodyStore, at: str, body: bytes = b"hello", since: int | None = None, **fields: object) -> Outcome:
    async with store.writing(at, stored(**fields), store.epoch if since is None else since) as writer:
        for begin in range(0, len(body), 100_000):
            await writer.write(body[begin : begin + 100_000])
        return await writer.commit()


async def read(store: BodyStore, found: Found, first: int = 0, length: int | None = None) -> bytes:
    body = await store.open(found, first, length)
    try:
        pieces = []
        while piece := await body.read():
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        body.close()


async def bodies(store: BodyStore, at: str) -> list[bytes]:
    return [await read(store, found) for found in await store.get(at)]


async def left(store: BodyStore, keys: list[str]) -> list[str]:
    return [each for each in keys if await store.get(each)]


async def test_nothing_is_there_before_it_is_put(store: BodyStore) -> None:
    assert list(await store.get(key())) == []


async def test_what_was_put_comes_back_as_it_was(store: BodyStore) -> None:
    whole = stored(
        vary=(("lang", "fr"), ("x", None)),
        from_origin_error=True,
        stale=StaleLimits(1.5, 2.5, 3.5, on_request=True),
        retry_at=7.25,
        tags=("a", "ü"),
        origin_tag='"o"',
        part=Part(5, 100),
    )
    async with store.writing(key(), whole, store.epoch) as writer:
        await writer.write(b"hello")
        assert await writer.commit() is Outcome.STORED
    (found,) = await store.get(key())
    assert found.stored == whole
    assert found.length == 5
    assert list(await store.get(key("/other"))) == []


@pytest.mark.parametrize("size", SIZES)
async def test_a_body_of_any_size_comes_back_whole_and_in_parts(store: BodyStore, size: int) -> None:
    body = bytes_of(size)
    await put(store, key(), body)
    (found,) = await store.get(key())
    assert found.length == size
    assert await read(store, found) == body
    for first in {0, 1, size // 2, 65_535, 65_536, max(0, size - 1), size}:
        for length in (0, 1, 65_536, 262_145, None):
            end = None if length is None else first + length
            assert await read(store, found, first, length) == body[first:end]


async def test_the_length_is_known_before_the_body_is_read(store: BodyStore) -> None:
    await put(store, key(), bytes_of(300_000))
    (found,) = await store.get(key())
    body = await store.open(found, 10, 100_000)
    assert body.length == 100_000
    body.close()
    body.close()
    assert await body.read() == b""


async def test_a_body_that_needs_no_waiting_can_be_taken_at_once(store: BodyStore) -> None:
    await put(store, key(), bytes_of(300_000))
    (found,) = await store.get(key())
    part = await store.open(found, 100, 50)
    assert part.buffered() == bytes_of(150)[100:]
    whole = await store.open(found)
    assert whole.buffered() is None
    whole.close()


async def test_variants_come_newest_first_and_take_the_place_of_their_like(store: BodyStore) -> None:
    for language, body in (("fr", b"old"), (None, b"other"), ("fr", b"new")):
        await put(store, key(), body, vary=(("lang", language),))
    assert await bodies(store, key()) == [b"new", b"other"]


@pytest.mark.parametrize("size", [5, 100_000])
async def test_a_slow_fetch_does_not_take_the_place_of_what_was_made_later(store: BodyStore, size: int) -> None:
    newer: dict[str, object] = {"received_at": 995.0, "lifetime": 60.0}
    await put(store, key(), bytes_of(size), **newer)
    assert await put(store, key(), b"older", received_at=993.0) is Outcome.SUPERSEDED
    assert await put(store, key(), bytes_of(200_000), received_at=993.0) is Outcome.SUPERSEDED
    assert await bodies(store, key()) == [bytes_of(size)]
    assert await put(store, key(), b"another", received_at=993.0, vary=(("lang", "fr"),)) is Outcome.STORED
    assert await put(store, key(), b"of the same age", **newer) is Outcome.STORED
    await store.purge(ByPath("/"), soft=True, now=996.0)
    late: dict[str, object] = {"received_at": 997.0, "initial_age": 10.0}
    assert await put(store, key(), b"older", **late) is Outcome.STORED, "the newer one is stale"
    await put(store, key("/part"), bytes_of(size), part=Part(0, 10**6), **newer)
    assert await put(store, key("/part"), b"the whole", received_at=993.0) is Outcome.STORED


async def test_the_variants_of_a_key_have_a_bound_and_the_oldest_go(store: BodyStore) -> None:
    for number in range(100):
        await put(store, key(), b"x", vary=(("n", str(number)),))
    kept = [found.stored.vary[0][1] for found in await store.get(key())]
    assert kept == [str(99 - index) for index in range(len(kept))]
    assert 8 <= len(kept) < 100


@pytest.mark.parametrize("size", [5, 400_000])
async def test_nothing_is_seen_before_it_is_committed_and_nothing_stays_of_what_is_not(
    store: BodyStore, size: int
) -> None:
    async with store.writing(key(), stored(), store.epoch) as writer:
        await writer.write(bytes_of(size))
        assert list(await store.get(key())) == []
    assert list(await store.get(key())) == []
    with pytest.raises(StoreError):
        await writer.write(b"more")
    with pytest.raises(StoreError):
        await writer.commit()


async def test_the_largest_fits_and_one_byte_more_changes_nothing(store: BodyStore) -> None:
    largest = bytes_of(store.largest)
    assert await put(store, key(), largest) is Outcome.STORED
    with pytest.raises(TooLargeError):
        await put(store, key(), largest + b"x")
    assert await bodies(store, key()) == [largest]


@pytest.mark.parametrize("size", [5, 400_000])
async def test_an_entry_is_renewed_with_the_same_body(store: BodyStore, size: int) -> None:
    await put(store, key(), bytes_of(size), tags=("old",))
    (found,) = await store.get(key())
    renewed = stored(lifetime=90.0, headers=Headers([("New", "1")]), tags=("new",), vary=(("lang", "fr"),))
    assert await store.renew(found, renewed, store.epoch)
    (again,) = await store.get(key())
    assert again.stored == renewed
    assert await read(store, again) == bytes_of(size)
    assert (await store.purge(ByTag("old"), soft=False, now=NOW)).entries == 0
    assert (await store.purge(ByTag("new"), soft=False, now=NOW)).entries == 1


async def test_what_is_gone_is_not_renewed(store: BodyStore) -> None:
    await put(store, key())
    (found,) = await store.get(key())
    await put(store, key(), b"next")
    assert not await store.renew(found, stored(lifetime=90.0), store.epoch)
    assert await bodies(store, key()) == [b"next"]


async def test_what_was_purged_while_it_was_validated_is_not_renewed(store: BodyStore) -> None:
    await put(store, key())
    (found,) = await store.get(key())
    since = store.epoch
    await store.purge(ByKey(key()), soft=True, now=NOW)
    assert not await store.renew(found, stored(lifetime=90.0), since)
    assert (await store.get(key()))[0].stored.lifetime == 11.0
    assert await store.renew(found, stored(lifetime=90.0), store.epoch)
    assert (await store.get(key()))[0].stored.lifetime == 90.0


async def test_removing_drops_the_keys_that_extend_it_and_no_others(store: BodyStore) -> None:
    keys = [key(path) for path in ("/a", "/a\rx", "/a\ry", "/ab", "/ab\rx", "/b")]
    for each in keys:
        await put(store, each)
    await store.remove(keys[0])
    await store.remove(keys[0])
    assert await left(store, keys) == keys[3:]


async def test_an_extended_key_goes_alone(store: BodyStore) -> None:
    keys = ["a", "a\rx", "a\ry"]
    for each in keys:
        await put(store, each)
    await store.remove("a\rx")
    assert await left(store, keys) == ["a", "a\ry"]


A, A1, B = key("/a"), key("/a/1?q=2"), key("/b")
OTHER, PLAIN = key("/a/1?q=2", host="other.test"), key("/a", scheme="http")
EXTENDED = key("/a/2\raccept-encoding=gzip")
KEYS = [A, A1, B, OTHER, PLAIN, EXTENDED]
PURGES: dict[str, tuple[Purge, list[str]]] = {
    "one key": (ByKey(A), [A]),
    "a key and what extends it": (ByKey(key("/a/2")), [EXTENDED]),
    "an exact path": (ByPath("/a"), [A, PLAIN]),
    "a prefix": (ByPath("/a/*"), [A1, OTHER, EXTENDED]),
    "a prefix on one host": (ByPath("/a*", "shop.test"), [A, A1, PLAIN, EXTENDED]),
    "a star in the middle": (ByPath("/*?q=2"), []),
    "a star of its own at the end": (ByPath("/a/1?q=2*"), [A1, OTHER]),
    "all paths": (ByPath("*"), KEYS),
    "a host": (ByHost("shop.test"), [A, A1, B, PLAIN, EXTENDED]),
    "a host that has none": (ByHost("shop"), []),
    "a tag": (ByTag("/a/1?q=2"), [A1, OTHER]),
    "a tag that none has": (ByTag("/a/*"), []),
    "everything": (Everything(), KEYS),
}


@pytest.mark.parametrize("name", PURGES)
async def test_a_hard_purge_drops_what_it_hits_and_counts_it(store: BodyStore, name: str) -> None:
    purge, hit = PURGES[name]
    for each in KEYS:
        await put(store, each, tags=(each.split("\n")[2],))
    purged = await store.purge(purge, soft=False, now=NOW)
    assert purged.entries == len(hit)
    assert bool(purged.size) == bool(hit)
    assert await left(store, KEYS) == [each for each in KEYS if each not in hit]
    assert (await store.purge(purge, soft=False, now=NOW)).entries == 0


@pytest.mark.parametrize("name", PURGES)
async def test_a_soft_purge_lets_what_it_hits_be_stale_from_then_on(store: BodyStore, name: str) -> None:
    purge, hit = PURGES[name]
    for each in KEYS:
        await put(store, each, tags=(each.split("\n")[2],))
    assert (await store.purge(purge, soft=True, now=NOW)).entries == len(hit)
    for each in KEYS:
        (found,) = await store.get(each)
        age_when_purged = NOW - 991.0 + 2.0
        assert found.stored == stored(tags=(each.split("\n")[2],), lifetime=age_when_purged if each in hit else 60.0)
        assert await read(store, found) == b"hello"


async def test_what_was_stale_already_does_not_become_fresher(store: BodyStore) -> None:
    await put(store, A, lifetime=1.0)
    await store.purge(Everything(), soft=True, now=NOW)
    assert (await store.get(A))[0].stored.lifetime == 1.0


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", PURGES)
async def test_what_was_fetched_before_a_purge_is_not_kept_after_it(store: BodyStore, name: str, soft: bool) -> None:
    purge, hit = PURGES[name]
    since = store.epoch
    await store.purge(purge, soft=soft, now=NOW)
    outcomes = [await put(store, each, since=since, tags=(each.split("\n")[2],)) for each in KEYS]
    assert outcomes == [Outcome.PURGED if each in hit else Outcome.STORED for each in KEYS]
    assert await left(store, KEYS) == [each for each in KEYS if each not in hit]


@pytest.mark.parametrize("name", PURGES)
async def test_what_was_fetched_after_a_purge_is_kept(store: BodyStore, name: str) -> None:
    await store.purge(PURGES[name][0], soft=False, now=NOW)
    for each in KEYS:
        await put(store, each, tags=(each.split("\n")[2],))
    assert await left(store, KEYS) == KEYS


async def test_a_large_body_that_is_under_way_when_it_is_purged_is_not_kept(store: BodyStore) -> None:
    async with store.writing(A, stored(), store.epoch) as writer:
        await writer.write(bytes_of(400_000))
        await store.purge(ByHost("shop.test"), soft=False, now=NOW)
        await writer.write(bytes_of(400_000))
        assert await writer.commit() is Outcome.PURGED
    assert list(await store.get(A)) == []


async def test_what_is_being_read_when_it_is_purged_is_read_to_its_end(store: BodyStore) -> None:
    await put(store, A, bytes_of(1_000_000))
    (found,) = await store.get(A)
    body = await store.open(found)
    begin = await body.read()
    await store.purge(Everything(), soft=False, now=NOW)
    rest = []
    while piece := await body.read():
        rest.append(piece)
    assert begin + b"".join(rest) == bytes_of(1_000_000)


async def test_a_purge_of_more_than_it_does_at_once_hits_all(store: BodyStore) -> None:
    keys = [key(f"/many/{number}") for number in range(1_500)]
    await asyncio.gather(*(put(store, each, tags=("many",)) for each in keys))
    await put(store, B, tags=("few",))
    assert (await store.purge(ByTag("many"), soft=True, now=NOW)).entries == 1_500
    assert (await store.purge(ByPath("/many/1*"), soft=False, now=NOW)).entries == 611
    assert (await store.purge(ByTag("many"), soft=False, now=NOW)).entries == 889
    assert await left(store, [*keys, B]) == [B]


async def test_the_orders_since_an_epoch_can_be_asked_for(store: BodyStore) -> None:
    begin = store.epoch
    await store.purge(ByTag("a"), soft=True, now=NOW)
    then = store.epoch
    await store.remove(A)
    assert store.epoch > then > begin
    orders = store.orders_since(begin)
    assert orders is not None
    assert [(order.purge, order.is_soft) for order in orders] == [(ByTag("a"), True), (ByKey(A), False)]
    assert list(store.orders_since(then) or ()) == [orders[1]]
    assert list(store.orders_since(store.epoch) or ()) == []


async def test_it_never_holds_more_than_it_may(store: BodyStore) -> None:
    keys = [key(f"/{number}") for number in range(40)]
    for each in keys:
        await put(store, each, bytes_of(1_000_000))
    there = await left(store, keys)
    assert keys[-1] in there
    assert 0 < len(there) * 1_000_000 <= CAPACITY


async def test_what_is_used_stays_longer(store: BodyStore) -> None:
    await put(store, A, bytes_of(1_000_000))
    for number in range(40):
        await put(store, key(f"/{number}"), bytes_of(1_000_000))
        await bodies(store, A)
    assert await left(store, [A, key("/0")]) == [A]
