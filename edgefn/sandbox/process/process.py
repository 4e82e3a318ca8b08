"""One started sandbox: how it is killed, awaited, frozen and measured."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from edgefn.sandbox.process.cgroup import Group
from edgefn.sandbox.process.inside import Inside, look
from edgefn.sandbox.process.launch import Footprint

_SIGNAL_BASE = 128
_LAST_SIGNAL = 64


class Child:
    """A child process of ours, awaited through a pidfd: no signal handler, no thread, no blocking wait.

    `takes_group`: what is left in its process group when it ends is killed.
    """

    def __init__(self, pid: int, *, takes_group: bool = False) -> None:
        self.pid = pid
        self._takes_group = takes_group
        self._loop = asyncio.get_running_loop()
        self._handle = os.pidfd_open(pid)
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._handle, self._reap)

    def _reap(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        if self._takes_group:  # before it is waited for, while its number is surely its own
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        if not self._code.done():
            self._code.set_result(os.waitstatus_to_exitcode(status))

    @property
    def ended(self) -> bool:
        """Say whether it has been reaped."""
        return self._code.done()

    def kill(self) -> None:
        """Kill it and what is in its process group. Until it is reaped its number is not given to another."""
        if not self.ended:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def exited(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        return await asyncio.shield(self._code)

    async def group_exited(self) -> None:
        """Wait for its end and, after a kill, for what was in its process group and fell to us as the subreaper.

        A bubblewrap that dies while it makes a sandbox leaves a pid 1 behind that waits for it for ever.
        """
        await self.exited()
        with suppress(ChildProcessError):
            while True:
                await asyncio.to_thread(os.waitid, os.P_PGID, self.pid, os.WEXITED)


class Reaper:
    """Pid 1 of a sandbox, a grandchild of ours: when it dies the kernel kills all that is inside with it."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self._loop = asyncio.get_running_loop()
        self._handle = handle
        self._gone = asyncio.Event()
        self._loop.add_reader(handle, self._ended)

    def _ended(self) -> None:
        self._loop.remove_reader(self._handle)
        self._gone.set()

    def kill(self) -> None:
        """Kill everything inside."""
        if not self._gone.is_set():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until it, and with it everything inside, has ended. To be awaited once, after its parent has ended.

        Its parent may have left it to us, as the subreaper, to be waited for.
        """
        await self._gone.wait()
        self._bury()

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._handle, os.WEXITED | os.WNOHANG)
        os.close(self._handle)


Duty = Callable[[], Awaitable[None]]
"""Work to be done once a sandbox is gone."""


def without_shell_convention(code: int) -> int:
    """Return an exit status with "128 and the signal", as bubblewrap and shells report one, made negative again."""
    return _SIGNAL_BASE - code if _SIGNAL_BASE < code <= _SIGNAL_BASE + _LAST_SIGNAL else code


@dataclass(slots=True)
class Duties:
    """What hangs on a sandbox: its memory limit in bytes, its cgroup, and work to end when it is gone."""

    memory_limit: int
    group: Group | None = None
    at_end: list[Duty] = field(default_factory=list)

    async def fulfil(self) -> None:
        """Do what is left to do, each once, and remove the cgroup."""
        while self.at_end:
            await self.at_end.pop()()
        if self.group is not None:
            self.group.remove()


class SandboxProcess:
    """A sandbox with its own pid namespace. See `launch.Process` for what its methods promise."""

    def __init__(self, control: socket.socket, output: int, child: Child, reaper: Reaper, duties: Duties) -> None:
        self.control = control
        self.output = output
        self._child = child
        self._reaper = reaper
        self._duties = duties
        self._inside: Inside | None = None
        self._frozen = False
        self._ending: asyncio.Task[int] | None = None

    @property
    def memory_limit(self) -> int:
        """The most bytes that all its processes may hold together."""
        return self._duties.memory_limit

    @property
    def frozen(self) -> bool:
        """Say whether it is frozen."""
        return self._frozen

    @property
    def reaper(self) -> int:
        """The host's number of the sandbox's pid 1."""
        return self._reaper.pid

    def close(self) -> None:
        """Close our ends of the control socket and the output, for who holds a process that nobody took."""
        self.control.close()
        os.close(self.output)

    def inside(self) -> Inside | None:
        """Return the view of its processes, or None while it is not set up or when it is gone."""
        if self._inside is None and not self._child.ended:
            self._inside = look(self._reaper.pid)
        return self._inside

    def kill(self) -> None:
        """Kill everything inside; what stands around it sees that and ends."""
        self._reaper.kill()
        if self._duties.group is not None:
            self._duties.group.kill()

    async def gone(self) -> int:
        """Wait until nothing of it is left, and until all that hung on it has ended."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        return await asyncio.shield(self._ending)

    async def _end(self) -> int:
        code = await self._child.exited()
        # The reaper waits for detached processes, which must not outlive the worker.
        self._reaper.kill()
        await self._reaper.gone()
        if self._inside is not None:
            self._inside.close()
            self._inside = None
        await self._duties.fulfil()
        return without_shell_convention(code)

    def freeze(self) -> None:
        """Stop everything inside: with the cgroup's switch, else one process after the other."""
        if self._frozen or self._child.ended:
            return
        if self._duties.group is not None:
            self._duties.group.freeze()
            self._frozen = True
            return
        inside = self.inside()
        if inside is not None:
            inside.stop()
            self._frozen = True

    def thaw(self) -> None:
        """Let everything inside go on."""
        if not self._frozen:
            return
        self._frozen = False
        if self._duties.group is not None:
            self._duties.group.thaw()
        elif self._inside is not None:
            self._inside.resume()

    def footprint(self) -> Footprint:
        """Return what it took: everything inside with a cgroup, else the worker and the children it waited for."""
        if self._child.ended:
            return Footprint(0.0, 0)
        if self._duties.group is not None:
            return self._duties.group.footprint()
        inside = self.inside()
        return inside.footprint() if inside is not None else Footprint(0.0, 0)
