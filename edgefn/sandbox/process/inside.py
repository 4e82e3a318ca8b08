"""A sandbox seen through its own /proc: every process in it and no other, however it was started or detached.

Processes are addressed by a descriptor of their directory in that /proc, so a reused pid is never signalled.
"""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from edgefn.sandbox.process.launch import Footprint

_TICKS = os.sysconf("SC_CLK_TCK")
_PASSES = 8
_MOST_HELD = 8
_REAPER = "1"
_WORKER = "2"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a sandbox holds: bytes of its processes' own memory, and files in its /tmp."""

    held: int
    files: int


class Inside:
    """An open view of one sandbox. Made by `look`; whoever holds it must `close` it."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        self._stopped: set[str] = set()
        self._held: dict[str, int] = {}

    def close(self) -> None:
        """Close the view. It cannot be used after that."""
        self._forget()
        os.close(self._proc)

    def twin(self) -> Self:
        """Return a second view, for another thread: it outlives this one, and must be closed by itself."""
        return type(self)(os.dup(self._proc))

    def processes(self) -> list[str]:
        """Return the pids inside, as the sandbox numbers them, without its reaper."""
        return [name for name in os.listdir(self._proc) if name.isdigit() and name != _REAPER]

    def stop(self) -> None:
        """Stop every process. Repeats until no new one has come up, so that none gets away by forking.

        Raises `OSError`, and all go on then.
        """
        try:
            for _ in range(_PASSES):
                fresh = [pid for pid in self.processes() if pid not in self._stopped]
                if not fresh:
                    return
                self._stopped.update(fresh)
                for pid in fresh:
                    self._stop_one(pid)
        except OSError:
            with suppress(OSError):
                self.resume()
            raise

    def _stop_one(self, pid: str) -> None:
        """Stop a process. A descriptor of it is kept if it is one of the first few: a function could make hundreds."""
        try:
            process = os.open(pid, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
        except FileNotFoundError:
            return
        _signal(process, signal.SIGSTOP)
        if len(self._held) < _MOST_HELD:
            self._held[pid] = process
        else:
            os.close(process)

    def resume(self) -> None:
        """Let every stopped process go on. Raises `OSError`; never where there are only a few."""
        for process in self._held.values():
            _signal(process, signal.SIGCONT)
        others = self._stopped - self._held.keys()
        self._forget()
        for pid in others:
            with suppress(FileNotFoundError):
                process = os.open(pid, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._proc)
                _signal(process, signal.SIGCONT)
                os.close(process)

    def _forget(self) -> None:
        for process in self._held.values():
            os.close(process)
        self._held.clear()
        self._stopped.clear()

    def footprint(self) -> Footprint:
        """Return what the worker took; zeros when it is gone."""
        return _footprint(self._read(_WORKER, "stat"), self._read(_WORKER, "status"))

    def memory(self) -> Memory:
        """Return what all processes hold now. Pages that several processes share are counted for each."""
        own = ("RssAnon:", "RssShmem:")
        held = sum(kilobytes(self._read(pid, "status"), own) for pid in self.processes())
        return Memory(held, self._files_in_tmp())

    def memory_shared_fairly(self) -> int:
        """Return the bytes that all processes hold, shared pages divided between them. Never on the event loop:
        the kernel lets it wait for each process's lock, which the process can hold for seconds.
        """
        own = ("Pss_Anon:", "Pss_Shmem:")
        return sum(
            kilobytes(self._read(pid, "smaps_rollup"), own) or kilobytes(self._read(pid, "status"), ("RssAnon:",))
            for pid in self.processes()
        )

    def _files_in_tmp(self) -> int:
        try:
            root = os.open(f"{_REAPER}/root/tmp", os.O_PATH | os.O_DIRECTORY, dir_fd=self._proc)
        except OSError:
            return 0
        try:
            facts = os.fstatvfs(root)
        finally:
            os.close(root)
        return facts.f_files - facts.f_ffree

    def _read(self, pid: str, name: str) -> str:
        """Return a file of a process; "" when the process, or our right to look at it, is gone."""
        try:
            file = os.open(f"{pid}/{name}", os.O_RDONLY, dir_fd=self._proc)
        except OSError:
            return ""
        try:
            return os.read(file, 8192).decode("ascii", "replace")
        except OSError:
            return ""
        finally:
            os.close(file)


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)


def kilobytes(text: str, names: tuple[str, ...]) -> int:
    """Return the sum in bytes of the named "Name: 12 kB" lines."""
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(names))


def _footprint(stat: str, status: str) -> Footprint:
    """Return the CPU seconds of a process and of the children that it waited for, and its own peak of memory."""
    fields = stat.rpartition(")")[2].split()
    return Footprint(sum(int(ticks) for ticks in fields[11:15]) / _TICKS, kilobytes(status, ("VmHWM:",)))


def footprint_of(pid: int) -> Footprint:
    """Return what a process of the host took; zeros when it is gone."""
    texts: list[str] = []
    for name in ("stat", "status"):
        try:
            with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
                texts.append(file.read())
        except OSError:
            return Footprint(0.0, 0)
    return _footprint(*texts)


def look(reaper: int) -> Inside | None:
    """Open the view of the sandbox whose pid 1 is `reaper` on the host; None while it has no /proc of its own.

    Until it has changed its root its /proc is ours, so the pid namespaces are compared: mistaking the one for the
    other would stop the host.
    """
    try:
        proc = os.open(f"/proc/{reaper}/root/proc", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        shown = os.stat(f"{_REAPER}/ns/pid", dir_fd=proc).st_ino
        theirs = os.stat(f"/proc/{reaper}/ns/pid").st_ino
        ours = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        os.close(proc)
        return None
    if shown != theirs or theirs == ours:
        os.close(proc)
        return None
    return Inside(proc)
