"""The disk store takes no more than it may: of disk, of the event loop, of threads' patience."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.purges import ByTag, Everything
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.disk import changes
from edgefn.stores.disk.base import Outcome
from edgefn.stores.disk.files import free_space
from edgefn.stores.disk.store import DiskStore, opened

HEADERS = Headers([(f"Name-{line}", f"value {line}") for line in range(10)])


def stored(number: int) -> Stored:
    return Stored(200, "OK", HEADERS, b"", 1.0, 1.0, 60.0, 0.0, tags=(f"tag-{number % 50}", "all"))


async def put(store: DiskStore, number: int, size: int, since: int | None = None) -> Outcome:
    key = f"https\nshop.test\n/some/where/{number}"
    async with store.writing(key, stored(number), store.epoch if since is None else since) as writer:
        await writer.write(bytes([number % 251]) * size)
        return await writer.commit()


def taken(directory: Path) -> int:
    """Return the bytes that entries take: the filters are of a fixed size, a five-hundredth of the capacity."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != "known")
    return sum(path.stat().st_blocks * 512 for path in files)


def counted(directory: Path) -> dict[str, int]:
    with closing(sqlite3.connect(directory / "index.db")) as db:
        return dict(db.execute("SELECT name, value FROM counts").fetchall())


def really(directory: Path) -> tuple[int, int, int, int]:
    """Return the entries and their size, and how many bodies and tags there are."""
    with closing(sqlite3.connect(directory / "index.db")) as db:
        entries, size = db.execute("SELECT count(*), ifnull(sum(size), 0) FROM entries").fetchone()
        bodies = db.execute("SELECT count(*) FROM bodies").fetchone()[0]
        return entries, size, bodies, db.execute("SELECT count(*) FROM tags").fetchone()[0]


def open_files() -> int:
    """Return how many there are; 0 where the system does not tell."""
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.is_dir() else 0


@pytest.mark.parametrize(("count", "size"), [(3_000, 0), (3_000, 1_000), (500, 30_000), (60, 200_000)])
async def test_the_estimate_covers_the_disk_that_is_taken(tmp_path: Path, count: int, size: int) -> None:
    async with opened(tmp_path, 2**30) as store:
        await asyncio.gather(*(put(store, number, size) for number in range(count)))
    estimate = counted(tmp_path)["size"]
    assert 0.6 * estimate <= taken(tmp_path) <= 1.1 * estimate + 200_000


@pytest.mark.parametrize("size", [2_000, 60_000])
async def test_much_more_than_fits_leaves_no_more_than_fits(tmp_path: Path, size: int) -> None:
    capacity = 4_000_000
    async with opened(tmp_path, capacity) as store:
        for begin in range(0, 12_000_000 // size, 10):
            await asyncio.gather(*(put(store, number, size) for number in range(begin, begin + 10)))
        assert counted(tmp_path)["size"] <= capacity
    assert taken(tmp_path) <= 1.3 * capacity + 500_000
    entries, total, bodies, tags = really(tmp_path)
    assert (counted(tmp_path)["entries"], counted(tmp_path)["size"]) == (entries, total)
    assert entries * size > capacity / 2
    assert tags == 2 * entries
    files = [path for path in (tmp_path / "bodies").rglob("*") if path.is_file()]
    assert bodies + len(files) == entries


@pytest.mark.parametrize("size", [20_000, 60_000])
async def test_a_file_system_that_is_smaller_than_the_store_may_be_is_not_filled_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The oldest go, as they do where the store's own bound is reached; nothing is refused."""
    room = 20_000_000
    monkeypatch.setattr("edgefn.stores.disk.lanes.free_space", lambda directory: room - taken(directory))
    async with opened(tmp_path, 2**30) as store:
        for begin in range(0, 40_000_000 // size, 50):
            outcomes = await asyncio.gather(*(put(store, number, size) for number in range(begin, begin + 50)))
            assert set(outcomes) == {Outcome.STORED}
        assert taken(tmp_path) <= 1.2 * room
        assert really(tmp_path)[0] * size > room / 3
        room = 0  # others have filled it
        await put(store, 0, size)
        assert really(tmp_path)[0] == 0
        assert not any(path.is_file() for path in (tmp_path / "bodies").rglob("*"))
        room = 20_000_000
        assert [await put(store, number, size) for number in range(3)] == [Outcome.STORED] * 3
        assert really(tmp_path)[0] == 3


@pytest.mark.parametrize(
    ("free", "total", "spare"),
    [(50, 800, -50), (200, 800, 100), (10**6, 10**7, 10**6 - 2**16), (0, 0, 2**50)],
    ids=["too full", "with room", "a large one", "one that does not tell its size"],
)
def test_an_eighth_of_the_file_system_is_left_free_but_no_more_than_256_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, total: int, spare: int
) -> None:
    told = os.statvfs_result((4_096, 4_096, total, free, free, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    assert free_space(tmp_path) == spare * 4_096


async def test_what_was_purged_with_everything_is_cleared_away(tmp_path: Path) -> None:
    async with opened(tmp_path, 2**26) as store:
        await asyncio.gather(*(put(store, number, 100) for number in range(1_200)))
        await put(store, 5_000, 100_000)
        assert (await store.purge(Everything(), soft=False, now=5.0)).entries == 1_201
        await put(store, 1, 100)
        assert (await store.purge(ByTag("all"), soft=False, now=5.0)).entries == 1
        async with asyncio.timeout(10):
            while counted(tmp_path)["entries"]:
                await store.get("anything")
    assert really(tmp_path) == (0, 0, 0, 0)
    left = counted(tmp_path)
    assert (left["size"], left["dead entries"], left["dead size"]) == (0, 0, 0)
    assert not [path for path in (tmp_path / "bodies").rglob("*") if path.is_file()]


async def test_purges_too_old_to_be_remembered_hit_whatever_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KEPT_ORDERS", 10)
    async with opened(tmp_path, 2**26) as store:
        begin = store.epoch
        for number in range(11):
            await store.purge(ByTag(f"other-{number}"), soft=False, now=5.0)
        assert store.orders_since(begin) is None
        assert len(store.orders_since(begin + 1) or ()) == 10
        assert await put(store, 1, 10, since=begin) is Outcome.PURGED
        assert await put(store, 1, 10, since=begin + 1) is Outcome.STORED


async def test_what_is_on_its_way_is_bounded_and_what_was_given_up_counts_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path, 8_000_000) as store:
        for _ in range(3):
            async with store.writing("a", stored(1), 0) as one, store.writing("b", stored(1), 0) as two:
                await one.write(bytes(1_000_000))
                await two.write(bytes(900_000))
                async with store.writing("c", stored(1), 0) as three:
                    with pytest.raises(StoreError, match="too much"):
                        await three.write(bytes(200_000))
        assert await put(store, 1, 1_000_000) is Outcome.STORED


async def test_a_flood_of_calls_is_refused_and_not_queued_without_end(tmp_path: Path) -> None:
    async with opened(tmp_path, 2**26) as store:
        found = await asyncio.gather(*(store.get("a") for _ in range(3_000)), return_exceptions=True)
        refused = [each for each in found if isinstance(each, StoreError)]
        assert 0 < len(refused) < 3_000
        assert list(await store.get("a")) == []


async def test_calls_that_are_cancelled_at_any_time_leave_no_file_open_and_none_behind(tmp_path: Path) -> None:
    async with opened(tmp_path, 2**26):
        pass
    before = open_files()
    async with opened(tmp_path, 2**26) as store:
        await put(store, 1, 400_000)
        (found,) = await store.get("https\nshop.test\n/some/where/1")

        async def use() -> None:
            body = await store.open(found)
            try:
                await body.read()
                await put(store, 2, 400_000)
            finally:
                body.close()

        for turns in range(24):
            task = asyncio.create_task(use())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
    assert open_files() == before
    async with opened(tmp_path, 2**26) as store, asyncio.timeout(10):
        while sum(path.is_file() for path in (tmp_path / "bodies").rglob("*")) > really(tmp_path)[0]:
            await store.get("anything")


@pytest.mark.parametrize(("first", "length"), [(0, 100), (50_000, 60_000), (0, None), (999_999, None), (0, 400_000)])
async def test_a_body_that_is_all_here_holds_no_file(tmp_path: Path, first: int, length: int | None) -> None:
    def files() -> int:
        return sum("/bodies/" in os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())

    async with opened(tmp_path, 2**24) as store:
        await put(store, 1, 1_000_000)
    async with opened(tmp_path, 2**24) as store:  # anew, so that the writer's own file is closed for sure
        (found,) = await store.get("https\nshop.test\n/some/where/1")
        body = await store.open(found, first, length)
        data = body.buffered() or b""
        while len(data) < (body.length or 0):
            data += await body.read()
        assert files() == 0
        body = await store.open(found, first, length)
        body.close()
        assert files() == 0
