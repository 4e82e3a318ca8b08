"""The functions of one process: those of its configuration, and the published ones that its hooks name."""

from dataclasses import dataclass, field
from functools import partial

from edgefn.functions.callee import Callee, Configured
from edgefn.functions.published import Judge, Key, Published
from edgefn.functions.registry import Opening, Registry
from edgefn.functions.runner import Runner
from edgefn.model.hook import Event
from edgefn.model.settings import HookSettings, Settings
from edgefn.rules.hook_limits import flaws_at


@dataclass(frozen=True, slots=True)
class Callees:
    """What the hooks of one configuration call: to be adopted, or discarded."""

    settings: Settings
    opening: Opening
    published: Published

    def of(self, hook: HookSettings) -> Callee:
        """Return what `hook` calls."""
        if hook.qualifier:
            return self.published.pointer(hook.function, hook.qualifier)
        return Configured(self.opening.opened[hook.function].runner)


@dataclass(slots=True)
class Functions:
    """Opens the functions of a configuration, and keeps them while a site of it is still in use."""

    registry: Registry
    published: Published
    _in_use: list[Settings] = field(default_factory=list)

    async def open(self, settings: Settings) -> Callees:
        """Return what hooks call, ready to run. Nothing that is in use changes. Raises `SettingsError`."""
        opening = await self.registry.open(settings.functions)
        self._in_use.append(settings)
        await self._want()
        return Callees(settings, opening, self.published)

    def adopt(self, callees: Callees) -> list[Runner]:
        """Make these the functions in use; return the runners that are no longer needed: let them go once drained."""
        return self.registry.adopt(callees.opening)

    async def discard(self, callees: Callees) -> None:
        """Stop what was opened for nothing; what is in use stays."""
        await self.registry.discard(callees.opening)
        await self.let_go(callees.settings, [])

    async def let_go(self, settings: Settings, retired: list[Runner]) -> None:
        """Close what only the site of `settings` used. It must be idle."""
        for runner in retired:
            await runner.close()
        self._in_use.remove(settings)
        await self._want()

    async def _want(self) -> None:
        judges: dict[Key, Judge] = {}
        for settings in self._in_use:
            judges.update(_published_names(settings))
        await self.published.want(judges)

    async def close(self) -> None:
        """Stop all functions."""
        await self.published.close()
        await self.registry.close()


def _published_names(settings: Settings) -> dict[Key, Judge]:
    """Return the published functions that hooks name, each with what judges whether it may stand there."""
    events: dict[Key, set[Event]] = {}
    for route in settings.routes:
        for event, hook in route.hooks.items():
            if hook.qualifier:
                events.setdefault((hook.function, hook.qualifier), set()).add(event)
    return {key: partial(flaws_at, events=sorted(at), profile=settings.quotas) for key, at in events.items()}
