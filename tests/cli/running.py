"""The command line as a process of its own, as users have it."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

COMMAND = (sys.executable, "-m", "edgefn.cli.main")
CHECKOUT = Path(__file__).parents[2]
PATIENCE = 30.0

Done = subprocess.CompletedProcess[str]


def edgefn(*arguments: str | Path, stdin: str | bytes = b"", environment: Mapping[str, str] | None = None) -> Done:
    """Run one command in the checkout to its end."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=data,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        cwd=CHECKOUT,
        env={**os.environ, **(environment or {})},
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Here(Protocol):
    """Runs one command in this process, which is quicker, and enough where it ends before it begins."""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Done: ...


class Running:
    """A command that runs until it is stopped. Leaving the block ends it by force, if nothing else has."""

    def __init__(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
        self._arguments = [*COMMAND, *map(str, arguments)]
        self._environment = {**os.environ, **(environment or {})}
        self._told: list[str] = []
        self._heard = asyncio.Condition()
        self._deaf = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def told(self) -> str:
        """Return all that it wrote so far, to standard output and to standard error."""
        return "".join(self._told)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=CHECKOUT, env=self._environment
        )
        streams = (self._process.stdout, self._process.stderr)
        self._listeners = [asyncio.create_task(self._listen(stream)) for stream in streams if stream is not None]
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._heard:
                self._told.append(line.decode())
                self._heard.notify_all()
        async with self._heard:
            self._deaf += 1
            self._heard.notify_all()

    async def says(self, words: str) -> str:
        """Wait until it has written a line with these words; return the first such line."""
        async with asyncio.timeout(PATIENCE), self._heard:
            await self._heard.wait_for(lambda: self._deaf == 2 or any(words in line for line in self._told))
        found = [line for line in self._told if words in line]
        assert found, f"it ended without a word of {words!r}:\n{self.told}"
        return found[0]

    async def url(self) -> str:
        """Wait for the ready line; return the URL in it."""
        return (await self.says("ready: ")).split()[-1]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        async with asyncio.timeout(PATIENCE):
            status = await self._process.wait()
            await asyncio.gather(*self._listeners)
        return status
