"""Takes on Landlock rules and a filter on system calls, then becomes the program that its arguments name.

Run as: confine.py NUMBER PROGRAM ARGUMENT..., where a file with the rules is open as the descriptor NUMBER. Runs on the
standard library alone, in whatever Python is there. What goes wrong ends it, before the program starts.
"""

import ctypes
import json
import os
import stat
import struct
import sys

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_FOR_FILES = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 14) | (1 << 15)

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def checked(result: int, what: str) -> int:
    """Return the result of a call. Raises OSError for a failed one."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def landlock(handled: "list[int]", rules: "list[tuple[str, int]]") -> None:
    """Keep this process, and all that it starts, to the rules."""
    attributes = struct.pack("=QQQ", *handled)
    size = ctypes.c_size_t(len(attributes))
    ruleset = checked(
        _LIBC.syscall(ctypes.c_long(_CREATE_RULESET), attributes, size, ctypes.c_uint32(0)), "landlock_create_ruleset"
    )
    kind, flags = ctypes.c_int(_PATH_BENEATH), ctypes.c_uint32(0)
    for path, rights in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allowed = rights if stat.S_ISDIR(os.fstat(place).st_mode) else rights & _FOR_FILES
        rule = struct.pack("=Qi", allowed, place)
        checked(_LIBC.syscall(ctypes.c_long(_ADD_RULE), ctypes.c_int(ruleset), kind, rule, flags), path)
        os.close(place)
    checked(_LIBC.syscall(ctypes.c_long(_RESTRICT_SELF), ctypes.c_int(ruleset), flags), "landlock_restrict_self")
    os.close(ruleset)


def seccomp(program: bytes) -> None:
    """Put every call from now on through the filter."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    asked = Program(len(program) // 8, program)
    nothing = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_FILTER)
    checked(_LIBC.prctl(_SECCOMP, mode, ctypes.byref(asked), nothing, nothing), "prctl(PR_SET_SECCOMP)")


def main() -> None:
    """Read the rules, take them on, and become the program."""
    number, *argv = sys.argv[1:]
    with open(int(number), "rb") as file:
        document = json.load(file)
    one, nothing = ctypes.c_ulong(1), ctypes.c_ulong(0)
    checked(_LIBC.prctl(_NO_NEW_PRIVILEGES, one, nothing, nothing, nothing), "prctl(PR_SET_NO_NEW_PRIVS)")
    landlock(document["handled"], document["rules"])
    seccomp(bytes.fromhex(document["filter"]))
    os.execv(argv[0], argv)  # noqa: S606  # our own chain


main()
