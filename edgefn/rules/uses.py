"""Which hooks need what is published: those of one configuration, and those of all published ones."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgefn.model.hook import Event
from edgefn.model.publishing import Catalog, Use
from edgefn.model.settings import QuotaProfile, Settings
from edgefn.rules.hook_limits import flaws_at


def uses_of(settings: Settings) -> list[Use]:
    """Return which hooks of a configuration need what is published."""
    return [
        Use(hook.function, hook.qualifier, f"routes[{index}].hooks.{event}")
        for index, route in enumerate(settings.routes)
        for event, hook in route.hooks.items()
        if hook.qualifier
    ]


def uses_in(catalog: Catalog) -> list[Use]:
    """Return which hooks of the configurations in force need what is published."""
    return [
        replace(use, where=f"{use.where} of the configuration of site {site.site}")
        for site in catalog.configurations.values()
        if site.in_force is not None
        for use in site.in_force.uses
    ]


def unfit(catalog: Catalog, settings: Settings) -> list[str]:
    """Return for each hook of a configuration that can't run as things are why it can't, and the cure."""
    return list(_unfit(catalog, settings))


def _unfit(catalog: Catalog, settings: Settings) -> Iterator[str]:
    for index, route in enumerate(settings.routes):
        for event, hook in route.hooks.items():
            if hook.qualifier:
                flaws = _flaws(catalog, hook.function, hook.qualifier, event, settings.quotas)
                yield from (f"routes[{index}].hooks.{event}: {flaw}" for flaw in flaws)


def _flaws(catalog: Catalog, name: str, qualifier: str, event: Event, profile: QuotaProfile) -> list[str]:
    function = catalog.functions.get(name)
    if function is None:
        known = _known(catalog.functions)
        return [f'there is no function "{name}"; `edgefn deploy PATH --name {name}` publishes one{known}']
    if qualifier.isdecimal():
        numbers = [int(qualifier)]
    elif qualifier in function.aliases:
        numbers = [target.version for target in function.aliases[qualifier].targets]
    else:
        known = _known(function.aliases)
        return [f'{name} has no alias "{qualifier}"; `edgefn alias set {name} {qualifier} VERSION` makes it{known}']
    missing = [number for number in numbers if number not in function.versions]
    if missing:
        newest = ", ".join(map(str, sorted(function.versions)[-10:])) or "none"
        return [f"{name} has no version {missing[0]}; the newest ones are: {newest}"]
    found = [flaw for number in numbers for flaw in flaws_at(function.versions[number].settings, [event], profile)]
    return list(dict.fromkeys(found))


def _known(names: Mapping[str, object]) -> str:
    known = ", ".join(sorted(names)[:10])
    return f"; there is: {known}" if known else ""
