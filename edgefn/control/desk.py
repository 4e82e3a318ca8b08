"""What the endpoints about published functions have in common: the publisher, and what its refusals become."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Final

from aiohttp import web

from edgefn.control.endpoints import Handle
from edgefn.control.faults import FaultError, unknown
from edgefn.functions.committing import PublishError, StaleError
from edgefn.functions.configuring import Configurer
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.base import ReplicaError, UnavailableError, UnknownOutcomeError
from edgefn.model.publishing import LATEST, Alias, LocationState, Manifest, PublishedFunction, Use
from edgefn.model.settings import FunctionSettings

VERSION_NUMBER: Final = r"[0-9]{1,15}"
_PATIENCE: Final = "try again; what is live is untouched"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where functions are published. `uses` tells which hooks need what, `wall` the time, `notes` what else to know.

    `functions` are those that the locations have in their own files, None where that is not known. `stores` are the
    key-value stores here: a function whose own is not among them is run with an empty one. None where that can't be.
    """

    publisher: Publisher
    uses: Callable[[], Collection[Use]]
    wall: Callable[[], float]
    functions: Callable[[], Collection[str] | None] = lambda: None
    notes: Callable[[], Sequence[str]] = tuple
    stores: Collection[str] | None = None

    def notes_on(self, settings: FunctionSettings) -> list[str]:
        """Return what should be known of how a function was run here."""
        if self.stores is None or not settings.kvs or settings.kvs in self.stores:
            return []
        where = f'the key-value store "{settings.kvs}" is not in `kvs` of the control plane\'s configuration'
        return [f"{where}: {settings.name} is run with an empty one there; each location has its own"]

    @property
    def configurer(self) -> Configurer:
        """Return what publishes configurations."""
        return Configurer(self.publisher, self.wall, self.functions)

    async def in_use(self) -> list[Use]:
        """Return which hooks need what: those of this machine, and what each location says that it runs."""
        statuses = (await self.publisher.statuses()).values()
        there = [status for status in statuses if status.state is not LocationState.RETIRED]
        labels = [(label.partition(":"), status.location) for status in there for label in status.running]
        named = [Use(function, qualifier, f"a hook at {location}") for (function, _, qualifier), location in labels]
        return [*self.uses(), *named]

    async def function(self, name: str) -> PublishedFunction:
        """Return a function. Raises `FaultError` when there is none of this name."""
        functions = (await self.publisher.catalog()).functions
        if name not in functions:
            known = ", ".join(sorted(functions)[:10]) or "none"
            raise unknown("function", f"there is no function {name!r}; there are: {known}")
        return functions[name]

    async def version(self, name: str, qualifier: str) -> tuple[PublishedFunction, Manifest]:
        """Return what a qualifier stands for: a number, $LATEST, or an alias (its first version)."""
        function = await self.function(name)
        if qualifier == LATEST:
            found = function.draft
        elif re.fullmatch(VERSION_NUMBER, qualifier):
            found = function.versions.get(int(qualifier))
        else:
            alias = function.aliases.get(qualifier)
            found = None if alias is None else function.versions.get(alias.targets[0].version)
        if found is None:
            raise unknown(
                "version", f"{name} has no version or alias {qualifier!r}; `edgefn versions {name}` lists them"
            )
        return function, found

    async def alias(self, name: str, alias: str) -> Alias:
        """Return an alias. Raises `FaultError`."""
        function = await self.function(name)
        if alias not in function.aliases:
            known = ", ".join(sorted(function.aliases)) or "none"
            raise unknown("alias", f"{name} has no alias {alias!r}; it has: {known}")
        return function.aliases[alias]


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the publisher and its replica raise into faults."""
    try:
        yield
    except StaleError as error:
        raise FaultError(412, "stale", str(error)) from error
    except PublishError as error:
        raise FaultError(409, "refused", str(error)) from error
    except UnknownOutcomeError as error:
        told = f"it may have been published or not: {error}; look before you try again"
        raise FaultError(504, "unknown-outcome", told) from error
    except UnavailableError as error:
        raise FaultError(503, "unavailable", f"the replica can't be reached: {error}; {_PATIENCE}") from error
    except ReplicaError as error:
        raise FaultError(500, "replica", str(error)) from error


def published(handle: Handle) -> Handle:
    """Return `handle` with the refusals of the publisher as faults."""

    @wraps(handle)
    async def handled(request: web.Request) -> web.StreamResponse:
        with refusals():
            return await handle(request)

    return handled
