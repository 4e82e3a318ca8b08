"""The sandbox as bubblewrap's options: what is inside, and what is left out. Pure.

The options hold host paths, so they are given through a file descriptor: a command line can be read inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UID, GID = 993, 990
TASK = "/var/task"
LAYERS = ".opt"
"""The folder in a function's files in which those of its layers lie; seen as /opt (`functions.layers`)."""

RUNTIME = "/var/runtime"

_NAMESPACES = (
    *("--unshare-user", "--uid", str(UID), "--gid", str(GID), "--disable-userns"),
    *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "edge"),
)

# Lambda has no /dev/shm either; an unlimited one is memory that no limit sees.
_DEVICES = (
    *("--proc", "/proc", "--dev", "/dev"),
    *("--perms", "0555", "--size", "4096", "--tmpfs", "/dev/shm", "--remount-ro", "/dev/shm"),  # noqa: S108
    *("--remount-ro", "/dev"),
)


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the host, read-only inside. One that does not exist is an error unless `optional`."""

    source: str
    inside: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link inside."""

    target: str
    inside: str


Mount = Bind | Link


@dataclass(frozen=True, slots=True)
class Room:
    """What one sandbox holds: its files, the directory at /var/task, the size of /tmp, and its environment."""

    mounts: tuple[Mount, ...]
    slot: str
    tmp_size: int
    environment: Mapping[str, str] = field(default_factory=dict)
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Numbers, in bubblewrap, of the files that it reads its filter from and writes its pid to."""

    seccomp: int
    info: int
    hosts: int | None = None


def _mount(mount: Mount) -> tuple[str, ...]:
    match mount:
        case Bind(source, inside, optional):
            return ("--ro-bind-try" if optional else "--ro-bind", source, inside)
        case Link(target, inside):
            return ("--symlink", target, inside)


def options(room: Room, descriptors: Descriptors) -> list[str]:
    """Return bubblewrap's options, without the command to run."""
    chosen = list(_NAMESPACES)
    for mount in room.mounts:
        chosen += _mount(mount)
    if descriptors.hosts is not None:
        chosen += ("--ro-bind-data", str(descriptors.hosts), "/etc/hosts")
    chosen += _DEVICES
    if not room.bounded:
        # A shared mapping of /dev/zero is memory that RLIMIT_DATA does not count.
        chosen += ("--ro-bind", "/dev/null", "/dev/zero")
    chosen += ("--perms", "1777", "--size", str(room.tmp_size), "--tmpfs", "/tmp")  # noqa: S108 - the sandbox's own
    # Linked, not mounted: the files come into the slot when the sandbox runs already, and layers with them.
    chosen += ("--symlink", f"{TASK}/{LAYERS}", "/opt", "--ro-bind", room.slot, TASK, "--chdir", TASK)
    for name, value in room.environment.items():
        chosen += ("--setenv", name, value)
    chosen += ("--remount-ro", "/", "--seccomp", str(descriptors.seccomp), "--info-fd", str(descriptors.info))
    return chosen


def encoded(chosen: Sequence[str]) -> bytes:
    """Return options as `--args` reads them. Raises ValueError when one holds a NUL, which would start another."""
    if any("\0" in option for option in chosen):
        raise ValueError("a sandbox option may not contain a NUL character")
    return b"".join(option.encode("utf-8", "surrogateescape") + b"\0" for option in chosen)
