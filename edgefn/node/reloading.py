"""What a reload may not do, and how it is told of."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from edgefn.functions.published import Published
from edgefn.model.errors import SettingsError
from edgefn.model.settings import Settings
from edgefn.rules.uses import uses_of

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


async def reload_and_tell(reload: Callable[[], Awaitable[str]], tell: Callable[[str], None]) -> None:
    """Reload; `tell` hears what came of it, or all that was wrong."""
    try:
        tell(await reload())
    except SettingsError as error:
        tell("the configuration was not reloaded:")
        for problem in error.problems:
            tell(f"  {problem}")


def refuse_what_is_lacking(settings: Settings, published: Published) -> None:
    """Raise `SettingsError` when a hook names something that can't run here."""
    lacking = ((use, published.lacking(use.function, use.qualifier)) for use in uses_of(settings))
    problems = tuple(f"{use.where}: {use.function}:{use.qualifier}: {why}" for use, why in lacking if why)
    if problems:
        raise SettingsError(problems)


def refuse_changes_that_need_a_restart(before: Settings, after: Settings, lent: Mapping[str, str] = _NONE) -> None:
    """Raise `SettingsError` when a setting differs that a running location can't change.

    `lent` are the paths of the key-value stores that published functions have, by their names.
    """
    fixed = (
        "location",
        "site",
        "listen",
        "admin",
        "data_dir",
        "workers",
        "cache_memory",
        "cache_disk",
        "sandbox",
        "signatures",
        "blob_options",
        "access_log",
        "function_log",
    )
    problems = tuple(
        f"{name}: can't change while the location runs; restart it"
        for name in fixed
        if getattr(before, name) != getattr(after, name)
    )
    problems += tuple(
        f"kvs.{name}: a published function reads it, so its path can't change while the location runs; restart it"
        for name, path in lent.items()
        if after.kvs.get(name, path) != path
    )
    if problems:
        raise SettingsError(problems)
