"""Who follows a replica hears of each commit at once, in whatever process it was made; and finds it anyhow."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from edgefn.functions.replicas.base import Followed, Record, Stored
from edgefn.functions.replicas.sqlite import bells, database
from edgefn.functions.replicas.sqlite.bells import Bell
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened

NEVER = 3_600.0
WRITER = """
import asyncio, sys
from pathlib import Path
from edgefn.functions.replicas.base import Record
from edgefn.functions.replicas.sqlite.replica import opened

async def main(directory):
    async with opened(Path(directory), lambda: 1.0, lambda: "a log") as replica:
        await replica.append([Record("fn.b", b"2")], {})
        await replica.order_purge(b"{}", "op")
        await replica.set_status("fra1/0", b"{}")

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[SqliteReplica]:
    async with opened(tmp_path, lambda: 1.0, lambda: "a log") as replica:
        yield replica


async def soon(following: AsyncIterator[Followed]) -> Stored:
    async with asyncio.timeout(20):
        found = await anext(following)
    assert isinstance(found, Stored)
    return found


async def heard(replica: SqliteReplica, hears: bool = True) -> None:
    """Wait until the bells are known to be heard, or not to be."""
    async with asyncio.timeout(20):
        while replica._bells.hears is not hears:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_another_process_commits_is_heard_of_by_those_whom_it_concerns(
    replica: SqliteReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "LOOK", NEVER)
    monkeypatch.setattr(bells, "LOOK_OFTEN", NEVER)
    following = [replica.follow(0, "a log"), replica.follow_purges(0, "a log"), replica.follow_statuses()]
    waiting = [asyncio.ensure_future(anext(each)) for each in following]
    await heard(replica)
    writer = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", WRITER, str(tmp_path)], timeout=30)
    assert writer.returncode == 0
    done, _ = await asyncio.wait(waiting, timeout=20)
    assert len(done) == 3
    for each in following:
        await each.aclose()


async def test_a_commit_that_rang_no_bell_is_found_by_looking(
    replica: SqliteReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "LOOK", 0.05)
    async with aclosing(replica.follow(0, "a log")) as following:
        await replica.append([Record("fn.a", b"1")], {})
        assert (await soon(following)).value == b"1"
        with closing(database.connected(tmp_path)) as silent:
            database.append(silent, [Record("fn.b", b"2")], {})
        assert (await soon(following)).value == b"2"


async def test_who_hears_nothing_any_more_looks_often(
    replica: SqliteReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aclosing(replica.follow(0, "a log")) as following:
        await replica.append([Record("fn.a", b"1")], {})
        assert (await soon(following)).value == b"1"
        waiting = asyncio.ensure_future(soon(following))
        await heard(replica)
        monkeypatch.setattr(bells, "LOOK", NEVER)
        for bell in Bell:
            (tmp_path / f"{bell}.bell").unlink()
        await heard(replica, hears=False)
        await replica.append([Record("fn.b", b"2")], {})
        assert (await waiting).value == b"2"


async def test_without_inotify_commits_are_found_all_the_same(
    replica: SqliteReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "LOOK", NEVER)
    replica._bells._is_asked = True  # as where the system has none to give
    async with aclosing(replica.follow(0, "a log")) as following:
        for number in (b"1", b"2"):
            waiting = asyncio.ensure_future(soon(following))
            await replica.append([Record("fn.a", number)], {})
            assert (await waiting).value == number
    assert not replica._bells.hears


async def test_what_is_only_noted_does_not_wait_for_the_disk_and_wakes_nobody(
    replica: SqliteReplica, tmp_path: Path
) -> None:
    told: list[str] = []
    with closing(database.connected(tmp_path)) as db:
        db.set_trace_callback(told.append)
        database.append(db, [Record("fn.a", b"1")], {})
        database.append(db, [Record("fn.a", b"2")], {}, is_synced=False)
        database.order_purge(db, b"{}", "op", 1.0)
        database.order_purge(db, b"{}", "op-2", 1.0, is_synced=False)
        database.set_status(db, "fra1/0", b"{}")
    synced = [line.partition("=")[2] == "FULL" for line in told if line.startswith("PRAGMA synchronous=")]
    assert synced == [True, False, True, False, False]
    async with aclosing(replica.follow_statuses()) as following:
        assert await anext(following) == ("fra1/0", b"{}")
        waiting = asyncio.ensure_future(anext(following))
        await heard(replica)
        before = replica._bells.rung(Bell.RECORDS)
        await replica.note([Record("place", b"7")])
        await replica.set_status("fra1/0", b"[]")
        assert await waiting == ("fra1/0", b"[]")
        assert replica._bells.rung(Bell.RECORDS) == before
    async with opened(tmp_path, lambda: 1.0, lambda: "a log") as another:
        noted = await another.get("place")
        assert noted is not None
        assert noted.value == b"7"


async def test_a_closed_replica_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    def watches() -> int:
        links = list(Path("/proc/self/fd").iterdir())
        return sum("inotify" in str(each.readlink()) for each in links if each.is_symlink())

    before = watches()
    async with opened(tmp_path, lambda: 1.0, lambda: "a log") as replica, aclosing(replica.follow(0, "")) as following:
        await replica.append([Record("fn.a", b"1")], {})
        await anext(following)
        waiting = asyncio.ensure_future(anext(following))
        async with asyncio.timeout(20):
            while watches() == before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait((waiting,))
    assert watches() == before
