"""A worker without namespaces: shut in by Landlock (sandbox.mode: landlock), or not at all (none-i-know).

Without Landlock, another user where edgefn is root and the kernel's limits are all there is between it and the host.
With it, nothing inside can leave the process group, so that killing the group kills all.
"""

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from edgefn.sandbox.process.chain import CONTROL_FD
from edgefn.sandbox.process.group_view import GroupView
from edgefn.sandbox.process.inside import footprint_of
from edgefn.sandbox.process.launch import Footprint
from edgefn.sandbox.process.process import Child, Duty
from edgefn.sandbox.process.spawn import memory_file, spawn

RULES_FD = 4
"""The number of the file from which a worker that shuts itself in reads its rules."""


class PlainProcess:
    """A process and what stays in its session. See `launch.Process`; what leaves its session gets away."""

    def __init__(self, control: socket.socket, output: int, child: Child, memory_limit: int) -> None:
        self.control = control
        self.output = output
        self.at_end: list[Duty] = []
        self.memory_limit = memory_limit
        self.frozen = False
        self._child = child

    def inside(self) -> GroupView | None:
        """Return a view of its process group; None once it has ended."""
        return None if self._child.ended else GroupView(self._child.pid)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the whole process group; its number is not given to others before we reap its leader."""
        if not self._child.ended:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def kill(self) -> None:
        """Kill it and what is in its session."""
        self._signal(signal.SIGKILL)

    async def gone(self) -> int:
        """Wait for its end."""
        code = await self._child.exited()
        await self._child.group_exited()
        while self.at_end:
            await self.at_end.pop()()
        return code

    def freeze(self) -> None:
        """Stop it and what is in its session."""
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    def footprint(self) -> Footprint:
        """Return what it and the children that it waited for took."""
        return Footprint(0.0, 0) if self._child.ended else footprint_of(self._child.pid)


@dataclass(frozen=True, slots=True)
class Plain:
    """What to spawn. `rules`, when not None, are for `confine.py`; `memory_limit` in bytes is for the watchdog."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    memory_limit: int
    rules: bytes | None = None


def spawn_plainly(plain: Plain) -> PlainProcess:
    """Spawn a worker. Raises OSError, or ValueError for a NUL in its arguments."""
    with ExitStack() as ours, ExitStack() as theirs:
        control, far_control = socket.socketpair()
        ours.callback(control.close)
        theirs.callback(far_control.close)
        control.setblocking(False)
        output, far_output = os.pipe2(os.O_CLOEXEC)
        ours.callback(os.close, output)
        theirs.callback(os.close, far_output)
        os.set_blocking(output, False)
        descriptors = {1: far_output, 2: far_output, CONTROL_FD: far_control.fileno()}
        if plain.rules is not None:
            descriptors[RULES_FD] = memory_file(plain.rules)
            theirs.callback(os.close, descriptors[RULES_FD])
        child = Child(spawn(plain.argv, descriptors, plain.environment), takes_group=True)
        ours.pop_all()
    return PlainProcess(control, output, child, plain.memory_limit)
