"""A host of guests with one line to open a function, a fresh log, and all that it needs."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.sandbox.base import Code, Failed, Invocation, Outcome, Returned
from edgefn.sandbox.wasm.cache import CodeCache
from edgefn.sandbox.wasm.engine import MB, Sizes
from edgefn.sandbox.wasm.fibers import Bounds
from edgefn.sandbox.wasm.guest import LogLimits
from edgefn.sandbox.wasm.host import GuestLimits, WasmHost, WasmSandbox
from edgefn.sandbox.wasm.room import EngineRoom, Senses

STARTED = 1_700_000_000.25
VALUES = {b"colour": b"blue", b"empty": b"", b"long": b"x" * 500}


@dataclass
class Stage:
    """`logged` has (invocation id, line). Results may have 64 KB, logs 1,000 bytes in 20 lines."""

    home: Path
    cache: CodeCache
    bounds: Bounds = field(default_factory=lambda: Bounds(spinning=60, waiting=200))
    cpu_limit: float = float("inf")
    logged: list[tuple[str, str]] = field(default_factory=list)
    opened: int = 0

    def __post_init__(self) -> None:
        senses = Senses(time.monotonic, time.thread_time, lambda: STARTED, os.urandom)
        sizes = Sizes(slots=self.bounds.spinning + 4, memory=4 * MB, keep_resident=256 * 1024, table=1000)
        self.room = EngineRoom(sizes, self.bounds, self.cache, senses)
        limits = GuestLimits(self.cpu_limit, 64 * 1024, LogLimits(1000, 20))
        self.host = WasmHost(self.room, {"wasm": self.room.loader()}, {"wasm": limits}, lambda _code: VALUES.get)

    async def open(
        self,
        *modules: bytes,
        timeout: float = 20.0,  # noqa: ASYNC109  # the function's
        init_timeout: float = 20.0,
        concurrency: int = 100,
        environment: Mapping[str, str] | None = None,
    ) -> WasmSandbox:
        """Open a function whose bundle has these modules."""
        self.opened += 1
        root = self.home / str(self.opened)
        root.mkdir()
        for number, module in enumerate(modules):
            (root / f"module{number}.wasm").write_bytes(module)
        code = Code(
            function="greeter",
            version="1",
            arn="arn:aws:lambda:us-east-1:000000000000:function:greeter:1",
            root=str(root),
            runtime="wasm",
            handler="index.handler",
            timeout=timeout,
            memory=3,
            environment=environment or {},
            init_timeout=init_timeout,
        )
        return await self.host.open(code, concurrency=concurrency, log=lambda *line: self.logged.append(line))

    async def run(self, *modules: bytes, event: bytes = b"{}", body: bytes | None = None) -> Outcome:
        """Open a function and run one event."""
        return await (await self.open(*modules)).run(Invocation("id-1", event, body))

    async def result(self, *modules: bytes, event: bytes = b"{}", body: bytes | None = None) -> bytes:
        """Open a function, run one event and return the result."""
        outcome = await self.run(*modules, event=event, body=body)
        assert isinstance(outcome, Returned), outcome
        return outcome.result

    async def failure(self, *modules: bytes, event: bytes = b"{}") -> Failed:
        """Open a function, run one event and return how it failed."""
        outcome = await self.run(*modules, event=event)
        assert isinstance(outcome, Failed), outcome
        return outcome
