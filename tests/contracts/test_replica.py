"""What every replica promises, whatever engine keeps it.

An engine joins by an `Engine` in `ENGINES`: it begins a new log, and opens views of it, as separate processes would.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from edgefn.functions.replicas.base import (
    HEAD,
    MAX_RECORD,
    ConflictError,
    Followed,
    PurgeOrder,
    PurgesLost,
    Record,
    Replica,
    ReplicaError,
    Restarted,
    Stored,
)
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.sqlite.replica import opened
from tests.functions.nats.stage import begun

T = TypeVar("T")

LARGE = 3 * 1024 * 1024 + 7
"""More than one piece of any engine."""


@dataclass(frozen=True)
class Engine:
    """One log under test: `open` gives one more view of it."""

    open: Callable[[], AbstractAsyncContextManager[Replica]]


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[Engine]:
    ids = count()
    yield Engine(lambda: opened(directory, lambda: 1_000.0, lambda: f"log-{next(ids)}"))


@asynccontextmanager
async def nats(directory: Path) -> AsyncIterator[Engine]:
    async with begun(directory) as (hub, _):
        yield Engine(lambda: closing(hub.control()))


@asynccontextmanager
async def closing(replica: NatsReplica) -> AsyncIterator[Replica]:
    try:
        yield replica
    finally:
        await replica.close()


ENGINES: dict[str, Callable[[Path], AbstractAsyncContextManager[Engine]]] = {"sqlite": sqlite, "nats": nats}


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    async with ENGINES[request.param](tmp_path / "replica") as begun:
        yield begun


@pytest.fixture
async def replica(engine: Engine) -> AsyncIterator[Replica]:
    async with engine.open() as one:
        yield one


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def read_blob(replica: Replica, name: str) -> bytes:
    return b"".join([piece async for piece in replica.get_blob(name)])


async def take(following: AsyncGenerator[T, None], number: int, seconds: float = 20.0) -> list[T]:
    async with asyncio.timeout(seconds):
        return [await anext(following) for _ in range(number)]


def told(stored: list[Followed]) -> list[tuple[str, bytes]]:
    assert all(isinstance(each, Stored) for each in stored), stored
    return [(each.subject, each.value) for each in stored if isinstance(each, Stored)]


async def commit(replica: Replica, *records: tuple[str, bytes]) -> int:
    """Commit records and a new head, whatever the head is."""
    head = await replica.get(HEAD)
    sequence, value = (0, b"0") if head is None else (head.sequence, head.value)
    closing = Record(HEAD, b"%d" % (int(value) + 1))
    return await replica.append([*(Record(*each) for each in records), closing], {HEAD: sequence})


async def test_a_new_log_is_empty_and_has_a_name_that_stays(engine: Engine) -> None:
    async with engine.open() as one:
        assert list(await one.read()) == []
        assert await one.get(HEAD) is None
        name = await one.incarnation()
    async with engine.open() as another:
        assert await another.incarnation() == name != ""


async def test_a_commit_is_read_in_order_and_each_subject_once(replica: Replica) -> None:
    first = await commit(replica, ("fn.a", b"1"), ("alias.a.live", b"1"))
    last = await commit(replica, ("alias.a.live", b"2"))
    stored = list(await replica.read())
    assert [(each.subject, each.value) for each in stored] == [("fn.a", b"1"), ("alias.a.live", b"2"), (HEAD, b"2")]
    assert [each.sequence for each in stored] == sorted(each.sequence for each in stored)
    assert stored[-1].sequence == last
    assert [each.subject for each in await replica.read(first)] == ["alias.a.live", HEAD]
    assert list(await replica.read(last)) == []
    assert await replica.get("alias.a.live") == stored[1]


async def test_a_tombstone_stays_readable(replica: Replica) -> None:
    await commit(replica, ("fn.a", b"1"))
    await commit(replica, ("fn.a", b""))
    found = await replica.get("fn.a")
    assert found is not None
    assert found.value == b""
    assert [(each.subject, each.value) for each in await replica.read()] == [("fn.a", b""), (HEAD, b"2")]


async def test_a_commit_whose_expectation_fails_writes_nothing(replica: Replica) -> None:
    last = await commit(replica, ("fn.a", b"1"))
    for expected in ({HEAD: 0}, {HEAD: last + 1}, {HEAD: last, "fn.a": 0}, {HEAD: last, "fn.b": 1}):
        with pytest.raises(ConflictError):
            await replica.append([Record("fn.a", b"2"), Record(HEAD, b"9")], expected)
    assert [each.value for each in await replica.read()] == [b"1", b"1"]


async def test_of_many_writers_at_once_each_commit_is_on_the_head_that_it_expected(engine: Engine) -> None:
    async def write(name: str) -> int:
        conflicts = 0
        async with engine.open() as mine:
            for _ in range(5):
                while True:
                    try:
                        await commit(mine, (f"fn.{name}", b"x"))
                        break
                    except ConflictError:
                        conflicts += 1
        return conflicts

    await asyncio.gather(*(write(f"w{number}") for number in range(4)))
    async with engine.open() as reader:
        head = await reader.get(HEAD)
        assert head is not None
        assert head.value == b"20"
        assert len(await reader.read()) == 5


async def test_a_record_has_a_largest_size(replica: Replica) -> None:
    await commit(replica, ("config.a", bytes(MAX_RECORD)))
    with pytest.raises(ReplicaError, match=r"config\.b"):
        await replica.append([Record("config.b", bytes(MAX_RECORD + 1)), Record(HEAD, b"2")], {})
    assert [len(each.value) for each in await replica.read()] == [MAX_RECORD, 1]


async def test_a_follower_gets_what_was_and_what_comes(engine: Engine) -> None:
    async with engine.open() as writer, engine.open() as reader:
        await commit(writer, ("fn.a", b"1"))
        async with aclosing(reader.follow(0, "")) as following:
            assert told(await take(following, 2)) == [("fn.a", b"1"), (HEAD, b"1")]
            await commit(writer, ("fn.a", b"2"), ("fn.b", b"1"))
            assert told(await take(following, 3)) == [("fn.a", b"2"), ("fn.b", b"1"), (HEAD, b"2")]


async def test_a_follower_goes_on_where_it_was(engine: Engine) -> None:
    async with engine.open() as replica:
        last = await commit(replica, ("fn.a", b"1"))
        await commit(replica, ("fn.b", b"1"))
        name = await replica.incarnation()
    async with engine.open() as replica, aclosing(replica.follow(last, name)) as following:
        assert told(await take(following, 2)) == [("fn.b", b"1"), (HEAD, b"2")]


async def test_a_follower_of_another_log_is_told_and_gets_all_of_this_one(replica: Replica) -> None:
    await commit(replica, ("fn.a", b"1"))
    async with aclosing(replica.follow(7, "another log")) as following:
        restarted, *stored = await take(following, 3)
    assert restarted == Restarted(await replica.incarnation())
    assert told(stored) == [("fn.a", b"1"), (HEAD, b"1")]


async def test_a_follower_never_misses_a_commit_and_its_last_word_is_the_newest(engine: Engine) -> None:
    async with engine.open() as writer, engine.open() as reader, aclosing(reader.follow(0, "")) as following:
        seen: list[Stored] = []

        async def follow() -> None:
            while not seen or (seen[-1].subject, seen[-1].value) != (HEAD, b"40"):
                seen.extend(each for each in await take(following, 1) if isinstance(each, Stored))

        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            for number in range(40):
                await commit(writer, (f"fn.f{number % 7}", b"%d" % number))
        assert [each.sequence for each in seen] == sorted({each.sequence for each in seen})
        newest = {each.subject: each.value for each in seen}
        assert newest == {each.subject: each.value for each in await writer.read()}


@pytest.mark.parametrize("size", [0, 1, 100_000, LARGE])
async def test_a_blob_comes_back_as_it_was(engine: Engine, size: int) -> None:
    content = bytes(index * 7 % 251 for index in range(min(size, 1_000))) * (size // 1_000 or 1)
    content = content[:size].ljust(size, b"x")
    name = digest(content)
    async with engine.open() as writer, engine.open() as reader:
        assert not await reader.has_blob(name)
        await writer.put_blob(name, pieces(content))
        assert await reader.has_blob(name)
        assert await read_blob(reader, name) == content
        await writer.put_blob(name, pieces(content))
        assert await read_blob(reader, name) == content
        assert list(await reader.blobs()) == [name]


async def test_bytes_with_another_digest_are_no_blob(replica: Replica) -> None:
    with pytest.raises(ReplicaError, match=digest(b"yes")):
        await replica.put_blob(digest(b"yes"), pieces(b"no"))
    assert not await replica.has_blob(digest(b"yes"))
    assert list(await replica.blobs()) == []
    await replica.put_blob(digest(b"yes"), pieces(b"yes"))
    assert await read_blob(replica, digest(b"yes")) == b"yes"


async def test_an_upload_that_broke_off_leaves_no_blob_and_may_begin_again(replica: Replica) -> None:
    content = b"z" * LARGE

    async def torn() -> AsyncIterator[bytes]:
        yield content[: LARGE // 2]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await replica.put_blob(digest(content), torn())
    assert not await replica.has_blob(digest(content))
    await replica.put_blob(digest(content), pieces(content))
    assert await read_blob(replica, digest(content)) == content


async def test_what_is_not_there_is_said(replica: Replica) -> None:
    with pytest.raises(ReplicaError, match=digest(b"x")):
        await read_blob(replica, digest(b"x"))
    await replica.delete_blob(digest(b"x"))
    with pytest.raises(ReplicaError):
        await replica.has_blob("../../etc/passwd")


async def test_a_deleted_blob_is_gone_and_can_come_again(replica: Replica) -> None:
    await replica.put_blob(digest(b"x"), pieces(b"x"))
    await replica.put_blob(digest(b"y"), pieces(b"y"))
    await replica.delete_blob(digest(b"x"))
    assert not await replica.has_blob(digest(b"x"))
    assert list(await replica.blobs()) == [digest(b"y")]
    await replica.put_blob(digest(b"x"), pieces(b"x"))
    assert await read_blob(replica, digest(b"x")) == b"x"


async def test_purges_have_an_order_and_the_same_one_is_not_given_twice(engine: Engine) -> None:
    async with engine.open() as writer, engine.open() as reader:
        assert await reader.last_purge() == 0
        assert [await writer.order_purge(b"%d" % number, f"op-{number}") for number in range(3)] == [1, 2, 3]
        assert await writer.order_purge(b"1", "op-1") == 2
        assert await reader.last_purge() == 3
        async with aclosing(reader.follow_purges(1, await reader.incarnation())) as following:
            assert [each.order for each in await take(following, 2) if isinstance(each, PurgeOrder)] == [b"1", b"2"]
            await writer.order_purge(b"new", "op-new")
            (purge,) = await take(following, 1)
            assert isinstance(purge, PurgeOrder)
            assert (purge.sequence, purge.order) == (4, b"new")
            assert purge.at > 0


async def test_whoever_followed_another_log_of_purges_is_told_to_flush(replica: Replica) -> None:
    await replica.order_purge(b"1", "op-1")
    async with aclosing(replica.follow_purges(5, "another log")) as following:
        lost, purge = await take(following, 2)
    assert lost == PurgesLost(1)
    assert isinstance(purge, PurgeOrder)
    assert purge.order == b"1"


async def test_the_board_has_the_newest_status_of_each_location(engine: Engine) -> None:
    async with engine.open() as location, engine.open() as control:
        await location.set_status("fra", b"1")
        await location.set_status("nyc", b"1")
        await location.set_status("fra", b"2")
        assert dict(await control.statuses()) == {"fra": b"2", "nyc": b"1"}
        async with aclosing(control.follow_statuses()) as following:
            assert dict(await take(following, 2)) == {"fra": b"2", "nyc": b"1"}
            await location.set_status("nyc", b"2")
            assert await take(following, 1) == [("nyc", b"2")]


async def test_statuses_mean_nothing_to_those_who_follow_records(engine: Engine) -> None:
    async with engine.open() as replica, aclosing(replica.follow(0, "")) as following:
        await commit(replica, ("fn.a", b"1"))
        await take(following, 2)
        await replica.set_status("fra", b"1")
        await replica.order_purge(b"1", "op")
        await commit(replica, ("fn.a", b"2"))
        assert told(await take(following, 2)) == [("fn.a", b"2"), (HEAD, b"2")]
