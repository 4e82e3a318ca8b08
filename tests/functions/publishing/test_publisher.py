"""Publishing functions: what people do, what they get, and what they are told when it can't be."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.functions.committing import PublishError
from edgefn.functions.heads import Head, read, read_head
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import (
    HEAD,
    Record,
    ReplicaError,
    Stored,
    UnavailableError,
    UnknownOutcomeError,
)
from edgefn.functions.replicas.sqlite.replica import SqliteReplica
from edgefn.functions.sealing import SealingKey
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import (
    Alias,
    FailedVersion,
    LocationState,
    LocationStatus,
    RollbackRule,
    Sticky,
    StickyBy,
    Target,
    Use,
)
from edgefn.model.settings import SignaturePolicy
from edgefn.rules.rollout import About, FailedLocation, Progress
from tests.fakes.published import bundle, settings
from tests.functions.publishing.stage import Stage, senses, staged

ONE, TWO = bundle("one"), bundle("two")
OURS = SigningKey(bytes(range(32)))
SECRET = SealingKey(bytes(32))


async def live(publisher: Publisher, name: str = "hello") -> Alias:
    return (await publisher.catalog()).functions[name].aliases["live"]


async def test_a_function_is_deployed_in_one_commit(stage: Stage, publisher: Publisher) -> None:
    deployed = await publisher.deploy(settings(), ONE, alias="live", description="first")
    assert (deployed.manifest.version, deployed.is_new, deployed.generation) == (1, True, 1)
    assert deployed.manifest.published == stage.clock.now
    assert deployed.alias == Alias("hello", "live", (Target(1),)) == await live(publisher)
    catalog = await stage.publisher().catalog()
    assert catalog.functions["hello"].versions == {1: deployed.manifest}
    assert catalog.incarnation == "a log"
    assert await publisher.read_bundle(deployed.manifest) == ONE
    assert len(await stage.replica.read()) == 4


async def test_publishing_the_same_twice_gives_the_same_version_and_no_commit(
    stage: Stage, publisher: Publisher
) -> None:
    first = await publisher.deploy(settings(), ONE, alias="live")
    again = await stage.publisher().deploy(settings(), ONE, alias="live")
    assert (again.manifest, again.is_new, again.generation) == (first.manifest, False, first.generation)
    changed = await publisher.deploy(settings(memory=256), ONE, alias=None)
    assert (changed.manifest.version, changed.is_new, changed.alias) == (2, True, None)
    back = await publisher.deploy(settings(), ONE, alias="live")
    assert (back.manifest.version, back.is_new) == (1, False)


async def test_settings_that_say_the_same_in_other_words_are_the_same(publisher: Publisher) -> None:
    first = await publisher.deploy(settings(timeout=5), ONE, alias=None)
    assert not (await publisher.deploy(settings(path="/home/me/hello", timeout=5.0), ONE, alias=None)).is_new
    assert first.manifest.settings.path == ""


async def test_the_draft_changes_and_is_published_when_asked(publisher: Publisher) -> None:
    draft = await publisher.update(settings(), ONE, "draft")
    assert draft.version == 0
    assert (await publisher.catalog()).functions["hello"].versions == {}
    assert (await publisher.publish("hello", "now")).manifest.version == 1
    await publisher.update(settings(), TWO)
    published = await publisher.publish("hello")
    assert (published.manifest.version, published.is_new) == (2, True)
    assert not (await publisher.publish("hello")).is_new
    assert await publisher.read_bundle(published.manifest) == TWO


async def test_a_version_that_does_not_start_never_replaces_one_that_does(stage: Stage, publisher: Publisher) -> None:
    await publisher.deploy(settings(), ONE, alias="live")
    before = await publisher.catalog()
    stage.trials.verdicts[TWO.digest] = "SyntaxError: Unexpected token in index.js:1"
    with pytest.raises(PublishError, match=r"hello is not published.* Unexpected token in index\.js:1"):
        await publisher.deploy(settings(), TWO, alias="live")
    with pytest.raises(PublishError, match="does not start"):
        await publisher.update(settings(), TWO)
    assert await publisher.catalog() == before
    assert list(await stage.replica.blobs()) == [before.functions["hello"].versions[1].blob.digest]


async def test_what_was_tried_is_not_tried_again(stage: Stage, publisher: Publisher) -> None:
    await publisher.update(settings(), ONE)
    await publisher.publish("hello")
    await publisher.deploy(settings(), ONE, alias="live")
    assert stage.trials.tried == ["hello:$LATEST"]


async def test_the_story_of_a_canary(publisher: Publisher) -> None:
    await publisher.deploy(settings(), ONE, alias="live")
    rule = RollbackRule(0.1)
    await publisher.set_alias(replace(await live(publisher), rollback=rule, sticky=Sticky(StickyBy.COOKIE, "id")))
    canary = await publisher.deploy(settings(), TWO, alias="live", weight=1_000)
    assert canary.alias is not None
    assert canary.alias.targets == (Target(1, 9_000), Target(2, 1_000))
    assert canary.alias.rollback == rule
    promoted = await publisher.deploy(settings(), TWO, alias="live")
    assert promoted.alias is not None
    assert (promoted.alias.targets, promoted.alias.previous) == ((Target(2),), 1)
    assert (await publisher.rollback("hello", "live")).targets == (Target(1),)
    with pytest.raises(PublishError, match="no version to go back to"):
        await publisher.rollback("hello", "live")


async def test_an_automatic_rollback_that_comes_too_late_changes_nothing(publisher: Publisher) -> None:
    await publisher.deploy(settings(), ONE, alias="live")
    await publisher.deploy(settings(), TWO, alias="live", weight=1_000)
    assert (await publisher.rollback("hello", "live", failing=2)).targets == (Target(1),)
    with pytest.raises(PublishError, match="does not point at version 2 any more"):
        await publisher.rollback("hello", "live", failing=2)


async def test_what_is_used_stays_and_what_is_not_can_go(publisher: Publisher) -> None:
    await publisher.deploy(settings(), ONE, alias="live")
    await publisher.deploy(settings(), TWO, alias=None)
    with pytest.raises(PublishError, match="the alias live"):
        await publisher.delete_version("hello", 1)
    with pytest.raises(PublishError, match=r"fra: routes\[0\]"):
        await publisher.delete_version("hello", 2, [Use("hello", "2", "fra: routes[0]")])
    with pytest.raises(PublishError, match=r"fra: routes\[1\]"):
        await publisher.delete_alias("hello", "live", [Use("hello", "live", "fra: routes[1]")])
    assert await publisher.delete_version("hello", 2) == 3
    assert await publisher.delete_alias("hello", "live") == 4
    assert await publisher.delete_function("hello") == 5
    assert (await publisher.catalog()).functions == {}
    assert (await publisher.deploy(settings(), ONE, alias="live")).manifest.version == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p.deploy(settings("a.b"), ONE, alias=None), "can't name a function"),
        (lambda p: p.deploy(settings(runtime="cobol"), ONE, alias=None), 'the runtime "cobol" is not known'),
        (lambda p: p.deploy(settings(environment={"A" * 9: "x" * 4096}), ONE, alias=None), "at most 4096"),
        (lambda p: p.deploy(settings(), ONE, alias="1"), "names a version"),
        (lambda p: p.deploy(settings(), ONE, alias="live", weight=0), "weight 0"),
        (lambda p: p.deploy(settings(), ONE, alias="live", description="x" * 300), "at most 256"),
        (lambda p: p.publish("nothing"), 'no function "nothing"'),
        (lambda p: p.rollback("hello", "live"), "no function"),
    ],
)
async def test_what_can_not_be_is_refused_with_its_reason(publisher: Publisher, change: object, told: str) -> None:
    with pytest.raises(PublishError) as caught:
        await change(publisher)  # type: ignore[operator]
    assert told in str(caught.value)
    assert (await publisher.catalog()).generation == 0


async def test_two_publishers_at_once_both_get_their_way(stage: Stage) -> None:
    async def deploy(name: str) -> None:
        mine = stage.publisher()
        for number in range(5):
            await mine.deploy(settings(name), bundle(f"{name}{number}"), alias="live")

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(deploy(name))
    catalog = await stage.publisher().catalog()
    assert catalog.generation == 15
    assert {name: len(function.versions) for name, function in catalog.functions.items()} == {"a": 5, "b": 5, "c": 5}


async def test_two_publishers_of_the_same_function_never_give_a_number_twice(stage: Stage) -> None:
    made = await asyncio.gather(
        *(stage.publisher().deploy(settings(), bundle(f"code {number}"), alias="live") for number in range(8))
    )
    assert sorted(each.manifest.version for each in made) == list(range(1, 9))
    assert sorted(each.generation for each in made) == list(range(1, 9))
    last = max(made, key=lambda each: each.generation)
    assert (await live(stage.publisher())).targets == (Target(last.manifest.version),)


class Unsure:
    """A replica whose answers to commits get lost: `done` says whether the next commits are made all the same."""

    def __init__(self, replica: SqliteReplica, *done: bool, lost: bool = False) -> None:
        self._replica = replica
        self._done = list(done)
        self._lost = lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._replica, name)

    async def append(self, records: Sequence[Record], expected: Mapping[str, int]) -> int:
        if not self._done:
            return await self._replica.append(records, expected)
        if self._done.pop(0):
            await self._replica.append(records, expected)
        raise UnknownOutcomeError("no answer came")

    async def read(self, after: int = 0) -> Sequence[Stored]:
        if self._lost and not self._done:
            raise UnavailableError("the replica can't be reached")
        return await self._replica.read(after)


@pytest.mark.parametrize("done", [[True], [False], [False, True], [False, False, False]])
async def test_an_answer_that_got_lost_is_found_again_and_nothing_is_done_twice(stage: Stage, done: list[bool]) -> None:
    await stage.publisher().deploy(settings(), ONE, alias="live")
    await stage.publisher().deploy(settings(), TWO, alias="live")
    unsure = stage.publisher(Unsure(stage.replica, *done))  # type: ignore[arg-type]
    assert (await unsure.rollback("hello", "live")).targets == (Target(1),)
    catalog = await stage.publisher().catalog()
    assert (catalog.generation, catalog.functions["hello"].aliases["live"].targets) == (3, (Target(1),))


async def test_when_nobody_can_be_asked_the_publisher_says_that_it_does_not_know(stage: Stage) -> None:
    unsure = stage.publisher(Unsure(stage.replica, True, lost=True))  # type: ignore[arg-type]
    with pytest.raises(UnknownOutcomeError, match="it is not known whether this was published"):
        await unsure.deploy(settings(), ONE, alias="live")


async def test_a_purge_has_a_sequence(stage: Stage, publisher: Publisher) -> None:
    assert [await publisher.order_purge(b"{}"), await publisher.order_purge(b"{}")] == [1, 2]
    assert await stage.replica.last_purge() == 2


async def test_secrets_stand_nowhere_on_the_disk_where_a_sealing_key_is(tmp_path: Path) -> None:
    word, code = "a-secret-word", "const unmistakable_code = 1;" * 20
    async with staged(tmp_path / "replica", Keys(signing=OURS, sealing=(SECRET,))) as stage:
        publisher = stage.publisher()
        sealed = await publisher.deploy(settings(environment={"TOKEN": word}), bundle(code), alias="live")
        again = await publisher.deploy(settings(environment={"TOKEN": word}), bundle(code), alias="live")
        assert not again.is_new
        assert (await publisher.read_bundle(sealed.manifest)) == bundle(code)
        assert (await stage.publisher().catalog()).functions["hello"].versions[1].settings.environment["TOKEN"] == word
        with pytest.raises(PublishError, match="sealing key"):
            await stage.publisher(keys=Keys()).read_bundle(sealed.manifest)
    import base64

    spellings = {base64.b64encode(b" " * shift + word.encode())[4:-4] for shift in range(3)}
    for file in (tmp_path / "replica").rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert word.encode() not in content
        assert b"unmistakable" not in content
        for spelling in spellings:
            assert spelling not in content


async def test_files_are_sealed_anew_and_versions_stay_what_they_are(tmp_path: Path) -> None:
    fresh = SealingKey(b"f" * 32)
    async with staged(tmp_path / "replica", Keys(sealing=(SECRET,))) as stage:
        old = stage.publisher()
        for name, code in (("one", "1;"), ("two", "2;"), ("lost", "3;")):
            await old.deploy(settings(name, environment={"TOKEN": "word"}), bundle(code), alias="live")
        await stage.publisher(keys=Keys()).deploy(settings("open"), bundle("4;"), alias="live")
        lost = (await old.catalog()).functions["lost"].versions[1].blob.digest
        await stage.replica.delete_blob(lost)

        both = stage.publisher(keys=Keys(sealing=(fresh, SECRET)))
        resealed = await both.seal_anew()
        assert (resealed.files, [line.split(":")[0] for line in resealed.left]) == (3, ["lost"])
        await both.sign_anew()
        assert (await both.seal_anew()).files == 0
        only = stage.publisher(keys=Keys(sealing=(fresh,)))
        functions = (await only.catalog()).functions
        assert only.problems == ()
        for name, code in (("one", "1;"), ("two", "2;"), ("open", "4;")):
            assert functions[name].versions.keys() == {1}
            assert await only.read_bundle(functions[name].versions[1]) == bundle(code)
        again = await both.deploy(settings("one", environment={"TOKEN": "word"}), bundle("1;"), alias="live")
        assert not again.is_new
        collected = await only.collect()
        assert collected.marked == 3, "the files as they were sealed before"


async def test_a_publisher_refuses_to_build_on_what_it_does_not_trust(tmp_path: Path) -> None:
    theirs = SigningKey(bytes(32))
    async with staged(tmp_path / "replica", Keys(signing=theirs)) as stage:
        await stage.publisher().deploy(settings(), ONE, alias="live")
        enforcing = Keys(signing=OURS, policy=SignaturePolicy.ENFORCE)
        with pytest.raises(PublishError, match=f"signed with {key_id(theirs.public)}, which is not trusted"):
            await stage.publisher(keys=enforcing).deploy(settings(), TWO, alias="live")
        trusting = replace(enforcing, trusted={key_id(theirs.public): theirs.public})
        await stage.publisher(keys=trusting).deploy(settings(), TWO, alias="live")
        assert (await live(stage.publisher())).targets == (Target(2),)


async def test_a_damaged_blob_is_never_taken_for_the_version(stage: Stage, publisher: Publisher) -> None:
    deployed = await publisher.deploy(settings(), ONE, alias="live")
    name = deployed.manifest.blob.digest
    path = stage.directory / "blobs" / name[:2] / name
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole + b"x", whole[:-1] + b"!"):
        path.write_bytes(damaged)
        with pytest.raises(PublishError, match="the files of hello:1 are damaged"):
            await publisher.read_bundle(deployed.manifest)
    path.unlink()
    with pytest.raises(ReplicaError, match=f"no blob {name}"):
        await publisher.read_bundle(deployed.manifest)
    await publisher.deploy(settings(), ONE, alias="live")
    assert await publisher.read_bundle(deployed.manifest) == ONE


async def restore(stage: Stage, backup: Sequence[Record]) -> None:
    kept = {each.subject for each in backup}
    gone = [each.subject for each in await stage.replica.read() if each.subject not in kept]
    await stage.replica.append([*(Record(each, b"") for each in gone), *backup], {})


async def test_an_old_backup_does_not_count_before_it_is_renewed(stage: Stage) -> None:
    await stage.publisher().deploy(settings(), ONE, alias="live")
    backup = [Record(each.subject, each.value) for each in await stage.replica.read()]
    following = stage.publisher()
    for number in range(4):
        await following.deploy(settings(), bundle(f"{number}"), alias="live")
    await restore(stage, backup)
    for _ in range(2):
        with pytest.raises(PublishError, match="old backup or a replay"):
            await following.deploy(settings(), TWO, alias="live")
    await stage.replica.set_status("fra", status_to_json(LocationStatus("fra", 8, stage.clock.now)))
    assert await stage.publisher().renew() == 9
    assert set((await following.catalog()).functions["hello"].versions) == {1}
    await restore(stage, backup)
    assert await following.renew(least_generation=20) == 20
    assert (await following.deploy(settings(), TWO, alias="live")).generation == 21


async def head_of(stage: Stage) -> Head:
    stored = await stage.replica.get(HEAD)
    assert stored is not None
    return read_head(read(HEAD, stored.value, Keys()))


async def test_what_is_published_is_kept_fresh_by_whoever_publishes(stage: Stage) -> None:
    publisher = Publisher(stage.replica, Keys(), stage.trials, senses(stage.clock), lifetime=0.2)
    await publisher.deploy(settings(), ONE, alias="live")
    assert (await head_of(stage)).expires == stage.clock.now + 0.2
    keeping = asyncio.ensure_future(publisher.keep_fresh())
    try:
        async with asyncio.timeout(20):
            for generation in (2, 3):
                stage.clock.now += 0.11  # more than half of it is over
                while (await head_of(stage)).generation < generation:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                assert (await head_of(stage)).expires == stage.clock.now + 0.2
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
    assert set((await publisher.catalog()).functions["hello"].versions) == {1}


async def test_what_need_not_be_fresh_never_expires(stage: Stage, publisher: Publisher) -> None:
    await publisher.deploy(settings(), ONE, alias="live")
    await publisher.keep_fresh()
    assert ((await head_of(stage)).generation, (await head_of(stage)).expires) == (1, 0.0)


async def test_progress_is_told_until_every_active_location_is_current(stage: Stage, publisher: Publisher) -> None:
    async def say(location: str, generation: int, **fields: object) -> None:
        status = LocationStatus(location, generation, stage.clock.now, **fields)  # type: ignore[arg-type]
        await stage.replica.set_status(location, status_to_json(status))

    await say("fra", 0)
    await say("nyc", 0)
    await say("old", 0, state=LocationState.RETIRED)
    await stage.replica.set_status("liar", b"nonsense")
    generation = (await publisher.deploy(settings(), ONE, alias="live")).generation
    told: list[Progress] = []
    async with aclosing(publisher.wait(generation)) as progress:
        async for now in progress:
            told.append(now)
            if not now.current:
                await say("nyc", generation)
            else:
                await say("fra", generation)
    assert [(now.current, now.applying) for now in told] == [
        ((), ("fra", "nyc")),
        (("nyc",), ("fra",)),
        (("fra", "nyc"), ()),
    ]
    assert [now.is_done() for now in told] == [False, False, True]
    assert set(await publisher.statuses()) == {"fra", "nyc", "old"}


async def test_waiting_ends_when_a_location_failed_or_time_is_up(stage: Stage, publisher: Publisher) -> None:
    failed = FailedVersion("hello", 1, "no room")
    status = LocationStatus("fra", 1, stage.clock.now, failed=(failed,))
    await stage.replica.set_status("fra", status_to_json(status))
    told = [now async for now in publisher.wait(1, about=About("hello"))]
    assert told == [Progress(1, failed=(FailedLocation("fra", (failed,)),))]
    assert [now.is_done() async for now in publisher.wait(1, about=About("other"))] == [True]
    assert [now.applying async for now in publisher.wait(2, patience=0.05)] == [("fra",)]
    stage.clock.now += 16
    assert [now.unreachable async for now in publisher.wait(2, patience=0.05)] == [("fra",)]


async def test_some_of_the_locations_are_enough_when_the_user_says_so(stage: Stage, publisher: Publisher) -> None:
    for number in range(20):
        status = LocationStatus(f"l{number}", int(number > 0), stage.clock.now)
        await stage.replica.set_status(f"l{number}", status_to_json(status))
    (now,) = [now async for now in publisher.wait(1, fraction=0.95)]
    assert (len(now.current), now.applying, now.is_done(0.95), now.is_done()) == (19, ("l0",), True, False)


async def test_records_beside_the_catalog_do_not_disturb_it(stage: Stage, publisher: Publisher) -> None:
    await publisher.deploy(settings(), ONE, alias="live")
    head = await stage.replica.get(HEAD)
    assert head is not None
    await stage.replica.append([Record("other", b"anything"), Record(HEAD, head.value)], {HEAD: head.sequence})
    await publisher.deploy(settings(), TWO, alias="live")
    assert (await live(stage.publisher())).targets == (Target(2),)
