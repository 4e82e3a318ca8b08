"""The system calls that a hostile function would make: each is answered with a refusal, in a real sandbox."""

import json
import platform
from collections.abc import AsyncIterator

import pytest

from edgefn.sandbox.process.launch import Language
from edgefn.sandbox.process.syscalls import MACHINES, forbidden, judged, unaccounted
from edgefn.sandbox.process.tiers import Tier
from tests.sandbox.probing import Laboratory, Probe, laboratory

MACHINE = MACHINES[platform.machine()]


@pytest.fixture
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory() as made:
        yield made


@pytest.fixture
async def probe(lab: Laboratory) -> Probe:
    return await lab.start()


RAW = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return errno.errorcode[ctypes.get_errno()] if answer == -1 else "done"
"""


async def test_every_forbidden_call_is_refused_for_good(probe: Probe) -> None:
    numbers = forbidden(MACHINE)
    found = await probe.ask(
        RAW + f"result = {{name: call(n, 0, 0, 0, 0, 0) for name, n in {json.dumps(numbers)}.items()}}"
    )
    assert found == dict.fromkeys(numbers, "EPERM")


async def test_memory_that_no_limit_counts_is_not_given(lab: Laboratory) -> None:
    """Where a cgroup counts it, it is given."""
    probe = await lab.start()
    numbers = unaccounted(MACHINE)
    found = await probe.ask(
        RAW + f"result = {{name: call(n, 0, 4096, 0o600) for name, n in {json.dumps(numbers)}.items()}}"
    )
    assert isinstance(found, dict)
    assert set(found) == set(numbers)
    code = """
import mmap
def get(path):
    try:
        descriptor = open(path, "r+b").fileno() if path else -1
        mmap.mmap(descriptor, 1 << 20, flags=mmap.MAP_SHARED)
        return "given"
    except OSError:
        return "refused"
result = [get(""), get("/dev/zero")]
"""
    shared = await probe.ask(code)
    if lab.launcher.tier is Tier.FULL:
        assert "ENOSYS" not in found.values()
    else:
        assert (set(found.values()), shared) == ({"ENOSYS"}, ["refused", "refused"])


async def test_no_new_namespace_by_any_door(probe: Probe) -> None:
    code = f"""
clone, clone3 = {judged(MACHINE)["clone"]}, 435
unshare, setns = {forbidden(MACHINE)["unshare"]}, {forbidden(MACHINE)["setns"]}
result = [call(unshare, flag) for flag in (0x10000000, 0x40000000, 0x20000, 0x20000000)]
result += [call(clone, flag | 17, 0, 0, 0, 0) for flag in (0x10000000, 0x40000000, 0x20000)]
result += [call(clone3, 0, 0), call(setns, 0, 0)]
"""
    assert await probe.ask(RAW + code) == [*["EPERM"] * 7, "ENOSYS", "EPERM"]


async def test_sockets_of_strange_families_are_not_made(probe: Probe) -> None:
    code = """
import errno, socket
def make(family, kind, protocol):
    try:
        socket.socket(family, kind, protocol).close()
        return "made"
    except OSError as error:
        return errno.errorcode[error.errno]
result = {
    "raw": make(2, 3, 1), "packet": make(17, 3, 0), "xdp": make(44, 3, 0), "bluetooth": make(31, 3, 1),
    "alg": make(38, 5, 0), "vsock": make(40, 1, 0), "audit": make(16, 3, 9), "netfilter": make(16, 3, 12),
    "inet": make(2, 1, 0), "unix": make(1, 1, 0),
}
"""
    unknown = dict.fromkeys(("packet", "xdp", "bluetooth", "alg", "vsock"), "EAFNOSUPPORT")
    refused = dict.fromkeys(("raw", "audit", "netfilter"), "EPERM")
    assert await probe.ask(code) == {**unknown, **refused, "inet": "made", "unix": "made"}


ATTEMPT = """
import errno, os
def attempt(what, *arguments):
    try:
        what(*arguments)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
    except ValueError:  # of setrlimit, for what it may not do
        return "EPERM"
"""


async def test_it_stays_who_it_is(probe: Probe) -> None:
    code = """
result = [attempt(os.setuid, 0), attempt(os.setgid, 0), attempt(os.setgroups, [0]), attempt(os.setresuid, 1, 1, 1)]
result.append(attempt(os.mknod, "/tmp/device", 0o600 | 0o020000, os.makedev(1, 1)))
result.append(attempt(os.mknod, "/tmp/device", 0o600 | 0o060000, os.makedev(254, 0)))
"""
    found = await probe.ask(ATTEMPT + code)
    assert isinstance(found, list)
    assert set(found) <= {"EPERM", "EINVAL"}


async def test_limits_are_not_raised(probe: Probe) -> None:
    code = """
import ctypes, resource
limits = [resource.getrlimit(r) for r in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)]
result = [attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (4096, 4096)),
          attempt(resource.setrlimit, resource.RLIMIT_NPROC, (100000, 100000)),
          attempt(resource.setrlimit, resource.RLIMIT_CORE, (-1, -1)),
          attempt(resource.setrlimit, resource.RLIMIT_DATA, (-1, -1)),
          attempt(os.setpriority, os.PRIO_PROCESS, 0, -5),
          attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))]
libc = ctypes.CDLL(None, use_errno=True)
memory = ctypes.create_string_buffer(8 << 20)
result.append(errno.errorcode[ctypes.get_errno()] if libc.mlock(memory, len(memory)) else "locked")
result.append(limits)
"""
    *attempts, limits = await probe.ask(ATTEMPT + code)  # type: ignore[misc]
    assert set(attempts) <= {"EPERM", "EACCES", "ENOMEM"}
    assert limits[0] == [0, 0]
    assert limits[1] == [1024, 1024]
    assert limits[2][1] in (256, 1024)


async def test_nothing_can_be_typed_into_a_terminal(probe: Probe) -> None:
    code = """
import fcntl, pty
result = [attempt(fcntl.ioctl, 0, request, b"x") for request in (0x5412, 0x541C, 0x5423)]
result.append(attempt(os.open, "/dev/tty", os.O_RDWR))
"""
    *requests, terminal = await probe.ask(ATTEMPT + code)  # type: ignore[misc]
    assert requests == ["EPERM"] * 3
    assert terminal in ("ENXIO", "ENOENT", "EACCES", "EIO")


INT_80 = """
import ctypes, mmap, os
page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                 prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")
child = os.fork()
if child == 0:
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    os._exit(0)
result = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), call(0x40000000 | 39)]
"""


async def test_the_other_tongues_of_the_processor_are_not_spoken(probe: Probe) -> None:
    """On x86_64 the 32-bit gate kills, and the x32 numbers do not exist; aarch64 has no second tongue here."""
    speak = INT_80 if MACHINE.x32 else "result = [-31, 'ENOSYS']"
    assert await probe.ask(RAW + speak) == [-31, "ENOSYS"]


async def test_signals_stay_inside(probe: Probe) -> None:
    code = """
import errno, os, signal
def attempt(*arguments):
    try:
        os.kill(*arguments)
        return "sent"
    except OSError as error:
        return errno.errorcode[error.errno]
attempt(1, signal.SIGKILL)
attempt(os.getppid(), signal.SIGTERM)
attempt(-1, signal.SIGHUP)
memory = None
try:
    memory = os.open("/proc/1/mem", os.O_RDWR)
except OSError as error:
    pass
result = [os.path.exists("/proc/1/stat"), os.getppid()]
"""
    assert await probe.ask(code) == [True, 1]


async def test_usual_programs_still_run_under_the_filter(probe: Probe) -> None:
    code = """
import asyncio, hashlib, os, sqlite3, ssl, subprocess, sys, threading, zlib, concurrent.futures, selectors, tempfile
async def echo():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await r.read() == b""
    w.close()
    server.close()
asyncio.run(echo())
ssl.create_default_context()
sqlite3.connect(":memory:").execute("select 1")
with concurrent.futures.ThreadPoolExecutor() as pool:
    assert sum(pool.map(abs, range(10))) == 45
with tempfile.NamedTemporaryFile() as file:
    file.write(zlib.compress(os.urandom(1000)))
result = subprocess.run([sys.executable, "-I", "-S", "-c", "print(6 * 7)"], capture_output=True, text=True).stdout
"""
    assert await probe.ask(code) == "42\n"


async def test_usual_node_programs_still_run_under_the_filter(lab: Laboratory) -> None:
    code = """
const { Worker } = require('worker_threads');
const http = require('http'); const zlib = require('zlib'); const crypto = require('crypto');
const server = http.createServer((q, s) => s.end('hi')).listen(0);
const port = server.address().port;
const text = await new Promise((ok) => http.get({ port }, (r) => r.on('data', (d) => ok(String(d)))));
server.close();
const sum = await new Promise((ok) => new Worker('require("worker_threads").parentPort.postMessage(42)', { eval: true })
  .on('message', ok));
const child = require('child_process').execFileSync(process.execPath, ['-p', '6*7']).toString();
zlib.gunzipSync(zlib.gzipSync(crypto.randomBytes(1000)));
await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
return [text, sum, child];
"""
    probe = await lab.start(Language.NODE, memory=256)
    assert await probe.ask(code) == ["hi", 42, "42\n"]
