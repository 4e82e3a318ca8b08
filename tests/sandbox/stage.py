"""Where tests put tiny functions and send them events."""

import asyncio
import itertools
import json
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.sandbox.base import Code, Failed, Invocation, Outcome, Returned
from edgefn.sandbox.process.host import ProcessHost, Version
from edgefn.sandbox.process.pool import PoolStatistics
from tests.fakes.counting_launcher import CountingLauncher

NODE = "nodejs20.x"
PYTHON = "python3.11"

_numbers = itertools.count(1)


def request_id() -> str:
    """Return a UUID that no other test uses."""
    return f"00000000-0000-4000-8000-{next(_numbers):012d}"


@dataclass
class Opened:
    """An open version, what it printed, and what the log says of its inits."""

    version: Version
    lines: list[tuple[str, str]] = field(default_factory=list)
    inits: list[str] = field(default_factory=list)

    @property
    def statistics(self) -> PoolStatistics:
        return self.version.pool.statistics

    async def run(self, event: object = None, *, body: bytes | None = None, id_: str = "") -> Outcome:
        return await self.version.run(Invocation(id_ or request_id(), json.dumps(event).encode(), body))

    async def result(self, event: object = None, *, body: bytes | None = None) -> object:
        outcome = await self.run(event, body=body)
        assert isinstance(outcome, Returned), outcome
        return json.loads(outcome.result)

    async def failure(self, event: object = None) -> Failed:
        outcome = await self.run(event)
        assert isinstance(outcome, Failed), outcome
        return outcome

    def printed(self) -> list[str]:
        return [text for _, text in self.lines]


@dataclass
class Settings:
    handler: str = ""
    runtime: str = ""
    timeout: float = 5.0
    init_timeout: float = 10.0
    memory: int = 128
    environment: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 1
    provisioned: int = 0
    idle_timeout: float = 300.0


class Stage:
    """A host, and a directory for bundles."""

    def __init__(self, host: ProcessHost, launcher: CountingLauncher, directory: Path) -> None:
        self.host = host
        self.launcher = launcher
        self._directory = directory

    def code(self, files: Mapping[str, str], settings: Settings) -> Code:
        root = self._directory / f"bundle{next(_numbers)}"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return Code(
            function="adder",
            version="7",
            arn="arn:aws:lambda:us-east-1:123456789012:function:adder:7",
            root=str(root),
            runtime=settings.runtime,
            handler=settings.handler,
            timeout=settings.timeout,
            memory=settings.memory,
            environment=settings.environment,
            init_timeout=settings.init_timeout,
        )

    async def open(self, files: Mapping[str, str], settings: Settings) -> Opened:
        lines: list[tuple[str, str]] = []
        inits: list[str] = []

        def log(id_: str, text: str) -> None:
            if text.startswith("INIT_"):
                inits.append(text)
            else:
                lines.append((id_, text))

        version = await self.host.open(
            self.code(files, settings),
            concurrency=settings.concurrency,
            provisioned=settings.provisioned,
            idle_timeout=settings.idle_timeout,
            log=log,
        )
        return Opened(version, lines, inits)

    async def node(self, source: str | Mapping[str, str], **changes: object) -> Opened:
        """Open a Node.js function; `source` is index.js or all files."""
        files = {"index.js": source} if isinstance(source, str) else source
        return await self.open(files, Settings(**{"handler": "index.handler", "runtime": NODE, **changes}))  # type: ignore[arg-type]

    async def python(self, source: str | Mapping[str, str], **changes: object) -> Opened:
        """Open a Python function; `source` is index.py or all files."""
        files = {"index.py": source} if isinstance(source, str) else source
        return await self.open(files, Settings(**{"handler": "index.handler", "runtime": PYTHON, **changes}))  # type: ignore[arg-type]

    def left_in_slots(self) -> list[str]:
        """Return what lies in the launcher's directory for slots."""
        return [name for name in os.listdir(self.launcher.slots) if name.startswith("host-")]


async def until(what: object, patience: float = 10.0) -> None:
    """Wait until the callable `what` says so; fails when it does not in `patience` seconds."""
    assert callable(what)
    async with asyncio.timeout(patience):
        while not what():  # noqa: ASYNC110  # what is awaited here has no event to wait for
            await asyncio.sleep(0.005)
