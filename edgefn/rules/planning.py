"""What a change makes of all that is published (AWS: Lambda versions, aliases). A refusal says why, and the cure.

Every plan takes a catalog and returns the one that shall be, or `Refused`. Nothing is written here.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from edgefn.model.publishing import (
    LATEST,
    WHOLE,
    Alias,
    Catalog,
    Manifest,
    PublishedFunction,
    RollbackRule,
    Sticky,
    StickyBy,
    Target,
    Use,
)
from edgefn.rules.uses import uses_in

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
_MOST_TEXT = 256

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Refused:
    """The change is not made: why, and what to do instead. `is_stale`: somebody else has changed the same before."""

    reason: str
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What shall be published: the catalog with the new version, or with the one that is the same already."""

    catalog: Catalog
    manifest: Manifest
    is_new: bool


Plan: TypeAlias = Catalog | Refused


def updated(catalog: Catalog, draft: Manifest) -> Plan:
    """Make `draft` the function's draft; the same one again changes nothing."""
    flaw = _name_flaw("function", draft.function) or _text_flaw(draft.description)
    if flaw is not None:
        return Refused(flaw)
    known = catalog.functions.get(draft.function)
    if known is None:
        known = PublishedFunction(draft.function, last_version=catalog.retired.get(draft.function, 0))
    if known.draft is not None and known.draft.is_like(draft) and known.draft.description == draft.description:
        return catalog
    with_draft = _with(catalog, replace(known, draft=draft))
    return replace(with_draft, garbage=_less(catalog.garbage, draft.blob.digest))


def made(catalog: Catalog, name: str, description: str, now: float) -> Made | Refused:
    """Make a version of the function's draft (AWS: PublishVersion).

    A version with the same code and configuration is not made again: the newest such one is returned.
    """
    function = catalog.functions.get(name)
    if function is None or function.draft is None:
        return Refused(_unknown_function(catalog, name))
    flaw = _text_flaw(description)
    if flaw is not None:
        return Refused(flaw)
    draft = function.draft
    for _, version in sorted(function.versions.items(), reverse=True):
        if version.is_like(draft):
            return Made(catalog, version, is_new=False)
    number = function.last_version + 1
    manifest = replace(draft, version=number, description=description or draft.description, published=now)
    versions = {**function.versions, number: manifest}
    return Made(_with(catalog, replace(function, versions=versions, last_version=number)), manifest, is_new=True)


def aliased(catalog: Catalog, alias: Alias) -> Plan:
    """Set an alias. Without a `previous` it gets the version that it leaves, or keeps the one that it had."""
    function = catalog.functions.get(alias.function)
    if function is None:
        return Refused(_unknown_function(catalog, alias.function))
    flaw = _alias_flaw(function, alias)
    if flaw is not None:
        return Refused(flaw)
    before = function.aliases.get(alias.name)
    if alias.previous is None:
        alias = replace(alias, previous=_previous(function, before, alias))
    if alias == before:
        return catalog
    return _with(catalog, replace(function, aliases={**function.aliases, alias.name: alias}))


def _previous(function: PublishedFunction, before: Alias | None, after: Alias) -> int | None:
    if before is None:
        return None
    left = before.targets[0].version
    previous = before.previous if left == after.targets[0].version else left
    return previous if previous in function.versions else None


def pointed(catalog: Catalog, name: str, alias: str, version: int, weight: int) -> Plan:
    """Point an alias at a version: wholly, or with `weight` of `WHOLE` beside the one that it points at first.

    Where there is nothing to share with, the version gets all.
    """
    if not 1 <= weight <= WHOLE:
        return Refused(f"the weight {weight} can't be: write 1 to {WHOLE}, in 1/{WHOLE:,}")
    function = catalog.functions.get(name)
    before = None if function is None else function.aliases.get(alias)
    targets: tuple[Target, ...] = (Target(version),)
    if before is not None and weight < WHOLE and before.targets[0].version != version:
        targets = (Target(before.targets[0].version, WHOLE - weight), Target(version, weight))
    start = Alias(name, alias, targets) if before is None else before
    return aliased(catalog, replace(start, targets=targets, previous=None))


def rolled_back(catalog: Catalog, name: str, alias: str) -> Plan:
    """Take the newer of two versions out of an alias; else point it at its previous version, and forget that one."""
    function = catalog.functions.get(name)
    before = None if function is None else function.aliases.get(alias)
    if function is None or before is None:
        return Refused(_unknown_alias(catalog, name, alias))
    if len(before.targets) > 1:
        after = replace(before, targets=(Target(before.targets[0].version),))
    elif before.previous is not None and before.previous in function.versions:
        after = replace(before, targets=(Target(before.previous),), previous=None)
    else:
        return Refused(f"{name}:{alias} has no version to go back to; point it at the version that you want")
    return _with(catalog, replace(function, aliases={**function.aliases, alias: after}))


def without_alias(catalog: Catalog, name: str, alias: str, uses: Collection[Use] = ()) -> Plan:
    """Delete an alias that no hook uses."""
    function = catalog.functions.get(name)
    if function is None or alias not in function.aliases:
        return Refused(_unknown_alias(catalog, name, alias))
    where = _where([*uses, *uses_in(catalog)], name, alias)
    if where:
        return Refused(f"{name}:{alias} is used by {where}; take it out there first")
    return _with(catalog, replace(function, aliases=_less(function.aliases, alias)))


def without_version(catalog: Catalog, name: str, version: int, uses: Collection[Use] = ()) -> Plan:
    """Delete a version that no alias and no hook uses (AWS: DeleteFunction with a qualifier). Its number stays used."""
    function = catalog.functions.get(name)
    if function is None:
        return Refused(_unknown_function(catalog, name))
    if version not in function.versions:
        return Refused(_unknown_version(function, version))
    for alias in function.aliases.values():
        if version in {target.version for target in alias.targets}:
            return Refused(f"{name}:{version} is used by the alias {alias.name}; point that at another version first")
        if version == alias.previous:
            return Refused(f"{name}:{version} is what the alias {alias.name} would roll back to; move that on first")
    where = _where([*uses, *uses_in(catalog)], name, str(version))
    if where:
        return Refused(f"{name}:{version} is used by {where}; take it out there first")
    return _with(catalog, replace(function, versions=_less(function.versions, version)))


def without_function(catalog: Catalog, name: str, uses: Collection[Use] = ()) -> Plan:
    """Delete a function with all versions and aliases. Should it come again, its numbers go on."""
    function = catalog.functions.get(name)
    if function is None:
        return Refused(_unknown_function(catalog, name))
    where = ", ".join(sorted({use.where for use in [*uses, *uses_in(catalog)] if use.function == name}))
    if where:
        return Refused(f"{name} is used by {where}; take it out there first")
    retired = {**catalog.retired, name: function.last_version}
    return replace(catalog, functions=_less(catalog.functions, name), retired=retired)


def _alias_flaw(function: PublishedFunction, alias: Alias) -> str | None:
    return (
        _name_flaw("alias", alias.name)
        or ("an alias can't be a number: that names a version" if alias.name.isdecimal() else None)
        or _text_flaw(alias.description)
        or _targets_flaw(function, alias.targets)
        or _sticky_flaw(alias.sticky)
        or _rollback_flaw(alias.rollback)
        or (None if alias.previous is None else _missing(function, alias.previous))
    )


def _targets_flaw(function: PublishedFunction, targets: tuple[Target, ...]) -> str | None:
    if not 1 <= len(targets) <= 2:
        return f"an alias points at one version or at two, not at {len(targets)}"
    if len({target.version for target in targets}) < len(targets):
        return f"an alias can't point at version {targets[0].version} twice"
    if any(target.weight < 1 for target in targets) or sum(target.weight for target in targets) != WHOLE:
        weights = " and ".join(str(target.weight) for target in targets)
        return f"the weights {weights} must be at least 1 each and {WHOLE} together"
    return next((flaw for target in targets if (flaw := _missing(function, target.version))), None)


def _missing(function: PublishedFunction, version: int) -> str | None:
    if version == 0:
        return f"an alias can't point at {LATEST}; publish a version of it first"
    return None if version in function.versions else _unknown_version(function, version)


def _sticky_flaw(sticky: Sticky) -> str | None:
    match sticky.by:
        case StickyBy.NONE:
            return f'nothing is sticky, so "{sticky.name}" means nothing; take it out' if sticky.name else None
        case StickyBy.COOKIE | StickyBy.HEADER:
            if _TOKEN.fullmatch(sticky.name):
                return None
            return f'"{sticky.name}" is not the name of a {sticky.by}; write one such as session'


def _rollback_flaw(rule: RollbackRule | None) -> str | None:
    if rule is None or (0 <= rule.error_rate < 1 and rule.invocations >= 1 and 1 <= rule.window <= 3600):
        return None
    return "a rollback rule needs an error rate from 0 to below 1, at least 1 invocation and a window of 1 s to 1 h"


def _name_flaw(kind: str, name: str) -> str | None:
    if _NAME.fullmatch(name):
        return None
    article = "an" if kind == "alias" else "a"
    return f'"{name[:80]}" can\'t name {article} {kind}: write at most 64 letters, digits, dashes and underscores'


def _text_flaw(description: str) -> str | None:
    if len(description) <= _MOST_TEXT:
        return None
    return f"the description has {len(description)} characters; write at most {_MOST_TEXT}"


def _unknown_function(catalog: Catalog, name: str) -> str:
    known = ", ".join(sorted(catalog.functions)[:10]) or "none"
    return f'there is no function "{name}"; deploy it first, or take one of those that there are: {known}'


def _unknown_alias(catalog: Catalog, name: str, alias: str) -> str:
    function = catalog.functions.get(name)
    if function is None:
        return _unknown_function(catalog, name)
    known = ", ".join(sorted(function.aliases)[:10]) or "none"
    return f'{name} has no alias "{alias}"; it has: {known}'


def _unknown_version(function: PublishedFunction, version: int) -> str:
    known = ", ".join(str(number) for number in sorted(function.versions)[-10:]) or "none"
    return f"{function.name} has no version {version}; the newest ones are: {known}"


def _where(uses: Collection[Use], name: str, qualifier: str) -> str:
    return ", ".join(sorted({use.where for use in uses if (use.function, use.qualifier) == (name, qualifier)}))


def _less(table: Mapping[K, V], key: K) -> dict[K, V]:
    return {each: value for each, value in table.items() if each != key}


def _with(catalog: Catalog, function: PublishedFunction) -> Catalog:
    retired = _less(catalog.retired, function.name)
    return replace(catalog, functions={**catalog.functions, function.name: function}, retired=retired)
