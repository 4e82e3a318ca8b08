"""A hostile function takes all it can get: it hits its own limits, its neighbours go on, and killing it ends it all."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.sandbox.process.launch import Language
from tests.sandbox.probing import PATIENCE, PROBES, Laboratory, Probe, laboratory, namespace_of, processes_in


@pytest.fixture
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory() as made:
        yield made


async def ends_at_once(probe: Probe) -> None:
    """Kill a sandbox and see that no process of it is left by the time that it is said to be gone."""
    namespace = namespace_of(probe)
    assert processes_in(namespace)
    started = time.monotonic()
    assert await probe.end() == -signal.SIGKILL
    assert time.monotonic() - started < 5
    assert processes_in(namespace) == []


FORK_BOMB = """
import errno, os, signal
count = 0
result = None
while count < 5000:
    try:
        child = os.fork()
    except OSError as error:
        result = [count, errno.errorcode[error.errno]]
        break
    if child == 0:
        while True:
            signal.pause()
    count += 1
"""

THREAD_BOMB = """
import threading
threading.stack_size(65536)
stop = threading.Event()
count, result = 0, None
while count < 5000:
    try:
        threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError as error:
        result = [count, "EAGAIN"]
        break
    count += 1
"""

SPAWN_BOMB = """
const { spawn } = require('child_process');
for (let count = 0; count < 5000; count += 1) {
  const child = spawn('/usr/bin/prlimit', ['--help'], { stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', () => {});
  if (child.pid === undefined) return [count, 'EAGAIN'];
}
"""


@pytest.mark.parametrize(
    ("language", "bomb"), [(Language.PYTHON, FORK_BOMB), (Language.PYTHON, THREAD_BOMB), (Language.NODE, SPAWN_BOMB)]
)
async def test_a_bomb_of_processes_hits_its_own_limit_only(lab: Laboratory, language: Language, bomb: str) -> None:
    neighbour = await lab.start()
    bomber = await lab.start(language, memory=512)
    found = await bomber.ask(bomb)
    assert isinstance(found, list)
    count, reason = found
    assert reason == "EAGAIN"
    assert count < 1024
    assert (
        await neighbour.ask("import os\npid = os.fork()\nif not pid: os._exit(0)\nresult = os.waitpid(pid, 0)[1]") == 0
    )
    await ends_at_once(bomber)


async def test_memory_of_one_process_has_an_end(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON, memory=128)
    code = """
held, result = [], None
try:
    while len(held) < 2000:
        held.append(bytearray(b"x") * (1 << 20))
except MemoryError:
    result = len(held)
    held.clear()
"""
    megabytes = await probe.ask(code)
    assert isinstance(megabytes, int)
    assert 64 < megabytes <= 192


@pytest.mark.parametrize(
    "code",
    [
        "const b = []; for (;;) b.push(Buffer.alloc(1 << 20, 1));",
        "const b = []; for (;;) b.push(new Array(1e5).fill(0.5));",
    ],
)
async def test_node_ends_when_it_takes_too_much(lab: Laboratory, code: str) -> None:
    probe = await lab.start(Language.NODE, memory=128)
    await probe.send(code)
    try:
        await probe.answer()
    except (EOFError, ConnectionResetError, AssertionError):
        pass
    else:
        raise AssertionError("it took memory without end")
    assert await probe.end() < 0


async def test_memory_of_many_processes_together_has_an_end(lab: Laboratory) -> None:
    """Each stays below its own limit; the cgroup, or else the watchdog, sees the sum."""
    probe = await lab.start(Language.PYTHON, memory=128)
    hoard = "import os, signal\nfor _ in range(12):\n    if os.fork() == 0:\n        held = os.urandom(1 << 20) * 100\n"
    await probe.send(hoard + "        while True: signal.pause()\nresult = [signal.pause()]")
    with pytest.raises((EOFError, ConnectionResetError)):
        await probe.answer()
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == -signal.SIGKILL


async def test_processes_that_share_their_pages_are_not_taken_for_hoarders(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON, memory=128)
    share = """
import os, signal, time
held = os.urandom(1 << 20) * 60
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        signal.pause()
    children.append(child)
time.sleep(0.4)
for child in children:
    os.kill(child, signal.SIGKILL)
result = [os.waitpid(child, 0)[1] for child in children]
"""
    assert await probe.ask(share) == [9] * 8


FILL = {
    Language.PYTHON: """
import errno
result = None
with open("/tmp/full", "wb", buffering=0) as file:
    for count in range(1024):
        try:
            file.write(bytes(1 << 20))
        except OSError as error:
            result = [count, errno.errorcode[error.errno]]
            break
import os
os.unlink("/tmp/full")
""",
    Language.NODE: """
const fs = require('fs');
const file = fs.openSync('/tmp/full', 'w');
const piece = Buffer.alloc(1 << 20);
for (let count = 0; count < 1024; count += 1) {
  try { fs.writeSync(file, piece); } catch (error) { fs.unlinkSync('/tmp/full'); return [count, error.code]; }
}
""",
}


@pytest.mark.parametrize("language", list(Language))
async def test_tmp_holds_512_megabytes(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language)
    found = await probe.ask(FILL[language])
    assert isinstance(found, list)
    assert found[1] == "ENOSPC"
    assert 500 <= found[0] <= 512


async def test_a_hoard_of_empty_files_is_the_end(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON)
    await probe.send("for n in range(10**7):\n    open(f'/tmp/{n}', 'w').close()")
    with pytest.raises((EOFError, ConnectionResetError)):
        await probe.answer()
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == -signal.SIGKILL


OPEN = {
    Language.PYTHON: """
import errno, os
held, result = [], None
try:
    while True:
        held.append(os.dup(0))
except OSError as error:
    result = [len(held), errno.errorcode[error.errno]]
for fd in held:
    os.close(fd)
""",
    Language.NODE: """
const fs = require('fs');
const held = [];
try { for (;;) held.push(fs.openSync('/dev/null')); } catch (error) {
  held.forEach((fd) => fs.closeSync(fd));
  return [held.length, error.code];
}
""",
}


@pytest.mark.parametrize("language", list(Language))
async def test_open_files_have_an_end(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language)
    found = await probe.ask(OPEN[language])
    assert isinstance(found, list)
    assert found[1] == "EMFILE"
    assert found[0] < 1024


DEAF = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
print("deaf", flush=True)
while True:
    pass
"""


@pytest.mark.parametrize(
    ("language", "code"),
    [
        (Language.PYTHON, DEAF),
        (Language.PYTHON, "import os, signal\nprint('stopping', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)"),
        (Language.NODE, "require('fs').writeSync(1, 'busy'); process.on('SIGTERM', () => {}); for (;;);"),
    ],
)
async def test_nothing_survives_its_kill(lab: Laboratory, language: Language, code: str) -> None:
    probe = await lab.start(language)
    await probe.send(code)
    await readable(probe.process.output)
    await ends_at_once(probe)


async def readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, lambda: ready.done() or ready.set_result(None))
    await asyncio.wait_for(ready, PATIENCE)
    loop.remove_reader(descriptor)


DAEMON = """
import os, signal
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        os.write(write, b"x")
        os.close(3)
        while True:
            pass
    os._exit(0)
os.wait()
result = len(os.read(read, 1))
"""


async def test_a_daemon_dies_with_its_sandbox(lab: Laboratory) -> None:
    probe = await lab.start()
    assert await probe.ask(DAEMON) == 1
    assert len(processes_in(namespace_of(probe))) == 3
    await ends_at_once(probe)


async def test_a_daemon_does_not_outlive_its_worker(lab: Laboratory) -> None:
    probe = await lab.start()
    namespace = namespace_of(probe)
    assert await probe.ask(DAEMON) == 1
    await probe.send("import os\nos._exit(3)")
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == 3
    assert processes_in(namespace) == []


async def test_a_crash_leaves_no_core(lab: Laboratory) -> None:
    probe = await lab.start()
    await probe.send("import os, signal\nos.chdir('/tmp')\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == -signal.SIGSEGV


PROXY = """
import asyncio, os, sys
sys.path.insert(0, {root!r})
from edgefn.sandbox.process.ground import LauncherConfig
from edgefn.sandbox.process.launch import Language, Start
from edgefn.sandbox.process.launcher import ProcessLauncher

async def main():
    launcher = ProcessLauncher(LauncherConfig({directory!r}, bootstrap={bootstrap!r}))
    slot = os.path.join(launcher.slots, "one")
    os.mkdir(slot)
    os.chmod(slot, 0o755)
    process = await launcher.start(Start(Language.PYTHON, slot, 128, {{}}))
    process.control.send(b'"result = 1"\\n')
    await asyncio.get_running_loop().sock_recv(process.control, 100)
    process.control.send(b'"while True: pass"\\n')
    print(os.stat(f"/proc/{{process.reaper}}/ns/pid").st_ino, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_killed_proxy_leaves_no_sandbox() -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = str(Path(__file__).parents[2])
        code = PROXY.format(root=root, directory=os.path.join(directory, "sandboxes"), bootstrap=PROBES)
        os.chmod(directory, 0o711)
        proxy = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert proxy.stdout is not None
        namespace = int(await asyncio.wait_for(proxy.stdout.readline(), PATIENCE))
        inside = {pid: os.pidfd_open(pid) for pid in processes_in(namespace)}
        assert inside
        proxy.kill()
        await proxy.wait()
        for handle in inside.values():
            await readable(handle)
            os.close(handle)
        assert processes_in(namespace) == []
