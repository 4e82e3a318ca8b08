"""What becomes of the published configuration of a site: a new revision in force, or an older one again."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from edgefn.model.publishing import Catalog, Configuration, Revision
from edgefn.rules.planning import Plan, Refused

KEPT = 10
"""How many revisions of a site are kept, the one in force included."""

_SITE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NO_SITE = "off"
_MOST_TEXT = 256
_NAMED = 5


def configured(catalog: Catalog, site: str, fresh: Revision, expected: int | None) -> Plan:
    """Put a revision in force; `fresh` gets its number here. The same document as that in force changes nothing.

    `expected` is the revision that must be in force until now (0: none), None for whichever is. Whoever sends the same
    again, as no answer came, finds it in force.
    """
    flaw = _flaw(site, fresh.description)
    if flaw is not None:
        return Refused(flaw)
    known = catalog.configurations.get(site, Configuration(site))
    if known.in_force is not None and known.in_force.document == fresh.document:
        return catalog
    if expected is not None and expected != known.current:
        return _stale(known, expected)
    revision = replace(fresh, number=known.last + 1, previous=known.current)
    revisions = _kept({**known.revisions, revision.number: revision}, revision.number)
    return _with(catalog, Configuration(site, revision.number, revisions, revision.number))


def reverted(catalog: Catalog, site: str, number: int | None, expected: int | None) -> Plan:
    """Put an older revision in force again: `number`, or None for the one before. `expected` as in `configured`."""
    known = catalog.configurations.get(site)
    if known is None or known.in_force is None:
        return _unknown(catalog, site)
    if expected is not None and expected != known.current:
        return _stale(known, expected)
    wanted = known.in_force.previous if number is None else number
    if wanted not in known.revisions:
        kept = ", ".join(map(str, sorted(known.revisions)))
        what = f"configuration {wanted}" if wanted else f"a configuration before {known.current}"
        return Refused(f"{what} of site {site} is not there any more, or never was; there are: {kept}")
    return catalog if wanted == known.current else _with(catalog, replace(known, current=wanted))


def without_configuration(catalog: Catalog, site: str, expected: int | None, users: Collection[str]) -> Plan:
    """Delete what is published for a site, with all its revisions, unless one of the locations `users` has it in use.

    Should something be published for it again, its numbers go on. `expected` as in `configured`.
    """
    known = catalog.configurations.get(site)
    if known is None or (known.in_force is None and not known.revisions):
        return _unknown(catalog, site)
    if expected is not None and expected != known.current:
        return _stale(known, expected)
    if users:
        where = ", ".join(sorted(users)[:_NAMED]) + (f" and {len(users) - _NAMED} more" if len(users) > _NAMED else "")
        cure = "write another `site` (or off) into its file and start it again, or retire it if it is gone for good"
        return Refused(f"the configuration of site {site} is in use at {where}; for each of these: {cure}")
    return _with(catalog, Configuration(site, last=known.last, is_deleted=True))


def _unknown(catalog: Catalog, site: str) -> Refused:
    sites = ", ".join(name for name, each in sorted(catalog.configurations.items()) if not each.is_deleted) or "none"
    return Refused(f'nothing is published for a site "{site}"; there are: {sites}')


def _flaw(site: str, description: str) -> str | None:
    if not _SITE.fullmatch(site) or site == _NO_SITE:
        return (
            f'"{site[:80]}" can\'t name a site: write at most 64 letters, digits, dashes and underscores, and not off'
        )
    if len(description) > _MOST_TEXT:
        return f"the description has {len(description)} characters; write at most {_MOST_TEXT}"
    return None


def _stale(known: Configuration, expected: int) -> Refused:
    was = f"configuration {expected}" if expected else "none"
    return Refused(
        f"somebody was faster: {was} of site {known.site} was to be replaced, but {known.current or 'none'} is in "
        "force by now; look at the differences again",
        is_stale=True,
    )


def _kept(revisions: Mapping[int, Revision], current: int) -> dict[int, Revision]:
    """Return the newest revisions; those that rollbacks lead to from the one in force count as the newest of all."""
    wanted: list[int] = []
    number = current
    while number in revisions and number not in wanted and len(wanted) < KEPT:
        wanted.append(number)
        number = revisions[number].previous
    rest = [each for each in sorted(revisions, reverse=True) if each not in wanted]
    return {each: revisions[each] for each in sorted([*wanted, *rest][:KEPT])}


def _with(catalog: Catalog, site: Configuration) -> Catalog:
    return replace(catalog, configurations={**catalog.configurations, site.site: site})
