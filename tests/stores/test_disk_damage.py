"""The disk store on a disk that loses bytes, is full, or does not answer: a miss, and never a wrong byte."""

import logging
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.model.headers import Headers
from edgefn.rules.purges import ByPath, ByTag
from edgefn.stores.base import Found, Stored, StoreError
from edgefn.stores.disk import finding
from edgefn.stores.disk.base import GoneError, LostError, Outcome
from edgefn.stores.disk.store import DiskStore, opened
from tests.project.sources import ROOT

CAPACITY = 2**26
KEY = "https\nshop.test\n/a"
STORED = Stored(200, "OK", Headers([("A", "1")]), b"", 1.0, 1.0, 60.0, 0.0, tags=("t",))
LARGE = bytes(index * 7 % 251 for index in range(1_000_000))
SMALL = LARGE[:1_000]


async def put(store: DiskStore, body: bytes, key: str = KEY) -> Outcome:
    async with store.writing(key, STORED, store.epoch) as writer:
        await writer.write(body)
        return await writer.commit()


async def read(store: DiskStore, found: Found) -> bytes:
    body = await store.open(found)
    try:
        pieces = []
        while piece := await body.read():
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        body.close()


def body_file(directory: Path) -> Path:
    (path,) = (path for path in (directory / "bodies").rglob("*") if path.is_file())
    return path


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


async def test_an_entry_that_goes_between_two_looks_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL)
        look = finding.small_body

        def late(db: sqlite3.Connection, found: Found) -> bytes:
            with closing(sqlite3.connect(tmp_path / "index.db", isolation_level=None)) as other:
                for table in ("entries", "bodies"):  # as another worker would
                    other.execute(f"DELETE FROM {table} WHERE number = ?", (found.number,))
            return look(db, found)

        monkeypatch.setattr(finding, "small_body", late)
        (found,) = await store.get(KEY)
        assert await read(store, found) == SMALL, "as it was when the first look was taken"
        assert list(await store.get(KEY)) == []
        assert caplog.records == []


@pytest.mark.parametrize("at", [0, 15, 16, 65_551, 65_552, 500_000, -1])
async def test_a_flipped_bit_of_a_large_body_is_never_served(tmp_path: Path, at: int) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, LARGE)
        path = body_file(tmp_path)
        flip(path, at % path.stat().st_size)
        (found,) = await store.get(KEY)
        with pytest.raises(LostError):
            await read(store, found)
        await put(store, SMALL, "another")  # in line behind what drops the broken one
        assert list(await store.get(KEY)) == []
        assert not path.exists()


async def test_a_part_of_a_body_is_read_though_another_part_is_broken(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, LARGE)
        flip(body_file(tmp_path), 900_000)
        (found,) = await store.get(KEY)
        assert (await store.open(found, 70_000, 10)).buffered() == LARGE[70_000:70_010]


@pytest.mark.parametrize("size", [0, 10, 65_552, 999_000])
async def test_a_body_cut_short_is_never_served(tmp_path: Path, size: int) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, LARGE)
        with body_file(tmp_path).open("r+b") as file:
            file.truncate(size)
        (found,) = await store.get(KEY)
        with pytest.raises(LostError):
            await read(store, found)


async def test_the_body_of_another_entry_is_never_served(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, LARGE)
        first = body_file(tmp_path)
        await put(store, LARGE[::-1], "another")
        (second,) = (path for path in (tmp_path / "bodies").rglob("*") if path.is_file() and path != first)
        second.replace(first)
        (found,) = await store.get(KEY)
        with pytest.raises(LostError):
            await read(store, found)


async def test_a_body_whose_file_was_deleted_is_a_miss_from_then_on(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, LARGE)
        body_file(tmp_path).unlink()
        (found,) = await store.get(KEY)
        with pytest.raises(GoneError):
            await store.open(found)
        await put(store, SMALL, "another")
        assert list(await store.get(KEY)) == []


DAMAGES = {
    "a small body": "UPDATE bodies SET data = x'ff' || substr(data, 2)",
    "a small body's seal": "UPDATE bodies SET seal = x'00' || substr(seal, 2)",
    "a small body's length": "UPDATE bodies SET data = substr(data, 2)",
    "a head": "UPDATE entries SET head = CAST(replace(CAST(head AS TEXT), 'OK', 'KO') AS BLOB)",
    "a seal": "UPDATE entries SET seal = x'00' || substr(seal, 2)",
    "a key": "UPDATE entries SET place = 'shop.test' || char(10) || 'https' || char(10) || '/a' WHERE place LIKE '%/b'",
    "a lost body": "DELETE FROM bodies",
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_broken_row_of_the_index_is_a_miss(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL, KEY.replace("/a", "/b") if damage == "a key" else KEY)
        with closing(sqlite3.connect(tmp_path / "index.db")) as db, db:
            assert db.execute(DAMAGES[damage]).rowcount == 1
        assert list(await store.get(KEY)) == []
        assert len(caplog.records) == 1
        await put(store, SMALL, "another")
        with closing(sqlite3.connect(tmp_path / "index.db")) as db:
            assert db.execute("SELECT count(*) FROM entries").fetchone()[0] == 1
        await put(store, SMALL)
        assert [await read(store, found) for found in await store.get(KEY)] == [SMALL]


@pytest.mark.parametrize("tags", ["[", "7", "\xff"])
async def test_an_entry_whose_tags_are_broken_can_still_be_purged(tmp_path: Path, tags: str) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL)
        with closing(sqlite3.connect(tmp_path / "index.db")) as db, db:
            db.execute("UPDATE entries SET tags = CAST(? AS TEXT)", (tags.encode("latin-1"),))
        assert (await store.purge(ByTag("t"), soft=False, now=5.0)).entries == 1
        assert list(await store.get(KEY)) == []


async def test_a_place_that_is_broken_stops_no_purge_of_the_others(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL)
        await put(store, SMALL, KEY + "/b")
        with closing(sqlite3.connect(tmp_path / "index.db")) as db, db:
            db.execute("UPDATE entries SET place = CAST(x'ff20' AS TEXT) WHERE place LIKE '%/b'")
        assert (await store.purge(ByPath("/*"), soft=False, now=5.0)).entries == 1


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_bytes_of_the_index_flip_no_wrong_byte_is_served(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    keys = [f"{KEY}/{number}" for number in range(60)]
    async with opened(tmp_path, CAPACITY) as store:
        for number, key in enumerate(keys):
            await put(store, bytes([number]) * 2_000, key)
    path = tmp_path / "index.db"
    for _ in range(40):
        flip(path, dice.randrange(100, path.stat().st_size))
    for _ in range(2):  # the second time perhaps begun anew
        async with opened(tmp_path, CAPACITY) as store:
            for number, key in enumerate(keys):
                try:
                    for found in await store.get(key):
                        assert found.stored == replace(STORED)
                        assert await read(store, found) == bytes([number]) * 2_000
                    await put(store, bytes([number]) * 2_000, key)
                except StoreError:
                    continue


class Failing:
    """A syscall that fails as often as it is told."""

    def __init__(self, real: Callable[..., int], error: OSError) -> None:
        self._real = real
        self._error = error
        self.after = 0

    def __call__(self, *arguments: object) -> int:
        self.after -= 1
        if self.after < 0:
            raise self._error
        return self._real(*arguments)


@pytest.mark.parametrize("after", [0, 1])
async def test_a_disk_that_fails_keeps_nothing_and_says_so_once(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import os

    failing = Failing(os.write, OSError(28, "No space left on device"))
    async with opened(tmp_path, CAPACITY) as store:
        with monkeypatch.context() as patch:
            patch.setattr("edgefn.stores.disk.files.os.write", failing)
            for _ in range(3):
                failing.after = after
                with pytest.raises(StoreError, match="No space left"):
                    await put(store, LARGE * 4)
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        for _ in range(40):
            await put(store, LARGE)
        assert [await read(store, found) for found in await store.get(KEY)] == [LARGE]
        assert "works again" in caplog.records[-1].message
        assert len(caplog.records) == 2


FULL = """
import asyncio, resource, sys
from pathlib import Path
from edgefn.stores.disk import finding
from edgefn.stores.disk.base import StoreError
from edgefn.stores.disk.store import opened
from tests.stores.test_disk_damage import KEY, LARGE, SMALL, put, read

async def main(directory):
    async with opened(directory, 2**28) as store:
        for number in range(20):
            await put(store, SMALL, f"{KEY}/{number}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        refused = 0
        for number in range(20, 1_200):
            try:
                await put(store, LARGE if number % 50 == 0 else SMALL * 20, f"{KEY}/{number}")
            except StoreError:
                refused += 1
        for number in range(1_200):
            for found in await store.get(f"{KEY}/{number}"):
                assert await read(store, found) == (SMALL if number < 20 else SMALL * 20)
        print("refused" if refused > 100 else refused)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_where_files_can_not_grow_any_more_what_is_there_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("refused\n", 0), done.stderr
    assert "going on without" in done.stderr


async def test_a_store_that_can_not_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        async with opened(tmp_path / "file" / "store", CAPACITY):
            pass


async def test_a_closed_store_refuses(tmp_path: Path) -> None:
    async with opened(tmp_path, CAPACITY) as store:
        await put(store, SMALL)
    with pytest.raises(StoreError):
        await store.get(KEY)
    with pytest.raises(StoreError):
        async with store.writing(KEY, STORED, 0) as writer:
            await writer.commit()
