"""All that a worker has within reach: memory, the disk behind it, and the purges that all workers share."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.purges import ByHost, ByPath, ByTag, Everything, Purge
from edgefn.stores.base import NOTHING, Order, Purged, Stored, StoreError
from edgefn.stores.disk.store import DiskStore, opened
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.memory import MemoryStore
from edgefn.stores.stock import Stock

KEY = "http\nshop.test\n/a"
OTHER = "http\nother.test\n/a"
NOW = 1_000.0
CAPACITY = 2**22


def stored(body: bytes = b"hello", **fields: object) -> Stored:
    plain = Stored(200, "OK", Headers([("N", "1")]), body, 990.0, 991.0, 60.0, 2.0)
    return replace(plain, **fields)  # type: ignore[arg-type]  # checked by the dataclass


def anything(_: Stored) -> bool:
    return True


def stock_on(ledger: LocalLedger, capacity: int = CAPACITY) -> Stock:
    return Stock(MemoryStore(capacity), ledger, None, lambda: NOW)


@asynccontextmanager
async def stock_with_disk(directory: Path) -> AsyncIterator[Stock]:
    """A worker of its own: nothing but the directory is shared."""
    async with opened(directory, 2**26) as disk:
        stock = Stock(MemoryStore(CAPACITY, 10_000), disk, disk, lambda: NOW)
        yield stock
        await stock.close()


async def test_a_purge_of_one_worker_holds_for_the_other_from_its_end_on() -> None:
    ledger = LocalLedger()
    one, other = stock_on(ledger), stock_on(ledger)
    for stock in (one, other):
        stock.put(KEY, stored(), stock.epoch())
        stock.put(OTHER, stored(), stock.epoch())
    hit = await one.purge(ByHost("shop.test"), soft=False)
    assert (hit.memory.entries, hit.disk) == (1, NOTHING)
    for stock in (one, other):
        assert (list(stock.get(KEY)), len(stock.get(OTHER))) == ([], 1)
    assert (await other.hit_by(hit.epoch)).entries == 1


@pytest.mark.parametrize("purge", [ByPath("/many/*"), ByTag("t"), ByHost("shop.test"), Everything()])
async def test_a_purge_of_many_responses_lets_others_be_served_in_between(purge: Purge) -> None:
    ledger = LocalLedger()
    one, other = stock_on(ledger, 2**25), stock_on(ledger, 2**25)
    keys = [f"http\nshop.test\n/many/{number}" for number in range(3_000)]
    for stock in (one, other):
        for key in keys:
            stock.put(key, stored(tags=("t",)), stock.epoch())
    purging = asyncio.create_task(one.purge(purge, soft=True))
    turns = 0
    while not purging.done():
        await asyncio.sleep(0)
        turns += 1
        if ledger.epoch:  # ordered: nobody gets it as it was, however far the sweep has come
            for stock in (one, other):
                assert [each.lifetime for each in stock.get(keys[-turns])] == [NOW - 991.0 + 2.0]
    assert turns > 10
    hit = purging.result()
    assert hit.memory.entries == (await other.hit_by(hit.epoch)).entries == len(keys)


async def test_a_soft_purge_leaves_it_stale() -> None:
    stock = stock_on(LocalLedger())
    stock.put(KEY, stored(tags=("t",)), stock.epoch())
    assert (await stock.purge(ByTag("t"), soft=True)).memory.entries == 1
    assert [each.lifetime for each in stock.get(KEY)] == [NOW - 991.0 + 2.0]


@pytest.mark.parametrize("purge", [ByPath("/a"), ByTag("t"), ByHost("shop.test"), Everything()])
async def test_what_was_fetched_before_a_purge_is_not_kept_after_it(purge: Purge) -> None:
    stock = stock_on(LocalLedger())
    since = stock.epoch()
    await stock.purge(purge, soft=False)
    stock.put(KEY, stored(tags=("t",)), since)
    assert list(stock.get(KEY)) == []
    stock.put(KEY, stored(tags=("t",)), stock.epoch())
    assert len(stock.get(KEY)) == 1


async def test_what_was_fetched_before_another_purge_is_kept() -> None:
    stock = stock_on(LocalLedger())
    since = stock.epoch()
    await stock.purge(ByHost("other.test"), soft=False)
    stock.put(KEY, stored(), since)
    assert len(stock.get(KEY)) == 1


async def test_whoever_follows_hears_of_each_purge_once() -> None:
    ledger = LocalLedger()
    stock, told = stock_on(ledger), []
    stock.follow(told.append)
    await ledger.purge(ByTag("a"), soft=False, now=NOW)
    await ledger.purge(ByTag("b"), soft=False, now=NOW)
    stock.get(KEY)
    stock.get(KEY)
    assert [order.purge for order in told] == [ByTag("a"), ByTag("b")]


async def test_with_more_purges_than_can_be_known_everything_goes() -> None:
    ledger = LocalLedger()
    stock = stock_on(ledger)
    since = stock.epoch()
    stock.put(KEY, stored(), since)
    for number in range(5_000):
        await ledger.purge(ByTag(str(number)), soft=False, now=NOW)
    assert list(stock.get(KEY)) == []
    stock.put(KEY, stored(), since)
    assert list(stock.get(KEY)) == []
    stock.put(KEY, stored(), stock.epoch())
    assert len(stock.get(KEY)) == 1


class Unreadable(LocalLedger):
    def orders_since(self, epoch: int) -> Sequence[Order] | None:
        raise StoreError("the disk is gone")


async def test_with_purges_that_can_not_be_read_everything_goes() -> None:
    stock = stock_on(Unreadable())
    stock.put(KEY, stored(), stock.epoch())
    assert len(stock.get(KEY)) == 1
    await stock.remove(OTHER)
    assert list(stock.get(KEY)) == []


class Failing(LocalLedger):
    async def purge(self, purge: Purge, *, soft: bool, now: float) -> Purged:
        raise StoreError("the disk is full")


async def test_a_purge_that_can_not_be_written_down_is_not_acknowledged() -> None:
    stock = stock_on(Failing())
    with pytest.raises(StoreError, match="full"):
        await stock.purge(Everything(), soft=False)


async def test_what_one_worker_keeps_another_one_finds_on_disk(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as one:
        one.put(KEY, stored(b"small"), one.epoch())
        await one.close()
        async with stock_with_disk(tmp_path) as other:
            assert list(other.get(KEY)) == []
            assert [each.body for each in await other.bring(KEY, anything)] == [b"small"]
            assert [each.body for each in other.get(KEY)] == [b"small"]


async def test_what_is_large_stays_on_disk(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as stock:
        async with stock.writing(KEY, stored(b""), stock.epoch()) as writer:
            await writer.write(bytes(50_000))
            await writer.commit()
        writer.release()
        (found,) = await stock.bring(KEY, anything)
        assert (found.body, found.length) == (b"", 50_000)
        assert list(stock.get(KEY)) == []


async def test_a_purge_hits_memory_and_disk_of_all_workers(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as one, stock_with_disk(tmp_path) as other:
        one.put(KEY, stored(), one.epoch())
        await one.close()
        await other.bring(KEY, anything)
        hit = await one.purge(ByPath("/a"), soft=False)
        assert (hit.memory.entries, hit.disk.entries, (await other.hit_by(hit.epoch)).entries) == (1, 1, 1)
        for stock in (one, other):
            assert (list(stock.get(KEY)), list(await stock.bring(KEY, anything))) == ([], [])


async def test_what_was_read_from_disk_before_a_purge_does_not_get_into_memory_after_it(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as one, stock_with_disk(tmp_path) as other:
        one.put(KEY, stored(), one.epoch())
        await one.close()
        bringing = asyncio.create_task(other.bring(KEY, anything))
        await asyncio.sleep(0)
        await one.purge(Everything(), soft=False)
        assert list(await bringing) == [] or list(other.get(KEY)) == []
        assert list(other.get(KEY)) == []


@pytest.mark.parametrize("soft", [False, True])
async def test_what_a_purge_has_not_come_to_yet_is_hit_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soft: bool
) -> None:
    """It is ordered, and all know of it, but the entry still lies there."""
    going, go = asyncio.Event(), asyncio.Event()
    swept = DiskStore._swept

    async def held_up(self: DiskStore, order: Order) -> Purged:
        going.set()
        await go.wait()
        return await swept(self, order)

    async with stock_with_disk(tmp_path) as one, stock_with_disk(tmp_path) as other:
        one.put(KEY, stored(), one.epoch())
        await one.close()
        assert one.disk is not None
        (found,) = await one.disk.get(KEY)
        monkeypatch.setattr(DiskStore, "_swept", held_up)
        purging = asyncio.create_task(one.purge(ByPath("/a"), soft=soft))
        await going.wait()
        assert [each.lifetime for each in await other.bring(KEY, anything)] == ([11.0] if soft else [])
        assert [each.lifetime for each in other.get(KEY)] == ([11.0] if soft else [])
        assert not await one.disk.renew(found, stored(lifetime=99.0), one.epoch())
        go.set()
        await purging  # the other one may have finished it, taking it for what a killed process has left behind
        assert [each.lifetime for each in await other.bring(KEY, anything)] == ([11.0] if soft else [])


async def test_a_newer_one_in_memory_is_not_replaced_from_disk(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as one, stock_with_disk(tmp_path) as other:
        one.put(KEY, stored(b"old"), one.epoch())
        await one.close()
        other._memory.put(KEY, stored(b"new", received_at=995.0))
        await other.bring(KEY, anything)
        assert [each.body for each in other.get(KEY)] == [b"new"]


async def test_a_slow_fetch_gives_way_to_a_newer_response_that_is_on_disk_only(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as one, stock_with_disk(tmp_path) as other:
        one.put(KEY, stored(b"new", received_at=995.0), one.epoch())
        await one.close()
        other.put(KEY, stored(b"old"), other.epoch())
        await other.close()
        assert list(other.get(KEY)) == []
        assert [each.body for each in await other.bring(KEY, anything)] == [b"new"]


async def test_a_change_without_a_body_keeps_the_body_on_disk(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as stock:
        held = stored(b"the body")
        stock.put(KEY, held, stock.epoch())
        await stock.close()
        stock.update(KEY, held, replace(held, lifetime=99.0, received_at=995.0), stock.epoch())
        await stock.close()
        async with stock_with_disk(tmp_path) as other:
            assert [(each.body, each.lifetime) for each in await other.bring(KEY, anything)] == [(b"the body", 99.0)]


async def test_of_many_changes_the_last_one_is_written(tmp_path: Path) -> None:
    async with stock_with_disk(tmp_path) as stock:
        for number in range(200):
            stock.put(KEY, stored(f"body {number}".encode(), received_at=991.0 + number), stock.epoch())
        await stock.close()
        async with stock_with_disk(tmp_path) as other:
            assert [each.body for each in await other.bring(KEY, anything)] == [b"body 199"]
