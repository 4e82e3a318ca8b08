"""A launcher without any sandbox: the same seam, the same bootstrap files, started by posix_spawn."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from importlib.resources import files
from pathlib import Path

from edgefn.sandbox.process.launch import Footprint, Language, LaunchError, Start

_BOOTSTRAP = files("edgefn.sandbox.process") / "bootstrap"


class PlainProcess:
    def __init__(self, pid: int, control: socket.socket, output: int) -> None:
        self.pid = pid
        self.control = control
        self.output = output
        loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(pid)
        self._status: asyncio.Future[int] = loop.create_future()
        loop.add_reader(self._pidfd, self._reap)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def gone(self) -> int:
        return await asyncio.shield(self._status)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def footprint(self) -> Footprint:
        return Footprint(0.0, 0)

    def _signal(self, number: signal.Signals) -> None:
        if not self._status.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        self._status.set_result(os.waitstatus_to_exitcode(status))


class PlainLauncher:
    """`programs` replaces the bootstrap of a language by another file; `starts` counts."""

    def __init__(self, slots: Path, programs: dict[Language, Path] | None = None) -> None:
        self._slots = slots
        self._programs = programs or {}
        self.starts = 0
        self.processes: list[PlainProcess] = []
        self.refusal = ""

    @property
    def slots(self) -> str:
        return str(self._slots)

    def look_up(self, runtime: str) -> str:
        del runtime
        return ""

    async def start(self, start: Start) -> PlainProcess:
        self.starts += 1
        if self.refusal:
            raise LaunchError(self.refusal)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        output, pipe = os.pipe()
        os.set_blocking(output, False)
        control = 3
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, pipe, 1),
            (os.POSIX_SPAWN_DUP2, pipe, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), control),
        ]
        environment = {**start.environment, "EDGEFN_FD": str(control), "EDGEFN_TASK": start.slot}
        command = self._command(start.language)
        pid = os.posix_spawn(command[0], command, environment, file_actions=actions)  # noqa: ASYNC221  # vfork: 0.3 ms
        theirs.close()
        os.close(pipe)
        process = PlainProcess(pid, ours, output)
        self.processes.append(process)
        return process

    def _command(self, language: Language) -> list[str]:
        program = "python3" if language is Language.PYTHON else "node"
        path = shutil.which(program, path="/usr/bin:/usr/local/bin:/bin")
        assert path is not None
        default = "python.py" if language is Language.PYTHON else "node.js"
        flags = ["-I", "-S"] if language is Language.PYTHON else []
        return [path, *flags, str(self._programs.get(language, _BOOTSTRAP / default))]
