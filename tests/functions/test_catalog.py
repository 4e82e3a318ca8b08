"""From records to a catalog and back: whole commits only, nothing old, nothing forged."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.functions.catalog import Applied, CatalogBuilder, Held
from edgefn.functions.heads import written
from edgefn.functions.replicas.base import HEAD, Record, Stored
from edgefn.functions.sealing import SealingKey
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.model.publishing import (
    Alias,
    Catalog,
    Garbage,
    PublishedFunction,
    Revision,
    RollbackRule,
    Sticky,
    StickyBy,
    Target,
)
from edgefn.model.settings import SignaturePolicy
from edgefn.rules import planning
from edgefn.rules.configuring import configured, reverted
from edgefn.rules.planning import Made, Plan, Refused
from tests.fakes.published import Log, codes, draft, names

REVISION = Revision(0, '{"origins":{"app":{"headers":{"X-Key":"secret-word"}}}}', (), 3.5, "first")
PLAIN = Keys()
OURS = SigningKey(bytes(range(32)))
THEIRS = SigningKey(bytes(32))
SECRET = SealingKey(bytes(32))
TRUSTING = Keys(trusted={key_id(OURS.public): OURS.public}, policy=SignaturePolicy.ENFORCE)
SIGNING = replace(TRUSTING, signing=OURS)


class Writer:
    """Commits planned catalogs to a log."""

    def __init__(self, keys: Keys = PLAIN, log: Log | None = None) -> None:
        self.log = Log() if log is None else log
        self.builder = CatalogBuilder(keys)
        for stored in self.log:
            self.builder.take(stored)

    @property
    def catalog(self) -> Catalog:
        return self.builder.catalog

    def records(self, after: Plan | Made, incarnation: str = "i") -> list[Record]:
        assert not isinstance(after, Refused), after
        catalog = after.catalog if isinstance(after, Made) else after
        return self.builder.records(catalog, self.builder.head.following("op", incarnation))

    def commit(self, after: Plan | Made) -> list[Stored]:
        stored = self.log.append(self.records(after))
        outcomes = [self.builder.take(each) for each in stored]
        assert isinstance(outcomes[-1], Applied)
        return stored

    def deploy(self, code: str, name: str = "hello") -> list[Stored]:
        updated = planning.updated(self.catalog, draft(name, code, environment={"TOKEN": "secret-word"}))
        assert isinstance(updated, Catalog)
        made = planning.made(updated, name, "", 5.0)
        assert isinstance(made, Made)
        return self.commit(planning.pointed(made.catalog, name, "live", made.manifest.version, 10_000))


def read(log: Log, keys: Keys = PLAIN) -> CatalogBuilder:
    builder = CatalogBuilder(keys)
    for stored in log:
        builder.take(stored)
    return builder


def forged(stored: Stored, value: bytes) -> Stored:
    return Stored(stored.sequence, stored.subject, value)


def test_what_was_committed_is_read_as_it_was() -> None:
    writer = Writer()
    writer.deploy("a")
    writer.deploy("b")
    alias = Alias(
        "hello",
        "beta",
        (Target(1, 1), Target(2, 9_999)),
        Sticky(StickyBy.HEADER, "x-user"),
        RollbackRule(0.25, 5, 10.0),
        1,
        "half",
    )
    writer.commit(planning.aliased(writer.catalog, alias))
    writer.commit(configured(writer.catalog, "main", REVISION, 0))
    writer.commit(configured(writer.catalog, "main", replace(REVISION, document='{"routes":[]}'), 1))
    writer.commit(replace(writer.catalog, garbage={"d" * 64: Garbage(1.5, 2, 3.0)}))
    writer.deploy("c", "other")
    writer.commit(planning.without_function(writer.catalog, "other"))
    assert writer.catalog.functions["hello"].aliases["beta"] == alias
    assert writer.catalog.retired == {"other": 1}
    assert read(writer.log).catalog == writer.catalog
    assert (writer.catalog.generation, writer.catalog.incarnation) == (8, "i")


steps = st.lists(st.tuples(names, codes, st.integers(0, 6), st.sampled_from(["live", "beta"])), max_size=12)


@given(steps)
def test_whatever_is_planned_its_records_make_it(done: list[tuple[str, str, int, str]]) -> None:
    writer = Writer(Keys(signing=OURS, sealing=(SECRET,)))
    for name, code, number, alias in done:
        plans: list[Plan | Made] = [
            planning.updated(writer.catalog, draft(name, code, environment={"CODE": code})),
            planning.made(writer.catalog, name, code, 3.25),
            planning.pointed(writer.catalog, name, alias, number, 2_500),
            planning.rolled_back(writer.catalog, name, alias),
            planning.without_function(writer.catalog, name),
            configured(writer.catalog, name, replace(REVISION, document=f'{{"quotas":"{code}"}}'), None),
            reverted(writer.catalog, name, None, None),
        ]
        plan = plans[number]
        if isinstance(plan, Refused):
            continue
        expected = plan.catalog if isinstance(plan, Made) else plan
        writer.commit(plan)
        generation = writer.catalog.generation
        assert writer.catalog == replace(expected, generation=generation, incarnation="i")
        assert read(writer.log, Keys(signing=OURS, sealing=(SECRET,))).catalog == writer.catalog


def test_nothing_counts_before_its_head() -> None:
    writer = Writer()
    *records, head = writer.deploy("a")
    builder = CatalogBuilder(Keys())
    assert [builder.take(each) for each in records] == [None] * len(records)
    assert builder.catalog == Catalog()
    assert builder.take(head) == Applied(writer.catalog)


def test_a_commit_of_which_something_is_missing_is_held_until_it_is_there() -> None:
    writer = Writer()
    writer.deploy("a")
    builder = read(writer.log)
    first, *others = writer.deploy("b")
    held = [builder.take(each) for each in others][-1]
    assert isinstance(held, Held)
    assert builder.catalog.generation == 1
    builder.take(first)
    assert builder.take(others[-1]) == Applied(writer.catalog)


def test_the_same_head_again_brings_nothing_new() -> None:
    writer = Writer()
    stored = writer.deploy("a")
    builder = read(writer.log)
    assert [builder.take(each) for each in stored] == [None] * len(stored)


def test_an_old_backup_is_held_and_a_renewed_one_counts() -> None:
    writer = Writer()
    writer.deploy("a")
    backup = list(writer.log)
    for code in "bcd":
        writer.deploy(code)
    builder = read(writer.log)
    builder.restart()
    outcomes = [builder.take(each) for each in backup]
    assert isinstance(outcomes[-1], Held)
    assert "old backup" in outcomes[-1].reason
    assert builder.catalog == writer.catalog

    restored = Writer()
    restored.log.append([Record(each.subject, each.value) for each in backup])
    restored = Writer(log=restored.log)
    head = restored.builder.head.following("op", "another log", least_generation=9)
    renewed = restored.log.append(restored.builder.records(restored.catalog, head))
    builder.restart()
    outcomes = [builder.take(each) for each in [*backup, *renewed]]
    assert isinstance(outcomes[-1], Applied)
    assert set(builder.catalog.functions["hello"].versions) == {1}
    assert (builder.catalog.generation, builder.catalog.incarnation) == (9, "another log")


def test_a_replayed_record_does_not_fit_the_head() -> None:
    writer = Writer(SIGNING)
    old = writer.deploy("a")
    builder = read(writer.log, TRUSTING)
    new = writer.deploy("b")
    aliases = {each.subject: each for each in old}
    replayed = [aliases[each.subject] if each.subject.startswith("alias") else each for each in new]
    assert isinstance([builder.take(each) for each in replayed][-1], Held)
    assert builder.catalog.functions["hello"].aliases["live"].targets == (Target(1),)


def test_a_record_in_another_ones_place_does_not_count() -> None:
    writer = Writer(SIGNING)
    stored = {each.subject: each for each in writer.deploy("a")}
    builder = CatalogBuilder(Keys())
    moved = Record("alias.hello.prod", stored["alias.hello.live"].value)
    log = Log()
    log.append([Record(each.subject, each.value) for each in stored.values() if each.subject != HEAD])
    log.append([moved])
    for each in log:
        builder.take(each)
    head = builder.head.following("op", "i")
    for record in builder.records(builder.catalog, head):
        outcome = builder.take(Stored(99, record.subject, record.value))
    assert isinstance(outcome, Applied)
    assert [problem.subject for problem in outcome.problems] == ["alias.hello.prod"]
    assert set(builder.catalog.functions["hello"].aliases) == {"live"}


@pytest.mark.parametrize("signing", [None, THEIRS])
def test_what_nobody_trusted_has_signed_is_held_where_signatures_are_enforced(signing: SigningKey | None) -> None:
    writer = Writer(Keys(signing=signing))
    stored = writer.deploy("a")
    enforcing = CatalogBuilder(TRUSTING)
    held = [enforcing.take(each) for each in stored][-1]
    assert isinstance(held, Held)
    assert "not signed" in held.reason or "not trusted" in held.reason
    warning = CatalogBuilder(replace(TRUSTING, policy=SignaturePolicy.WARN))
    applied = [warning.take(each) for each in stored][-1]
    assert isinstance(applied, Applied)
    assert {problem.subject for problem in applied.problems} == {each.subject for each in stored}
    assert applied.catalog == writer.catalog


def test_a_version_that_was_changed_leaves_its_alias_where_it_was() -> None:
    writer = Writer(SIGNING)
    writer.deploy("a")
    builder = read(writer.log, TRUSTING)
    evil = written("ver.hello.2", 2, {"function": "hello", "version": 2}, Keys(signing=THEIRS))
    updated = planning.updated(writer.catalog, draft(code="b"))
    assert isinstance(updated, Catalog)
    made = planning.made(updated, "hello", "", 5.0)
    assert isinstance(made, Made)
    pointed = planning.pointed(made.catalog, "hello", "live", 2, 10_000)
    records = {each.subject: each.value for each in writer.records(pointed)}
    records["ver.hello.2"] = evil
    for subject, value in records.items():
        if subject != HEAD:
            builder.take(Stored(50, subject, value))
    # Its own signer vouches for the state as it is: only the version's signature is left to tell.
    twin = CatalogBuilder(SIGNING)
    for stored in (*writer.log, *(Stored(50, each, value) for each, value in records.items() if each != HEAD)):
        twin.take(stored)
    head = twin.records(twin.catalog, twin.head.following("op", "i"))[-1]
    applied = builder.take(Stored(60, HEAD, head.value))
    assert isinstance(applied, Applied)
    assert builder.catalog.functions["hello"].aliases["live"].targets == (Target(1),)
    assert {problem.subject for problem in applied.problems} == {"ver.hello.2", "alias.hello.live"}
    good = builder.records(builder.catalog, builder.head.following("op", "i"))
    assert good[-1].subject == HEAD


def test_a_configuration_that_does_not_count_leaves_the_one_before_in_force() -> None:
    writer = Writer(SIGNING)
    writer.commit(configured(writer.catalog, "main", REVISION, 0))
    builder = read(writer.log, TRUSTING)
    records = writer.records(configured(writer.catalog, "main", replace(REVISION, document='{"routes":[]}'), 1))
    forgery = written("config.main.2", 2, {"shared": {}}, Keys(signing=THEIRS))
    swapped = [Record(each.subject, forgery if each.subject == "config.main.2" else each.value) for each in records]
    twin = read(writer.log, SIGNING)
    stored = writer.log.append(swapped[:-1])
    for each in stored:
        twin.take(each)
        builder.take(each)
    head = twin.written((), twin.head.following("op", "i"))[-1]
    assert isinstance(builder.take(Stored(60, HEAD, head.value)), Applied)
    site = builder.catalog.configurations["main"]
    assert (site.current, site.in_force) == (1, replace(REVISION, number=1))
    assert {problem.subject for problem in builder.problems} == {"config.main.2", "config.main"}


def test_a_configuration_is_sealed_where_there_is_a_key() -> None:
    writer = Writer(Keys(sealing=(SECRET,)))
    writer.commit(configured(writer.catalog, "main", REVISION, 0))
    assert b"secret-word" not in b"".join(base64_decoded(each.value) for each in writer.log)
    assert read(writer.log, Keys(sealing=(SECRET,))).catalog == writer.catalog
    without = read(writer.log)
    assert without.catalog.configurations["main"].in_force is None
    assert "sealed with the key" in " ".join(problem.why for problem in without.problems)


@pytest.mark.parametrize("value", [b"\xff", b"{}", b"[]", b'{"payloadType": "x", "payload": "", "signatures": []}'])
def test_bytes_that_are_no_record_do_not_count(value: bytes) -> None:
    writer = Writer()
    stored = writer.deploy("a")
    builder = CatalogBuilder(Keys())
    assert isinstance(builder.take(forged(stored[-1], value)), Held)
    assert builder.catalog == Catalog()


def test_an_environment_is_sealed_where_there_is_a_key() -> None:
    writer = Writer(Keys(sealing=(SECRET,)))
    stored = writer.deploy("a")
    assert b"secret-word" not in b"".join(base64_decoded(each.value) for each in stored)
    assert read(writer.log, Keys(sealing=(SECRET,))).catalog == writer.catalog
    blind = read(writer.log)
    assert {problem.subject for problem in blind.problems} == {"fn.hello", "ver.hello.1"}
    assert all("sealing key" in problem.why for problem in blind.problems)
    assert blind.catalog.functions == {}


def base64_decoded(envelope: bytes) -> bytes:
    import base64
    import json

    return base64.b64decode(json.loads(envelope)["payload"])


def test_subjects_of_other_kinds_mean_nothing() -> None:
    writer = Writer()
    stored = writer.deploy("a")
    builder = CatalogBuilder(Keys())
    builder.take(Stored(1, "cursor", b"anything"))
    assert [builder.take(each) for each in stored][-1] == Applied(writer.catalog)


def test_a_function_without_its_versions_is_a_function() -> None:
    writer = Writer()
    writer.commit(planning.updated(writer.catalog, draft()))
    assert writer.catalog.functions == {"hello": PublishedFunction("hello", draft())}
