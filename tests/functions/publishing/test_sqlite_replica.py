"""What the replica of one machine does beyond the contract: several processes, damage, a full disk, years of purges."""

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from edgefn.functions.replicas.base import (
    HEAD,
    PurgesLost,
    Record,
    ReplicaError,
    Restarted,
    Stored,
    UnavailableError,
)
from edgefn.functions.replicas.sqlite import database
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from tests.functions.publishing.stage import files_up_to


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def replica_in(directory: Path, wall: Clock | None = None) -> contextlib.AbstractAsyncContextManager[SqliteReplica]:
    return opened(directory, wall or Clock(), lambda: "a log")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), 50_000):
        yield content[begin : begin + 50_000]


async def read(replica: SqliteReplica, name: str) -> bytes:
    return b"".join([piece async for piece in replica.get_blob(name)])


WRITER = """
import asyncio, sys
from pathlib import Path
from edgefn.functions.replicas.base import HEAD, ConflictError, Record
from edgefn.functions.replicas.sqlite.replica import opened

async def main(directory, name):
    async with opened(Path(directory), lambda: 1.0, lambda: "a log") as replica:
        for number in range(20):
            while True:
                head = await replica.get(HEAD)
                value = 0 if head is None else int(head.value)
                try:
                    await replica.append([Record(f"fn.{name}", b"%d" % number), Record(HEAD, b"%d" % (value + 1))],
                                         {HEAD: 0 if head is None else head.sequence})
                    break
                except ConflictError:
                    pass

asyncio.run(main(*sys.argv[1:]))
"""


async def test_several_processes_make_and_share_one_log(tmp_path: Path) -> None:
    def start(name: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "replica"), name])

    writers = [start(name) for name in "abc"]  # none of them finds the database made
    async with replica_in(tmp_path / "replica") as replica:
        heads = []
        async with asyncio.timeout(60), aclosing(replica.follow(0, "a log")) as following:
            async for each in following:
                assert isinstance(each, Stored)
                heads += [int(each.value)] if each.subject == HEAD else []
                if heads and heads[-1] == 60:
                    break
        assert heads == sorted(heads)
        assert [each.value for each in await replica.read()][:-1] == [b"19", b"19", b"19"]
    assert [await asyncio.to_thread(writer.wait, 30) for writer in writers] == [0, 0, 0]


LEAVER = """
import asyncio, sys
from pathlib import Path
from edgefn.functions.replicas.sqlite.replica import opened

async def main(directory):
    async with opened(Path(directory), lambda: 1.0, lambda: "a log") as replica:
        print(*sorted(await replica.statuses()))

asyncio.run(main(sys.argv[1]))
"""


async def test_a_process_that_leaves_takes_nothing_from_one_that_has_the_log_open_twice(tmp_path: Path) -> None:
    """SQLite removes its log when the last process leaves; who is the last one shows by the locks of the others."""

    async def told_elsewhere() -> list[str]:
        command = (sys.executable, "-c", LEAVER, str(tmp_path))
        left = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        told, _ = await left.communicate()
        return told.decode().split()

    async with replica_in(tmp_path) as first:
        await first.set_status("before", b"{}")
        async with replica_in(tmp_path):
            assert await told_elsewhere() == ["before"]
            await first.set_status("since", b"{}")
            assert await told_elsewhere() == ["before", "since"]
    assert await told_elsewhere() == ["before", "since"]


async def test_followers_end_when_the_replica_is_closed(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica:
        following = [replica.follow(0, ""), replica.follow_purges(0, ""), replica.follow_statuses()]
        waiting = [asyncio.ensure_future(anext(each)) for each in following]
        await asyncio.sleep(0)
    done, _ = await asyncio.wait(waiting, timeout=10)
    assert [type(each.exception()) for each in waiting] == [StopAsyncIteration] * 3
    assert len(done) == 3


async def test_a_closed_replica_says_so(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica:
        pass
    with pytest.raises(UnavailableError, match="closed"):
        await replica.read()


async def test_a_log_that_is_shorter_than_what_was_followed_is_an_old_backup(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica:
        last = await replica.append([Record(HEAD, b"1")], {})
        async with aclosing(replica.follow(last + 5, "a log")) as following:
            assert await anext(following) == Restarted("a log")
            assert isinstance(await anext(following), Stored)
        await replica.order_purge(b"x", "op")
        async with aclosing(replica.follow_purges(7, "a log")) as purges:
            assert await anext(purges) == PurgesLost(1)


async def test_purges_that_are_too_old_are_gone_and_whoever_needs_them_is_told(tmp_path: Path) -> None:
    clock = Clock()
    async with replica_in(tmp_path, clock) as replica:
        for number in range(3):
            await replica.order_purge(b"%d" % number, f"op-{number}")
            clock.now += 100.0
        clock.now += database.PURGES_KEPT - 150.0
        assert await replica.order_purge(b"new", "op-new") == 4
        async with aclosing(replica.follow_purges(1, "a log")) as purges:
            lost, *orders = [await anext(purges) for _ in range(3)]
        assert lost == PurgesLost(3)
        assert [order.order for order in orders if not isinstance(order, PurgesLost)] == [b"2", b"new"]
        async with aclosing(replica.follow_purges(2, "a log")) as purges:
            assert not isinstance(await anext(purges), PurgesLost)


async def test_the_same_operation_counts_again_after_two_minutes(tmp_path: Path) -> None:
    clock = Clock()
    async with replica_in(tmp_path, clock) as replica:
        assert await replica.order_purge(b"x", "op") == 1
        clock.now += 119.0
        assert await replica.order_purge(b"x", "op") == 1
        clock.now += 2.0
        assert await replica.order_purge(b"x", "op") == 2


async def test_a_damaged_database_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / database.FILE).write_bytes(b"this is no database, whatever its name" * 100)
    with pytest.raises(ReplicaError, match=r"replica\.db is damaged .* backup"):
        async with replica_in(tmp_path):
            raise AssertionError("it was opened")


async def read_all(replica: SqliteReplica) -> None:
    await replica.incarnation()
    await replica.read()
    await replica.get("fn.a")
    await replica.statuses()
    await replica.last_purge()
    async with aclosing(replica.follow_purges(0, "a log")) as purges:
        await anext(purges)


@pytest.mark.parametrize(
    "rot",
    [
        "UPDATE records SET value = 'text'",
        "UPDATE records SET subject = x'ff00'",
        "UPDATE records SET subject = CAST(x'ff' AS TEXT)",
        "UPDATE statuses SET status = 'text'",
        "UPDATE purges SET told = 'text'",
        "UPDATE sqlite_sequence SET seq = 'many'",
        "DELETE FROM facts",
        "UPDATE facts SET value = x'ff'",
    ],
)
async def test_rot_that_sqlite_does_not_see_is_named_with_the_cure(tmp_path: Path, rot: str) -> None:
    async with replica_in(tmp_path) as replica:
        await replica.append([Record("fn.a", b"x")], {})
        await replica.order_purge(b"{}", "op")
        await replica.set_status("fra1", b"{}")
        await read_all(replica)
        with contextlib.closing(sqlite3.connect(tmp_path / database.FILE)) as db, db:
            db.execute(rot)
        with pytest.raises(ReplicaError, match=r"replica\.db.*(is damaged .* backup|Could not decode)"):
            await read_all(replica)


async def test_a_database_of_another_edgefn_is_left_alone(tmp_path: Path) -> None:
    async with replica_in(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / database.FILE)) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(ReplicaError, match="has the format 99"):
        async with replica_in(tmp_path):
            raise AssertionError("it was opened")


@pytest.fixture
def open_to_all(tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o755)
    (tmp_path / database.FILE).touch(mode=0o644)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def rights_of_others(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o077 for file in directory.iterdir()}


async def test_nobody_else_can_read_what_is_in_it_whatever_the_directory_allows(open_to_all: Path) -> None:
    async with replica_in(open_to_all) as replica:
        await replica.append([Record("fn.a", b"x")], {})
        rights = rights_of_others(open_to_all)
    assert {database.FILE, f"{database.FILE}-wal"} <= rights.keys()
    assert set(rights.values()) == {0}


async def test_a_directory_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReplicaError, match="can't be made"):
        async with replica_in(tmp_path / "file" / "replica"):
            raise AssertionError("it was opened")


async def test_a_locked_database_is_unavailable_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY", 0.05)
    async with replica_in(tmp_path) as replica:
        with contextlib.closing(sqlite3.connect(tmp_path / database.FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError, match="locked"):
                await replica.append([Record(HEAD, b"1")], {})
            assert await replica.get(HEAD) is None
            other.execute("ROLLBACK")
        await replica.append([Record(HEAD, b"1")], {})


async def test_a_blob_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    content = b"x" * 300_000
    async with replica_in(tmp_path) as replica:
        with files_up_to(200_000), pytest.raises(UnavailableError, match="nothing was changed"):
            await replica.put_blob(digest(content), pieces(content))
        assert not await replica.has_blob(digest(content))
        assert [path.name for path in (tmp_path / "blobs").iterdir()] == []
        await replica.put_blob(digest(content), pieces(content))
        assert await read(replica, digest(content)) == content


async def test_a_commit_that_does_not_fit_on_the_disk_is_not_there(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica:
        last = await replica.append([Record("fn.a", b"1"), Record(HEAD, b"1")], {})
        with files_up_to(200_000), pytest.raises(ReplicaError):
            await replica.append([Record("fn.a", bytes(500_000)), Record(HEAD, b"2")], {HEAD: last})
        assert [each.value for each in await replica.read()] == [b"1", b"1"]
        await replica.append([Record("fn.a", bytes(500_000)), Record(HEAD, b"2")], {HEAD: last})


async def test_what_a_killed_writer_left_is_cleared_away_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    content = b"y" * 200_000
    async with replica_in(tmp_path) as replica:
        (tmp_path / "blobs" / "unfinished-old").write_bytes(b"half")

        async def slowly() -> AsyncIterator[bytes]:
            async for piece in pieces(content):
                async with replica_in(tmp_path):  # another process starts meanwhile
                    yield piece

        await replica.put_blob(digest(content), slowly())
        assert await read(replica, digest(content)) == content
        assert [path.name for path in (tmp_path / "blobs").iterdir()] == [digest(content)[:2]]


async def test_a_blob_that_has_rotted_is_written_anew_when_it_comes_again(tmp_path: Path) -> None:
    content = b"z" * 100_000
    async with replica_in(tmp_path) as replica:
        await replica.put_blob(digest(content), pieces(content))
        path = tmp_path / "blobs" / digest(content)[:2] / digest(content)
        path.write_bytes(content[:-1] + b"!")
        await replica.put_blob(digest(content), pieces(content))
        assert await read(replica, digest(content)) == content
