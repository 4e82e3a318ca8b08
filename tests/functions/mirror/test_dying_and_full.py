"""Killed at each step of publishing and of taking over; disks that are full; messages that get lost."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edgefn.functions.blobs import fetched
from edgefn.functions.catalog import CatalogBuilder
from edgefn.functions.committing import PublishError
from edgefn.functions.replicas.base import Record, ReplicaError, UnavailableError, UnknownOutcomeError
from edgefn.functions.replicas.nats.hearing import Ear, Message
from edgefn.functions.replicas.nats.layout import Keeping, location_inbox
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.model.publishing import Catalog
from edgefn.rules.purges import ByTag, Everything, written
from tests.functions.mirror.stage import (
    LOCATION_KEYS,
    SIGNING,
    deploy,
    fleet,
    fresh_id,
    location,
    publisher,
    waited,
)
from tests.functions.nats.stage import Hub, begun, eventually, hub, user_key

MORTAL = Path(__file__).with_name("mortal.py")
PURGE = written(ByTag("news")).encode()
FLUSH = written(Everything()).encode()


def moments(often: list[str], seldom: list[str]) -> list[object]:
    """Return the moments to die at: some in every run of the tests, all in the long one."""
    return [*often, *(pytest.param(moment, marks=pytest.mark.fleet) for moment in seldom)]


WHEN_MIRRORING = moments(
    ["amidst blob", "before commit", "after commit"], ["after blob", "before purge", "after purge"]
)
WHEN_PUBLISHING = moments(["amidst blob", "before commit", "after commit"], ["after blob", "before purge"])


async def live_in(directory: Path) -> tuple[Catalog, bytes]:
    """Return what a location serves that has nothing but its own disk."""
    async with opened(directory, time.time, fresh_id) as local:
        builder = CatalogBuilder(LOCATION_KEYS)
        for stored in await local.read():
            builder.take(stored)
        function = builder.catalog.functions["hello"]
        manifest = function.versions[function.aliases["live"].targets[0].version]
        return builder.catalog, (await fetched(local, manifest, ())).files[0].data


async def run_mortal(running: Hub, **told: object) -> tuple[int, str]:
    """Run the process until it ends; return its status and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(MORTAL), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            said, _ = await process.communicate(json.dumps(told).encode())
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode()


def location_login(running: Hub, name: str = "fra1") -> dict[str, str]:
    key, now = user_key(), int(time.time())
    token = running.authority.location_token(name, key.public, now, now + 600)
    return {"name": name, "server": running.url, "token": token, "seed": key.seed, "inbox": location_inbox(name)}


def control_login(running: Hub) -> dict[str, str]:
    login = running.authority.control_login(int(time.time()))
    return {"name": "", "server": running.url, "token": login.token, "seed": login.key.seed, "inbox": "_INBOX"}


@pytest.mark.parametrize("die_at", WHEN_MIRRORING)
async def test_a_location_killed_amidst_taking_over_has_the_old_or_the_new_whole(tmp_path: Path, die_at: str) -> None:
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            first = await deploy(run.control, b"one")
            await fra1.reaches(first.generation)
            await fra1.until(lambda: fra1.mirror.records.place.purges_of != "")
        second = await deploy(run.control, b"two")
        await run.control.order_purge(PURGE)
        told = {"role": "mirror", "directory": str(tmp_path / "fra1"), "signing": SIGNING.secret.hex()}
        status, said = await run_mortal(run.hub, die_at=die_at, **told, **location_login(run.hub))
        assert status == -signal.SIGKILL, said
        catalog, code = await live_in(tmp_path / "fra1")
        assert (catalog.generation, code) in {(first.generation, b"one"), (second.generation, b"two")}
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches(second.generation)
            assert await fra1.live() == b"two"
            await fra1.until(lambda: PURGE in fra1.purges)


@pytest.mark.parametrize("die_at", WHEN_PUBLISHING)
async def test_a_publisher_killed_amidst_publishing_has_published_all_or_nothing(tmp_path: Path, die_at: str) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        first = await deploy(run.control, b"one")
        told = {"role": "publish", "content": "two", "signing": SIGNING.secret.hex()}
        status, said = await run_mortal(run.hub, die_at=die_at, **told, **control_login(run.hub))
        assert status == -signal.SIGKILL, said
        is_out = die_at in {"after commit", "before purge"}
        assert (await run.control.catalog()).generation == first.generation + is_out
        await fra1.reaches(first.generation + is_out)
        assert await fra1.live() == (b"two" if is_out else b"one")
        again = await deploy(run.control, b"two")
        assert again.manifest.version == 2
        await fra1.reaches(again.generation)
        assert await fra1.live() == b"two"


async def test_a_location_whose_disk_is_full_stays_on_what_it_has_and_says_so(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            first = await deploy(run.control, b"one")
            await fra1.reaches(first.generation)
        second = await deploy(run.control, os.urandom(1_500_000))
        told = {"role": "mirror", "directory": str(tmp_path / "fra1"), "signing": SIGNING.secret.hex()}
        dying = run_mortal(run.hub, die_at="after commit", largest_file=1_000_000, **told, **location_login(run.hub))
        status, said = await dying
        assert status == -signal.SIGKILL
        assert "hello:2 could not be fetched" in said
        async with opened(tmp_path / "fra1", time.time, fresh_id) as local:
            assert await local.has_blob(first.manifest.blob.digest)
            assert not await local.has_blob(second.manifest.blob.digest)
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches(second.generation)
            assert len(await eventually(fra1.live)) == 1_500_000


async def test_a_location_whose_own_replica_fails_for_a_while_takes_over_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fleet(tmp_path / "hub") as run:
        deployed = await deploy(run.control, b"one")
        failures = {"append": 3, "blobs": 4}

        def failing(name: str) -> None:
            real = getattr(SqliteReplica, name)

            async def fail(self: SqliteReplica, *arguments: object) -> object:
                if failures[name]:
                    failures[name] -= 1
                    raise UnavailableError("the disk does not answer")
                return await real(self, *arguments)

            monkeypatch.setattr(SqliteReplica, name, fail)

        for name in failures:
            failing(name)
        async with location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
            await fra1.reaches(deployed.generation)
            assert await fra1.live() == b"one"
            assert failures == {"append": 0, "blobs": 0}
            assert any("the disk does not answer" in line for line in fra1.lines)


async def test_a_hub_whose_disk_is_full_refuses_to_publish_and_locations_go_on(tmp_path: Path) -> None:
    async with hub(tmp_path / "hub", max_disk="4MB") as running:
        replica = running.control()
        await replica.begin("first-log", Keeping())
        control = publisher(replica)
        async with location(running.location("fra1"), tmp_path / "fra1") as fra1:
            first = await deploy(control, b"one")
            await fra1.reaches(first.generation)
            with pytest.raises(ReplicaError, match="insufficient"):
                await deploy(control, os.urandom(6_000_000))
            assert await fra1.live() == b"one"
            assert fra1.catalog.generation == first.generation
        await replica.close()


async def test_an_old_backup_of_the_hub_changes_nothing_until_it_is_renewed(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await deploy(run.control, b"old")
        await run.hub.server.stop()
        store = run.hub.settings.directory / "jetstream"
        shutil.copytree(store, tmp_path / "backup")
        await run.hub.restart()
        for number in range(3):
            newest = await deploy(run.control, b"new-%d" % number)
        await fra1.reaches(newest.generation)
        await run.hub.server.stop()
        shutil.rmtree(store)
        shutil.copytree(tmp_path / "backup", store)
        await run.hub.restart()
        await fra1.until(lambda: "old backup or a replay" in fra1.mirror.records.held)
        assert await fra1.live() == b"new-2"
        restored = run.hub.control()
        control = publisher(restored)
        assert await eventually(lambda: control.renew(newest.generation + 1)) == newest.generation + 1
        await fra1.reaches(newest.generation + 1)
        assert await fra1.live() == b"old"
        await restored.close()


async def test_live_messages_that_are_lost_are_found_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    def deaf(_ear: Ear, message: Message | None) -> None:
        if message is not None:
            lost.append(message.subject)

    monkeypatch.setattr(Ear, "hear", deaf)
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await fra1.reaches((await deploy(run.control, b"one")).generation)
        deployed = await deploy(run.control, b"two")
        await fra1.reaches(deployed.generation, seconds=10)
        sequence = await run.control.order_purge(PURGE)
        await fra1.until(lambda: fra1.mirror.purges.taken == sequence and PURGE in fra1.purges, seconds=10)
        assert "edgefn.feed.record.head" in lost
        assert "edgefn.feed.purge" in lost


async def test_two_who_publish_at_once_both_succeed(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        others = [run.hub.control() for _ in range(3)]
        publishers = [publisher(replica) for replica in others]
        deploying = [deploy(each, b"%d" % number, f"f{number}") for number, each in enumerate(publishers)]
        deployed = await asyncio.gather(*deploying, *(deploy(each, b"same", "same") for each in publishers))
        assert {each.manifest.version for each in deployed} == {1}
        await fra1.reaches(max(each.generation for each in deployed))
        assert [await fra1.live(f"f{number}") for number in range(3)] == [b"0", b"1", b"2"]
        for replica in others:
            await replica.close()


class Forgetful(NatsReplica):
    """A replica whose acknowledgements get lost."""

    async def append(self, records: list[Record], expected: dict[str, int]) -> int:  # type: ignore[override]
        await super().append(records, expected)
        raise UnknownOutcomeError("the acknowledgement was lost")


async def test_a_commit_whose_acknowledgement_is_lost_is_found_and_not_made_twice(tmp_path: Path) -> None:
    async with begun(tmp_path / "hub") as (_, replica):
        replica.__class__ = Forgetful
        first = await deploy(publisher(replica), b"one")
        second = await deploy(publisher(replica), b"two")
        assert (first.generation, second.generation) == (1, 2)
        assert second.manifest.version == 2


async def test_a_server_that_freezes_while_something_is_published_publishes_it_once_or_not_at_all(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        first = await deploy(run.control, b"one")
        await fra1.reaches(first.generation)
        run.hub.server.signal(signal.SIGSTOP)
        with suppress(ReplicaError, PublishError):
            await deploy(run.control, b"two")
        assert await fra1.live() == b"one"
        run.hub.server.signal(signal.SIGCONT)
        again = await eventually(lambda: deploy(run.control, b"two"))
        assert (again.manifest.version, again.generation) in {(2, first.generation + 1), (2, first.generation + 2)}
        await fra1.reaches(again.generation)
        assert await fra1.live() == b"two"
        assert await waited(run.control, again.generation) == ("fra1",)
