"""Where versions are run for those who publish them: tried before they go live, and invoked by hand."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import orjson

from edgefn.functions.bundle import Bundle
from edgefn.functions.function_log import LogLine
from edgefn.functions.opening import Fetch, Host, started
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import LATEST, Manifest
from edgefn.model.settings import CLOUDFRONT_JS
from edgefn.sandbox.base import Failed, OpenError, Outcome, OverLimit, Returned, TimedOut

_PATIENCE: Final = 60.0
_TRIALS: Final = 2
_MOST_WARM: Final = 8
_MOST_TRACE: Final = 8
_ROOT: Final = "/var/task/"
"""Where a function's files are, as it sees them."""

_NOT_ITS_OWN: Final = ("node:", "/var/runtime", "<frozen ")
"""What is in the lines of a trace that are not about its files."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """What one invocation by hand came to: {"result": ...} or {"error": {"type", "message"}}, and what was logged."""

    outcome: dict[str, object]
    log: tuple[str, ...]


@dataclass(slots=True)
class _Warm:
    """A version that is ready, and the lines of the invocation that has its lock."""

    runner: Runner
    lines: list[str]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Workbench:
    """Opens versions in the sandboxes of `host`, apart from those that answer viewers.

    `scratch` is a directory that sandboxes can read. Two versions are tried at one time, eight are kept warm.
    """

    def __init__(self, host: Host, scratch: Path, fetch: Fetch, surroundings: Surroundings) -> None:
        self._host = host
        self._scratch = scratch
        self._fetch = fetch
        self._around = surroundings
        self._turns = asyncio.Semaphore(_TRIALS)
        self._warm: OrderedDict[bytes, _Warm] = OrderedDict()
        self._opening = asyncio.Lock()

    async def trial(self, manifest: Manifest, bundle: Bundle) -> str | None:
        """Unpack, compile and start a version; return why that fails, with the lines of its files that say so."""
        settings = replace(manifest.settings, concurrency=1, provisioned=1)
        around = replace(self._around, log=_nowhere)
        try:
            async with self._turns, asyncio.timeout(_PATIENCE):
                runner = await started(self._host, settings, _name(manifest), bundle, self._scratch, around)
                await runner.close()
        except OpenError as error:
            return _why(error)
        except SettingsError as error:
            return "; ".join(error.problems)
        except OSError as error:
            if isinstance(error, TimeoutError):
                return f"it was not ready within {_PATIENCE:g} s"
            return f"{error.filename or self._scratch}: {error.strerror}"
        return None

    async def invoke(self, manifest: Manifest, event: bytes) -> Invoked:
        """Run a version once. Raises `OpenError`, `BundleError`, `ReplicaError`, `SettingsError`, `OSError`."""
        warm = await self._ready(manifest)
        async with warm.lock:
            warm.lines.clear()
            outcome = await warm.runner.run(event, None)
            document = told(outcome, manifest.settings.timeout)
            return Invoked(apart(document, manifest.settings.runtime), tuple(warm.lines))

    async def _ready(self, manifest: Manifest) -> _Warm:
        key = orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)
        async with self._opening:
            if key not in self._warm:
                lines: list[str] = []
                around = replace(self._around, log=self._both(lines))
                settings = replace(manifest.settings, provisioned=0)
                bundle = await self._fetch(manifest)
                runner = await started(self._host, settings, _name(manifest), bundle, self._scratch, around)
                self._warm[key] = _Warm(runner, lines)
            self._warm.move_to_end(key)
            if len(self._warm) > _MOST_WARM:
                _, oldest = self._warm.popitem(last=False)
                async with oldest.lock:
                    await oldest.runner.close()
            return self._warm[key]

    def _both(self, lines: list[str]) -> Callable[[LogLine], None]:
        def write(line: LogLine) -> None:
            lines.append(line.text)
            self._around.log(line)

        return write

    async def close(self) -> None:
        """Stop everything."""
        for warm in self._warm.values():
            await warm.runner.close()
        self._warm.clear()


def told(outcome: Outcome, timeout: float) -> dict[str, object]:
    """Return what an invocation under a time limit of `timeout` seconds came to, as a document."""
    match outcome:
        case Returned(result=result):
            try:
                return {"result": json.loads(result)}
            except (ValueError, RecursionError) as error:
                return _error("Runtime.MarshalError", f"the result can't be read as JSON: {error}")
        case Failed(type=kind, message=message):
            return _error(kind, message)
        case TimedOut():
            return _error("Sandbox.Timedout", outcome.told(timeout))
        case OverLimit(reason=reason):
            return _error("LimitExceeded", reason)


def apart(document: dict[str, object], runtime: str) -> dict[str, object]:
    """Return the document with what a CloudFront Function said through the module `cloudfront` beside its result."""
    match document:
        case {"result": {"edge": edge, **result}} if runtime.startswith(CLOUDFRONT_JS):
            return {"result": result, "edge": edge}
        case _:
            return document


def _error(kind: str, message: str) -> dict[str, object]:
    return {"error": {"type": kind, "message": message}}


def _name(manifest: Manifest) -> str:
    return str(manifest.version) if manifest.version else LATEST


def _why(error: OpenError) -> str:
    """Return what the error says, with the lines of its trace that are in the function's own files."""
    trace = () if error.failure is None else error.failure.trace
    lines = [line.strip().replace(_ROOT, "") for each in trace for line in each.splitlines()]
    own = [line for line in lines if line and line not in str(error) and not any(word in line for word in _NOT_ITS_OWN)]
    return "\n".join([str(error), *(f"  {line}" for line in own[:_MOST_TRACE])])


def _nowhere(line: LogLine) -> None:
    """Keep what a trial logs out of the location's log: it was not asked by anybody."""
    del line
