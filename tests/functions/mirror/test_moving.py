"""From one machine to a fleet, and from a backup to new streams."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from edgefn.functions.moving import move
from edgefn.functions.replicas.base import HEAD, Record, ReplicaError
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.sqlite.replica import opened
from tests.functions.mirror.stage import deploy, fleet, fresh_id, head_of, location, publisher, waited
from tests.functions.nats.stage import eventually, hub


def silent(_line: str) -> None:
    pass


async def test_one_machine_becomes_a_fleet_and_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "fra1", time.time, fresh_id) as embedded, hub(tmp_path / "hub") as running:
        own = publisher(embedded)
        for number in range(3):
            before = await deploy(own, b"%d" % number, f"f{number}")
        incarnation = await embedded.incarnation()
        fleets = running.control()
        assert await fleets.begin(incarnation, Keeping()) == incarnation
        assert await move(embedded, fleets, silent) == len(await embedded.read())
        assert await move(embedded, fleets, silent) == len(await embedded.read())
        values = {stored.subject: stored.value for stored in await embedded.read()}
        assert {stored.subject: stored.value for stored in await fleets.read()} == values
        assert set(await fleets.blobs()) == set(await embedded.blobs())
        control = publisher(fleets)
        assert (await control.catalog()).generation == before.generation
        # The machine that published before is a location now, on the very replica that it has; another one joins.
        async with (
            location(running.location("fra1"), tmp_path / "fra1") as fra1,
            location(running.location("ams1"), tmp_path / "ams1", "ams1") as ams1,
        ):
            after = await deploy(control, b"new", "f0")
            assert await waited(control, after.generation) == ("ams1", "fra1")
            for each in (fra1, ams1):
                assert [await each.live(f"f{number}") for number in range(3)] == [b"new", b"1", b"2"]
            assert fra1.generations == [before.generation, after.generation]
        await fleets.close()


async def test_many_records_are_moved_and_count_only_with_their_head(tmp_path: Path) -> None:
    async with opened(tmp_path / "old", time.time, fresh_id) as source, fleet(tmp_path / "hub") as run:
        records = [Record(f"config.site{number}", bytes(50_000)) for number in range(500)]
        await source.append([*records, Record(HEAD, b"head")], {})
        following = run.hub.location("fra1").follow(0, "")
        assert await move(source, run.replica, silent) == 501
        async with asyncio.timeout(30):
            seen = [await anext(following) for _ in range(501)]
        assert seen[-1] == await head_of(run.replica)


async def test_what_somebody_else_has_published_is_not_overwritten(tmp_path: Path) -> None:
    async with opened(tmp_path / "old", time.time, fresh_id) as source, fleet(tmp_path / "hub") as run:
        await deploy(publisher(source), b"mine")
        await deploy(run.control, b"theirs", "other")
        before = list(await run.replica.read())
        with pytest.raises(ReplicaError, match="something else published already"):
            await move(source, run.replica, silent)
        assert list(await run.replica.read()) == before


async def test_a_fleet_whose_hub_is_lost_is_restored_from_a_location(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        for number in range(3):
            last = await deploy(run.control, b"%d" % number)
        await fra1.reaches(last.generation)
        await run.hub.server.stop(signal.SIGKILL)
        run.hub.lose_disk()
        await run.hub.restart()
        await eventually(lambda: run.replica.begin(fresh_id(), Keeping()))
        await move(fra1.local, run.replica, silent)
        control = publisher(run.replica)
        await control.renew(last.generation + 1)
        deployed = await deploy(control, b"after")
        assert await waited(control, deployed.generation) == ("fra1",)
        assert await fra1.live() == b"after"
