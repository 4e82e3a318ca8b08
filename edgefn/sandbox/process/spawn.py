"""Start a program without forking this process's memory, and with no file descriptor but those named.

`posix_spawn` takes 0.3 ms whatever the size of the proxy; a fork blocks the loop for 10 ms and more. It must be
called from a thread that lives as long as the proxy: a sandbox dies with the thread that started it.
"""

import ctypes
import fcntl
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

# Above any number that a child is given, so that placing one descriptor never overwrites the next one's source.
_OUT_OF_THE_WAY = 64

_CLOSE_RANGE = 436
_CLOSE_ON_EXEC = 4
_SET_CHILD_SUBREAPER = 36
_SET_PARENT_DEATH_SIGNAL = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def keep_from_children() -> None:
    """Mark every descriptor above 2 as not for children: also those that whoever started us left open."""
    ceiling = ctypes.c_uint(0xFFFFFFFF)
    if _LIBC.syscall(ctypes.c_long(_CLOSE_RANGE), ctypes.c_uint(3), ceiling, ctypes.c_uint(_CLOSE_ON_EXEC)) == 0:
        return
    # Kernels before 5.11.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with suppress(OSError):
                os.set_inheritable(int(name), False)


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs, so that they are waited for whatever runs as init."""
    if _LIBC.prctl(_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when the thread that started this process ends, `kill -9` included. To be run before exec.

    `parent` is that thread's process: it may have ended before this is asked for, and then this process ends at once.
    """
    nothing = ctypes.c_ulong(0)
    _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGTERM), nothing, nothing, nothing)
    if os.getppid() != parent:
        os._exit(1)


def memory_file(content: bytes) -> int:
    """Return a descriptor that reads `content` from its start. The caller closes it."""
    descriptor = os.memfd_create("edgefn")
    try:
        written = 0
        while written < len(content):
            written += os.write(descriptor, content[written:])
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def spawn(argv: Sequence[str], descriptors: Mapping[int, int], environment: Mapping[str, str] | None = None) -> int:
    """Start `argv` as the leader of a session of its own and return its pid. Raises OSError.

    `descriptors` maps numbers in the child to ours. It gets no environment but the one given, its input is /dev/null,
    its signals are as at boot.
    """
    keep_from_children()
    moved: list[int] = []
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
    try:
        for number, ours in descriptors.items():
            away = fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
            moved.append(away)
            actions.append((os.POSIX_SPAWN_DUP2, away, number))
        if 0 not in descriptors:
            actions.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
        return os.posix_spawn(
            argv[0],
            list(argv),
            environment or {},
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD),
        )
    finally:
        for descriptor in moved:
            os.close(descriptor)
