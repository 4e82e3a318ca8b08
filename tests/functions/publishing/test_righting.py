"""Somebody who can write to the log, and has no key: nothing is planned on what they wrote, and it is put right.

On both engines: on a replica of one machine, and on a real NATS server.
"""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from edgefn.functions import committing, heads
from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.catalog import Applied, CatalogBuilder, Held
from edgefn.functions.committing import PublishError
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import HEAD, Record, Replica
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.functions.righting import Righted, Watch
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.model.publishing import Manifest, Target
from edgefn.model.settings import FunctionSettings, SignaturePolicy
from tests.functions.nats.stage import begun
from tests.functions.publishing.stage import senses

OURS = SigningKey(bytes(range(32)))
KEYS = Keys(signing=OURS, policy=SignaturePolicy.ENFORCE)
LOCATION = Keys(trusted={key_id(OURS.public): OURS.public}, policy=SignaturePolicy.ENFORCE)
STRANGER = Keys(signing=SigningKey(bytes(32)))
ALIAS = "alias.hello.live"


async def starts(_manifest: Manifest, _bundle: Bundle) -> str | None:
    return None


@dataclass
class Scene:
    """A log, its publisher, and what the forger keeps of former days."""

    replica: Replica
    memory: SqliteReplica
    told: list[Righted] = field(default_factory=list)

    def publisher(self, *, remembers: bool = True) -> Publisher:
        """Return one as of a process that has just started."""
        watch = Watch(self.memory if remembers else None, self.told.append)
        return Publisher(self.replica, KEYS, starts, senses(lambda: 1_000.0), watch=watch)

    async def records(self) -> dict[str, Record]:
        return {each.subject: Record(each.subject, each.value) for each in await self.replica.read()}

    async def seen_by_a_new_location(self) -> CatalogBuilder:
        """Return what a location has that reads the log from its beginning; it must count, to the last record."""
        builder = CatalogBuilder(LOCATION)
        outcomes = [builder.take(stored) for stored in await self.replica.read()]
        assert isinstance(outcomes[-1], Applied), outcomes[-1]
        assert builder.problems == ()
        return builder


@pytest.fixture(params=["sqlite", "nats"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    ids = count()
    async with AsyncExitStack() as stack:
        memory = await stack.enter_async_context(opened(tmp_path / "memory", lambda: 1.0, lambda: "memory"))
        replica: Replica
        if request.param == "nats":
            _, replica = await stack.enter_async_context(begun(tmp_path / "hub"))
        else:
            replica = await stack.enter_async_context(opened(tmp_path / "log", lambda: 1.0, lambda: f"log-{next(ids)}"))
        yield Scene(replica, memory)


async def deploy(publisher: Publisher, content: bytes, function: str = "hello") -> int:
    settings = FunctionSettings(function, "", "nodejs20.x")
    bundle = Bundle.of([BundleFile("index.js", content)])
    return (await publisher.deploy(settings, bundle, alias="live")).generation


Attack = Callable[[dict[str, Record], dict[str, Record]], Sequence[Record]]

ATTACKS: dict[str, Attack] = {
    "an old alias of ours": lambda old, _: [old[ALIAS]],
    "an old alias under the head of today": lambda old, new: [old[ALIAS], new[HEAD]],
    "an old alias under its old head": lambda old, _: [old[ALIAS], old[HEAD]],
    "an alias that a stranger signed": lambda *_: [Record(ALIAS, heads.written(ALIAS, 9, {}, STRANGER))],
    "what is no record": lambda *_: [Record(ALIAS, b"{}")],
    "an alias taken away": lambda *_: [Record(ALIAS, b"")],
    "a version taken away": lambda *_: [Record("ver.hello.1", b"")],
    "a version in another one's place": lambda _, new: [Record("ver.hello.2", new["ver.hello.1"].value)],
    "a function that nobody published": lambda *_: [Record("fn.evil", b"x"), Record("alias.evil.live", b"y")],
    "a head that a stranger signed": lambda *_: [Record(HEAD, heads.written(HEAD, 99, {}, STRANGER))],
    "no head": lambda *_: [Record(HEAD, b"")],
    "an old head": lambda old, _: [old[HEAD]],
    "more than one commit takes": lambda *_: [Record(f"fn.x{number}", b"x") for number in range(450)],
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_a_forger_wrote_is_not_signed_over_by_the_next_publication(scene: Scene, attack: str) -> None:
    publisher = scene.publisher()
    await deploy(publisher, b"one")
    old = await scene.records()
    generation = await deploy(publisher, b"two")
    await scene.replica.append(list(ATTACKS[attack](old, await scene.records())), {})
    assert (await publisher.catalog()).functions["hello"].aliases["live"].targets == (Target(2),)
    assert publisher.problems != ()
    assert await deploy(publisher, b"other", "other") == generation + 2
    found = (await scene.seen_by_a_new_location()).catalog
    assert set(found.functions) == {"hello", "other"}
    assert found.functions == (await publisher.catalog()).functions
    assert found.functions["hello"].aliases["live"].targets == (Target(2),)
    assert set(found.functions["hello"].versions) == {1, 2}
    assert publisher.problems == ()
    assert list(publisher.righted) == scene.told
    assert [each.generation for each in scene.told] == [generation + 1]
    assert "put right in generation 3" in scene.told[0].line


@pytest.mark.parametrize("attack", ["an old alias of ours", "a head that a stranger signed", "an alias taken away"])
async def test_it_is_put_right_without_a_publication_and_after_a_restart(scene: Scene, attack: str) -> None:
    publisher = scene.publisher()
    await deploy(publisher, b"one")
    old = await scene.records()
    await deploy(publisher, b"two")
    await scene.replica.append(list(ATTACKS[attack](old, await scene.records())), {})
    cold = CatalogBuilder(LOCATION)
    for each in await scene.replica.read():
        cold.take(each)
    assert cold.catalog.functions == {}  # nobody can begin with this log
    again = scene.publisher()
    await again._committer.put_right()
    found = (await scene.seen_by_a_new_location()).catalog
    assert found.functions["hello"].aliases["live"].targets == (Target(2),)
    assert len(scene.told) == 1
    await again._committer.put_right()
    assert len(scene.told) == 1
    assert (await publisher.catalog()).functions == found.functions


async def test_who_has_no_memory_of_what_stood_there_changes_nothing(scene: Scene) -> None:
    publisher = scene.publisher(remembers=False)
    await deploy(publisher, b"one")
    old = await scene.records()
    await deploy(publisher, b"two")
    await scene.replica.append([old[ALIAS]], {})
    before = await scene.records()
    again = scene.publisher(remembers=False)
    with pytest.raises(PublishError, match="not all there, or not those that were signed"):
        await deploy(again, b"three")
    assert await scene.records() == before


async def test_an_old_backup_is_not_put_right_but_left_to_people(scene: Scene) -> None:
    publisher = scene.publisher()
    await deploy(publisher, b"one")
    old = await scene.records()
    await deploy(publisher, b"two")
    gone = [Record(subject, b"") for subject in await scene.records() if subject not in old]
    await scene.replica.append([*gone, *(each for each in old.values() if each.subject != HEAD), old[HEAD]], {})
    for each in (publisher, scene.publisher()):
        with pytest.raises(PublishError, match="old backup"):
            await each._committer.put_right()
    renewed = scene.publisher()
    assert await renewed.renew(5) == 5
    assert set((await renewed.catalog()).functions["hello"].versions) == {1}
    assert set((await scene.publisher().catalog()).functions["hello"].versions) == {1}
    assert scene.told == []


async def test_a_memory_of_another_log_says_nothing_about_this_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "memory", lambda: 1.0, lambda: "memory") as memory:
        for name, function in (("first", "a"), ("second", "b")):
            async with opened(tmp_path / name, lambda: 1.0, lambda name=name: name) as replica:  # type: ignore[misc]
                scene = Scene(replica, memory)
                assert await deploy(scene.publisher(), b"one", function) == 1
                assert set((await scene.publisher().catalog()).functions) == {function}
                await replica.append([Record(f"alias.{function}.live", b"")], {})
                await scene.publisher()._committer.put_right()
                assert [each.subjects for each in scene.told] == [(f"alias.{function}.live",)]
                assert set((await scene.seen_by_a_new_location()).catalog.functions) == {function}


async def test_what_lay_in_a_log_before_anything_was_published_is_not_signed_over(scene: Scene) -> None:
    await scene.replica.append([Record("alias.hello.live", os.urandom(20)), Record("fn.evil", b"x")], {})
    publisher = scene.publisher()
    await publisher._committer.put_right()
    assert len(await scene.replica.read()) == 2
    await deploy(publisher, b"one")
    assert set((await scene.seen_by_a_new_location()).catalog.functions) == {"hello"}


async def test_somebody_who_writes_all_the_time_is_named_as_the_trouble(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = scene.publisher()
    await deploy(publisher, b"one")
    monkeypatch.setattr(committing, "_TRIES", 3)
    append, numbers = scene.replica.append, count()

    async def append_and_spoil(records: Sequence[Record], expected: dict[str, int]) -> int:
        sequence = await append(records, expected)
        await append([Record(f"fn.evil{next(numbers)}", b"x")], {})
        return sequence

    await append([Record("fn.evil", b"x")], {})
    monkeypatch.setattr(scene.replica, "append", append_and_spoil)
    with pytest.raises(PublishError, match="keep them out first"):
        await deploy(publisher, b"two")
    monkeypatch.undo()
    await deploy(publisher, b"two")
    assert set((await scene.seen_by_a_new_location()).catalog.functions) == {"hello"}


async def test_a_location_that_runs_holds_what_it_has_until_it_is_put_right(scene: Scene) -> None:
    publisher = scene.publisher()
    await deploy(publisher, b"one")
    location = await scene.seen_by_a_new_location()
    last = (await scene.replica.read())[-1].sequence
    await scene.replica.append([Record(ALIAS, b"{}"), Record(HEAD, b"{}")], {})
    outcomes = [location.take(each) for each in await scene.replica.read(last)]
    assert isinstance(outcomes[-1], Held)
    await publisher._committer.put_right()
    outcomes = [location.take(each) for each in await scene.replica.read(last)]
    assert isinstance(outcomes[-1], Applied)
    assert location.problems == ()
    assert location.catalog.functions["hello"].aliases["live"].targets == (Target(1),)
