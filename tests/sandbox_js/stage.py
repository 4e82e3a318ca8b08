"""A host of JavaScript functions with one line to open one, a fresh log, and a key-value store."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.sandbox.base import Code, Failed, Invocation, OpenError, Outcome, Returned
from edgefn.sandbox.js.loader import JsLoader
from edgefn.sandbox.js.profiles import LIMITS, PROFILES
from edgefn.sandbox.wasm.cache import CodeCache
from edgefn.sandbox.wasm.engine import MB, Sizes
from edgefn.sandbox.wasm.fibers import Bounds
from edgefn.sandbox.wasm.host import WasmHost, WasmSandbox
from edgefn.sandbox.wasm.room import EngineRoom, Senses

OLD, NEW, PLAIN = "cloudfront-js-1.0", "cloudfront-js-2.0", "js"
STARTED = 1_700_000_000.25
Files = str | Mapping[str, str]
PAIRS = {"colour": b"blue", "shape": b'{"sides": 4}', "name": "Jos\u00e9".encode()}


class Shelf:
    """A key-value store of three keys."""

    def get(self, key: str) -> bytes | None:
        return PAIRS.get(key)

    def about(self) -> bytes:
        return b'{"creationDateTime":"2026-01-01T00:00:00Z","lastUpdatedDateTime":"2026-02-01T00:00:00Z","keyCount":3}'


@dataclass
class Stage:
    """`logged` has (invocation id, line). `shelf` is the store of all functions that are opened."""

    home: Path
    cache: CodeCache
    shelf: Shelf | None = None
    logged: list[tuple[str, str]] = field(default_factory=list)
    opened: int = 0

    def __post_init__(self) -> None:
        senses = Senses(time.monotonic, time.thread_time, lambda: STARTED, os.urandom)
        self.room = EngineRoom(Sizes(slots=40, keep_resident=MB), Bounds(spinning=30, waiting=100), self.cache, senses)
        loader = JsLoader(self.room, lambda _code: self.shelf)
        self.host = WasmHost(self.room, dict.fromkeys(PROFILES, loader), LIMITS)

    async def open(
        self,
        files: Files,
        runtime: str = NEW,
        handler: str = "index.handler",
        timeout: float = 20.0,  # noqa: ASYNC109  # the function's
        environment: Mapping[str, str] | None = None,
    ) -> WasmSandbox:
        """Open a function: one source text, or the files of a bundle."""
        self.opened += 1
        root = self.home / str(self.opened)
        for name, text in ({"index.js": files} if isinstance(files, str) else files).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        code = Code(
            function="us-east-1.greeter",
            version="1",
            arn="arn:aws:lambda:us-east-1:000000000000:function:greeter:1",
            root=str(root),
            runtime=runtime,
            handler=handler,
            timeout=timeout,
            memory=128,
            environment=environment or {},
        )
        return await self.host.open(code, concurrency=20, log=lambda *line: self.logged.append(line))

    async def run(
        self, files: Files, event: object = None, runtime: str = NEW, body: bytes | None = None, **options: object
    ) -> Outcome:
        """Open a function and run one event."""
        sandbox = await self.open(files, runtime, **options)  # type: ignore[arg-type]
        return await sandbox.run(Invocation("id-1", json.dumps({} if event is None else event).encode(), body))

    async def result(self, files: Files, event: object = None, runtime: str = NEW, **options: object) -> object:
        """Open a function, run one event and return what it returned."""
        outcome = await self.run(files, event, runtime, **options)  # type: ignore[arg-type]
        assert isinstance(outcome, Returned), outcome
        return json.loads(outcome.result)

    async def value(self, expression: str, runtime: str = NEW) -> object:
        """Return what an expression is, inside of a function."""
        if runtime == PLAIN:
            return await self.result(f"exports.handler = async (event) => {expression};", runtime=runtime)
        return await self.result(f"function handler(event) {{ return {expression}; }}", runtime=runtime)

    async def failure(self, files: Files, event: object = None, runtime: str = NEW, **options: object) -> Failed:
        """Open a function, run one event and return how it failed."""
        outcome = await self.run(files, event, runtime, **options)  # type: ignore[arg-type]
        assert isinstance(outcome, Failed), outcome
        return outcome

    async def refusal(self, files: Files, runtime: str = NEW, **options: object) -> str:
        """Open a function that can't be opened, and return why."""
        try:
            await self.open(files, runtime, **options)  # type: ignore[arg-type]
        except OpenError as error:
            return str(error)
        raise AssertionError("it could be opened")
