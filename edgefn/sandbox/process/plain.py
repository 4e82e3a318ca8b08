"""A worker without walls, for an operator who says that they know (sandbox.mode: none-i-know).

Another user where edgefn is root, and the kernel's limits: that is all there is between it and the host.
"""

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress

from edgefn.sandbox.process.chain import CONTROL_FD
from edgefn.sandbox.process.inside import footprint_of
from edgefn.sandbox.process.launch import Footprint
from edgefn.sandbox.process.process import Child, Duty
from edgefn.sandbox.process.spawn import spawn


class PlainProcess:
    """A process and what stays in its session. See `launch.Process`; what leaves its session gets away."""

    def __init__(self, control: socket.socket, output: int, child: Child) -> None:
        self.control = control
        self.output = output
        self.at_end: list[Duty] = []
        self._child = child

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
        while self.at_end:
            await self.at_end.pop()()
        return code

    def freeze(self) -> None:
        """Stop it and what is in its session."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def footprint(self) -> Footprint:
        """Return what it and the children that it waited for took."""
        return Footprint(0.0, 0) if self._child.ended else footprint_of(self._child.pid)


def spawn_plainly(argv: Sequence[str], environment: Mapping[str, str]) -> PlainProcess:
    """Spawn a worker. Raises OSError, or ValueError for a NUL in its arguments."""
    with ExitStack() as ours:
        control, far_control = socket.socketpair()
        ours.callback(control.close)
        control.setblocking(False)
        output, far_output = os.pipe2(os.O_CLOEXEC)
        ours.callback(os.close, output)
        os.set_blocking(output, False)
        try:
            descriptors = {1: far_output, 2: far_output, CONTROL_FD: far_control.fileno()}
            child = Child(spawn(argv, descriptors, environment))
        finally:
            far_control.close()
            os.close(far_output)
        ours.pop_all()
    return PlainProcess(control, output, child)
