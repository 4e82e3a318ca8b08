"""The module `edgefn` that guests may import from: log, key-value store, time, random."""

from edgefn.sandbox.wasm.guest import GuestError
from edgefn.sandbox.wasm.imports import Caller, HostFunction

MOST_RANDOM = 64 * 1024
"""Bytes of randomness in one call: a host function can't be interrupted."""

_KEY_SIZE = 1024
_MISSING = -1


def _log(caller: Caller, arguments: tuple[int, ...]) -> int:
    """Log a message."""
    pointer, length = arguments
    log = caller.guest.log
    log.message(caller.read(pointer, length, most=log.room))
    return 0


def _now(caller: Caller, _arguments: tuple[int, ...]) -> float:
    """Return the Unix time in milliseconds at which the invocation began; it stands still."""
    return float(int(caller.guest.now * 1000))


def _random(caller: Caller, arguments: tuple[int, ...]) -> int:
    """Fill a buffer."""
    pointer, length = arguments
    if length > MOST_RANDOM:
        raise GuestError("Runtime.InvalidArgument", f"edgefn.random gives at most {MOST_RANDOM} bytes at a time")
    caller.write(pointer, caller.guest.grants.random(length))
    return 0


def _kv_get(caller: Caller, arguments: tuple[int, ...]) -> int:
    """Put a key's value into the buffer if it fits there; return the value's size, or -1 where there is none."""
    key_pointer, key_length, pointer, room = arguments
    values = caller.guest.grants.values
    key = caller.read(key_pointer, key_length, most=_KEY_SIZE + 1)
    value = values(key) if values is not None and len(key) <= _KEY_SIZE else None
    if value is None:
        return _MISSING
    if len(value) <= room:
        caller.write(pointer, value)
    return len(value)


EDGEFN = (
    HostFunction("edgefn", "log", "i32 i32", "", _log),
    HostFunction("edgefn", "now", "", "f64", _now),
    HostFunction("edgefn", "random", "i32 i32", "", _random),
    HostFunction("edgefn", "kv_get", "i32 i32 i32 i32", "i32", _kv_get),
)
