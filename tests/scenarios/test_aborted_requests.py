"""Viewers that leave while a guest works for them: the guest goes with them."""

import asyncio
import os
import resource
import socket
import struct
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.fakes.website import Website
from tests.scenarios.edge import Edge

AT_ONE_TIME = 25
ABORTED = 500

SPINS_AT_A_TILDE = wat2wasm("""(module (memory (export "memory") 1) (data (i32.const 16) "{\\"status\\":\\"200\\"}")
    (func (export "alloc") (param i32) (result i32) (i32.const 4096))
    (func (export "handle") (param $at i32) (param $size i32) (result i64)
        (loop $next
            (loop $for_ever (br_if $for_ever (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x7e))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (local.tee $size (i32.sub (local.get $size) (i32.const 1)))))
        (i64.const 0x0000001000000010)))""")

CONFIGURATION = """
origins: {app: {url: "http://{origin}"}}
functions:
  spins: {path: spins.wasm, runtime: wasm, timeout: 30s, concurrency: 60}
routes:
  - {path: /door/*, origin: app, hooks: {viewer-request: spins}}
  - {path: /origin/*, origin: app, cache: {policy: CachingDisabled}, hooks: {origin-request: spins}}
  - {path: "*", origin: app}
"""


def resident() -> int:
    """Return the bytes of memory that this process holds in RAM."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def abort(edge: Edge, path: str, count: int) -> None:
    """Ask `count` times, on sockets that are reset once the guest has begun to spin."""
    host, port = edge.base.removeprefix("http://").split(":")
    for _ in range(0, count, AT_ONE_TIME):
        opened = await asyncio.gather(*[asyncio.open_connection(host, int(port)) for _ in range(AT_ONE_TIME)])
        for _, writer in opened:
            writer.write(f"GET {path}/~ HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        # An answer shows that the requests before it have been taken up: the location looks at its sockets in turn.
        assert (await edge.get("/door/good")).status == 200
        for _, writer in opened:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@pytest.mark.parametrize("path", ["/door", "/origin"])
async def test_aborted_requests_leave_nothing_behind(tmp_path: Path, path: str) -> None:
    (tmp_path / "spins.wasm").write_bytes(SPINS_AT_A_TILDE)
    async with Website() as site, Edge(CONFIGURATION, tmp_path, origin=site.address) as edge:
        await abort(edge, path, 3 * AT_ONE_TIME)
        memory, files = resident(), descriptors()

        await abort(edge, path, ABORTED)

        # More guests than `concurrency` have spun, and each would have spun for thirty seconds.
        assert (await edge.get(f"{path}/good")).status == 200
        assert descriptors() <= files + AT_ONE_TIME
        assert resident() - memory < 16 * 1024 * 1024
