"""The limits that the kernel holds for each sandboxed process, worked out from a function's memory."""

from dataclasses import dataclass, replace

from edgefn.sandbox.process.launch import Language

MB = 1024 * 1024

TMP_SIZE = 512 * MB
TMP_FILES = 65_536
SLACK = 64 * MB
"""What a runtime may take on top of a function's memory: its own tables, page tables, socket buffers."""

_OPEN_FILES = 1024
_LOCKED_MEMORY = 64 * 1024
_PENDING_SIGNALS = 1024
_PROCESSES = 1024
_PROCESSES_UNBOUNDED = 256
_PROCESSES_OF_A_USER = 4096

_NODE_RESERVES_SINCE = 24
_NODE_RESERVE = 540 * MB
_NODE_ISOLATES = 5  # the main thread, and four of worker_threads
_HEAP_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one sandbox. Sizes in bytes; `data` holds per process, `memory` for all of them together.

    `file` is the largest file that may be written, 0 for no bound but that of /tmp.
    """

    data: int
    memory: int
    heap_mb: int
    processes: int
    file: int = 0


def limits_for(language: Language, version: tuple[int, int], memory_mb: int, *, bounded: bool) -> Limits:
    """Return the limits of a function with `memory_mb`; `bounded` says that a cgroup holds `memory`.

    Node.js 24 and later reserve about 530 MB of writable address space for each isolate, which they never touch. Where
    no cgroup holds `memory`, the watchdog does.
    """
    memory = memory_mb * MB
    reserve = _NODE_ISOLATES * _NODE_RESERVE if language is Language.NODE and version[0] >= _NODE_RESERVES_SINCE else 0
    return Limits(
        data=memory + SLACK + reserve,
        memory=memory + SLACK,
        heap_mb=int(memory_mb * _HEAP_SHARE),
        processes=_PROCESSES if bounded else _PROCESSES_UNBOUNDED,
    )


def of_one_user(limits: Limits) -> Limits:
    """Return the limits where there are no namespaces: processes count for all sandboxes, and /tmp has no size."""
    return replace(limits, processes=_PROCESSES_OF_A_USER, file=TMP_SIZE)


def prlimit(program: str, limits: Limits) -> tuple[str, ...]:
    """Return the command that takes on the limits and goes on as what follows it."""
    return (
        program,
        "--core=0",
        f"--nofile={_OPEN_FILES}",
        f"--nproc={limits.processes}",
        f"--data={limits.data}",
        *([f"--fsize={limits.file}"] if limits.file else []),
        f"--memlock={_LOCKED_MEMORY}",
        f"--sigpending={_PENDING_SIGNALS}",
        "--msgqueue=0",
        "--",
    )
