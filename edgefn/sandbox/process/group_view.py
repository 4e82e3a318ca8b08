"""A sandbox without a /proc of its own, seen from outside: the processes of its group, which none of them can leave."""

import os
from typing import Self

from edgefn.sandbox.process.inside import Memory, kilobytes

_GROUP = 2  # of the fields behind the name in /proc/PID/stat


class GroupView:
    """The processes of one process group. Like `inside.Inside`; looking goes through all processes of the host."""

    def __init__(self, leader: int) -> None:
        self._leader = str(leader)

    def close(self) -> None:
        """Hold nothing."""

    def twin(self) -> Self:
        """Return a view for another thread."""
        return type(self)(int(self._leader))

    def processes(self) -> list[str]:
        """Return the pids of the group."""
        return [pid for pid in os.listdir("/proc") if pid.isdigit() and _group(pid) == self._leader]

    def memory(self) -> Memory:
        """Return what all processes hold now, shared pages counted for each; files are not counted."""
        own = ("RssAnon:", "RssShmem:")
        return Memory(sum(kilobytes(_read(pid, "status"), own) for pid in self.processes()), files=0)

    def memory_shared_fairly(self) -> int:
        """Return the bytes that all processes hold, shared pages divided between them. Never on the event loop."""
        own = ("Pss_Anon:", "Pss_Shmem:")
        return sum(
            kilobytes(_read(pid, "smaps_rollup"), own) or kilobytes(_read(pid, "status"), ("RssAnon:",))
            for pid in self.processes()
        )


def _group(pid: str) -> str:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return fields[_GROUP] if fields else ""


def _read(pid: str, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
