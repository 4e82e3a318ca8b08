"""Compiles modules in processes of their own, and remembers what they made of them."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from edgefn.sandbox.process.spawn import keep_from_children
from edgefn.sandbox.wasm.cache import CodeCache
from edgefn.sandbox.wasm.compile_process import REFUSED

_PROGRAM = "edgefn.sandbox.wasm.compile_process"
_AT_ONE_TIME = 2
_TOLD = 2000
_WASM = b"\0asm"


class CompileError(Exception):
    """A module can't be compiled. The message says why."""


@dataclass(slots=True)
class Compiler:
    """Turns modules into native code. `timeout` in seconds, for one compilation."""

    cache: CodeCache
    timeout: float = 120.0
    compiled: int = 0
    found: int = 0
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONE_TIME))

    async def code_of(self, source: bytes, *, fresh: bool = False) -> bytes:
        """Return the native code of a module, from the cache unless a `fresh` one is asked for.

        Raises `CompileError`; `OSError` where the cache can't be written.
        """
        if not source.startswith(_WASM):
            raise CompileError("it is not a WebAssembly module")
        digest = await asyncio.to_thread(_digest_of, source)
        known = None if fresh else await asyncio.to_thread(self.cache.get, digest)
        if known is not None:
            self.found += 1
            return known
        async with self._turn:
            code = await self._compile(source)
        self.compiled += 1
        await asyncio.to_thread(self.cache.put, digest, code)
        return code

    async def _compile(self, source: bytes) -> bytes:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile(dir=self.cache.directory)) for _ in range(3)]
            given, made, told = files
            await asyncio.to_thread(given.write, source)
            given.seek(0)
            status = await self._run(files)
            if status == 0:
                made.seek(0)
                return await asyncio.to_thread(made.read)
            told.seek(0)
            message = told.read().decode("utf-8", "replace").strip()[-_TOLD:]
        if status == REFUSED:
            raise CompileError(message)
        raise CompileError(f"the compiler ended with status {status}: {message}")

    async def _run(self, files: Sequence[IO[bytes]]) -> int:
        """Run the compiler with `files` as its standard streams; return its status, negative for a signal."""
        process = _spawn(files)
        watch = os.pidfd_open(process)
        try:
            async with asyncio.timeout(self.timeout):
                await _readable(watch)
        except TimeoutError:
            raise CompileError(f"it took longer than {self.timeout:g} seconds to compile") from None
        finally:
            status = _end(process, watch)
        return status


def _digest_of(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _spawn(files: Sequence[IO[bytes]]) -> int:
    keep_from_children()  # uvloop leaves copies of our standard streams open to them
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-s", "-m", _PROGRAM],
        {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONSAFEPATH": "1"},
        file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate(files)],
    )


def _end(process: int, watch: int) -> int:
    """Kill a process unless it has ended, and return its status."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(watch, signal.SIGKILL)
    os.close(watch)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


async def _readable(descriptor: int) -> None:
    """Wait until a descriptor is readable; a pidfd is when its process has ended."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
