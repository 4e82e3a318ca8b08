"""Kill sandboxes that hold too much memory, where no cgroup does it.

RLIMIT_DATA bounds each process; this bounds their sum, and the files in /tmp, a moment late.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from edgefn.sandbox.process.inside import Inside, Memory
from edgefn.sandbox.process.limits import TMP_FILES

_log = logging.getLogger(__name__)

INTERVAL = 0.1


class Watched(Protocol):
    """What the watchdog needs to know of a sandbox."""

    @property
    def memory_limit(self) -> int:
        """The most bytes that all its processes may hold together."""

    @property
    def frozen(self) -> bool:
        """Whether it is frozen, so that it cannot grow."""

    def inside(self) -> Inside | None:
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


def look_at(sandbox: Watched) -> str | None:
    """Return why a sandbox must be killed, or None. Shared pages are only divided up where it makes a difference."""
    inside = sandbox.inside()
    if inside is None:
        return None
    memory = inside.memory()
    if memory.held > sandbox.memory_limit:
        memory = Memory(inside.memory_shared_fairly(), memory.files)
    return excess(memory, sandbox.memory_limit)


async def watch(sandboxes: Iterable[Watched]) -> None:
    """Look at every running sandbox ten times a second, for ever. `sandboxes` is looked through anew each time."""
    while True:
        await asyncio.sleep(INTERVAL)
        for sandbox in tuple(sandboxes):
            if sandbox.frozen:
                continue
            reason = look_at(sandbox)
            if reason is not None:
                _log.warning("a sandbox was killed: it held %s", reason)
                sandbox.kill()
