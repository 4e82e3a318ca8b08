"""When an alias takes its newer version out by itself."""

from dataclasses import dataclass

from edgefn.model.publishing import Alias


@dataclass(frozen=True, slots=True)
class Counted:
    """The invocations of a version within the last `window` seconds of the rule, and how many of them failed."""

    invocations: int
    errors: int


@dataclass(frozen=True, slots=True)
class RollBack:
    """The newer version goes. `reason` is for the log and the status."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """All stays as it is, and why."""

    reason: str


def rollback_verdict(alias: Alias, newer: Counted) -> RollBack | Keep:
    """Judge what the newer of an alias's two versions did."""
    rule = alias.rollback
    if rule is None:
        return Keep("the alias has no rollback rule")
    if len(alias.targets) < 2:
        return Keep("the alias has only one version")
    if newer.invocations < rule.invocations:
        return Keep(f"{newer.invocations} of the {rule.invocations} invocations that it takes to judge")
    rate = newer.errors / newer.invocations
    version = alias.targets[1].version
    told = (
        f"{alias.function}:{version} failed {newer.errors} of {newer.invocations} invocations ({rate:.1%}) "
        f"in {rule.window:g} s; the limit of the alias {alias.name} is {rule.error_rate:.1%}"
    )
    return RollBack(version, told) if rate > rule.error_rate else Keep(told)
