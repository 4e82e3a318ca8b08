"""What changes make of what is published, and which ones are refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.publishing import Alias, Catalog, RollbackRule, Sticky, StickyBy, Target, Use
from edgefn.rules import planning
from edgefn.rules.planning import Made, Plan, Refused
from tests.fakes.published import codes, draft, names

NOW = 1_000.0


def sure(plan: Plan) -> Catalog:
    assert isinstance(plan, Catalog), plan
    return plan


def made(catalog: Catalog, name: str = "hello") -> Made:
    plan = planning.made(catalog, name, "", NOW)
    assert isinstance(plan, Made), plan
    return plan


def with_versions(*code: str, catalog: Catalog | None = None) -> Catalog:
    catalog = Catalog() if catalog is None else catalog
    for each in code:
        catalog = made(sure(planning.updated(catalog, draft(code=each)))).catalog
    return catalog


def live(catalog: Catalog) -> Alias:
    return catalog.functions["hello"].aliases["live"]


def test_a_draft_becomes_version_1_and_stays_the_draft() -> None:
    catalog = sure(planning.updated(Catalog(), draft()))
    first = made(catalog)
    assert first.is_new
    assert (first.manifest.version, first.manifest.published) == (1, NOW)
    assert first.catalog.functions["hello"].draft == draft()


def test_the_same_code_and_configuration_again_give_the_same_version() -> None:
    catalog = with_versions("a", "b")
    again = made(sure(planning.updated(catalog, draft(code="a"))))
    assert (again.is_new, again.manifest.version) == (False, 1)
    other = made(sure(planning.updated(catalog, draft(code="a", memory=256))))
    assert (other.is_new, other.manifest.version) == (True, 3)


def test_the_same_draft_again_changes_nothing() -> None:
    catalog = sure(planning.updated(Catalog(), draft()))
    assert planning.updated(catalog, draft()) is catalog


def test_a_number_is_never_given_twice() -> None:
    catalog = with_versions("a", "b")
    catalog = sure(planning.without_version(catalog, "hello", 2))
    assert made(sure(planning.updated(catalog, draft(code="c")))).manifest.version == 3
    gone = sure(planning.without_function(catalog, "hello"))
    assert "hello" not in gone.functions
    assert made(sure(planning.updated(gone, draft(code="a")))).manifest.version == 3


def test_a_canary_shares_with_what_is_live_and_promotion_remembers_it() -> None:
    catalog = with_versions("a", "b")
    catalog = sure(planning.pointed(catalog, "hello", "live", 1, 10_000))
    assert live(catalog) == Alias("hello", "live", (Target(1),))
    catalog = sure(planning.pointed(catalog, "hello", "live", 2, 1_000))
    assert live(catalog).targets == (Target(1, 9_000), Target(2, 1_000))
    catalog = sure(planning.pointed(catalog, "hello", "live", 2, 10_000))
    assert (live(catalog).targets, live(catalog).previous) == ((Target(2),), 1)
    catalog = sure(planning.rolled_back(catalog, "hello", "live"))
    assert (live(catalog).targets, live(catalog).previous) == ((Target(1),), None)
    assert isinstance(planning.rolled_back(catalog, "hello", "live"), Refused)


def test_a_rollback_takes_the_canary_out() -> None:
    catalog = with_versions("a", "b")
    catalog = sure(planning.pointed(catalog, "hello", "live", 1, 10_000))
    catalog = sure(planning.pointed(catalog, "hello", "live", 2, 1_000))
    assert live(sure(planning.rolled_back(catalog, "hello", "live"))).targets == (Target(1),)


def test_the_first_version_of_an_alias_gets_all_whatever_its_weight() -> None:
    catalog = sure(planning.pointed(with_versions("a"), "hello", "live", 1, 10))
    assert live(catalog).targets == (Target(1),)


def test_an_alias_keeps_its_rules_when_it_is_pointed_elsewhere() -> None:
    rule, sticky = RollbackRule(0.1), Sticky(StickyBy.COOKIE, "session")
    catalog = sure(
        planning.aliased(with_versions("a", "b"), Alias("hello", "live", (Target(1),), sticky=sticky, rollback=rule))
    )
    assert live(sure(planning.pointed(catalog, "hello", "live", 2, 5))).rollback == rule
    assert live(sure(planning.pointed(catalog, "hello", "live", 2, 5))).sticky == sticky


ALIAS = Alias("hello", "live", (Target(1),))


@pytest.mark.parametrize(
    ("alias", "told"),
    [
        (replace(ALIAS, function="hullo"), "no function"),
        (replace(ALIAS, name="7"), "names a version"),
        (replace(ALIAS, name="a.b"), "letters, digits"),
        (replace(ALIAS, name="$LATEST"), "letters, digits"),
        (replace(ALIAS, targets=()), "not at 0"),
        (replace(ALIAS, targets=(Target(1, 1), Target(2, 1), Target(3, 9_998))), "not at 3"),
        (replace(ALIAS, targets=(Target(1, 5_000), Target(1, 5_000))), "twice"),
        (replace(ALIAS, targets=(Target(1, 5_000), Target(2, 5_001))), "10000 together"),
        (replace(ALIAS, targets=(Target(1, 10_000), Target(2, 0))), "at least 1"),
        (replace(ALIAS, targets=(Target(3),)), "no version 3"),
        (replace(ALIAS, targets=(Target(0),)), "publish a version"),
        (replace(ALIAS, previous=9), "no version 9"),
        (replace(ALIAS, sticky=Sticky(StickyBy.HEADER, "")), "name of a header"),
        (replace(ALIAS, sticky=Sticky(StickyBy.NONE, "x")), "means nothing"),
        (replace(ALIAS, rollback=RollbackRule(1.0)), "error rate"),
        (replace(ALIAS, rollback=RollbackRule(0.5, 0)), "error rate"),
        (replace(ALIAS, description="x" * 257), "at most 256"),
    ],
)
def test_an_alias_that_can_not_be_is_refused(alias: Alias, told: str) -> None:
    refused = planning.aliased(with_versions("a", "b"), alias)
    assert isinstance(refused, Refused)
    assert told in refused.reason


DELETIONS: list[tuple[Callable[[Catalog], Plan], str]] = [
    (lambda catalog: planning.without_version(catalog, "hello", 2), "the alias live"),
    (lambda catalog: planning.without_version(catalog, "hello", 1), "roll back"),
    (lambda catalog: planning.without_version(catalog, "hello", 9), "no version 9"),
    (lambda catalog: planning.without_version(catalog, "hello", 3, [Use("hello", "3", "route /x")]), "route /x"),
    (lambda catalog: planning.without_alias(catalog, "hello", "live", [Use("hello", "live", "route *")]), "route \\*"),
    (lambda catalog: planning.without_alias(catalog, "hello", "beta"), "it has: live"),
    (lambda catalog: planning.without_function(catalog, "hello", [Use("hello", "3", "route /x")]), "route /x"),
    (lambda catalog: planning.without_function(catalog, "other"), "no function"),
]


@pytest.mark.parametrize(("plan", "told"), DELETIONS)
def test_what_is_used_can_not_be_deleted(plan: Callable[[Catalog], Plan], told: str) -> None:
    catalog = with_versions("a", "b", "c")
    catalog = sure(planning.pointed(catalog, "hello", "live", 1, 10_000))
    catalog = sure(planning.pointed(catalog, "hello", "live", 2, 10_000))
    refused = plan(catalog)
    assert isinstance(refused, Refused)
    assert told.replace("\\", "") in refused.reason


def test_what_nobody_uses_can_be_deleted() -> None:
    catalog = with_versions("a", "b", "c")
    catalog = sure(planning.pointed(catalog, "hello", "live", 1, 10_000))
    assert set(sure(planning.without_version(catalog, "hello", 3)).functions["hello"].versions) == {1, 2}
    assert sure(planning.without_alias(catalog, "hello", "live")).functions["hello"].aliases == {}


@given(st.lists(st.tuples(names, codes, st.integers(0, 5), st.integers(0, 10_001)), max_size=20))
def test_whatever_is_done_every_alias_points_at_versions_that_are_there(
    steps: list[tuple[str, str, int, int]],
) -> None:
    catalog = Catalog()
    for name, code, number, weight in steps:
        for plan in (
            planning.updated(catalog, draft(name, code)) if number else planning.rolled_back(catalog, name, "live"),
            planning.pointed(catalog, name, "live", number, weight),
            planning.without_version(catalog, name, number),
        ):
            catalog = catalog if isinstance(plan, Refused) else plan
            outcome = planning.made(catalog, name, "", NOW)
            catalog = outcome.catalog if isinstance(outcome, Made) and number % 2 else catalog
            for function in catalog.functions.values():
                assert all(version <= function.last_version for version in function.versions)
                for alias in function.aliases.values():
                    assert sum(target.weight for target in alias.targets) == 10_000
                    assert {target.version for target in alias.targets} <= set(function.versions)
                    assert alias.previous is None or alias.previous in function.versions
