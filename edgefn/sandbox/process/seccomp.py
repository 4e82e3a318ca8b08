"""The filter on system calls that every sandbox runs under: a pure generator of classic BPF.

An allow-list: what is not named fails with ENOSYS, so runtimes fall back as on an old kernel. The calls of a
foreign architecture kill the process. The program is a binary search over intervals of call numbers, then a few
comparisons for the calls that are judged by an argument.
"""

import errno
import struct
from dataclasses import dataclass, field
from itertools import groupby

from edgefn.sandbox.process.syscalls import (
    MACHINES,
    Machine,
    forbidden,
    harmless,
    judged,
    on_others,
    reaching,
    unaccounted,
)

_LOAD, _JUMP, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _AND, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_X32_BIT = 0x40000000
_LONGEST = 4096

ALLOW = 0x7FFF0000
KILL = 0x80000000

_NEW_NAMESPACES = 0x7E020000
_MAP_SHARED_ANONYMOUS = 0x21
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
# TIOCSTI, TIOCLINUX and TIOCSETD type into, or take over, a terminal.
_TERMINAL_TRICKS = (0x5412, 0x541C, 0x5423)


def failure(number: int) -> int:
    """Return the filter's answer "fail with this errno"."""
    return 0x00050000 | number


_UNKNOWN = failure(errno.ENOSYS)
_REFUSED = failure(errno.EPERM)


@dataclass(frozen=True, slots=True)
class _Step:
    """One instruction; jumps name labels, "" is the next instruction."""

    code: int
    operand: int = 0
    hit: str = ""
    miss: str = ""


@dataclass(slots=True)
class _Program:
    """Instructions and labels in the order of writing. Answers are written last, each once."""

    steps: list[_Step] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    answers: dict[int, str] = field(default_factory=dict)
    forks: int = 0

    def label(self, name: str) -> None:
        self.labels[name] = len(self.steps)

    def load(self, offset: int) -> None:
        self.steps.append(_Step(_LOAD, offset))

    def load_argument(self, index: int) -> None:
        """Load the low half: for these calls the kernel looks at no more than 32 bits."""
        self.load(16 + 8 * index)

    def mask(self, bits: int) -> None:
        self.steps.append(_Step(_AND, bits))

    def test(self, code: int, operand: int, hit: str, miss: str = "") -> None:
        """Add a conditional jump. Far targets get a long jump in between, as a short one reaches 255 steps."""
        self.forks += 1
        near, far = f"?{self.forks}+", f"?{self.forks}-"
        self.steps.append(_Step(code, operand, near, far))
        self.label(near)
        self.jump(hit)
        self.label(far)
        if miss:
            self.jump(miss)

    def jump(self, target: str) -> None:
        self.steps.append(_Step(_JUMP, 0, target))

    def answer(self, verdict: int) -> str:
        """Return the label of a verdict."""
        return self.answers.setdefault(verdict, f"={verdict:x}")

    def encoded(self) -> bytes:
        for verdict, name in self.answers.items():
            self.label(name)
            self.steps.append(_Step(_RETURN, verdict))
        if len(self.steps) > _LONGEST:
            raise ValueError(f"a filter may have {_LONGEST} instructions, this one has {len(self.steps)}")
        return b"".join(self._encoded(place, step) for place, step in enumerate(self.steps))

    def _encoded(self, place: int, step: _Step) -> bytes:
        def distance(label: str) -> int:
            return self.labels[label] - place - 1

        if step.code == _JUMP:
            return struct.pack("=HBBI", _JUMP, 0, 0, distance(step.hit))
        if not step.hit:
            return struct.pack("=HBBI", step.code, 0, 0, step.operand)
        return struct.pack("=HBBI", step.code, distance(step.hit), distance(step.miss), step.operand)


def _verdicts(machine: Machine, *, bounded: bool, exposed: bool) -> dict[int, int | str]:
    """Return what becomes of each call number: an answer, or the name of the call whose argument decides."""
    extra = ALLOW if bounded else _UNKNOWN
    verdicts: dict[int, int | str] = dict.fromkeys(harmless(machine).values(), ALLOW)
    verdicts |= dict.fromkeys(forbidden(machine).values(), _REFUSED)
    verdicts |= dict.fromkeys(unaccounted(machine).values(), extra)
    verdicts |= {number: name for name, number in judged(machine).items()}
    if exposed:
        verdicts |= dict.fromkeys(reaching(machine).values(), _REFUSED)
        verdicts |= dict.fromkeys(on_others(machine).values(), "on oneself")
        verdicts[judged(machine)["socket"]] = failure(errno.EAFNOSUPPORT)
    return verdicts


def _intervals(verdicts: dict[int, int | str]) -> list[tuple[int, int | str]]:
    """Return (first number, verdict) for each run of numbers with one verdict; the last runs on for ever."""
    every = [(number, verdicts.get(number, _UNKNOWN)) for number in range(max(verdicts) + 2)]
    return [next(run) for _, run in groupby(every, key=lambda pair: pair[1])]


def _search(program: _Program, intervals: list[tuple[int, int | str]]) -> None:
    if len(intervals) == 1:
        verdict = intervals[0][1]
        program.jump(verdict if isinstance(verdict, str) else program.answer(verdict))
        return
    middle = len(intervals) // 2
    upper = f"from {intervals[middle][0]}"
    program.test(_JUMP_AT_LEAST, intervals[middle][0], upper)
    _search(program, intervals[:middle])
    program.label(upper)
    _search(program, intervals[middle:])


def _judge_clone(program: _Program) -> None:
    program.label("clone")
    program.load_argument(0)
    program.test(_JUMP_ANY_BIT, _NEW_NAMESPACES, program.answer(_REFUSED), program.answer(ALLOW))


def _judge_socket(program: _Program) -> None:
    """Only local and internet sockets, and the netlink of getifaddrs(). AF_VSOCK knows no namespaces at all."""
    program.label("socket")
    program.load_argument(0)
    for family in (_AF_UNIX, _AF_INET, _AF_INET6):
        program.test(_JUMP_EQUAL, family, program.answer(ALLOW))
    program.test(_JUMP_EQUAL, _AF_NETLINK, "netlink", program.answer(failure(errno.EAFNOSUPPORT)))
    program.label("netlink")
    program.load_argument(2)
    program.test(_JUMP_EQUAL, _NETLINK_ROUTE, program.answer(ALLOW), program.answer(_REFUSED))


def _judge_ioctl(program: _Program) -> None:
    program.label("ioctl")
    program.load_argument(1)
    for request in _TERMINAL_TRICKS:
        program.test(_JUMP_EQUAL, request, program.answer(_REFUSED))
    program.jump(program.answer(ALLOW))


def _judge_mmap(program: _Program, *, bounded: bool) -> None:
    """Shared anonymous memory outlives its process's limits; without a cgroup there is none."""
    program.label("mmap")
    if not bounded:
        program.load_argument(3)
        program.mask(_MAP_SHARED_ANONYMOUS)
        program.test(_JUMP_EQUAL, _MAP_SHARED_ANONYMOUS, program.answer(failure(errno.ENOMEM)))
    program.jump(program.answer(ALLOW))


def _judge_on_oneself(program: _Program) -> None:
    program.label("on oneself")
    program.load_argument(0)
    program.test(_JUMP_EQUAL, 0, program.answer(ALLOW), program.answer(_REFUSED))


def filter_program(machine: str, *, bounded: bool, exposed: bool = False) -> bytes:
    """Return the filter for `machine` ("x86_64" or "aarch64") as an array of `struct sock_filter`.

    `bounded` says that a cgroup accounts for all memory; without one, the calls that get memory past RLIMIT_DATA
    fail too. `exposed` says that there are no namespaces: no sockets then, and nothing that Landlock does not confine.
    Raises KeyError for another machine.
    """
    kind = MACHINES[machine]
    program = _Program()
    program.load(_ARCHITECTURE)
    program.test(_JUMP_EQUAL, kind.audit, "ours", program.answer(KILL))
    program.label("ours")
    program.load(_NUMBER)
    if kind.x32:
        program.test(_JUMP_AT_LEAST, _X32_BIT, program.answer(_UNKNOWN))
    _search(program, _intervals(_verdicts(kind, bounded=bounded, exposed=exposed)))
    _judge_clone(program)
    _judge_socket(program)
    _judge_ioctl(program)
    _judge_mmap(program, bounded=bounded)
    _judge_on_oneself(program)
    return program.encoded()
