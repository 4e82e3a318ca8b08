"""What goes wrong while something is published, and leaves what is live as it was: kill -9 at each step, a full disk,
damage, and somebody who forges.
"""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from edgefn.functions.catalog import Applied, CatalogBuilder, Held
from edgefn.functions.replicas.base import HEAD, Record, ReplicaError, Stored
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.model.publishing import Target
from edgefn.model.settings import SignaturePolicy
from tests.fakes.publishing_process import SETTINGS, STEPS, bundle
from tests.functions.publishing.stage import Stage, files_up_to, staged

ONE, NEW = bundle("one"), bundle("new")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "replica") as made:
        yield made


@asynccontextmanager
async def process(directory: Path, step: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.publishing_process", str(directory), step, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def killed_at(stage: Stage, step: str) -> None:
    async with process(stage.directory, step) as running, asyncio.timeout(30):
        assert await running.wait() == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
async def test_a_publisher_that_is_killed_leaves_what_was_live_or_the_whole_of_what_is_new(
    stage: Stage, step: str
) -> None:
    publisher = stage.publisher()
    await publisher.deploy(SETTINGS, ONE, alias="live")
    async with aclosing(stage.replica.follow(0, "")) as following:
        builder = CatalogBuilder(Keys())
        while not isinstance(builder.take(as_stored(await anext(following))), Applied):
            pass
        await killed_at(stage, step)
        done = step == "after the commit"
        catalog = await stage.publisher().catalog()
        assert catalog.generation == (2 if done else 1)
        live = catalog.functions["hello"].aliases["live"].targets
        assert live == (Target(2 if done else 1),)
        manifest = catalog.functions["hello"].versions[live[0].version]
        assert await publisher.read_bundle(manifest) == (NEW if done else ONE)

        again = await publisher.deploy(SETTINGS, NEW, alias="live")
        assert (again.manifest.version, again.generation, again.is_new) == (2, 2, not done)
        assert await publisher.read_bundle(again.manifest) == NEW
        async with asyncio.timeout(10):
            while builder.catalog.generation < 2:
                assert not isinstance(builder.take(as_stored(await anext(following))), Held)
        assert builder.catalog.functions == (await publisher.catalog()).functions
    assert len(await stage.replica.blobs()) == 2


def as_stored(followed: object) -> Stored:
    assert isinstance(followed, Stored)
    return followed


async def test_whatever_was_acknowledged_outlives_kills_at_any_moment(stage: Stage) -> None:
    await stage.publisher().deploy(SETTINGS, ONE, alias="live")
    dice = random.Random(5)
    for _ in range(4):
        async with process(stage.directory, "for-ever") as running, asyncio.timeout(30):
            assert running.stdout is not None
            told = b"".join([await running.stdout.readline() for _ in range(dice.randrange(1, 8))])
            await asyncio.sleep(dice.random() / 50)
            running.kill()
            told += await running.stdout.read()
        *_, acknowledged, _ = told.decode().split("\n")  # what stands behind the last line end may be torn
        version, digest = acknowledged.split()
        catalog = await stage.publisher().catalog()
        function = catalog.functions["hello"]
        assert function.versions[int(version)].bundle == digest
        live = function.aliases["live"].targets[0].version
        assert live >= int(version)
        assert (await stage.publisher().read_bundle(function.versions[live])).digest == function.versions[live].bundle
        assert sorted(function.versions) == list(range(1, function.last_version + 1))


async def test_a_full_disk_refuses_the_publication_and_leaves_what_is_live(stage: Stage) -> None:
    publisher = stage.publisher()
    await publisher.deploy(SETTINGS, ONE, alias="live")
    before = await publisher.catalog()
    with files_up_to(500_000), pytest.raises(ReplicaError, match="nothing was changed"):
        await publisher.deploy(SETTINGS, NEW, alias="live")
    assert await stage.publisher().catalog() == before
    assert await publisher.read_bundle(before.functions["hello"].versions[1]) == ONE
    assert (await publisher.deploy(SETTINGS, NEW, alias="live")).manifest.version == 2


async def test_whoever_can_write_to_the_replica_but_has_no_key_changes_nothing(tmp_path: Path) -> None:
    ours, theirs = SigningKey(bytes(range(32))), SigningKey(bytes(32))
    keys = Keys(signing=ours, policy=SignaturePolicy.ENFORCE)
    locations = Keys(trusted={key_id(ours.public): ours.public}, policy=SignaturePolicy.ENFORCE)
    async with staged(tmp_path / "replica", keys) as stage:
        await stage.publisher().deploy(SETTINGS, ONE, alias="live")
        old = [Record(each.subject, each.value) for each in await stage.replica.read()]
        await stage.publisher().deploy(SETTINGS, NEW, alias="live")
        good = [Record(each.subject, each.value) for each in await stage.replica.read()]
        location = CatalogBuilder(locations)
        for stored in await stage.replica.read():
            location.take(stored)
        live = location.catalog
        head = next(record for record in good if record.subject == HEAD)
        alias = next(record for record in old if record.subject == "alias.hello.live")

        forged = CatalogBuilder(Keys(signing=theirs))
        for stored in await stage.replica.read():
            forged.take(stored)
        evil = await stage.publisher(keys=Keys(signing=theirs)).rollback("hello", "live")
        assert evil.targets == (Target(1),)  # it is in the replica
        attacks = [
            [Record(each.subject, each.value) for each in await stage.replica.read()],  # signed by a stranger
            [*good, alias, head],  # an old alias, replayed under the new head
            [*good, Record("alias.hello.live", b""), head],  # the alias taken away
            [*good, Record("ver.hello.1", b""), head],  # a version taken away
            [*good, *old],  # all of it as it was once
            [*good, Record(HEAD, b"")],
            [*good, Record(HEAD, head.value[:-2])],
        ]
        for attack in attacks:
            unique = {record.subject: record for record in attack}
            await stage.replica.append([*(r for s, r in unique.items() if s != HEAD), unique[HEAD]], {})
            outcomes = [location.take(stored) for stored in await stage.replica.read()]
            assert all(outcome is None or isinstance(outcome, Held) for outcome in outcomes)
            assert location.catalog == live
        await stage.replica.append(good, {})
        await stage.publisher().deploy(SETTINGS, ONE, alias="live")
        outcomes = [location.take(stored) for stored in await stage.replica.read()]
        assert isinstance(outcomes[-1], Applied)
        assert location.catalog.functions["hello"].aliases["live"].targets == (Target(1),)
