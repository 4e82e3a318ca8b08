"""The replica on a real NATS server: commits, blobs, purges, statuses, and what following survives."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest

from edgefn.functions.replicas.base import (
    ConflictError,
    PurgeOrder,
    PurgesLost,
    Record,
    ReplicaError,
    Restarted,
    Stored,
    UnavailableError,
)
from edgefn.functions.replicas.nats import streams
from edgefn.functions.replicas.nats.layout import CHUNK, Keeping
from tests.functions.nats.stage import begun, digest, eventually, head, hub, pieces
from tests.waiting import until

T = TypeVar("T")


async def take(following: AsyncIterator[T], count: int, seconds: float = 20) -> list[T]:
    """Return the next `count` things that come."""
    async with asyncio.timeout(seconds):
        return [await anext(following) for _ in range(count)]


async def test_a_commit_is_read_back_and_each_subject_has_its_newest_record_only(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        first = await replica.append([Record("alias.hello.live", b"1"), Record("fn.hello", b"f"), head(1)], {"head": 0})
        second = await replica.append([Record("alias.hello.live", b"2"), head(2)], {"head": first})
        assert await replica.get("alias.hello.live") == Stored(second - 1, "alias.hello.live", b"2")
        assert [(record.subject, record.value) for record in await replica.read()] == [
            ("fn.hello", b"f"),
            ("alias.hello.live", b"2"),
            ("head", b"2"),
        ]
        assert [record.subject for record in await replica.read(first)] == ["alias.hello.live", "head"]
        assert await replica.get("alias.hello.other") is None


async def test_of_two_writers_on_the_same_head_one_wins_and_the_other_one_writes_nothing(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        last = await replica.append([head(1)], {"head": 0})
        rivals = [replica.append([Record(f"fn.f{n}", b"x"), head(n)], {"head": last}) for n in range(2, 12)]
        outcomes = await asyncio.gather(*rivals, return_exceptions=True)
        assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 9
        assert len(await replica.read()) == 2


async def test_a_commit_may_expect_of_a_subject_that_it_does_not_write(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        last = await replica.append([Record("trust", b"k"), head(1)], {"trust": 0})
        await replica.append([head(2)], {"trust": last - 1})
        with pytest.raises(ConflictError):
            await replica.append([head(3)], {"trust": last})
        found = await replica.get("head")
        assert found is not None
        assert found.value == b"2"


async def test_what_is_no_subject_or_too_large_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        for records in ([Record("fn.>", b"")], [Record("fn.a b", b"")], [Record("x", bytes(512 * 1024 + 1)), head(1)]):
            with pytest.raises(ReplicaError):
                await replica.append(records, {})
        assert await replica.read() == []


async def test_a_large_record_fits(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        await replica.append(
            [Record("config.a", bytes(512 * 1024)), Record("config.b", bytes(512 * 1024)), head(1)], {}
        )
        assert [len(record.value) for record in await replica.read()] == [512 * 1024, 512 * 1024, 1]


async def test_followers_get_the_past_then_the_present_in_order(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        last = await replica.append([Record("fn.a", b"1"), head(1)], {})
        location = hub.location("fra1")
        following = location.follow(0, "")
        assert [record.subject for record in await take(following, 2) if isinstance(record, Stored)] == ["fn.a", "head"]
        for generation in range(2, 30):
            last = await replica.append([Record("fn.a", b"%d" % generation), head(generation)], {"head": last})
        seen: list[Stored] = []
        while not seen or seen[-1].sequence < last:
            seen.extend(record for record in await take(following, 1) if isinstance(record, Stored))
        assert [record.sequence for record in seen] == sorted({record.sequence for record in seen})
        assert [(record.subject, record.value) for record in seen[-2:]] == [("fn.a", b"29"), ("head", b"29")]
        await location.close()


async def test_a_follower_goes_on_when_the_server_was_killed_and_came_back(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        last = await replica.append([head(1)], {})
        location = hub.location("fra1")
        following = location.follow(last, "first-log")
        last = await replica.append([head(2)], {"head": last})
        await take(following, 1)
        await hub.server.stop(signal.SIGKILL)
        await hub.restart()
        await replica.append([head(3)], {"head": last})
        assert [record.value for record in await take(following, 1) if isinstance(record, Stored)] == [b"3"]
        await location.close()


async def test_a_call_that_meets_a_connection_just_closed_takes_the_next_one(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        for _ in range(3):
            client = replica.link._client
            assert client is not None
            await client.close()  # and nobody has noticed yet
            assert await replica.incarnation() == "first-log"


@pytest.mark.fleet
async def test_a_frozen_server_is_noticed_and_followers_are_current_when_it_thaws(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        last = await replica.append([head(1)], {})
        hub.server.signal(signal.SIGSTOP)
        await until(lambda: not replica.link.is_up)
        hub.server.signal(signal.SIGCONT)
        following = replica.follow(last, "first-log")
        await replica.append([head(2)], {"head": last})
        assert [record.value for record in await take(following, 1) if isinstance(record, Stored)] == [b"2"]


async def test_a_server_that_lost_its_disk_and_began_anew_is_told_apart(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        last = 0
        for generation in range(1, 5):
            last = await replica.append([head(generation)], {"head": last})
        location = hub.location("fra1")
        following = location.follow(last, "first-log")
        await hub.server.stop(signal.SIGKILL)
        hub.lose_disk()
        await hub.restart()
        assert await eventually(lambda: replica.begin("second-log", Keeping())) == "second-log"
        await replica.append([head(1)], {"head": 0})
        restarted, record = await take(following, 2)
        assert restarted == Restarted("second-log")
        assert isinstance(record, Stored)
        assert record.value == b"1"
        await location.close()


async def test_an_old_backup_is_told_apart_although_it_bears_the_same_name(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        await replica.append([head(1)], {})
        # As far as this follower is concerned the log once went on to 100.
        following = replica.follow(100, "first-log")
        restarted, record = await take(following, 2)
        assert restarted == Restarted("first-log")
        assert isinstance(record, Stored)
        assert record.value == b"1"


async def test_begun_twice_the_first_incarnation_holds(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        assert await replica.begin("another", Keeping()) == "first-log"
        assert await replica.incarnation() == "first-log"


@pytest.mark.parametrize("size", [0, 1, CHUNK, 3 * CHUNK + 1, 12 * CHUNK])
async def test_a_blob_comes_back_byte_for_byte(tmp_path: Path, size: int) -> None:
    async with begun(tmp_path) as (hub, replica):
        content = os.urandom(size)
        assert not await replica.has_blob(digest(content))
        await replica.put_blob(digest(content), pieces(content))
        await replica.put_blob(digest(content), pieces(content))
        location = hub.location("fra1")
        assert await location.has_blob(digest(content))
        assert await location.blobs() == {digest(content)}
        assert b"".join([piece async for piece in location.get_blob(digest(content))]) == content
        await replica.delete_blob(digest(content))
        assert not await location.has_blob(digest(content))
        assert await location.blobs() == set()
        with pytest.raises(ReplicaError, match="no blob"):
            await anext(location.get_blob(digest(content)))
        await location.close()


async def test_a_blob_that_has_another_digest_leaves_nothing_behind(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        with pytest.raises(ReplicaError, match="digest"):
            await replica.put_blob(digest(b"right"), pieces(b"wrong"))
        await replica.put_blob(digest(b"right"), pieces(b"right"))
        assert [piece async for piece in replica.get_blob(digest(b"right"))] == [b"right"]


async def test_an_upload_that_broke_off_is_not_there_and_can_be_taken_up_again(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        content = os.urandom(5 * CHUNK)
        for number in (0, 2):
            chunk = content[number * CHUNK : (number + 1) * CHUNK]
            await streams.write(replica.link, f"edgefn.blob.{digest(content)}.{number}", chunk)
        assert not await replica.has_blob(digest(content))
        await replica.put_blob(digest(content), pieces(content))
        assert b"".join([piece async for piece in replica.get_blob(digest(content))]) == content


async def test_purges_are_followed_and_the_same_op_counts_once(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        assert await replica.last_purge() == 0
        assert await replica.order_purge(b"{1}", "op-1") == 1
        assert await replica.order_purge(b"{1}", "op-1") == 1
        location = hub.location("fra1")
        following = location.follow_purges(0, "")
        assert [p.order for p in await take(following, 1) if isinstance(p, PurgeOrder)] == [b"{1}"]
        assert await replica.order_purge(b"{2}", "op-2") == 2
        found = (await take(following, 1))[0]
        assert isinstance(found, PurgeOrder)
        assert (found.sequence, found.order) == (2, b"{2}")
        assert found.at > 1_700_000_000
        assert await location.last_purge() == 2
        await location.close()


async def test_who_comes_back_after_purges_are_gone_is_told_so(tmp_path: Path) -> None:
    async with begun(tmp_path, Keeping(purges=10)) as (_, replica):
        for number in range(30):
            await replica.order_purge(b"{%d}" % number, f"op-{number}")
        lost, first = await take(replica.follow_purges(5, "first-log"), 2)
        assert lost == PurgesLost(21)
        assert isinstance(first, PurgeOrder)
        assert first.sequence == 21
        complete = await take(replica.follow_purges(20, "first-log"), 10)
        assert [purge.sequence for purge in complete if isinstance(purge, PurgeOrder)] == list(range(21, 31))


@pytest.mark.parametrize(("after", "incarnation"), [(99, "first-log"), (1, "another-log")])
async def test_purges_of_another_log_count_as_lost(tmp_path: Path, after: int, incarnation: str) -> None:
    async with begun(tmp_path) as (_, replica):
        await replica.order_purge(b"{}", "op-1")
        assert (await take(replica.follow_purges(after, incarnation), 1))[0] == PurgesLost(1)


async def test_statuses_are_on_the_board_and_followed(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        fra1, ams1 = hub.location("fra1"), hub.location("ams1")
        await fra1.set_status("fra1", b"one")
        following = replica.follow_statuses()
        assert await take(following, 1) == [("fra1", b"one")]
        await ams1.set_status("ams1", b"two")
        await fra1.set_status("fra1", b"three")
        assert await take(following, 2) == [("ams1", b"two"), ("fra1", b"three")]
        assert await replica.statuses() == {"ams1": b"two", "fra1": b"three"}
        await fra1.close()
        await ams1.close()


async def test_without_a_server_every_call_ends_in_time_and_says_why(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, replica):
        await hub.server.stop(signal.SIGKILL)
        await until(lambda: not replica.link.is_up)
        with pytest.raises(UnavailableError, match="no connection to NATS"):
            await replica.append([head(1)], {})


async def test_a_replica_that_is_closed_while_it_connects_is_closed(tmp_path: Path) -> None:
    async with hub(tmp_path) as running, asyncio.timeout(60):
        for number in range(40):
            location = running.location("fra1")
            await asyncio.sleep(number / 4_000)  # long enough for each step of connecting
            await location.close()
            assert not location.link.is_up


async def test_a_replica_that_is_closed_ends_those_who_follow(tmp_path: Path) -> None:
    async with begun(tmp_path) as (hub, _):
        replica = hub.control()
        following = asyncio.ensure_future(anext(replica.follow(0, ""), None))
        await replica.incarnation()
        await replica.close()
        async with asyncio.timeout(20):
            assert await following is None
        with pytest.raises(UnavailableError, match="closed"):
            await replica.incarnation()


async def test_whoever_stops_following_leaves_no_subscription_behind(tmp_path: Path) -> None:
    async with begun(tmp_path) as (_, replica):
        await replica.set_status("fra1", b"1")
        before = len(asyncio.all_tasks())
        for _ in range(5):
            async with aclosing(replica.follow_statuses()) as followed:
                assert await take(followed, 1) == [("fra1", b"1")]
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_who_stops_listening_at_once_costs_nobody_the_connection(
    tmp_path: Path,
) -> None:
    async with begun(tmp_path) as (_, replica):

        async def listen() -> None:
            async with replica.link.listening("edgefn.nobody"):
                pass

        for steps in range(1, 30):  # wherever the wait is
            listening = asyncio.ensure_future(listen())
            for _ in range(steps):
                await asyncio.sleep(0)
            listening.cancel()
            await asyncio.wait([listening])
        await replica.append([Record("fn.hello", b"f"), head(1)], {"head": 0})
        assert replica.link.connections == 1
