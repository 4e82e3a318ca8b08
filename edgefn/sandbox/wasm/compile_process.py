"""The process that compiles: a module on standard input, native code on standard output.

It is a process of its own because compiling takes all cores for seconds, and reads what a stranger wrote.
"""

import os
import resource
import sys

from wasmtime import Engine, Module, WasmtimeError

from edgefn.sandbox.wasm.engine import code_config

REFUSED = 3
"""The exit status that says: not a valid module; standard error tells why."""

_NICENESS = 10
_CPU_SECONDS = 300
_DATA = 4 * 1024**3
_OUTPUT = 1024**3


def _confine() -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_DATA, _DATA),
        (resource.RLIMIT_FSIZE, _OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (most, most))
    os.nice(_NICENESS)


def main() -> int:
    """Compile standard input to standard output; return the exit status."""
    _confine()
    source = sys.stdin.buffer.read()
    try:
        code = Module(Engine(code_config()), source).serialize()
    except WasmtimeError as error:
        sys.stderr.write(str(error))
        return REFUSED
    sys.stdout.buffer.write(code)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
