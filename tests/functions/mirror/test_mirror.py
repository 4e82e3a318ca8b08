"""What a location takes over from its fleet, and what it keeps whatever becomes of the fleet."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from edgefn.functions import heads
from edgefn.functions.blobs import blob_of
from edgefn.functions.mirror import records as mirrored
from edgefn.functions.replicas.base import HEAD, Record
from edgefn.functions.replicas.nats import streams
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.functions.signing import Keys, SigningKey
from edgefn.rules.purges import ByTag, Everything, written
from tests.functions.mirror.stage import Fleet, bundle, deploy, fleet, fresh_id, head_of, location, publisher, waited
from tests.functions.nats.stage import eventually

FLUSH = written(Everything()).encode()


def tag(name: str) -> bytes:
    return written(ByTag(name)).encode()


async def test_what_is_published_arrives_with_its_files_and_is_acknowledged(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        deployed = await deploy(run.control, b"one")
        await fra1.reaches(deployed.generation)
        assert await fra1.live() == b"one"
        assert await waited(run.control, deployed.generation) == ("fra1",)
        deployed = await deploy(run.control, b"two")
        await fra1.reaches(deployed.generation)
        assert await fra1.live() == b"two"
        assert fra1.lines == []


async def test_many_commits_arrive_whole_and_in_order(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        for number in range(20):
            deployed = await deploy(run.control, b"%d" % number, f"f{number % 3}")
        await fra1.reaches(deployed.generation)
        assert fra1.generations == sorted(set(fra1.generations))
        assert [await fra1.live(f"f{number}") for number in range(3)] == [b"18", b"19", b"17"]


async def test_a_location_serves_what_it_had_with_no_network_at_all(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            deployed = await deploy(run.control, b"one")
            await fra1.reaches(deployed.generation)
        await run.hub.server.stop(signal.SIGKILL)
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches(deployed.generation, seconds=5)
            assert await fra1.live() == b"one"


async def test_a_location_that_was_away_catches_up(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches((await deploy(run.control, b"0")).generation)
        for number in range(1, 30):
            deployed = await deploy(run.control, b"%d" % number, f"f{number}")
        await run.control.delete_alias("hello", "live")
        generation = await run.control.delete_function("hello")
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches(generation)
            assert "hello" not in fra1.catalog.functions
            assert await fra1.live("f29") == b"29"
            assert fra1.generations[-1] == generation > deployed.generation


async def test_the_fleets_server_dies_and_comes_back_and_locations_go_on(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await fra1.reaches((await deploy(run.control, b"one")).generation)
        await run.hub.server.stop(signal.SIGKILL)
        assert await fra1.live() == b"one"
        await run.hub.restart()
        deployed = await deploy(run.control, b"two")
        await fra1.reaches(deployed.generation)
        assert await fra1.live() == b"two"
        assert await waited(run.control, deployed.generation) == ("fra1",)


async def test_a_corrupted_blob_goes_live_nowhere_and_is_reported(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await fra1.reaches((await deploy(run.control, b"one")).generation)
        blob, content = blob_of(bundle(b"two"), None)
        at = f"edgefn.blob.{blob.digest}"
        await streams.write(run.replica.link, f"{at}.0", content[:-1] + b"!")
        await streams.write(run.replica.link, at, b'{"size": %d, "chunks": 1}' % blob.size)
        deployed = await deploy(run.control, b"two")
        await fra1.reaches(deployed.generation)
        await fra1.until(lambda: any("hello:2" in line and "digest" in line for line in fra1.lines))
        assert not await fra1.local.has_blob(blob.digest)
        failed = fra1.mirror.status().failed
        assert ("hello", deployed.manifest.version) in {(each.function, each.version) for each in failed}


async def test_a_forged_record_counts_nowhere_and_what_was_there_stays(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await deploy(run.control, b"one")
        alias = await run.replica.get("alias.hello.live")
        assert alias is not None
        last = await deploy(run.control, b"two")
        await fra1.reaches(last.generation)
        signed = await head_of(run.replica)
        stranger = Keys(signing=SigningKey(os.urandom(32)))
        # An alias of ours from before, one that a stranger signed for the next generation, and what nobody signed.
        for forged, head in (
            (alias.value, signed.value),
            (heads.written("alias.hello.live", 9, {}, stranger), heads.written("head", 9, {}, stranger)),
            (b"{}", b"{}"),
        ):
            await run.replica.append([Record("alias.hello.live", forged), Record(HEAD, head)], {})
            last_seen = await head_of(run.replica)
            await run.replica.append([Record("fn.marker", b"seen"), Record(HEAD, last_seen.value)], {})
            await fra1.until(lambda: "fn.marker" in fra1.mirror.records._pending)
            fra1.mirror.records._pending.pop("fn.marker")
            assert fra1.catalog.generation == last.generation
            assert await fra1.live() == b"two"


@pytest.mark.parametrize("bound", ["MOST_PENDING", "MOST_PENDING_BYTES"])
async def test_a_flood_of_records_without_a_head_fills_no_memory_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(mirrored, bound, 20 if bound == "MOST_PENDING" else 20_000)
    monkeypatch.setattr(mirrored, "TOO_MUCH_SECONDS", 0.2)
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await fra1.reaches((await deploy(run.control, b"one")).generation)
        for batch in range(4):
            flood = [Record(f"fn.x{batch}-{number}", bytes(2_000)) for number in range(20)]
            await run.replica.append(flood, {})
        await fra1.until(lambda: "somebody floods the fleet's log" in fra1.mirror.records.held)
        assert len(fra1.mirror.records._pending) <= 25
        assert any("floods" in each.why for each in fra1.mirror.status().failed)
        assert await fra1.live() == b"one"
        deployed = await deploy(run.control, b"two")  # which puts it right first
        await fra1.reaches(deployed.generation)
        assert await fra1.live() == b"two"
        await fra1.until(lambda: fra1.mirror.records.held == "")
        assert len(fra1.mirror.records._pending) == 0


async def test_an_old_head_that_is_replayed_is_held_and_a_newer_one_frees(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await deploy(run.control, b"one")
        old = await head_of(run.replica)
        second = await deploy(run.control, b"two")
        await fra1.reaches(second.generation)
        newest = await head_of(run.replica)
        await run.replica.append([Record(HEAD, old.value)], {})
        await fra1.until(lambda: "old backup or a replay" in fra1.mirror.records.held)
        assert fra1.catalog.generation == second.generation
        assert any("old backup or a replay" in each.why for each in fra1.mirror.status().failed)
        await run.replica.append([Record(HEAD, newest.value)], {})
        third = await deploy(run.control, b"three")
        await fra1.reaches(third.generation)
        assert await fra1.live() == b"three"
        assert fra1.mirror.records.held == ""


async def test_a_hub_that_lost_its_disk_changes_nothing_until_its_generation_is_higher(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        for number in range(3):
            deployed = await deploy(run.control, b"%d" % number)
        await fra1.reaches(deployed.generation)
        await run.hub.server.stop(signal.SIGKILL)
        run.hub.lose_disk()
        await run.hub.restart()
        await eventually(lambda: run.replica.begin("second-log", Keeping()))
        again = publisher(run.replica)
        await deploy(again, b"new")
        await fra1.until(lambda: "another log" in fra1.mirror.records.held or "of another log" in str(fra1.lines))
        assert await fra1.live() == b"2"
        renewed = await again.renew(deployed.generation + 1)
        await fra1.reaches(renewed)
        assert await fra1.live() == b"new"
        assert FLUSH in fra1.purges


async def test_a_location_that_restarts_while_it_holds_follows_the_new_log_when_that_counts(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            deployed = await deploy(run.control, b"old")
            await run.control.order_purge(tag("old"))
            await fra1.reaches(deployed.generation)
            await fra1.until(lambda: fra1.mirror.records.place.purge == 1)
            await run.hub.server.stop(signal.SIGKILL)
            run.hub.lose_disk()
            await run.hub.restart()
            await eventually(lambda: run.replica.begin("second-log", Keeping()))
            again = publisher(run.replica)
            await deploy(again, b"new", "other")
            await again.order_purge(tag("new"))
            await fra1.until(lambda: fra1.mirror.records.held != "" and tag("new") in fra1.purges)
            await fra1.until(lambda: fra1.mirror.records.place.purges_of == "second-log")
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches(deployed.generation)
            assert await fra1.live() == b"old"
            renewed = await again.renew(deployed.generation + 1)
            await fra1.reaches(renewed)
            assert set(fra1.catalog.functions) == {"other"}
            assert await fra1.live("other") == b"new"


async def test_purges_arrive_and_are_confirmed_in_the_fleets_numbers(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        for number in range(5):
            await run.control.order_purge(tag(f"before-{number}"))
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.until(lambda: fra1.purges == [FLUSH])
            sequence = await run.control.order_purge(tag("a"))
            await fra1.until(lambda: fra1.purges == [FLUSH, tag("a")])
            await _confirmed(run, sequence)


async def test_a_location_that_was_away_gets_each_purge_at_least_once(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            sequence = await run.control.order_purge(tag("first"))
            await fra1.until(lambda: fra1.mirror.records.place.purge == sequence)
        for number in range(50):
            last = await run.control.order_purge(tag(f"away-{number}"))
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            wanted = {tag(f"away-{number}") for number in range(50)}
            await fra1.until(lambda: wanted <= set(fra1.purges))
            await _confirmed(run, last)
            assert fra1.purges.count(FLUSH) == 1


async def test_a_location_that_was_away_for_too_long_flushes_everything(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub", Keeping(purges=10)) as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            sequence = await run.control.order_purge(tag("first"))
            await fra1.until(lambda: fra1.mirror.records.place.purge == sequence)
            flushes = fra1.purges.count(FLUSH)
        for number in range(30):
            last = await run.control.order_purge(tag(f"away-{number}"))
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.until(lambda: fra1.purges.count(FLUSH) == flushes + 1)
            await _confirmed(run, last)


async def test_a_location_that_published_for_itself_keeps_its_own_until_the_fleet_is_ahead_of_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "fra1", time.time, fresh_id) as before:
        await deploy(publisher(before), b"mine")
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await deploy(run.control, b"theirs", "other")
        await fra1.until(lambda: "renew it with a higher generation" in fra1.mirror.records.held)
        assert await fra1.live() == b"mine"
        await fra1.reaches(await run.control.renew(10))
        assert set(fra1.catalog.functions) == {"other"}


async def _confirmed(run: Fleet, sequence: int) -> None:
    async with asyncio.timeout(20):
        async for _, _ in run.replica.follow_statuses():
            if all(status.purge >= sequence for status in (await run.control.statuses()).values()):
                return
