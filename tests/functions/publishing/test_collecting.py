"""Garbage: what nobody needs goes, step by step, and nothing goes that somebody might still want."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from edgefn.functions.blobs import in_pieces
from edgefn.functions.collecting import DAY, Collected
from edgefn.functions.committing import PublishError
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import MIRROR, Record, UnavailableError
from edgefn.functions.sealing import SealingKey
from edgefn.functions.signing import Keys
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import LocationState, LocationStatus, Use
from tests.fakes.published import bundle, settings
from tests.functions.publishing.stage import Stage, staged


async def many(publisher: Publisher, number: int) -> list[str]:
    """Deploy versions 1 to `number`; return the digests of their blobs."""
    deployed = [await publisher.deploy(settings(), bundle(f"code {each}"), alias="live") for each in range(number)]
    return [each.manifest.blob.digest for each in deployed]


async def test_old_versions_go_and_a_day_later_their_blobs(stage: Stage, publisher: Publisher) -> None:
    blobs = await many(publisher, 14)
    assert await publisher.collect() == Collected((), (), 0)
    stage.clock.now += DAY + 1
    assert await publisher.collect([Use("hello", "2", "fra: /x")]) == Collected(
        ("hello:1", "hello:3", "hello:4"), (), 3
    )
    stage.clock.now += DAY - 1
    assert await publisher.collect([Use("hello", "2", "fra: /x")]) == Collected((), (), 3)
    stage.clock.now += 2
    collected = await publisher.collect([Use("hello", "2", "fra: /x")])
    assert (set(collected.blobs), collected.marked) == ({blobs[0], blobs[2], blobs[3]}, 0)
    assert set(await stage.replica.blobs()) == {blobs[1], *blobs[4:]}
    assert set((await publisher.catalog()).functions["hello"].versions) == {2, *range(5, 15)}
    assert await publisher.collect([Use("hello", "2", "fra: /x")]) == Collected((), (), 0)


async def test_what_a_location_runs_or_has_not_yet_seen_stays(stage: Stage, publisher: Publisher) -> None:
    blobs = await many(publisher, 12)
    running = LocationStatus("fra", 12, stage.clock.now, running={"hello:live": 1})
    away = LocationStatus("nyc", 3, stage.clock.now)
    for status in (running, away):
        await stage.replica.set_status(status.location, status_to_json(status))
    stage.clock.now += DAY + 1
    assert await publisher.collect() == Collected(("hello:2",), (), 1)
    stage.clock.now += DAY + 1
    assert await publisher.collect() == Collected((), (), 1)  # nyc may still be reading it
    generation = (await publisher.catalog()).generation
    for status in (
        LocationStatus("fra", generation, stage.clock.now, running={"hello:live": 1}),
        LocationStatus("nyc", 3, stage.clock.now, LocationState.RETIRED),
    ):
        await stage.replica.set_status(status.location, status_to_json(status))
    assert await publisher.collect() == Collected((), (blobs[1],), 0)


async def test_nothing_goes_before_every_location_has_said_what_it_runs(stage: Stage, publisher: Publisher) -> None:
    await many(publisher, 12)
    stage.clock.now += DAY + 1
    assert await publisher.collect(locations=["fra"]) == Collected((), (), 0)
    status = LocationStatus("fra", 12, stage.clock.now, running={"hello:1": 1})
    await stage.replica.set_status("fra", status_to_json(status))
    assert await publisher.collect(locations=["fra"]) == Collected(("hello:2",), (), 1)


async def test_what_an_upload_left_behind_goes_and_what_is_published_meanwhile_stays(
    stage: Stage, publisher: Publisher
) -> None:
    left = b"an upload whose publisher was killed"
    digest = hashlib.sha256(left).hexdigest()
    await stage.replica.put_blob(digest, in_pieces(left))
    first = (await publisher.deploy(settings(), bundle("a"), alias=None)).manifest
    await publisher.deploy(settings(), bundle("b"), alias="live")
    await publisher.delete_version("hello", 1)
    assert (await publisher.collect()).marked == 2
    stage.clock.now += DAY + 1
    again = (await publisher.deploy(settings(), bundle("a"), alias="live")).manifest
    assert again.blob == first.blob
    assert (await publisher.catalog()).garbage.keys() == {digest}
    assert (await publisher.collect()).blobs == (digest,)
    assert await publisher.read_bundle(again) == bundle("a")


async def test_files_that_are_just_being_deleted_can_not_be_published(stage: Stage, publisher: Publisher) -> None:
    manifest = (await publisher.deploy(settings(), bundle("a"), alias=None)).manifest
    await publisher.deploy(settings(), bundle("b"), alias="live")
    await publisher.delete_version("hello", 1)
    await publisher.collect()
    stage.clock.now += DAY + 1

    class Dies:
        """A replica whose collector is killed before it deletes."""

        def __getattr__(self, name: str) -> object:
            return getattr(stage.replica, name)

        async def delete_blob(self, digest: str) -> None:
            raise UnavailableError(f"killed before {digest} was deleted")

    with pytest.raises(UnavailableError):
        await stage.publisher(Dies()).collect()  # type: ignore[arg-type]
    with pytest.raises(PublishError, match="just being deleted; deploy hello again soon"):
        await publisher.deploy(settings(), bundle("a"), alias="live")
    assert await publisher.collect() == Collected((), (), 1)  # whoever has the lease may still be at it
    stage.clock.now += 121
    again = await publisher.deploy(settings(), bundle("a"), alias="live")
    assert again.manifest.blob == manifest.blob
    assert await publisher.collect() == Collected((), (), 0)
    assert await publisher.read_bundle(again.manifest) == bundle("a")


async def test_two_collectors_at_once_delete_each_blob_once(stage: Stage, publisher: Publisher) -> None:
    await many(publisher, 14)
    stage.clock.now += DAY + 1
    await publisher.collect()
    stage.clock.now += DAY + 1
    both = await asyncio.gather(stage.publisher().collect(), stage.publisher().collect())
    assert sum(len(each.blobs) for each in both) == 4
    assert len(await stage.replica.blobs()) == 10


async def test_a_mirror_changes_nothing_and_collects_nothing(stage: Stage, publisher: Publisher) -> None:
    await many(publisher, 14)
    stage.clock.now += DAY + 1
    await stage.replica.append([Record(MIRROR, b"{}")], {})
    with pytest.raises(PublishError, match="publish at the control plane"):
        await publisher.deploy(settings(), bundle("new"), alias="live")
    assert await publisher.collect() == Collected((), (), 0)
    await stage.replica.append([Record(MIRROR, b"")], {})
    assert len((await publisher.collect()).versions) == 4


async def test_nothing_is_deleted_while_some_of_what_is_published_can_not_be_read(tmp_path: Path) -> None:
    async with staged(tmp_path / "replica", Keys(sealing=(SealingKey(bytes(32)),))) as stage:
        await stage.publisher().deploy(settings(environment={"TOKEN": "x"}), bundle("a"), alias="live")
        stage.clock.now += DAY + 1
        with pytest.raises(PublishError, match=r"it can't be told what .*ver\.hello\.1.* needs"):
            await stage.publisher(keys=Keys()).collect()
        assert len(await stage.replica.blobs()) == 1
