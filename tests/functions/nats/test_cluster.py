"""Three servers that agree: what is acknowledged survives the loss of their leader."""

import asyncio
import signal
import uuid
from pathlib import Path

import pytest

from edgefn.functions.replicas.base import Record, ReplicaError, Stored, UnavailableError, UnknownOutcomeError
from edgefn.functions.replicas.nats.replica import NatsReplica
from tests.functions.nats.stage import Cluster, cluster, digest, eventually, head, pieces


async def publish(replica: NatsReplica, number: int, acknowledged: dict[bytes, int], unknown: set[bytes]) -> None:
    """Append one record of its own and the head, and note what came of it."""
    op = uuid.uuid4().hex.encode()
    newest = await eventually(lambda: replica.get("head"))
    try:
        expected = {"head": newest.sequence if newest is not None else 0}
        acknowledged[op] = await replica.append([Record(f"fn.f{number}", op), Record("head", op)], expected)
    except UnknownOutcomeError:
        unknown.add(op)
    except ReplicaError:
        pass


async def check_nothing_is_lost(replica: NatsReplica, acknowledged: dict[bytes, int], unknown: set[bytes]) -> None:
    found = await eventually(replica.read)
    functions = [record for record in found if record.subject != "head"]
    assert {record.value: record.sequence + 1 for record in functions if record.value in acknowledged} == acknowledged
    assert {record.value for record in functions} <= acknowledged.keys() | unknown
    assert len({record.value for record in functions}) == len(functions)


async def followed(replica: NatsReplica, count: int) -> list[int]:
    sequences = []
    async with asyncio.timeout(60):
        async for record in replica.follow(0, ""):
            assert isinstance(record, Stored)
            if record.subject != "head":
                sequences.append(record.sequence)
            if len(sequences) == count:
                return sequences
    raise AssertionError("a follower ended")


async def lose_leaders(running: Cluster, replica: NatsReplica, faults: list[signal.Signals]) -> None:
    acknowledged: dict[bytes, int] = {}
    unknown: set[bytes] = set()
    number = 0
    for fault in faults:
        for _ in range(5):
            await publish(replica, (number := number + 1), acknowledged, unknown)
        leader = await eventually(lambda: running.leader(replica))
        if fault is signal.SIGKILL:
            await leader.server.stop(fault)
        else:
            leader.server.signal(fault)
        before = len(acknowledged)
        async with asyncio.timeout(60):
            while len(acknowledged) < before + 5:
                await publish(replica, (number := number + 1), acknowledged, unknown)
        if fault is signal.SIGKILL:
            await leader.restart()
        else:
            leader.server.signal(signal.SIGCONT)
    await check_nothing_is_lost(replica, acknowledged, unknown)
    sequences = await followed(replica, len(acknowledged))
    assert sequences == sorted(sequences)


async def test_a_leader_that_is_killed_loses_nothing_and_stops_publishing_for_seconds_only(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, replica):
        await replica.put_blob(digest(b"blob" * 300_000), pieces(b"blob" * 300_000))
        await lose_leaders(running, replica, [signal.SIGKILL])
        pieces_back = [piece async for piece in replica.get_blob(digest(b"blob" * 300_000))]
        assert b"".join(pieces_back) == b"blob" * 300_000


@pytest.mark.fleet
async def test_leaders_that_freeze_and_die_in_turn_lose_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, replica):
        await lose_leaders(running, replica, [signal.SIGSTOP, signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL])


@pytest.mark.fleet
async def test_without_a_quorum_publishing_fails_and_reading_goes_on(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, replica):
        last = await replica.append([Record("fn.a", b"1"), head(1)], {})
        await asyncio.gather(*(hub.server.stop(signal.SIGKILL) for hub in running.hubs[:2]))
        with pytest.raises((UnavailableError, UnknownOutcomeError)):
            await replica.append([Record("fn.b", b"2"), head(2)], {"head": last})
        assert [record.value for record in await eventually(replica.read)] == [b"1", b"1"]
        for hub in running.hubs[:2]:
            await hub.restart()
        assert await eventually(lambda: published_on_top(replica)) > last


async def published_on_top(replica: NatsReplica) -> int:
    """Commit a third head after what there is: what had an unknown outcome may have come about since, but whole."""
    found = {stored.subject: stored for stored in await replica.read()}
    newest = found["head"]
    assert newest.value == b"3" or ("fn.b" in found) == (newest.value == b"2")
    return await replica.append([head(3)], {"head": newest.sequence})


@pytest.mark.fleet
async def test_a_follower_of_the_cluster_that_hangs_delays_reads_by_seconds_only(tmp_path: Path) -> None:
    async with cluster(tmp_path) as (running, replica):
        await replica.append([Record("fn.a", b"1"), head(1)], {})
        leader = await running.leader(replica)
        hanging = next(hub for hub in running.hubs if hub is not leader)
        hanging.server.signal(signal.SIGSTOP)
        for _ in range(20):
            async with asyncio.timeout(15):
                assert [record.value for record in await eventually(replica.read)] == [b"1", b"1"]
        hanging.server.signal(signal.SIGCONT)
