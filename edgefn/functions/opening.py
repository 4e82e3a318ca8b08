"""Starting the sandboxes of a function: its files are laid out for as long as that takes."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from edgefn.functions.bundle import Bundle, BundleError
from edgefn.functions.function_log import FunctionLog
from edgefn.functions.kvs_file import StoreError
from edgefn.functions.published import OpeningError
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LATEST, Manifest
from edgefn.model.settings import FunctionSettings
from edgefn.sandbox.base import Code, Log, OpenError, Sandbox

_REPLICA = "us-east-1."
_TIMED_OUT = "Sandbox.Timedout"


class Host(Protocol):
    """Opens sandboxes for code."""

    async def open(self, code: Code, *, concurrency: int, provisioned: int, idle_timeout: float, log: Log) -> Sandbox:
        """Return the sandboxes of `code`, the provisioned ones started. Raises `OpenError`."""


async def started(
    host: Host, settings: FunctionSettings, version: str, bundle: Bundle, scratch: Path, surroundings: Surroundings
) -> Runner:
    """Return a runner for `bundle`. `scratch` is a directory that sandboxes can read. Raises `OpenError`, `OSError`."""
    root = Path(tempfile.mkdtemp(dir=scratch))
    log = FunctionLog(settings.name, version, surroundings.log)
    try:
        await asyncio.to_thread(bundle.write, root)
        code = code_of(settings, version, root)
        sandbox = await host.open(
            code,
            concurrency=settings.concurrency,
            provisioned=settings.provisioned,
            idle_timeout=settings.idle_timeout,
            log=log.write,
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
    return Runner(settings.name, code, sandbox, surroundings, log)


def _may_pass(error: OpenError) -> bool:
    """Return whether it is for the machine that a version does not start: it did where it was tried."""
    if isinstance(error.__cause__, StoreError):
        return True
    is_slow = error.failure is not None and error.failure.type == _TIMED_OUT
    return is_slow or isinstance(error.__cause__, OSError)


def code_of(function: FunctionSettings, version: str, root: Path) -> Code:
    """Return what the sandbox is told of a function: its name and ARN are those of an AWS replica."""
    return Code(
        function=f"{_REPLICA}{function.name}",
        version=version,
        arn=f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}:{version}",
        root=str(root),
        runtime=function.runtime,
        handler=function.handler,
        timeout=function.timeout,
        memory=function.memory,
        environment=function.environment,
        network=function.network,
        kvs=function.kvs,
    )


Fetch: TypeAlias = Callable[[Manifest], Awaitable[Bundle]]
"""Returns the files of a version, checked. Raises `ReplicaError` or `BundleError`."""


@dataclass(frozen=True, slots=True)
class VersionOpener:
    """Opens published versions in the sandboxes of `host`."""

    host: Host
    scratch: Path
    fetch: Fetch
    surroundings: Surroundings

    async def open(self, manifest: Manifest) -> Runner:
        """Return a runner whose provisioned sandboxes are started. Raises `OpeningError`."""
        version = str(manifest.version) if manifest.version else LATEST
        try:
            bundle = await self.fetch(manifest)
            return await started(self.host, manifest.settings, version, bundle, self.scratch, self.surroundings)
        except SettingsError as error:
            raise OpeningError("; ".join(error.problems)) from error
        except BundleError as error:
            raise OpeningError(str(error)) from error
        except OpenError as error:
            raise OpeningError(str(error), may_pass=_may_pass(error)) from error
        except ReplicaError as error:
            raise OpeningError(str(error), may_pass=True) from error
        except OSError as error:
            raise OpeningError(f"{error.filename or self.scratch}: {error.strerror}", may_pass=True) from error
