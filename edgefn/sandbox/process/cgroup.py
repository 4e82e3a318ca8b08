"""Limits for a whole sandbox by cgroup v2, in a subtree that was delegated to us (systemd: `Delegate=`).

The decisions are pure; `Delegated` and `Group` write a few small files.
"""

import os
from contextlib import suppress
from dataclasses import dataclass

from edgefn.sandbox.process.launch import Footprint
from edgefn.sandbox.process.limits import TMP_SIZE, Limits

LEAF = "edgefn-proxy"
_PREFIX = "edgefn-sandbox-"
NEEDED = frozenset({"memory", "pids"})
_WISHED = frozenset({"cpu"})


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why there is no cgroup to put sandboxes into."""

    reason: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a process stands: the mount of the cgroup v2 tree, and its own path in it."""

    mount: str
    path: str

    @property
    def root(self) -> str:
        """The directory that was delegated to us; our own processes stand in its leaf, sandboxes beside that."""
        own = self.path.removesuffix("/" + LEAF).strip("/")
        return os.path.join(self.mount, own) if own else self.mount


def position(own_cgroup: str, mountinfo: str) -> Position | Unusable:
    """Read /proc/self/cgroup and /proc/self/mountinfo: where the unified tree is mounted, and where we are in it."""
    paths = [line.removeprefix("0::") for line in own_cgroup.splitlines() if line.startswith("0::")]
    mounts = [
        fields[4]
        for fields, rest in ((line.split(), line.partition(" - ")[2]) for line in mountinfo.splitlines())
        if rest.startswith("cgroup2 ")
    ]
    if not paths or not mounts:
        return Unusable("cgroup v2 is not mounted")
    return Position(mounts[0], paths[0])


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about the directory that might be ours."""

    controllers: frozenset[str]
    writable: bool
    strangers: int
    """Processes in it that are not of our process group."""


def usable(standing: Standing) -> Unusable | None:
    """Decide whether sandboxes can have cgroups below a directory; None means that they can."""
    missing = NEEDED - standing.controllers
    if missing:
        return Unusable(f"cgroup v2 has no {' and no '.join(sorted(missing))} controller here")
    if not standing.writable:
        return Unusable("our cgroup is not delegated to us")
    if standing.strangers:
        return Unusable(f"our cgroup is shared with {standing.strangers} other processes, which must not be moved")
    return None


def settings(limits: Limits) -> dict[str, str]:
    """Return the files of one sandbox's cgroup and what is written to them. Pages of /tmp count as its memory."""
    return {
        "memory.max": str(limits.memory + TMP_SIZE),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": str(limits.processes),
    }


class Group:
    """The cgroup of one sandbox."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    @property
    def entrance(self) -> str:
        """The file that a process writes 0 to, to be inside."""
        return os.path.join(self.directory, "cgroup.procs")

    def freeze(self) -> None:
        """Stop everything inside. Raises `OSError`, e.g. for want of descriptors."""
        self._write("cgroup.freeze", "1")

    def thaw(self) -> None:
        """Let everything inside go on. Raises `OSError`."""
        self._write("cgroup.freeze", "0")

    def kill(self) -> None:
        """Kill everything inside. Kernels before 5.14 have no such file: there it thaws, so that signals arrive."""
        for name, value in (("cgroup.kill", "1"), ("cgroup.freeze", "0")):
            with suppress(OSError):
                self._write(name, value)

    def footprint(self) -> Footprint:
        """Return what it took so far; kernels before 5.19 know the memory of this moment only."""
        usage = [line for line in self._read("cpu.stat").splitlines() if line.startswith("usage_usec ")]
        memory = self._read("memory.peak") or self._read("memory.current") or "0"
        return Footprint(int(usage[0].split()[1]) / 1e6 if usage else 0.0, int(memory))

    def remove(self) -> None:
        """Remove it, if nothing is left inside."""
        with suppress(OSError):
            os.rmdir(self.directory)

    def _write(self, name: str, value: str) -> None:
        with suppress(FileNotFoundError):  # it has just been removed
            _put(os.path.join(self.directory, name), value)

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self.directory, name), encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""


class Delegated:
    """A cgroup that is ours to divide."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._made = 0

    def settle(self, ours: list[int]) -> None:
        """Move our processes into a leaf and hand the controllers down. Raises OSError."""
        leaf = os.path.join(self._root, LEAF)
        os.makedirs(leaf, exist_ok=True)
        for pid in ours:
            _put(os.path.join(leaf, "cgroup.procs"), str(pid))
        available = _get(os.path.join(self._root, "cgroup.controllers")).split()
        handed = [f"+{controller}" for controller in sorted((NEEDED | _WISHED) & set(available))]
        _put(os.path.join(self._root, "cgroup.subtree_control"), " ".join(handed))
        self._sweep()

    def _sweep(self) -> None:
        """Remove what an earlier proxy left behind; directories with processes in them stay."""
        for name in os.listdir(self._root):
            if name.startswith(_PREFIX):
                Group(os.path.join(self._root, name)).remove()

    def group(self, limits: Limits) -> Group:
        """Make the cgroup of one sandbox. Raises OSError."""
        self._made += 1
        directory = os.path.join(self._root, f"{_PREFIX}{os.getpid()}-{self._made}")
        os.mkdir(directory)
        for name, value in settings(limits).items():
            place = os.path.join(directory, name)
            # A kernel may have no swap; all others must hold.
            if name != "memory.swap.max" or os.path.exists(place):
                _put(place, value)
        return Group(directory)


def _put(path: str, value: str) -> None:
    """Write a file that may be there for writing only, as cgroup.kill is for all but root."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, value.encode())
    finally:
        os.close(file)


def _get(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def our_position() -> Position | Unusable:
    """Return where this process stands."""
    try:
        return position(_get("/proc/self/cgroup"), _get("/proc/self/mountinfo"))
    except OSError as error:
        return Unusable(f"cgroups cannot be read: {error}")


def members(root: str) -> tuple[list[int], int]:
    """Return the processes of our process group that stand in `root` itself, and the number of all others there."""
    pids = [int(line) for line in _get(os.path.join(root, "cgroup.procs")).split()]
    ours = [pid for pid in pids if pid and _is_ours(pid)]
    return ours, len(pids) - len(ours)


def _is_ours(pid: int) -> bool:
    try:
        return os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return True


def standing(root: str) -> Standing:
    """Look at a directory of the cgroup tree. Raises OSError."""
    return Standing(
        controllers=frozenset(_get(os.path.join(root, "cgroup.controllers")).split()),
        writable=all(os.access(os.path.join(root, name), os.W_OK) for name in ("", "cgroup.subtree_control")),
        strangers=members(root)[1],
    )
