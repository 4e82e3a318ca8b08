"""The disk store outlives its processes, however they end, and they see each other's changes at once."""

import asyncio
import random
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from edgefn.rules.purges import ByPath, Everything, hits, place_of
from edgefn.stores.base import StoreError
from edgefn.stores.disk.base import GoneError
from edgefn.stores.disk.store import DiskStore, opened
from tests.fakes.disk_process import KEYS, body_of, key_of, put, stored_of
from tests.project.sources import ROOT

CAPACITY = 2**28
PATIENCE = 30.0
LARGE = next(number for number in range(1_000) if len(body_of(number, 1)) > 200_000)
SMALL = next(number for number in range(1_000) if len(body_of(number, 1)) < 100)


class Neighbour:
    """Another process that has the same store open."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> list[str]:
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)).decode().split()

    async def asked(self, *words: object) -> list[str]:
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        return await self.line()

    async def kill(self) -> list[list[str]]:
        """Kill it; return what it had said by then."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGKILL)
        said = await asyncio.wait_for(self._process.stdout.read(), PATIENCE)
        return [line.decode().split() for line in said.splitlines(keepends=True) if line.endswith(b"\n")]


@asynccontextmanager
async def neighbour(directory: Path, capacity: int, *seed: int) -> AsyncIterator[Neighbour]:
    command = [sys.executable, "-m", "tests.fakes.disk_process", str(directory), str(capacity), *map(str, seed)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        started = Neighbour(process)
        assert await started.line() == ["ready"]
        yield started
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), PATIENCE)


async def body(store: DiskStore, number: int) -> bytes | None:
    """Return the stored body, read to its end; none may be broken. One that was dropped is looked up again."""
    while found := await store.get(key_of(number)):
        try:
            reader = await store.open(found[0])
        except GoneError:
            continue
        pieces = []
        while piece := await reader.read():
            pieces.append(piece)
        return b"".join(pieces)
    return None


async def generation(store: DiskStore, number: int) -> int:
    """Return which body there is, 0 for none; it is the one that was written, to the last byte."""
    data = await body(store, number)
    if data is None:
        return 0
    found = re.match(rb"(\d+) (\d+) ", data)
    assert found is not None
    assert data == body_of(int(found[1]), int(found[2]))
    assert int(found[1]) == number
    return int(found[2])


async def settled(store: DiskStore, directory: Path) -> None:
    """Wait until purges that were cut off are ended."""
    async with asyncio.timeout(PATIENCE):
        with closing(sqlite3.connect(directory / "index.db")) as db:
            while db.execute("SELECT count(*) FROM orders WHERE NOT done").fetchone()[0]:
                await store.get("anything")


def files_in(directory: Path) -> int:
    return sum(path.is_file() for path in (directory / "bodies").rglob("*"))


async def test_all_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        for number in range(KEYS):
            await put(store, number, 1)
        await store.purge(ByPath("/1/*"), soft=False, now=5.0)
        epoch = store.epoch
    async with opened(tmp_path, CAPACITY) as store:
        assert [await generation(store, number) for number in range(KEYS)] == [int(n % 3 != 1) for n in range(KEYS)]
        assert store.epoch == epoch


def expected_after(said: list[list[str]], known: dict[int, int]) -> dict[int, int]:
    """Return the least generation of each number, by what was acknowledged in this order."""
    least = dict(known)
    for words in said:
        match words:
            case ["put", number, generation, "stored"]:
                least[int(number)] = int(generation)
            case ["purged-section", section, _]:
                least = {number: 0 if number % 3 == int(section) else g for number, g in least.items()}
            case ["purged-tag", tag, _]:
                least = {number: 0 if number % 5 == int(tag) else g for number, g in least.items()}
    return least


def purged_before(said: list[list[str]]) -> dict[int, int]:
    """Return for each number the generation at which it was last purged: whatever is there must be a later one."""
    floor: dict[int, int] = {}
    for words in said:
        match words:
            case ["purged-section", section, at]:
                floor |= {number: int(at) for number in range(KEYS) if number % 3 == int(section)}
            case ["purged-tag", tag, at]:
                floor |= {number: int(at) for number in range(KEYS) if number % 5 == int(tag)}
    return floor


def is_hit(store: DiskStore, epoch: int, number: int) -> bool:
    """Return whether a purge since then, which nobody acknowledged, is about it."""
    orders = store.orders_since(epoch)
    assert orders is not None
    assert len(orders) <= 1
    tags = stored_of(number).tags
    return any(hits(order.purge, place_of(key_of(number)), tags) for order in orders)


async def test_a_killed_writer_leaves_nothing_wrong_and_loses_nothing_that_it_had_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(7)
    known = dict.fromkeys(range(KEYS), 0)
    epoch = 0
    for seed in range(1, 9):
        async with neighbour(tmp_path, CAPACITY, seed) as writer:
            said = [await writer.line() for _ in range(dice.randrange(5, 120))]
            await asyncio.sleep(dice.random() * 0.004)  # anywhere within what it is doing
            said += await writer.kill()
        known = expected_after(said, known)
        floor = purged_before(said)
        acknowledged = sum(words[0].startswith("purged") for words in said)
        async with opened(tmp_path, CAPACITY) as store:
            await settled(store, tmp_path)
            for number in range(KEYS):
                there = await generation(store, number)
                assert there >= known[number] or (there == 0 and is_hit(store, epoch + acknowledged, number))
                assert there == 0 or there > floor.get(number, 0)
                known[number] = there
            epoch = store.epoch


async def test_who_shares_the_store_with_a_writer_that_is_killed_reads_only_what_is_whole(tmp_path: Path) -> None:
    async with opened(tmp_path, 3_000_000) as store:  # small enough for eviction
        for seed in range(1, 4):
            async with neighbour(tmp_path, 3_000_000, seed) as writer:
                for _ in range(30):
                    await writer.line()
                    await asyncio.gather(*(generation(store, number) for number in range(0, KEYS, 3)))
                await writer.kill()
        await put(store, 0, 1)
        assert await generation(store, 0) == 1


async def test_what_a_killed_writer_left_is_swept_away_and_what_others_write_is_not(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        async with neighbour(tmp_path, CAPACITY) as writer:
            assert await writer.asked("begin", LARGE, 1) == ["begun"]
            await writer.kill()
        assert files_in(tmp_path) == 1
        async with store.writing(key_of(SMALL), stored_of(SMALL), store.epoch) as alive:
            await alive.write(bytes(300_000))
            assert files_in(tmp_path) == 2
            async with opened(tmp_path, CAPACITY) as another:
                async with asyncio.timeout(PATIENCE):
                    while files_in(tmp_path) > 1:
                        await another.get("anything")
            assert await alive.commit() == "stored"
        (found,) = await store.get(key_of(SMALL))
        assert found.length == 300_000
        assert files_in(tmp_path) == 1


async def test_a_purge_that_its_process_did_not_live_to_end_is_ended_by_the_next(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL, 1)
        await store.purge(ByPath("/nothing"), soft=False, now=5.0)
        epoch = store.epoch
    with closing(sqlite3.connect(tmp_path / "index.db")) as db, db:  # as if it had been killed after the order
        db.execute("UPDATE orders SET done = 0, purge = ? WHERE epoch = ?", ('["path","/*",null]', epoch))
    async with opened(tmp_path, CAPACITY) as store, asyncio.timeout(PATIENCE):
        while await store.get(key_of(SMALL)):
            pass
        assert store.epoch == epoch


async def test_processes_see_what_each_other_puts_and_purges(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store, neighbour(tmp_path, CAPACITY) as other:
        assert (await other.asked("put", LARGE, 1))[-1] == "stored"
        assert await body(store, LARGE) == body_of(LARGE, 1)
        await put(store, LARGE, 2)
        assert await other.asked("get", LARGE) == ["got", str(len(body_of(LARGE, 2)))]
        assert await other.asked("purge", "/*") == ["purged", "1"]
        assert await body(store, LARGE) is None
        assert store.epoch == 1
        await put(store, SMALL, 1)
        await store.purge(Everything(), soft=False, now=5.0)
        assert await other.asked("get", SMALL) == ["got"]
        assert await other.asked("epoch") == ["epoch", "2", "2"]


@pytest.mark.parametrize("number", [LARGE, SMALL])
async def test_what_another_process_has_under_way_is_purged_too(tmp_path: Path, number: int) -> None:
    async with opened(tmp_path, CAPACITY) as store, neighbour(tmp_path, CAPACITY) as other:
        assert await other.asked("begin", number, 1) == ["begun"]
        await store.purge(ByPath(f"/{number % 3}/{number}"), soft=False, now=5.0)
        assert await other.asked("go") == ["purged"]
        assert await body(store, number) is None
        async with asyncio.timeout(PATIENCE):
            while files_in(tmp_path):
                await store.get("anything")


async def test_purges_and_puts_of_several_processes_end_with_nothing_old(tmp_path: Path) -> None:
    """Each generation is put by two processes at once while it is purged; once purged, no older one is there."""
    async with opened(tmp_path, CAPACITY) as store, neighbour(tmp_path, CAPACITY, 5), neighbour(tmp_path, CAPACITY, 6):
        for turn in range(40):
            began = store.epoch
            await store.purge(ByPath("/1/*") if turn % 2 else Everything(), soft=False, now=5.0)
            numbers = [found.number for n in range(1, KEYS, 3) for found in await store.get(key_of(n))]
            with closing(sqlite3.connect(tmp_path / "index.db")) as db:
                epochs = dict(db.execute("SELECT number, epoch FROM entries").fetchall())
            assert all(epochs.get(number, began + 1) > began for number in numbers)


@pytest.mark.parametrize("damage", ["another format", "a torn stamp", "not an index"])
async def test_what_can_not_be_read_any_more_is_begun_anew(tmp_path: Path, damage: str) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, LARGE, 1)
    match damage:
        case "another format":
            (tmp_path / "stamp").write_text("0" * 64)
        case "a torn stamp":
            (tmp_path / "stamp").write_bytes(b"\xff")
        case "not an index":
            (tmp_path / "index.db").write_bytes(b"garbage" * 10_000)
    async with opened(tmp_path, CAPACITY) as store:
        assert await body(store, LARGE) is None
        assert files_in(tmp_path) == 0
        await put(store, LARGE, 2)
        assert await generation(store, LARGE) == 2


async def test_it_is_not_begun_anew_while_others_have_it_open(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL, 1)
        (tmp_path / "stamp").write_text("0" * 64)
        with pytest.raises(StoreError, match="other processes"):
            async with opened(tmp_path, CAPACITY):
                pass
        assert await generation(store, SMALL) == 1
