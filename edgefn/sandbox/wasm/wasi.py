"""WASI preview 1 for guests, with no authority: standard streams, arguments, environment, a coarse clock, random.

There are no files and no sockets to have; what a guest asks for beyond these answers ENOSYS. Sleeping takes no time.
"""

import struct

from edgefn.sandbox.wasm.guest import Guest, GuestError
from edgefn.sandbox.wasm.host_functions import MOST_RANDOM
from edgefn.sandbox.wasm.imports import Caller, HostFunction

MODULE = "wasi_snapshot_preview1"

_SUCCESS = 0
_EBADF = 8
_EINVAL = 28
_ENOSYS = 52
_ENOTSUP = 58
_ESPIPE = 70

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_CHARACTER_DEVICE = 2
_RIGHT_READ = 1 << 1
_RIGHT_WRITE = 1 << 6
_REALTIME = 0
_CLOCKS = 4
_NANOSECONDS = 1_000_000
_BEGIN = 1000
"""Milliseconds that the other clocks show when an invocation begins. Go takes a clock that shows none for broken."""

_MOST_VECTORS = 1024
_SUBSCRIPTION = 48
_MOST_SUBSCRIPTIONS = 64


def _strings(guest: Guest, what: str) -> list[bytes]:
    """Return the arguments or the environment, each ended as C wants it."""
    if what == "args":
        return [guest.grants.function.encode() + b"\0"]
    return [f"{name}={value}".encode() + b"\0" for name, value in guest.grants.environment.items()]


def _put_sizes(caller: Caller, arguments: tuple[int, ...], what: str) -> int:
    strings = _strings(caller.guest, what)
    caller.write_u32(arguments[0], len(strings))
    caller.write_u32(arguments[1], sum(map(len, strings)))
    return _SUCCESS


def _put_strings(caller: Caller, arguments: tuple[int, ...], what: str) -> int:
    pointers, buffer = arguments
    for number, string in enumerate(_strings(caller.guest, what)):
        caller.write_u32(pointers + 4 * number, buffer)
        caller.write(buffer, string)
        buffer += len(string)
    return _SUCCESS


def _args_sizes_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    return _put_sizes(caller, arguments, "args")


def _args_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    return _put_strings(caller, arguments, "args")


def _environ_sizes_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    return _put_sizes(caller, arguments, "environ")


def _environ_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    return _put_strings(caller, arguments, "environ")


def _clock_time_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    clock, _precision, pointer = arguments
    if clock >= _CLOCKS:
        return _EINVAL
    base = int(caller.guest.now * 1000) if clock == _REALTIME else _BEGIN
    caller.write(pointer, struct.pack("<Q", (base + caller.guest.elapsed_ms()) * _NANOSECONDS))
    return _SUCCESS


def _clock_res_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    clock, pointer = arguments
    if clock >= _CLOCKS:
        return _EINVAL
    caller.write(pointer, struct.pack("<Q", _NANOSECONDS))
    return _SUCCESS


def _random_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    pointer, length = arguments
    if length > MOST_RANDOM:
        return _EINVAL
    caller.write(pointer, caller.guest.grants.random(length))
    return _SUCCESS


def _vectors(caller: Caller, pointer: int, count: int) -> list[tuple[int, int]]:
    """Return (pointer, length) of each buffer of a scattered read or write."""
    if count > _MOST_VECTORS:
        raise GuestError("Runtime.InvalidArgument", f"at most {_MOST_VECTORS} buffers at a time")
    return [(at, length) for at, length in struct.iter_unpack("<II", caller.read(pointer, 8 * count))]


def _fd_write(caller: Caller, arguments: tuple[int, ...]) -> int:
    fd, vectors, count, written = arguments
    if fd not in {_STDOUT, _STDERR}:
        return _EBADF
    guest, size = caller.guest, 0
    for pointer, length in _vectors(caller, vectors, count):
        size += length
        if fd == _STDERR:
            guest.log.write(caller.read(pointer, length, most=guest.log.room))
        elif len(guest.output) <= guest.result_limit:
            # One byte too many is enough to know that the result is too large.
            guest.output += caller.read(pointer, length, most=guest.result_limit + 1 - len(guest.output))
    caller.write_u32(written, size & 0xFFFFFFFF)
    return _SUCCESS


def _fd_read(caller: Caller, arguments: tuple[int, ...]) -> int:
    fd, vectors, count, taken = arguments
    if fd != _STDIN:
        return _EBADF
    guest, size = caller.guest, 0
    for pointer, length in _vectors(caller, vectors, count):
        piece = guest.input[guest.read_so_far : guest.read_so_far + length]
        caller.write(pointer, piece)
        guest.read_so_far += len(piece)
        size += len(piece)
    caller.write_u32(taken, size)
    return _SUCCESS


def _fd_fdstat_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    fd, pointer = arguments
    if fd > _STDERR:
        return _EBADF
    rights = _RIGHT_READ if fd == _STDIN else _RIGHT_WRITE
    caller.write(pointer, struct.pack("<BxHxxxxQQ", _CHARACTER_DEVICE, 0, rights, 0))
    return _SUCCESS


def _fd_close(_caller: Caller, arguments: tuple[int, ...]) -> int:
    return _SUCCESS if arguments[0] <= _STDERR else _EBADF


def _fd_seek(_caller: Caller, arguments: tuple[int, ...]) -> int:
    return _ESPIPE if arguments[0] <= _STDERR else _EBADF


def _no_such_fd(_caller: Caller, _arguments: tuple[int, ...]) -> int:
    return _EBADF


def _sched_yield(_caller: Caller, _arguments: tuple[int, ...]) -> int:
    return _SUCCESS


def _poll_oneoff(caller: Caller, arguments: tuple[int, ...]) -> int:
    """Report every clock as elapsed at once."""
    subscriptions, events, count, ready = arguments
    if not 0 < count <= _MOST_SUBSCRIPTIONS:
        return _EINVAL
    told = [
        struct.pack("<Q24x", userdata)
        for userdata, tag in struct.iter_unpack("<QB39x", caller.read(subscriptions, _SUBSCRIPTION * count))
        if tag == 0
    ]
    if not told:
        return _ENOTSUP
    caller.write(events, b"".join(told))
    caller.write_u32(ready, len(told))
    return _SUCCESS


def _proc_exit(caller: Caller, arguments: tuple[int, ...]) -> int:
    """End the guest: a trap, which whoever runs it tells by the exit code."""
    caller.guest.exit_code = arguments[0]
    raise GuestError("Runtime.ExitError", f"exit status {arguments[0]}")


def _not_supported(_caller: Caller, _arguments: tuple[int, ...]) -> int:
    return _ENOSYS


WASI = (
    HostFunction(MODULE, "args_sizes_get", "i32 i32", "i32", _args_sizes_get),
    HostFunction(MODULE, "args_get", "i32 i32", "i32", _args_get),
    HostFunction(MODULE, "environ_sizes_get", "i32 i32", "i32", _environ_sizes_get),
    HostFunction(MODULE, "environ_get", "i32 i32", "i32", _environ_get),
    HostFunction(MODULE, "clock_time_get", "i32 i64 i32", "i32", _clock_time_get),
    HostFunction(MODULE, "clock_res_get", "i32 i32", "i32", _clock_res_get),
    HostFunction(MODULE, "random_get", "i32 i32", "i32", _random_get),
    HostFunction(MODULE, "fd_write", "i32 i32 i32 i32", "i32", _fd_write),
    HostFunction(MODULE, "fd_read", "i32 i32 i32 i32", "i32", _fd_read),
    HostFunction(MODULE, "fd_fdstat_get", "i32 i32", "i32", _fd_fdstat_get),
    HostFunction(MODULE, "fd_close", "i32", "i32", _fd_close),
    HostFunction(MODULE, "fd_seek", "i32 i64 i32 i32", "i32", _fd_seek),
    HostFunction(MODULE, "fd_prestat_get", "i32 i32", "i32", _no_such_fd),
    HostFunction(MODULE, "fd_prestat_dir_name", "i32 i32 i32", "i32", _no_such_fd),
    HostFunction(MODULE, "poll_oneoff", "i32 i32 i32 i32", "i32", _poll_oneoff),
    HostFunction(MODULE, "sched_yield", "", "i32", _sched_yield),
    HostFunction(MODULE, "proc_exit", "i32", "", _proc_exit),
)

_REST = frozenset(
    {
        "fd_advise",
        "fd_allocate",
        "fd_datasync",
        "fd_fdstat_set_flags",
        "fd_fdstat_set_rights",
        "fd_filestat_get",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_pread",
        "fd_pwrite",
        "fd_readdir",
        "fd_renumber",
        "fd_sync",
        "fd_tell",
        "path_create_directory",
        "path_filestat_get",
        "path_filestat_set_times",
        "path_link",
        "path_open",
        "path_readlink",
        "path_remove_directory",
        "path_rename",
        "path_symlink",
        "path_unlink_file",
        "proc_raise",
        "sock_accept",
        "sock_recv",
        "sock_send",
        "sock_shutdown",
    }
)


def stub(module: str, name: str, parameters: str, result: str) -> HostFunction | None:
    """Return a function that answers ENOSYS, where WASI has one of this name; it takes what the guest passes."""
    if module != MODULE or name not in _REST or result != "i32" or set(parameters.split()) - {"i32", "i64"}:
        return None
    return HostFunction(module, name, parameters, result, _not_supported)
