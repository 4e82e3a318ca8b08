"""What a hostile function does whatever it is written in: by a program of its own, and by what its language offers."""

import asyncio
import platform
import signal
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.sandbox.process.launch import Language
from edgefn.sandbox.process.syscalls import MACHINES, forbidden, harmless, judged, unaccounted
from edgefn.sandbox.process.tiers import Tier
from tests.sandbox.calling import Call, answers, program, run
from tests.sandbox.probing import PATIENCE, Laboratory, Probe, laboratory, namespace_of, processes_in
from tests.sandbox.stage import until

MACHINE = MACHINES[platform.machine()]
HARMLESS, JUDGED, FORBIDDEN = harmless(MACHINE), judged(MACHINE), forbidden(MACHINE)
CLONE_NAMESPACES = (0x10000000, 0x40000000, 0x20000, 0x20000000, 0x2000000, 0x4000000, 0x8000000)
HUGE = struct.pack("=QQ", 1 << 20, 1 << 20)


@pytest.fixture(params=list(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory() as made:
        yield made


@pytest.fixture
async def probe(lab: Laboratory, language: Language) -> Probe:
    return await lab.start(language)


async def test_a_program_of_the_bundle_runs_and_is_refused_what_is_forbidden(probe: Probe, language: Language) -> None:
    calls: dict[str, Call] = {name: (number,) for name, number in FORBIDDEN.items()}
    calls["getpid"] = (HARMLESS["getpid"],)
    assert await answers(probe, language, calls) == {**dict.fromkeys(FORBIDDEN, "EPERM"), "getpid": "done"}


async def test_no_namespace_no_device_no_rank_is_to_be_had(probe: Probe, language: Language) -> None:
    mknod = HARMLESS["mknodat"]
    calls: dict[str, Call] = {
        **{f"clone {flag:x}": (JUDGED["clone"], flag | 17) for flag in CLONE_NAMESPACES},
        **{f"unshare {flag:x}": (FORBIDDEN["unshare"], flag) for flag in CLONE_NAMESPACES},
        "character device": (mknod, -100, b"/tmp/c", 0o020666, 0x101),
        "block device": (mknod, -100, b"/tmp/b", 0o060666, 0xFE00),
        **{f"type {request:x}": (JUDGED["ioctl"], 0, request, b"x") for request in (0x5412, 0x541C, 0x5423)},
        "audit": (JUDGED["socket"], 16, 3, 9),
        "netfilter": (JUDGED["socket"], 16, 3, 12),
        "raw": (JUDGED["socket"], 2, 3, 1),
        "nofile": (HARMLESS["prlimit64"], 0, 7, HUGE, 0),
        "nproc": (HARMLESS["prlimit64"], 0, 6, HUGE, 0),
        "data": (HARMLESS["prlimit64"], 0, 2, struct.pack("=qq", -1, -1), 0),
        "core": (HARMLESS["prlimit64"], 0, 4, HUGE, 0),
    }
    assert await answers(probe, language, calls) == dict.fromkeys(calls, "EPERM")
    others: dict[str, Call] = {
        "setuid": (HARMLESS["setuid"], 0),
        "setgid": (HARMLESS["setgid"], 0),
        "setresuid": (HARMLESS["setresuid"], 1, 1, 1),
        "setgroups": (HARMLESS["setgroups"], 1, struct.pack("=I", 0)),
        "nice": (HARMLESS["setpriority"], 0, 0, -5),
        "clone3": (435, b"\0" * 88, 88),
        "mlock": (HARMLESS["mlockall"], 3),
        **{f"family {family}": (JUDGED["socket"], family, 1, 0) for family in (17, 31, 38, 40, 44)},
    }
    found = await answers(probe, language, others)
    assert set(found.values()) <= {"EPERM", "EINVAL", "EACCES", "ENOSYS", "EAFNOSUPPORT", "ENOMEM"}, found


async def test_memory_that_no_limit_counts_is_not_given(lab: Laboratory, probe: Probe, language: Language) -> None:
    """Where a cgroup counts it, it is given."""
    calls: dict[str, Call] = {name: (number, 0, 4096, 0o600) for name, number in unaccounted(MACHINE).items()}
    found = await answers(probe, language, calls | {"mmap": (JUDGED["mmap"], 0, 1 << 20, 3, 0x21, -1, 0)})
    if lab.launcher.tier is Tier.FULL:
        assert "ENOSYS" not in found.values()
    else:
        assert found == {**dict.fromkeys(calls, "ENOSYS"), "mmap": "ENOMEM"}


async def test_the_32_bit_gate_kills_and_x32_is_not_spoken(probe: Probe, language: Language) -> None:
    """aarch64 has no second tongue here: a call that does not exist stands for it."""
    number = 0x40000000 | 39 if MACHINE.x32 else 999
    assert await answers(probe, language, {"getpid": (number,)}) == {"getpid": "ENOSYS"}
    if MACHINE.x32:
        plain = program([(0,)])
        gate = bytes.fromhex("b814000000cd80")  # mov eax, 20; int 0x80
        status, _ = await run(probe, language, plain[:120] + gate + plain[120 + len(gate) :])
        assert status == -signal.SIGSYS


SIGNALS = {
    Language.PYTHON: """
import os, signal
for pid, number in ((1, 9), (1, 15), (-1, 1), (os.getppid(), 2)):
    try:
        os.kill(pid, number)
    except OSError:
        pass
result = os.listdir("/proc").count("1")
""",
    Language.NODE: """
process.on('SIGHUP', () => {});
for (const [pid, number] of [[1, 'SIGKILL'], [1, 'SIGTERM'], [-1, 'SIGHUP'], [process.ppid, 'SIGINT']]) {
  try { process.kill(pid, number); } catch {}
}
return require('fs').readdirSync('/proc').filter((name) => name === '1').length;
""",
}


async def test_signals_stay_inside(lab: Laboratory, probe: Probe, language: Language) -> None:
    neighbour = await lab.start()
    assert await probe.ask(SIGNALS[language]) == 1
    assert await neighbour.ask("result = 'alive'") == "alive"


MEM = {
    Language.PYTHON: """
import errno, os
def attempt(path, flags):
    try:
        os.close(os.open(path, flags))
        return "opened"
    except OSError as error:
        return errno.errorcode[error.errno]
result = [attempt(path, os.O_RDWR) for path in ("/proc/1/mem", "/proc/1/oom_score_adj", "/proc/1/attr/current")]
result += [attempt(path, os.O_RDONLY) for path in ("/proc/1/environ", "/proc/1/maps")]
""",
    Language.NODE: """
const fs = require('fs');
const attempt = (path, flags) => {
  try { fs.closeSync(fs.openSync(path, flags)); return 'opened'; } catch (error) { return error.code; }
};
return [...['/proc/1/mem', '/proc/1/oom_score_adj', '/proc/1/attr/current'].map((path) => attempt(path, 'r+')),
  ...['/proc/1/environ', '/proc/1/maps'].map((path) => attempt(path, 'r'))];
""",
}

PID_1 = """
status = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
result = [status[name].strip() for name in ("Seccomp", "NoNewPrivs", "CapEff", "CapPrm", "CapBnd")]
"""


async def test_pid_1_has_nothing_to_be_gained(lab: Laboratory, probe: Probe, language: Language) -> None:
    """Its memory may be written where the kernel lets the same user do it; it has no right that they have not."""
    found = await probe.ask(MEM[language])
    assert isinstance(found, list)
    assert set(found) <= {"EACCES", "EPERM", "opened"}
    nothing = "0" * 16
    seer = await lab.start(Language.PYTHON)
    assert await seer.ask(PID_1) == ["2", "1", nothing, nothing, nothing]


OOM = {
    Language.PYTHON: """
import errno
def put(path, value):
    try:
        with open(path, "w") as file:
            file.write(value)
    except OSError as error:
        return errno.errorcode[error.errno]
put("/proc/self/oom_score_adj", "%d")
result = int(open("/proc/self/oom_score_adj").read())
""",
    Language.NODE: """
const fs = require('fs');
try { fs.writeFileSync('/proc/self/oom_score_adj', '%d'); } catch {}
return Number(fs.readFileSync('/proc/self/oom_score_adj', 'utf8'));
""",
}


def our_oom_score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


async def test_it_dies_before_the_proxy_whatever_it_says(probe: Probe, language: Language) -> None:
    """It may go down to where an ancestor with the right to has been; so never below the proxy itself."""
    proxy = our_oom_score()
    for wish in (-1000, -500, proxy - 1):
        found = await probe.ask(OOM[language] % max(wish, -1000))
        assert isinstance(found, int)
        assert found >= proxy


PIPES = {
    Language.PYTHON: """
import os, socket
held = []
written = 0
try:
    while True:
        near, far = os.pipe() if len(held) % 2 else [end.detach() for end in socket.socketpair()]
        held.append((near, far))
        os.set_blocking(far, False)
        try:
            while True:
                written += os.write(far, bytes(65536))
        except BlockingIOError:
            pass
except OSError:
    pass
result = [len(held), written]
""",
    Language.NODE: """
const { spawn } = require('child_process');
const fs = require('fs');
let held = 0, written = 0;
const piece = Buffer.alloc(65536);
for (; held < 400; held += 1) {
  const child = spawn('/usr/bin/prlimit', ['--pid', '1'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.on('error', () => {});
  if (child.pid === undefined) break;
  for (const stream of child.stdio) stream?.on('error', () => {});
  try { for (;;) written += fs.writeSync(child.stdin._handle.fd, piece); } catch {}
}
return [held, written];
""",
}


async def test_what_the_kernel_keeps_for_pipes_and_sockets_is_bounded_and_given_back(
    lab: Laboratory, language: Language
) -> None:
    neighbour, hoarder = await lab.start(), await lab.start(language, memory=256)
    found = await hoarder.ask(PIPES[language])
    assert isinstance(found, list)
    assert found[0] < 1024
    assert found[1] < 256 << 20
    assert await neighbour.ask("import os\nr, w = os.pipe()\nresult = os.write(w, b'x')") == 1
    assert await asyncio.wait_for(hoarder.end(), PATIENCE) == -signal.SIGKILL


SPARSE = {
    Language.PYTHON: """
import os
with open("/tmp/sparse", "wb") as file:
    file.truncate(1 << 40)
result = [os.stat("/tmp/sparse").st_size, os.stat("/tmp/sparse").st_blocks]
""",
    Language.NODE: """
const fs = require('fs');
fs.closeSync(fs.openSync('/tmp/sparse', 'w'));
fs.truncateSync('/tmp/sparse', 2 ** 40);
const { size, blocks } = fs.statSync('/tmp/sparse');
return [size, blocks];
""",
}


async def test_a_hole_of_a_terabyte_takes_no_room(probe: Probe, language: Language) -> None:
    assert await probe.ask(SPARSE[language]) == [1 << 40, 0]


HOARD = {
    Language.PYTHON: "for n in range(10**7):\n    open(f'/tmp/{n}', 'w').close()",
    Language.NODE: "const fs = require('fs');\nfor (let n = 0; ; n += 1) fs.closeSync(fs.openSync(`/tmp/${n}`, 'w'));",
}


async def test_a_hoard_of_empty_files_is_the_end(lab: Laboratory, language: Language) -> None:
    hoarder = await lab.start(language)
    await hoarder.send(HOARD[language])
    with pytest.raises((EOFError, ConnectionResetError)):
        await hoarder.answer()
    assert await asyncio.wait_for(hoarder.process.gone(), PATIENCE) == -signal.SIGKILL


DAEMONS = {
    Language.PYTHON: """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    os.close(3)
    while True: pass
""",
    Language.NODE: """
const { spawn } = require('child_process');
for (let n = 0; n < 2; n += 1) {
  const script = 'process.on("SIGTERM", () => {}); for (;;);';
  spawn(process.execPath, ['-e', script], { detached: true, stdio: 'ignore' }).unref();
}
""",
}


async def test_what_detaches_itself_dies_with_the_sandbox(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language, memory=512)
    namespace = namespace_of(probe)
    await probe.ask(DAEMONS[language])
    await until(lambda: len(processes_in(namespace)) == 4)
    assert await asyncio.wait_for(probe.end(), PATIENCE) == -signal.SIGKILL
    assert processes_in(namespace) == []


CRASH = {
    Language.PYTHON: "import os, signal\nos.chdir('/tmp')\nos.kill(os.getpid(), signal.SIGSEGV)",
    Language.NODE: "process.chdir('/tmp'); process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {});",
}


async def test_a_crash_leaves_no_core(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language)
    await probe.send(CRASH[language])
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == -signal.SIGSEGV


FORK_BOMBS = {
    Language.PYTHON: "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    Language.NODE: """
const { Worker } = require('worker_threads');
const workers = [];
for (;;) { workers.push(new Worker('for (;;);', { eval: true, resourceLimits: { maxOldGenerationSizeMb: 1 } })); }
""",
}


async def test_a_bomb_that_never_ends_is_killed_and_the_neighbour_answers(lab: Laboratory, language: Language) -> None:
    neighbour, bomber = await lab.start(), await lab.start(language, memory=256)
    namespace = namespace_of(bomber)
    await bomber.send(FORK_BOMBS[language])
    for _ in range(5):
        fork = "import os\npid = os.fork()\nif not pid: os._exit(0)\nresult = os.waitpid(pid, 0)[1]"
        assert await neighbour.ask(fork) == 0
    await asyncio.wait_for(bomber.end(), PATIENCE)
    assert processes_in(namespace) == []
