"""Publishing what the locations of a site share: judged, then put in force in one commit; and going back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from edgefn.configuration.differences import Difference, differences
from edgefn.configuration.loader import judge
from edgefn.configuration.sharing import as_written
from edgefn.functions.committing import Planned, Planner, PublishError, refusal
from edgefn.functions.configurations import read, uses_in, written
from edgefn.functions.publishing import Publisher
from edgefn.model.publishing import Catalog, Configuration, LocationState, Revision
from edgefn.model.settings import Settings
from edgefn.rules.configuring import configured, reverted, without_configuration
from edgefn.rules.planning import Plan, Refused
from edgefn.rules.uses import unfit

_MOST_BYTES = 256 * 1024
"""Sealed, signed and written as text it still fits into one record."""


@dataclass(frozen=True, slots=True)
class Turned:
    """What was in force, what is now, and what that changes. `generation` is the one to wait for."""

    before: Revision | None
    after: Revision
    generation: int = 0

    @property
    def differences(self) -> list[Difference]:
        """Return what is different, setting by setting, without what may be secret."""
        return differences({} if self.before is None else read(self.before), read(self.after))


@dataclass(frozen=True, slots=True)
class Configurer:
    """Publishes configurations. `wall` is the time in seconds since the epoch.

    `functions` returns the names of those that the locations have in their own files, None where that is not known.
    """

    publisher: Publisher
    wall: Callable[[], float]
    functions: Callable[[], Collection[str] | None]

    def plan(self, site: str, shared: Mapping[str, object], description: str, expected: int | None) -> Planner[Turned]:
        """Return the plan to put `shared` in force for a site.

        Raises `SettingsError` with all that is wrong in it, and `PublishError` where it is too large.

        `expected` is the revision that must be in force until then (0: none), None for whichever is.
        """
        settings = judge(shared, self.functions())
        plain = as_written(shared)
        text = written(plain)
        if len(text.encode()) > _MOST_BYTES:
            raise PublishError(f"the configuration is {len(text.encode()):,} bytes; publish at most {_MOST_BYTES:,}")
        fresh = Revision(0, text, tuple(uses_in(plain)), self.wall(), description)
        return lambda catalog: _turned(catalog, site, settings, configured(catalog, site, fresh, expected))

    def plan_back(self, site: str, number: int | None, expected: int | None) -> Planner[Turned]:
        """Return the plan to go back to a revision, None for the one before; `expected` as in `plan`."""

        def plan(catalog: Catalog) -> Planned[Turned] | Refused:
            after = reverted(catalog, site, number, expected)
            if isinstance(after, Refused):
                return after
            wanted = after.configurations[site].in_force
            return _turned(catalog, site, judge({} if wanted is None else read(wanted)), after)

        return plan

    async def delete(self, site: str, expected: int | None, *, only_try: bool = False) -> tuple[Configuration, int]:
        """Delete what is published for a site; return what that was, and the generation.

        Refused while a location that has not retired has it in use. `expected` as in `plan`. With `only_try` nothing
        is changed. Raises `PublishError` (`StaleError`), and `ReplicaError`.
        """
        statuses = (await self.publisher.statuses()).values()
        there = [each for each in statuses if each.state is not LocationState.RETIRED]
        users = [each.location for each in there if each.site == site and each.configuration]

        def plan(catalog: Catalog) -> Planned[Configuration] | Refused:
            after = without_configuration(catalog, site, expected, users)
            return after if isinstance(after, Refused) else Planned(after, catalog.configurations[site])

        if only_try:
            catalog = await self.publisher.catalog()
            planned = plan(catalog)
            if isinstance(planned, Refused):
                raise refusal(planned)
            return planned.told, catalog.generation
        committed = await self.publisher.change(plan)
        return committed.told, committed.generation

    async def carry_out(self, plan: Planner[Turned]) -> Turned:
        """Publish it. Raises `PublishError` (`StaleError` when something else is in force), and `ReplicaError`."""
        committed = await self.publisher.change(plan)
        return Turned(committed.told.before, committed.told.after, committed.generation)

    async def try_out(self, plan: Planner[Turned]) -> Turned:
        """Return what it would come to, and change nothing. Raises as `carry_out`."""
        catalog = await self.publisher.catalog()
        planned = plan(catalog)
        if isinstance(planned, Refused):
            raise refusal(planned)
        return Turned(planned.told.before, planned.told.after, catalog.generation)


def _turned(catalog: Catalog, site: str, settings: Settings, after: Plan) -> Planned[Turned] | Refused:
    if isinstance(after, Refused):
        return after
    flaws = unfit(catalog, settings)
    if flaws:
        return Refused("; ".join(flaws))
    known = catalog.configurations.get(site)
    revision = after.configurations[site].in_force
    if revision is None:
        raise AssertionError(f"nothing is in force for {site}")
    return Planned(after, Turned(None if known is None else known.in_force, revision))
