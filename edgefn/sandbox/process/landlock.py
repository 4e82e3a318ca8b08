"""What a function may touch where there are no namespaces: the Landlock rules of the tier `landlock`. Pure.

The kernel holds a process to them from the inside, so a program of ours (`bootstrap/confine.py`) takes them on and then
becomes the function's interpreter. See landlock(7).
"""

import json
from collections.abc import Iterable

from edgefn.sandbox.process.bwrap import Bind, Mount

OLDEST_ABI = 6
"""The first that keeps signals and abstract sockets in (Linux 6.12); less is too little where all share a user."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_ALL_FILES = (1 << 16) - 1
_READ = _READ_FILE | _READ_DIR
_TCP = (1 << 0) | (1 << 1)
_ABSTRACT_SOCKETS_AND_SIGNALS = (1 << 0) | (1 << 1)
_OWN = _ALL_FILES & ~_MAKE_CHAR & ~_MAKE_BLOCK

_DEVICES = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_KERNEL = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")


def plan(mounts: Iterable[Mount], programs: Iterable[str], slot: str, tmp: str, seccomp: bytes) -> bytes:
    """Return what `confine.py` reads: the rights on each path, and the filter on system calls.

    `mounts` are what would be mounted where there are namespaces, and may be read and run; `slot` has the function,
    `tmp` is the only place to write. `/proc/self` is that of the process itself, and of none that it starts.
    """
    rules = [(mount.source, _READ | _EXECUTE) for mount in mounts if isinstance(mount, Bind)]
    rules += [(program, _READ_FILE | _EXECUTE) for program in programs]
    rules += [(slot, _READ | _EXECUTE), (tmp, _OWN), ("/dev/null", _READ_FILE | _WRITE_FILE)]
    rules += [(path, _READ) for path in (*_DEVICES, *_KERNEL)]
    document = {
        "handled": [_ALL_FILES, _TCP, _ABSTRACT_SOCKETS_AND_SIGNALS],
        "rules": rules,
        "filter": seccomp.hex(),
    }
    return json.dumps(document).encode()
