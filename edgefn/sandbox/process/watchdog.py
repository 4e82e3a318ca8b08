"""Kill sandboxes that hold too much memory, or too many files.

RLIMIT_DATA bounds each process, and a cgroup all of them together with /tmp; this bounds the sum of the processes, and
the number of files in /tmp, a moment late, with or without a cgroup.
"""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self

from edgefn.sandbox.process.inside import Memory
from edgefn.sandbox.process.limits import TMP_FILES

_log = logging.getLogger(__name__)

INTERVAL = 0.1

_PATIENCE = 0.5  # seconds
_THREADS = 4


class View(Protocol):
    """What the watchdog sees of a sandbox. See `inside.Inside`."""

    def memory(self) -> Memory:
        """Return what all processes hold now. Raises OSError when it ends just now."""

    def memory_shared_fairly(self) -> int:
        """Return the bytes that all processes hold, shared pages divided between them. Blocks."""

    def twin(self) -> Self:
        """Return a second view, for another thread."""

    def close(self) -> None:
        """Close the view."""


class Watched(Protocol):
    """What the watchdog needs to know of a sandbox."""

    @property
    def memory_limit(self) -> int:
        """The most bytes that all its processes may hold together."""

    @property
    def frozen(self) -> bool:
        """Whether it is frozen, so that it cannot grow."""

    def inside(self) -> View | None:
        """The view of its processes."""

    def kill(self) -> None:
        """Kill it."""


def excess(memory: Memory, limit: int) -> str | None:
    """Return what a sandbox has too much of, or None."""
    if memory.files > TMP_FILES:
        return f"{memory.files} files in /tmp, {TMP_FILES} are allowed"
    if memory.held > limit:
        return f"{memory.held} bytes of memory, {limit} are allowed"
    return None


async def watch(sandboxes: Iterable[Watched]) -> None:
    """Look at every running sandbox ten times a second, for ever. `sandboxes` is looked through anew each time."""
    threads = ThreadPoolExecutor(_THREADS, "edgefn-watchdog")
    try:
        while True:
            await asyncio.sleep(INTERVAL)
            async with asyncio.TaskGroup() as doubts:
                for sandbox in tuple(sandboxes):
                    memory = None if sandbox.frozen else _seen(sandbox)
                    if memory is None:
                        continue
                    if memory.held > sandbox.memory_limit:
                        doubts.create_task(_settle(sandbox, memory, threads))
                    else:
                        _judge(sandbox, memory)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _seen(sandbox: Watched) -> Memory | None:
    inside = sandbox.inside()
    try:
        return None if inside is None else inside.memory()
    except OSError:
        return None  # it ends just now


async def _settle(sandbox: Watched, memory: Memory, threads: ThreadPoolExecutor) -> None:
    """Judge a sandbox that is over its limit unless its processes share pages.

    One whose processes don't let the kernel tell in time is held to what was seen.
    """
    inside = sandbox.inside()
    if inside is not None:
        view = inside.twin()
        told = threads.submit(_shared_fairly, view)
        try:
            memory = Memory(await asyncio.wait_for(asyncio.wrap_future(told), _PATIENCE), memory.files)
        except OSError:
            pass  # a TimeoutError is one
        finally:
            if told.cancelled():  # before its turn came
                view.close()
    _judge(sandbox, memory)


def _shared_fairly(inside: View) -> int:
    try:
        return inside.memory_shared_fairly()
    finally:
        inside.close()


def _judge(sandbox: Watched, memory: Memory) -> None:
    reason = excess(memory, sandbox.memory_limit)
    if reason is not None:
        _log.warning("a sandbox was killed: it held %s", reason)
        sandbox.kill()
