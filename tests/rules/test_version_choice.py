"""Which of two versions an invocation gets."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.model.publishing import Alias, RollbackRule, Target
from edgefn.rules.automatic_rollback import Counted, Keep, RollBack, rollback_verdict
from edgefn.rules.version_choice import chosen_version, share_of


def alias(weight: int, name: str = "live") -> Alias:
    return Alias("hello", name, (Target(1, 10_000 - weight), Target(2, weight)))


def test_one_version_gets_all() -> None:
    assert chosen_version(Alias("hello", "live", (Target(7),)), b"anything") == 7


def test_every_process_anywhere_chooses_the_same() -> None:
    assert [share_of(alias(1), key) for key in (b"", b"viewer-1", b"viewer-2")] == SHARES


SHARES = [9_347, 7_950, 806]
"""Fixed: other numbers would send viewers to another version while locations are being updated."""


def test_the_newer_version_gets_its_share() -> None:
    keys = [f"viewer {number}".encode() for number in range(20_000)]
    for weight in (100, 1_000, 5_000):
        got = sum(chosen_version(alias(weight), key) == 2 for key in keys)
        assert abs(got / len(keys) - weight / 10_000) < 0.01


@given(st.binary(), st.integers(1, 9_999), st.integers(1, 9_999))
def test_whoever_has_the_newer_version_keeps_it_while_its_weight_grows(key: bytes, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert chosen_version(alias(less), key) == 1 or chosen_version(alias(more), key) == 2


def test_two_aliases_deal_their_shares_independently() -> None:
    keys = [str(number).encode() for number in range(2_000)]
    both = sum(chosen_version(alias(5_000), k) == chosen_version(alias(5_000, "beta"), k) for k in keys)
    assert 800 < both < 1_200


RULED = Alias("hello", "live", (Target(1, 9_000), Target(2, 1_000)), rollback=RollbackRule(0.1, 20, 30.0))


def test_too_many_errors_take_the_newer_version_out() -> None:
    verdict = rollback_verdict(RULED, Counted(20, 3))
    assert verdict == RollBack(
        2, "hello:2 failed 3 of 20 invocations (15.0%) in 30 s; the limit of the alias live is 10.0%"
    )


def test_a_rate_at_the_limit_or_too_few_invocations_take_nothing_out() -> None:
    for counted in (Counted(20, 2), Counted(19, 19), Counted(0, 0)):
        assert isinstance(rollback_verdict(RULED, counted), Keep)


def test_an_alias_without_a_rule_or_with_one_version_stays() -> None:
    for other in (alias(1_000), Alias("hello", "live", (Target(2),), rollback=RollbackRule(0.1))):
        assert isinstance(rollback_verdict(other, Counted(100, 100)), Keep)
