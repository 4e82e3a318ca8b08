"""The functions of one worker: prepared once, kept warm, and carried over when the configuration is swapped."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.functions.bundle import BundleError
from edgefn.functions.layers import read_function
from edgefn.functions.opening import Host, started
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.settings import FunctionSettings
from edgefn.sandbox.base import OpenError

_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Opened:
    """A runner and what it was made from: equal facts need no new one."""

    runner: Runner
    settings: FunctionSettings
    digest: str


@dataclass(frozen=True, slots=True)
class Opening:
    """The functions of a configuration, ready to run: to be adopted, or discarded."""

    opened: Mapping[str, Opened]


@dataclass(slots=True)
class Registry:
    """Opens the functions of a configuration. `bundles` is a directory for their files while they are opened."""

    host: Host
    bundles: Path
    surroundings: Surroundings
    _opened: Mapping[str, Opened] = field(default_factory=dict)

    async def open(self, functions: Mapping[str, FunctionSettings]) -> Opening:
        """Return a runner for each function: the one that runs already, or a new one. Nothing else changes.

        Raises `SettingsError` naming each function that can't be used.
        """
        opened: dict[str, Opened] = {}
        problems = []
        cause: OpenError | None = None
        try:
            for name, settings in functions.items():
                try:
                    opened[name] = await self._open(settings)
                except BundleError as error:
                    problems.append(f"functions.{name}.path: {error}")
                except OpenError as error:
                    problems.append(f"functions.{name}: can't be started: {error}")
                    cause = error
                except OSError as error:
                    where = error.filename or self.bundles
                    problems.append(f"functions.{name}: {where} can't be written: {error.strerror}")
            if problems:
                raise SettingsError(tuple(problems)) from cause
        except BaseException:
            await self.discard(Opening(opened))
            raise
        return Opening(opened)

    def adopt(self, opening: Opening) -> list[Runner]:
        """Make these the functions in use; return the runners that are no longer needed: close them once drained."""
        used = _runners(opening.opened)
        retired = [entry.runner for entry in self._opened.values() if id(entry.runner) not in used]
        self._opened = opening.opened
        return retired

    async def discard(self, opening: Opening) -> None:
        """Stop what was opened for nothing; what is in use stays."""
        used = _runners(self._opened)
        for entry in opening.opened.values():
            if id(entry.runner) not in used:
                await entry.runner.close()

    async def _open(self, settings: FunctionSettings) -> Opened:
        bundle = await asyncio.to_thread(read_function, settings)
        before = self._opened.get(settings.name)
        if before is not None and (before.settings, before.digest) == (settings, bundle.digest):
            return before
        runner = await started(self.host, settings, _VERSION, bundle, self.bundles, self.surroundings)
        return Opened(runner, settings, bundle.digest)

    async def close(self) -> None:
        """Stop all functions."""
        opened, self._opened = self._opened, {}
        for entry in opened.values():
            await entry.runner.close()


def _runners(opened: Mapping[str, Opened]) -> set[int]:
    return {id(entry.runner) for entry in opened.values()}
