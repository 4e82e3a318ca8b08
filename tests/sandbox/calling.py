"""A program of the function's own that makes system calls: the way to the kernel that both languages have."""

import errno
import json
import os
import platform
import struct

from edgefn.sandbox.process.launch import Language
from tests.sandbox.probing import Probe

BASE = 0x400000
_HEADERS = 64 + 56

# For each entry of the table behind it: load number and six arguments, call, put the answer over the number. Then
# write the table out and end. The table's length stands before it.
_CODE = {
    "x86_64": (
        62,
        (
            "488d1d590000004c8b63f8488b03488b7b08488b7310488b53184c8b53204c8b43284c8b4b300f054889034883c33849ffcc75d7"
            "488d35250000004889da4829f2bf01000000b8010000000f0531ffb8e70000000f056690"
        ),
    ),
    "aarch64": (
        183,
        (
            "d3020010748e5ff873220091680240f9608640a9628e41a9649642a9010000d4600200f973e20091940600f101ffff5441010010"
            "620201cb200080d2080880d2010000d4000080d2c80b80d2010000d4"
        ),
    ),
}

Argument = int | bytes
Call = tuple[int, *tuple[Argument, ...]]

RUN = {
    Language.PYTHON: """
import struct, subprocess
done = subprocess.run(["/var/task/calls"], capture_output=True)
result = [done.returncode, [answer[0] for answer in struct.iter_unpack("=q48x", done.stdout)]]
""",
    Language.NODE: """
const done = require('child_process').spawnSync('/var/task/calls');
const answers = [];
for (let at = 0; at < done.stdout.length; at += 56) answers.push(Number(done.stdout.readBigInt64LE(at)));
return [done.status ?? -require('os').constants.signals[done.signal], answers];
""",
}


def program(calls: list[Call]) -> bytes:
    """Return an ELF file that makes the calls one by one; an argument of bytes is passed by its address."""
    machine, code = _CODE[platform.machine()]
    text = bytes.fromhex(code)
    address = BASE + _HEADERS + len(text) + 8 + 56 * len(calls)
    table, data = b"", b""
    for call in calls:
        row = []
        for argument in (*call, *(0,) * (7 - len(call))):
            if isinstance(argument, bytes):
                row.append(address + len(data))
                data += argument.ljust(-len(argument) % 8 + len(argument) + 8, b"\0")
            else:
                row.append(argument & 0xFFFFFFFFFFFFFFFF)
        table += struct.pack("=7Q", *row)
    image = text + struct.pack("=Q", len(calls)) + table + data
    return _elf(machine, image)


def _elf(machine: int, image: bytes) -> bytes:
    size = _HEADERS + len(image)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("=16sHHIQQQIHHHHHH", ident, 2, machine, 1, BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("=IIQQQQQQ", 1, 7, 0, BASE, BASE, size, size, 0x1000)
    return head + segment + image


def put(probe: Probe, content: bytes) -> None:
    """Put a program into the function's bundle."""
    path = os.path.join(probe.slot, "calls")
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o755)


async def run(probe: Probe, language: Language, content: bytes) -> tuple[int, list[int]]:
    """Run a program in the sandbox; return its exit status, negative for a signal, and what its calls answered."""
    put(probe, content)
    found = json.loads(json.dumps(await probe.ask(RUN[language])))
    return found[0], found[1]


async def answers(probe: Probe, language: Language, calls: dict[str, Call]) -> dict[str, str]:
    """Return what each call came to: the name of its error, or "done"."""
    status, found = await run(probe, language, program(list(calls.values())))
    assert (status, len(found)) == (0, len(calls))
    words = ["done" if answer >= 0 else errno.errorcode[-answer] for answer in found]
    return dict(zip(calls, words, strict=True))
