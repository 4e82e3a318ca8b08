"""A miss does not look at the disk where it is known that there is nothing."""

import asyncio
import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.purges import place_of
from edgefn.stores.base import Found, Stored
from edgefn.stores.disk.known import Known, slots_for
from edgefn.stores.disk.store import DiskStore, opened
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.memory import MemoryStore
from edgefn.stores.stock import Stock

CAPACITY = 2**24
STORED = Stored(200, "OK", Headers([("N", "1")]), b"", 990.0, 991.0, 60.0, 2.0)
PATIENCE = 10.0


def key(number: int) -> str:
    return f"https\nshop.test\n/{number}"


async def put(store: DiskStore, number: int) -> None:
    async with store.writing(key(number), STORED, store.epoch) as writer:
        await writer.write(b"hello")
        await writer.commit()


async def until_learnt(store: DiskStore) -> None:
    """Wait until it knows what is not there."""
    async with asyncio.timeout(PATIENCE):
        while store.may_have(key(-1)):  # noqa: ASYNC110  # a thread of it is at work
            await asyncio.sleep(0.01)


async def test_what_any_process_stores_is_known_to_all_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as one, opened(tmp_path, CAPACITY) as other:
        await until_learnt(one)
        await put(one, 1)
        await put(other, 2)
        for store in (one, other):
            assert [store.may_have(key(number)) for number in range(5)] == [False, True, True, False, False]
    async with opened(tmp_path, CAPACITY) as anew:
        assert anew.may_have(key(1))
        await until_learnt(anew)
        assert [anew.may_have(key(number)) for number in range(5)] == [False, True, True, False, False]


async def test_a_miss_that_is_known_to_be_one_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    get = DiskStore.get

    async def seen(self: DiskStore, wanted: str) -> Sequence[Found]:
        asked.append(wanted)
        return await get(self, wanted)

    monkeypatch.setattr(DiskStore, "get", seen)
    async with opened(tmp_path, CAPACITY) as store:
        await until_learnt(store)
        await put(store, 1)
        stock = Stock(MemoryStore(CAPACITY), LocalLedger(), store, lambda: 1_000.0)
        assert [len(await stock.bring(key(number), lambda _: True)) for number in (1, 2)] == [1, 0]
    assert asked == [key(1)]


def test_a_filter_that_is_worn_is_made_anew_and_forgets_what_is_gone(tmp_path: Path) -> None:
    known, beside = Known(tmp_path / "known", CAPACITY), Known(tmp_path / "known", CAPACITY)
    places = [place_of(key(number)) for number in range(slots_for(CAPACITY) // 8 + 1)]
    assert known.is_worn
    assert known.begin()
    assert not beside.begin(), "one process at a time"
    known.end(complete=True)
    assert not beside.is_worn
    known.mark(place.encode() for place in places)
    assert all(beside.may_have(place) for place in places)
    assert beside.is_worn

    assert beside.begin()
    known.mark([b"while it is made"])
    beside.mark(place.encode() for place in places[:10])
    beside.end(complete=True)
    for each in (known, beside):
        assert all(each.may_have(place) for place in (*places[:10], "while it is made"))
        assert not any(each.may_have(place) for place in places[10:1_000])
        assert not each.is_worn
        each.close()


def test_one_that_could_not_be_made_to_its_end_is_not_looked_at(tmp_path: Path) -> None:
    known = Known(tmp_path / "known", CAPACITY)
    assert known.begin()
    known.end(complete=False)
    assert known.may_have("anything")
    assert known.begin(), "whoever comes next tries again"
    known.close()


def test_few_are_taken_for_known_that_are_not(tmp_path: Path) -> None:
    known = Known(tmp_path / "known", 2**27)
    known.begin()
    known.mark(hashlib.sha256(b"%d" % number).digest() for number in range(10_000))
    known.end(complete=True)
    wrong = sum(known.may_have(f"never {number}") for number in range(10_000))
    assert wrong < 300
    known.close()


async def test_a_disk_that_is_full_at_the_start_is_asked_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, 1)

    def full(file: int, begin: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, 2)
        assert [len(await store.get(key(number))) for number in (1, 2, 3)] == [1, 1, 0]
        assert all(store.may_have(key(number)) for number in (1, 2, 3))
