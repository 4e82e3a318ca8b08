"""Locations believe the keys that an offline root names, and follow its word without being touched; a real hub."""

import os
import time
from pathlib import Path

from edgefn.functions.replicas.base import TRUST, Record
from edgefn.functions.replicas.nats import streams
from edgefn.functions.replicas.nats.layout import RECORD
from edgefn.functions.roles import Duty, Role, Trust
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.functions.trust import begun, chained, drafted, signed
from tests.functions.mirror.stage import deploy, fleet, location, publisher

ROOT, OLD, NEW, STRANGER = (SigningKey(os.urandom(32)) for _ in range(4))


def role(*keys: SigningKey) -> Role:
    return Role({key_id(key.public): key.public for key in keys})


def word(version: int, *keys: SigningKey, seconds: float = 3600) -> bytes:
    roles = {Duty.ROOT: role(ROOT), Duty.RELEASE: role(*keys), Duty.PUBLISHER: role(*keys)}
    return signed(drafted(Trust(version, time.time() + seconds, roles)), ROOT)


def pinned(*documents: bytes, signing: SigningKey | None = None) -> Keys:
    """Return the keys of who was given this chain; the stranger's is trusted by hand, which no longer counts."""
    stranger = {key_id(STRANGER.public): STRANGER.public}
    return Keys(signing=signing, trusted=stranger, trust=begun(chained(documents)))


async def test_keys_change_and_no_location_is_touched(tmp_path: Path) -> None:
    first, both, last = word(1, OLD), word(2, OLD, NEW), word(3, NEW)
    at_join = pinned(first)
    async with fleet(tmp_path / "hub") as run:
        async with location(run.hub.location("fra1"), tmp_path / "fra1", keys=at_join) as fra1:
            old = publisher(run.replica, pinned(first, signing=OLD))
            await fra1.reaches((await deploy(old, b"one")).generation)

            await old.publish_trust(chained([first, both]))
            new = publisher(run.replica, pinned(first, both, signing=NEW))
            await new.sign_anew()
            await fra1.reaches(await new.publish_trust(chained([first, both, last])))
            new = publisher(run.replica, pinned(first, both, last, signing=NEW))
            await fra1.reaches((await deploy(new, b"two")).generation)
            assert await fra1.live() == b"two"

            await deploy(publisher(run.replica, Keys(signing=OLD)), b"stolen")
            await fra1.until(lambda: "which the root does not name as release" in fra1.mirror.records.held)
            assert await fra1.live() == b"two"
            assert fra1.mirror.records.builder.problems == ()

        async with location(run.hub.location("fra1"), tmp_path / "fra1", keys=at_join) as fra1:
            await fra1.until(lambda: "hello" in fra1.catalog.functions)
            assert await fra1.live() == b"two", "with what it was given when it joined, and what it keeps"


async def test_a_key_that_was_trusted_by_hand_counts_no_more_where_a_root_speaks(tmp_path: Path) -> None:
    first = word(1, OLD)
    async with (
        fleet(tmp_path / "hub") as run,
        location(run.hub.location("fra1"), tmp_path / "fra1", keys=pinned(first)) as fra1,
    ):
        await deploy(publisher(run.replica, Keys(signing=STRANGER)), b"forged")
        await fra1.until(lambda: "which the root does not name as release" in fra1.mirror.records.held)
        assert fra1.catalog.functions == {}


async def test_an_older_word_or_somebody_elses_is_passed_over_and_not_kept(tmp_path: Path) -> None:
    first, last = word(1, OLD), word(2, OLD, NEW)
    theirs = signed(drafted(Trust(3, time.time() + 60, {duty: role(STRANGER) for duty in Duty})), STRANGER)
    async with (
        fleet(tmp_path / "hub") as run,
        location(run.hub.location("fra1"), tmp_path / "fra1", keys=pinned(first)) as fra1,
    ):
        old = publisher(run.replica, pinned(first, signing=OLD))
        await fra1.reaches((await deploy(old, b"one")).generation)
        await fra1.reaches(await old.publish_trust(chained([first, last])))
        new = publisher(run.replica, pinned(first, last, signing=NEW))
        for chain in (chained([first]), chained([first, last, theirs])):
            await streams.write(run.replica.link, f"{RECORD}.{TRUST}", chain)
            await fra1.reaches((await deploy(new, chain)).generation)
            trust, kept = fra1.mirror.records.builder.trust, await fra1.local.get(TRUST)
            assert trust is not None
            assert kept is not None
            assert (trust.version, kept.value) == (2, chained([first, last]))


async def test_when_the_roots_word_has_ended_nothing_new_is_taken_until_there_is_a_newer_one(tmp_path: Path) -> None:
    ended, fresh = word(1, OLD, seconds=-1), word(2, OLD)
    async with fleet(tmp_path / "hub") as run:
        control = publisher(run.replica, pinned(ended, signing=OLD))
        async with location(run.hub.location("fra1"), tmp_path / "fra1", keys=pinned(ended)) as fra1:
            await deploy(control, b"one")
            await fra1.until(lambda: "has ended; a newer one is due" in fra1.mirror.records.held)
            assert any("has ended" in each.why for each in fra1.mirror.status().failed)
            await fra1.reaches(await control.publish_trust(chained([ended, fresh])))
            assert await fra1.live() == b"one"


async def test_where_no_root_was_given_everything_is_as_before(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run, location(run.hub.location("fra1"), tmp_path / "fra1") as fra1:
        await run.replica.append([Record(TRUST, chained([word(1, STRANGER)]))], {})
        deployed = await deploy(run.control, b"one")
        await fra1.reaches(deployed.generation)
        assert await fra1.live() == b"one"
        assert fra1.mirror.records.builder.trust is None
