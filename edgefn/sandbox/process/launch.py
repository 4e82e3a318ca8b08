"""The seam between starting a sandboxed process and using one as a worker.

`launcher` starts processes; `worker` and `pool` only know what stands here.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Language(StrEnum):
    """What runs inside."""

    NODE = "node"
    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Start:
    """What to start: a functionless worker whose `/var/task` is the host directory `slot` (read-only inside).

    `memory` in MB; `environment` is all that the process gets; `network` lists allowed "host:port".
    The worker's control socket is its fd number `EDGEFN_FD` in the environment (set by the launcher).
    `runtime` is what the function declares, such as "nodejs22.x"; "" is any version of the language.
    """

    language: Language
    slot: str
    memory: int
    environment: Mapping[str, str]
    network: tuple[str, ...] = ()
    runtime: str = ""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the process and its children took so far: CPU seconds, and the peak of its memory in bytes."""

    cpu: float
    memory: int


class Process(Protocol):
    """A started sandbox. Whoever holds it must `kill` it and await `gone`."""

    control: socket.socket
    """Our end of the control socket: a non-blocking Unix stream, owned by the holder of the process."""

    output: int
    """Read end of the pipe that carries its stdout and stderr: non-blocking, owned by the holder."""

    def kill(self) -> None:
        """Kill everything inside at once (SIGKILL to the sandbox's pid 1). Harmless when repeated."""

    async def gone(self) -> int:
        """Wait until nothing of it is left; return the exit status, negative for a signal."""

    def freeze(self) -> None:
        """Stop all that runs inside from running, where this machine can; else nothing."""

    def thaw(self) -> None:
        """Undo `freeze`."""

    def footprint(self) -> Footprint:
        """Return what it took so far; zeros once it is gone."""


class Launcher(Protocol):
    """Starts sandboxed processes under the tier that this machine gives."""

    async def start(self, start: Start) -> Process:
        """Start one. Raises `LaunchError` when the machine refuses."""

    def look_up(self, runtime: str) -> str:
        """Find what runs a declared runtime; return what is to be warned of, "" for nothing. Blocks for some 30 ms.

        Raises `LaunchError`.
        """

    @property
    def slots(self) -> str:
        """The host directory in which slot directories are made: on one file system, readable to the sandbox user."""


class LaunchError(Exception):
    """A sandbox could not be started. The message says what was tried, what the machine said, and the cure."""
