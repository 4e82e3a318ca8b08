"""Spawn the chain of programs that ends in a sandboxed runtime, and wait for word of its pid 1."""

import asyncio
import json
import os
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from edgefn.sandbox.process.bwrap import Descriptors, Room, encoded, options
from edgefn.sandbox.process.launch import LaunchError
from edgefn.sandbox.process.process import Child, Reaper
from edgefn.sandbox.process.spawn import memory_file, spawn

CONTROL_FD = 3
_ARGS_FD, _SECCOMP_FD, _INFO_FD, _HOSTS_FD = 4, 5, 6, 7
_NICENESS = 5
_FIRST_TO_DIE = "1000"
_LONGEST_INFO = 4096
_LONGEST_COMPLAINT = 2000
_ENTER_CGROUP = 'echo 0 > "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Chain:
    """What to spawn. `entrance` is the cgroup's file to enter by, "" for none; `hosts` an /etc/hosts of its own."""

    prefix: tuple[str, ...]
    bwrap: str
    room: Room
    command: tuple[str, ...]
    filter: bytes
    entrance: str = ""
    hosts: bytes | None = None

    @property
    def argv(self) -> list[str]:
        """The command line. It can be read inside, so it names nothing of the host but programs."""
        enter = ("/bin/sh", "-c", _ENTER_CGROUP, self.entrance) if self.entrance else ()
        return [*enter, *self.prefix, self.bwrap, "--args", str(_ARGS_FD), "--", *self.command]


@dataclass(frozen=True, slots=True)
class Spawned:
    """A chain under way: our ends of its control socket, output pipe and info pipe, and its first process."""

    control: socket.socket
    output: int
    info: int
    child: Child

    def close(self) -> None:
        """Close our ends of the control socket and of the output."""
        self.control.close()
        os.close(self.output)


def spawn_chain(chain: Chain) -> Spawned:
    """Spawn it. Raises OSError, or ValueError for a NUL in its options."""
    with ExitStack() as ours, ExitStack() as theirs:

        def given(descriptor: int) -> int:
            theirs.callback(os.close, descriptor)
            return descriptor

        def kept(descriptor: int) -> int:
            ours.callback(os.close, descriptor)
            return descriptor

        control, far_control = socket.socketpair()
        ours.callback(control.close)
        theirs.callback(far_control.close)
        control.setblocking(False)
        output, far_output = os.pipe2(os.O_CLOEXEC)
        info, far_info = os.pipe2(os.O_CLOEXEC)
        for near, far in ((output, far_output), (info, far_info)):
            os.set_blocking(kept(near), False)
            given(far)
        numbers = Descriptors(_SECCOMP_FD, _INFO_FD, None if chain.hosts is None else _HOSTS_FD)
        descriptors = {
            1: far_output,
            2: far_output,
            CONTROL_FD: far_control.fileno(),
            _ARGS_FD: given(memory_file(encoded(options(chain.room, numbers)))),
            _SECCOMP_FD: given(memory_file(chain.filter)),
            _INFO_FD: far_info,
        }
        if chain.hosts is not None:
            descriptors[_HOSTS_FD] = given(memory_file(chain.hosts))
        pid = spawn(chain.argv, descriptors)
        child = Child(pid)
        _make_expendable(pid)
        ours.pop_all()
    return Spawned(control, output, info, child)


def _make_expendable(pid: int) -> None:
    """Let the kernel prefer anybody else, when memory or processors are short. Not all systems let us."""
    with suppress(OSError):
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_FIRST_TO_DIE)
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
        # What it starts from now on inherits both; what it started before is listed here.
        for child in _children(pid):
            _make_expendable(child)


async def find_reaper(spawned: Spawned, patience: float) -> Reaper:
    """Wait until bubblewrap tells the number of the sandbox's pid 1. Closes the info pipe.

    Raises LaunchError when it came to nothing.
    """
    try:
        async with asyncio.timeout(patience):
            told = await _read_to_end(spawned.info)
    except TimeoutError:
        raise LaunchError(f"bubblewrap did not make a sandbox within {patience:g} seconds.") from None
    finally:
        os.close(spawned.info)
    try:
        document: object = json.loads(told)
    except ValueError:
        document = None
    match document:
        case {"child-pid": int(pid)}:
            return _verified(pid, spawned.child)
        case _:
            raise LaunchError("The sandbox could not be made.")


async def abandon(child: Child) -> None:
    """Leave nothing of a chain whose sandbox was not made, or is not wanted any more.

    A pid 1 that was made is killed by itself: it may have left the group, and waits for ever for a bubblewrap that
    is gone.
    """
    reapers: list[Reaper] = []
    for pid in _children(child.pid):
        with suppress(LaunchError):
            reapers.append(_verified(pid, child))
    child.kill()
    for reaper in reapers:
        reaper.kill()
    await child.group_exited()
    for reaper in reapers:
        await reaper.gone()


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def _verified(pid: int, child: Child) -> Reaper:
    """Return the process `pid`, made sure that it is the child's: its number may have been given to another by now."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        raise LaunchError("The sandbox died while it was made.") from None
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            parent = int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        parent = 0
    if parent != child.pid:
        os.close(handle)
        raise LaunchError("The sandbox died while it was made.")
    _make_expendable(pid)
    return Reaper(pid, handle)


async def _read_to_end(descriptor: int) -> bytes:
    """Read a non-blocking pipe to its end, or to more than the info can be."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    received = bytearray()

    def read() -> None:
        with suppress(BlockingIOError):
            chunk = os.read(descriptor, _LONGEST_INFO)
            received.extend(chunk)
            if (not chunk or len(received) > _LONGEST_INFO) and not ended.done():
                ended.set_result(None)

    loop.add_reader(descriptor, read)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
    return bytes(received)


def complaint(output: int) -> str:
    """Return what a failed chain said last."""
    with suppress(BlockingIOError):
        return os.read(output, _LONGEST_COMPLAINT).decode("utf-8", "replace").strip() or "nothing."
    return "nothing."
