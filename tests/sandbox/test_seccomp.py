"""The filter on system calls, run by an interpreter of classic BPF: every number of both machines has its verdict."""

import ctypes
import ctypes.util
import errno
import struct

import pytest

from edgefn.sandbox.process.seccomp import ALLOW, KILL, failure, filter_program
from edgefn.sandbox.process.syscalls import MACHINES, forbidden, harmless, judged, on_others, reaching, unaccounted

LAST_NUMBER = 600
ENOSYS, EPERM = failure(errno.ENOSYS), failure(errno.EPERM)


def run(program: bytes, number: int, audit: int, arguments: tuple[int, ...] = ()) -> int:
    """Run a filter on one call, as the kernel does; return its verdict."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, audit, 0, *padded)
    steps = [struct.unpack_from("=HBBI", program, place) for place in range(0, len(program), 8)]
    place = accumulator = 0
    while True:
        code, hit, miss, operand = steps[place]
        place += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x05:
                place += operand
            case 0x15:
                place += hit if accumulator == operand else miss
            case 0x35:
                place += hit if accumulator >= operand else miss
            case 0x45:
                place += hit if accumulator & operand else miss
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["cgroup", "no cgroup"])
def bounded(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_every_call_number_has_the_verdict_of_the_tables(machine: str, bounded: bool) -> None:
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=bounded)
    expected = dict.fromkeys(range(LAST_NUMBER), ENOSYS)
    expected |= dict.fromkeys(harmless(kind).values(), ALLOW)
    expected |= dict.fromkeys(forbidden(kind).values(), EPERM)
    expected |= dict.fromkeys(unaccounted(kind).values(), ALLOW if bounded else ENOSYS)
    for number in judged(kind).values():
        del expected[number]
    assert {number: run(program, number, kind.audit) for number in expected} == expected


def test_without_namespaces_there_are_no_sockets_and_nobody_else_is_touched(machine: str) -> None:
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=False, exposed=True)
    expected = dict.fromkeys(harmless(kind).values(), ALLOW)
    expected |= dict.fromkeys(forbidden(kind).values(), EPERM)
    expected |= dict.fromkeys(reaching(kind).values(), EPERM)
    alone = on_others(kind).values()
    assert {number: run(program, number, kind.audit) for number in expected} == expected
    assert {run(program, number, kind.audit, (pid,)) for number in alone for pid in (1, 4242, 0xFFFFFFFF)} == {EPERM}
    families = {run(program, judged(kind)["socket"], kind.audit, (family, 1, 0)) for family in range(64)}
    assert families == {failure(errno.EAFNOSUPPORT)}
    assert set(reaching(kind)) | set(on_others(kind)) <= set(harmless(kind))


def test_a_foreign_architecture_is_killed(machine: str, bounded: bool) -> None:
    program = filter_program(machine, bounded=bounded)
    i386 = 0x40000003
    others = [kind.audit for name, kind in MACHINES.items() if name != machine]
    assert {run(program, number, audit) for audit in (i386, *others) for number in (0, 1, 59, 11)} == {KILL}


def test_the_x32_numbers_of_x86_64_do_not_exist() -> None:
    program = filter_program("x86_64", bounded=True)
    x32 = 0x40000000
    verdicts = {run(program, x32 | number, MACHINES["x86_64"].audit) for number in range(LAST_NUMBER)}
    assert verdicts == {ENOSYS}
    assert run(program, 0xFFFFFFFF, MACHINES["x86_64"].audit) == ENOSYS


@pytest.mark.parametrize("flag", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
def test_no_clone_makes_a_namespace(machine: str, flag: int) -> None:
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=True)
    thread = 0x3D0F00
    assert run(program, judged(kind)["clone"], kind.audit, (thread,)) == ALLOW
    assert run(program, judged(kind)["clone"], kind.audit, (thread | flag,)) == EPERM
    assert run(program, 435, kind.audit) == ENOSYS


def test_only_local_and_internet_sockets_are_made(machine: str, bounded: bool) -> None:
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=bounded)
    verdicts = {family: run(program, judged(kind)["socket"], kind.audit, (family, 3, 0)) for family in range(64)}
    allowed = {1, 2, 10, 16}
    assert {family for family, verdict in verdicts.items() if verdict == ALLOW} == allowed
    assert {verdicts[family] for family in range(64) if family not in allowed} == {failure(errno.EAFNOSUPPORT)}


def test_netlink_is_for_listing_interfaces_only(machine: str) -> None:
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=True)
    verdicts = [run(program, judged(kind)["socket"], kind.audit, (16, 3, protocol)) for protocol in range(30)]
    assert verdicts == [ALLOW, *[EPERM] * 29]


def test_the_upper_half_of_an_argument_hides_nothing(machine: str) -> None:
    """The kernel reads the family, the request and the flags as 32 bits, so the filter must do so too."""
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=False)
    high = 1 << 32
    assert run(program, judged(kind)["ioctl"], kind.audit, (0, high | 0x5412)) == EPERM
    assert run(program, judged(kind)["socket"], kind.audit, (high | 40, 1, 0)) == failure(errno.EAFNOSUPPORT)
    assert run(program, judged(kind)["clone"], kind.audit, (high | 0x10000000,)) == EPERM


@pytest.mark.parametrize(
    ("request_number", "verdict"), [(0x5412, EPERM), (0x541C, EPERM), (0x5423, EPERM), (0x5413, ALLOW)]
)
def test_no_ioctl_types_into_a_terminal(machine: str, request_number: int, verdict: int) -> None:
    kind = MACHINES[machine]
    program = filter_program(machine, bounded=True)
    assert run(program, judged(kind)["ioctl"], kind.audit, (0, request_number)) == verdict


@pytest.mark.parametrize("flags", [0x21, 0x23, 0x4021])
def test_shared_anonymous_memory_needs_a_cgroup(machine: str, flags: int) -> None:
    kind = MACHINES[machine]
    number = judged(kind)["mmap"]
    call = (0, 4096, 3, flags)
    assert run(filter_program(machine, bounded=True), number, kind.audit, call) == ALLOW
    assert run(filter_program(machine, bounded=False), number, kind.audit, call) == failure(errno.ENOMEM)
    private = (0, 4096, 3, 0x22)
    assert run(filter_program(machine, bounded=False), number, kind.audit, private) == ALLOW


def test_no_call_stands_in_two_tables_and_no_number_under_two_names(machine: str) -> None:
    kind = MACHINES[machine]
    tables = [harmless(kind), forbidden(kind), judged(kind), unaccounted(kind)]
    names = [name for table in tables for name in table]
    numbers = [number for table in tables for number in table.values()]
    assert len(names) == len(set(names))
    assert len(numbers) == len(set(numbers))
    assert set(judged(kind)) == {"clone", "socket", "ioctl", "mmap"}


@pytest.mark.parametrize(
    ("machine", "known"),
    [
        ("x86_64", {"read": 0, "execve": 59, "openat": 257, "seccomp": 317, "io_uring_setup": 425, "ptrace": 101}),
        ("aarch64", {"read": 63, "execve": 221, "openat": 56, "seccomp": 277, "io_uring_setup": 425, "ptrace": 117}),
    ],
)
def test_the_numbers_are_those_of_the_kernel(machine: str, known: dict[str, int]) -> None:
    kind = MACHINES[machine]
    ours = {**harmless(kind), **forbidden(kind), **judged(kind), **unaccounted(kind)}
    assert {name: ours[name] for name in known} == known
    library = ctypes.util.find_library("seccomp")
    theirs = {}
    if library is not None:
        resolve = ctypes.CDLL(library).seccomp_syscall_resolve_name_arch
        resolve.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
        theirs = {name: resolve(kind.audit, name.encode()) for name in ours}
    disagreeing = {name: number for name, number in theirs.items() if number >= 0 and number != ours[name]}
    assert not disagreeing


WAYS_OUT = """
ptrace bpf userfaultfd keyctl unshare setns mount pivot_root chroot io_uring_setup process_vm_readv pidfd_getfd
open_by_handle_at perf_event_open kexec_load init_module personality memfd_secret seccomp
"""


@pytest.mark.parametrize("call", WAYS_OUT.split())
def test_the_known_ways_out_are_forbidden_on_both_machines(call: str) -> None:
    assert all(call in forbidden(kind) for kind in MACHINES.values())


def test_the_filter_fits_into_the_kernel(machine: str, bounded: bool) -> None:
    program = filter_program(machine, bounded=bounded)
    assert len(program) % 8 == 0
    assert len(program) // 8 < 1024


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(KeyError):
        filter_program("riscv64", bounded=True)
