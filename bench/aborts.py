"""Do ten thousand viewers that leave while a guest spins for them leave anything behind?

    python -m bench.aborts [--count 10000] [--json FILE]

Each asks on a socket of its own, and resets it while its guest is in an endless loop; 25 at a time. Half of the guests
spin at viewer-request, half at origin-request. Told are the descriptors of the server before and after, its memory
before and after each quarter, and whether the function still answers. It takes about two minutes.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
import time
from pathlib import Path

from wasmtime import wat2wasm

from bench import peers
from bench.load import commit

AT_ONE_TIME = 25
_RESET = struct.pack("ii", 1, 0)

_SPINS_AT_A_TILDE = """(module (memory (export "memory") 1) (data (i32.const 16) "{\\"status\\":\\"200\\"}")
    (func (export "alloc") (param i32) (result i32) (i32.const 4096))
    (func (export "handle") (param $at i32) (param $size i32) (result i64)
        (loop $next
            (loop $for_ever (br_if $for_ever (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x7e))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (local.tee $size (i32.sub (local.get $size) (i32.const 1)))))
        (i64.const 0x0000001000000010)))"""

_CONFIG = """\
location: ben1
listen: 127.0.0.1:{port}
admin: off
data_dir: {home}/var
access_log: off
function_log: off
origins:
  app: {{url: "http://127.0.0.1:9"}}
functions:
  spins: {{path: {home}/spins.wasm, runtime: wasm, timeout: 5s, concurrency: 60}}
routes:
  - {{path: /door/*, origin: app, hooks: {{viewer-request: spins}}}}
  - {{path: "*", origin: app, cache: {{policy: CachingDisabled}}, hooks: {{origin-request: spins}}}}
"""


async def answered(port: int, path: str) -> int:
    """Return the status of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(30):
        status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def abort(port: int, count: int) -> None:
    """Ask `count` times, and leave each time."""
    for number in range(0, count, AT_ONE_TIME):
        path = ("/door/~", "/origin/~")[number // AT_ONE_TIME % 2]
        opened = await asyncio.gather(*[asyncio.open_connection("127.0.0.1", port) for _ in range(AT_ONE_TIME)])
        for _, writer in opened:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        if await answered(port, "/door/good") != 200:  # by then the others have begun: sockets are served in turn
            raise RuntimeError("the function does not answer any more")
        for _, writer in opened:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


async def settled(pid: int, most: int) -> int:
    """Return how many descriptors the server has, waiting up to five seconds for `most` or fewer."""
    for _ in range(100):
        if len(os.listdir(f"/proc/{pid}/fd")) <= most:
            break
        await asyncio.sleep(0.05)
    return len(os.listdir(f"/proc/{pid}/fd"))


async def measured(port: int, server: peers.Running, count: int) -> dict[str, object]:
    await abort(port, 20 * AT_ONE_TIME)
    files = await settled(server.pid, 0)
    memory, began = [server.memory()], time.monotonic()
    for _ in range(4):
        await abort(port, count // 4)
        memory.append(server.memory())
    took = time.monotonic() - began
    return {
        "commit": commit(),
        "aborted": count,
        "seconds": round(took, 1),
        "descriptors": [files, await settled(server.pid, files)],
        "memory_mb": [round(held / 1024**2, 1) for held in memory],
        "answers": [await answered(port, "/door/good"), await answered(port, "/origin/good")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    peers.need("taskset")
    with peers.scratch() as directory, contextlib.ExitStack() as running:
        (directory / "spins.wasm").write_bytes(wat2wasm(_SPINS_AT_A_TILDE))
        port = peers.free_port()
        command = peers.edgefn(directory, "edge", _CONFIG.format(port=port, home=directory))
        server = running.enter_context(peers.started(command, port, peers.PROXY_CORE))
        told = asyncio.run(measured(port, server, given.count))
    text = json.dumps(told)
    print(text)
    if given.json:
        given.json.write_text(text)
    match told:
        case {"descriptors": [int(before), int(after)], "answers": [200, 200]} if after <= before:
            return
    sys.exit("something was left behind")


if __name__ == "__main__":
    main()
