"""The functions of one worker: prepared once, kept warm, and carried over when the configuration is swapped."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgefn.functions.archive import read_bundle
from edgefn.functions.bundle import BundleError
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.settings import FunctionSettings
from edgefn.sandbox.base import Code, Log, OpenError, Sandbox

_VERSION = "1"
_REPLICA = "us-east-1."


class Host(Protocol):
    """Opens sandboxes for code."""

    async def open(self, code: Code, *, concurrency: int, provisioned: int, idle_timeout: float, log: Log) -> Sandbox:
        """Return the sandboxes of `code`, the provisioned ones started. Raises `OpenError`."""


def code_of(function: FunctionSettings, root: Path) -> Code:
    """Return what the sandbox is told of a function: its name and ARN are those of an AWS replica."""
    name = f"{_REPLICA}{function.name}"
    return Code(
        function=name,
        version=_VERSION,
        arn=f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}:{_VERSION}",
        root=str(root),
        runtime=function.runtime,
        handler=function.handler,
        timeout=function.timeout,
        memory=function.memory,
        environment=function.environment,
        network=function.network,
        kvs=function.kvs,
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A runner and what it was made from: equal facts need no new one."""

    runner: Runner
    settings: FunctionSettings
    digest: str


@dataclass(slots=True)
class Registry:
    """Opens the functions of a configuration. `bundles` is the directory for their files, one folder per digest."""

    host: Host
    bundles: Path
    surroundings: Surroundings
    _opened: dict[str, Opened] = field(default_factory=dict)

    async def open(self, functions: Mapping[str, FunctionSettings]) -> tuple[dict[str, Runner], list[Runner]]:
        """Return a runner for each function, and those that are no longer needed (close them once drained).

        Nothing changes when it raises. Raises `SettingsError` naming each function that can't be used.
        """
        opened: dict[str, Opened] = {}
        problems = []
        for name, settings in functions.items():
            try:
                opened[name] = await self._open(settings)
            except BundleError as error:
                problems.append(f"functions.{name}.path: {error}")
            except OpenError as error:
                problems.append(f"functions.{name}: can't be started: {error}")
            except OSError as error:
                where = error.filename or self.bundles
                problems.append(f"functions.{name}: {where} can't be written: {error.strerror}")
        kept = {id(entry.runner) for entry in self._opened.values()}
        if problems:
            for entry in opened.values():
                if id(entry.runner) not in kept:
                    await entry.runner.close()
            raise SettingsError(tuple(problems))
        used = {id(entry.runner) for entry in opened.values()}
        retired = [entry.runner for entry in self._opened.values() if id(entry.runner) not in used]
        self._opened = opened
        return {name: entry.runner for name, entry in opened.items()}, retired

    async def _open(self, settings: FunctionSettings) -> Opened:
        bundle = read_bundle(Path(settings.path))
        before = self._opened.get(settings.name)
        if before is not None and (before.settings, before.digest) == (settings, bundle.digest):
            return before
        root = self.bundles / bundle.digest
        if not root.exists():
            unfinished = root.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                bundle.write(unfinished)
            except OSError:
                shutil.rmtree(unfinished, ignore_errors=True)  # lest a full disk stays full
                raise
            unfinished.rename(root)
        code = code_of(settings, root)
        sandbox = await self.host.open(
            code,
            concurrency=settings.concurrency,
            provisioned=settings.provisioned,
            idle_timeout=settings.idle_timeout,
            log=self._log_for(settings.name),
        )
        return Opened(Runner(settings.name, code, sandbox, self.surroundings), settings, bundle.digest)

    def _log_for(self, name: str) -> Log:
        write = self.surroundings.log
        return lambda _invocation, text: write(name, text)

    async def close(self) -> None:
        """Stop all functions."""
        for entry in self._opened.values():
            await entry.runner.close()
        self._opened.clear()
