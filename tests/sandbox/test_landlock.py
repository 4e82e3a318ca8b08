"""The tier `landlock`: what it keeps from a function where there are no namespaces, in either language."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edgefn.model.settings import SandboxMode
from edgefn.sandbox.base import Returned
from edgefn.sandbox.process.ground import LauncherConfig
from edgefn.sandbox.process.group_view import GroupView
from edgefn.sandbox.process.host import ProcessHost
from edgefn.sandbox.process.launch import Language, LaunchError
from edgefn.sandbox.process.launcher import ProcessLauncher
from edgefn.sandbox.process.tiers import Tier
from tests.fakes.counting_launcher import CountingLauncher
from tests.sandbox.conftest import SENSES
from tests.sandbox.probing import Laboratory, Probe, laboratory
from tests.sandbox.stage import Stage, until
from tests.sandbox.test_isolation import LIST, READ, WRITE, look

SYSTEM = "/usr/bin:/bin:/usr/local/bin"


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A search path on which all is found but bubblewrap."""
    monkeypatch.setattr("edgefn.sandbox.process.runtimes.from_wheel", lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="edgefn-test-") as directory:
        os.chmod(directory, 0o755)
        for name in ("prlimit", "setpriv", "node", "python3"):
            found = shutil.which(name, path=SYSTEM)
            if found is not None:  # else an interpreter is found elsewhere
                os.symlink(os.path.realpath(found), os.path.join(directory, name))
        yield directory


@pytest.fixture(params=list(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture
async def lab(path: str) -> AsyncIterator[Laboratory]:
    async with laboratory(SandboxMode.LANDLOCK, path) as made:
        assert made.launcher.tier is Tier.LANDLOCK
        yield made


@pytest.fixture
async def probe(lab: Laboratory, language: Language) -> Probe:
    return await lab.start(language)


@pytest.fixture
def bystander(lab: Laboratory) -> Iterator[int]:
    """A process of the host that runs as the very user that functions run as."""
    prefix = lab.launcher._ground.prefix
    with subprocess.Popen([*prefix, "/bin/sleep", "60"]) as process:
        yield process.pid
        assert process.poll() is None, "it was ended"
        process.kill()


async def test_files_of_the_host_can_not_be_read(probe: Probe, language: Language) -> None:
    with tempfile.NamedTemporaryFile(prefix="edgefn-canary-") as canary:
        os.fchmod(canary.fileno(), 0o644)
        paths = ["/etc/passwd", "/etc/hostname", "/root/.bashrc", "/usr/share/dict", canary.name, __file__]
        tricks = [f"/proc/self/root{canary.name}", f"/proc/1/root{canary.name}", f"{probe.slot}/../../../{canary.name}"]
        os.symlink(canary.name, os.path.join(probe.slot, "link"))
        paths += [*tricks, f"{probe.slot}/link"]
        found = await look(probe, language, READ, paths)
    assert isinstance(found, dict)
    assert set(found.values()) <= {"EACCES", "ENOENT"}, found


async def test_nothing_can_be_written_but_a_directory_of_its_own(probe: Probe, language: Language) -> None:
    with tempfile.NamedTemporaryFile(prefix="edgefn-canary-") as canary:
        os.fchmod(canary.fileno(), 0o666)
        paths = ["/tmp/edgefn-x", "/var/tmp/edgefn-x", "/dev/shm/edgefn-x", f"{probe.slot}/x", canary.name]
        found = await look(probe, language, WRITE, paths)
        assert found == dict.fromkeys(paths, "EACCES")
        assert canary.read() == b""
    mine = f"{probe.slot}.tmp/x"
    assert await look(probe, language, WRITE, [mine]) == {mine: "written"}
    assert await look(probe, language, LIST, f"{probe.slot}.tmp") == ["x"]
    assert os.stat(mine).st_uid != 0
    await probe.end()
    assert f"{os.path.basename(probe.slot)}.tmp" not in os.listdir(os.path.dirname(probe.slot))


async def test_other_processes_are_out_of_reach(probe: Probe, language: Language, bystander: int) -> None:
    paths = [f"/proc/{bystander}/{name}" for name in ("cmdline", "environ", "status", "mem", "maps")]
    assert await look(probe, language, READ, [*paths, "/proc/1/cmdline"]) == dict.fromkeys(
        [*paths, "/proc/1/cmdline"], "EACCES"
    )
    kill = {
        Language.PYTHON: """
import errno, os
def kill(pid):
    try:
        os.kill(pid, 15)
    except OSError as error:
        return errno.errorcode[error.errno]
result = [kill(%d), kill(%d)]
""",
        Language.NODE: """
const kill = (pid) => { try { process.kill(pid, 'SIGTERM'); return 'killed'; } catch (error) { return error.code; } };
return [kill(%d), kill(%d)];
""",
    }
    assert await probe.ask(kill[language] % (bystander, os.getpid())) == ["EPERM", "EPERM"]


async def test_another_sandbox_is_out_of_reach(lab: Laboratory, language: Language) -> None:
    mine, theirs = await lab.start(language), await lab.start(Language.PYTHON)
    pid = await theirs.ask("import os\nopen(os.environ['TMPDIR'] + '/secret', 'w').write('x')\nresult = os.getpid()")
    paths = [f"{theirs.slot}.tmp/secret", f"/proc/{pid}/environ"]
    assert await look(mine, language, READ, paths) == dict.fromkeys(paths, "EACCES")
    kill = {
        Language.PYTHON: "import os\ntry:\n    os.kill(%d, 9)\nexcept OSError as error:\n    result = error.strerror",
        Language.NODE: "try { process.kill(%d, 9); } catch (error) { return error.code; }",
    }
    assert await mine.ask(kill[language] % pid) in {"Operation not permitted", "EPERM"}
    assert await theirs.ask("result = 'alive'") == "alive"


async def test_there_are_no_sockets(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON)
    code = """
import errno, socket
def make(*kind):
    try:
        socket.socket(*kind).close()
        return "made"
    except OSError as error:
        return errno.errorcode[error.errno]
result = [make(family, kind) for family in (1, 2, 10, 16, 17, 40) for kind in (1, 2, 3)] + [
    len(socket.socketpair())]
"""
    assert await probe.ask(code) == ["EAFNOSUPPORT"] * 18 + [2]


async def test_node_can_not_connect_anywhere(lab: Laboratory) -> None:
    probe = await lab.start(Language.NODE)
    with tempfile.TemporaryDirectory() as directory:
        at = os.path.join(directory, "socket")
        server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), at)
        os.chmod(directory, 0o755)
        os.chmod(at, 0o777)
        code = """
const net = require('net');
const to = (options) => new Promise((done) => {
  const socket = net.connect(options, () => done('connected'));
  socket.on('error', (error) => done(error.code));
});
const places = [{ path: %s }, { host: '127.0.0.1', port: 1 }, { host: '169.254.169.254', port: 80 }];
return Promise.all(places.map(to));
"""
        found = await probe.ask(code % json.dumps(at))
        server.close()
    assert isinstance(found, list)
    assert set(found) == {"EAFNOSUPPORT"}


REACHING = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]
path, pid, slot = %s
limit = (ctypes.c_ulong * 2)(1, 1)
result = {
    "chmod": call("chmod", path, 0o777),
    "fchmodat": call("fchmodat", -100, path, 0o777, 0),
    "chown": call("chown", path, -1, -1),
    "utimes": call("utimes", path, None),
    "setxattr": call("setxattr", path, b"user.x", b"1", 1, 0),
    "truncate": call("truncate", path, 0),
    "rename": call("rename", path, path + b"2"),
    "unlink": call("unlink", path),
    "link": call("link", path, slot + b".tmp/link"),
    "symlink": call("symlink", path, slot + b"/link"),
    "mkdir": call("mkdir", b"/tmp/edgefn-x", 0o755),
    "inotify": call("inotify_add_watch", libc.inotify_init(), b"/tmp", 256),
    "setsid": call("setsid"),
    "setpgid": call("setpgid", 0, 0),
    "prlimit": call("prlimit", pid, 7, limit, None),
    "setpriority": call("setpriority", 0, pid, 19),
    "sched_setaffinity": call("sched_setaffinity", pid, 8, limit),
    "shmctl": call("shmctl", 0, 0, None),
    "semctl": call("semctl", 0, 0, 0),
    "ptrace": call("ptrace", 16, pid, 0, 0),
    "process_vm_readv": call("process_vm_readv", pid, None, 0, None, 0, 0),
    "unshare": call("unshare", 0x10000000),
    "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "chroot": call("chroot", b"/tmp"),
}
"""


@pytest.fixture
def file(lab: Laboratory) -> Iterator[str]:
    """A file of the very user that functions run as: where edgefn is not root, all of its files are."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        path = os.path.join(directory, "file")
        Path(path).write_text("kept")
        if os.geteuid() == 0:
            os.chown(path, lab.launcher._ground.identity.uid, -1)
        before = os.stat(path)
        yield path
        after = os.stat(path)
        assert os.listdir(directory) == ["file"]
        assert Path(path).read_text() == "kept"
        assert (before.st_mode, before.st_mtime, before.st_ctime) == (after.st_mode, after.st_mtime, after.st_ctime)


async def test_what_landlock_does_not_see_is_refused_by_the_filter(lab: Laboratory, bystander: int, file: str) -> None:
    probe = await lab.start(Language.PYTHON)
    found = await probe.ask(REACHING % repr((file.encode(), bystander, probe.slot.encode())))
    assert isinstance(found, dict)
    assert {name for name, outcome in found.items() if outcome not in {"EPERM", "EACCES", "EXDEV"}} == set(), found
    by_landlock = {"truncate", "rename", "unlink", "link", "symlink", "mkdir"}
    assert {name for name, outcome in found.items() if outcome != "EPERM"} <= by_landlock


async def test_killing_it_takes_all_that_it_started(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON)
    started = await probe.ask(
        "import os, signal, time\nresult = []\nfor _ in range(3):\n    pid = os.fork()\n    if not pid:\n"
        "        for number in (1, 2, 15):\n            signal.signal(number, signal.SIG_IGN)\n"
        "        if not os.fork(): time.sleep(60)\n        time.sleep(60)\n    result.append(pid)"
    )
    assert isinstance(started, list)
    group = GroupView(os.getpgid(started[0]))
    await until(lambda: len(group.processes()) == 7)
    assert await probe.end() == -signal.SIGKILL
    assert group.processes() == []


async def test_what_it_started_ends_with_it(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON)
    child = await probe.ask(
        "import os, time\nresult = os.fork()\nif not result:\n    os.close(3)\n    time.sleep(60)\n    os._exit(0)"
    )
    assert isinstance(child, int)
    group = GroupView(os.getpgid(child))
    await probe.send("import os\nos._exit(7)")
    with pytest.raises((EOFError, ConnectionResetError)):
        await probe.answer()
    assert await asyncio.wait_for(probe.process.gone(), 20) == 7
    assert group.processes() == []


async def test_memory_of_many_processes_together_has_an_end(lab: Laboratory) -> None:
    probe = await lab.start(Language.PYTHON, memory=128)
    code = """
import os, time
for _ in range(4):
    if not os.fork():
        held = bytearray(b"x") * (100 << 20)
        time.sleep(60)
time.sleep(60)
"""
    await probe.send(code)
    with pytest.raises((EOFError, ConnectionResetError)):
        await probe.answer()
    assert await probe.end() == -signal.SIGKILL


async def test_a_network_setting_is_refused(lab: Laboratory, language: Language) -> None:
    with pytest.raises(LaunchError, match="the tier landlock has no network"):
        await lab.start(language, network=("example.com:443",))


async def test_functions_run_in_it(path: str, tmp_path: Path) -> None:
    directory = tempfile.mkdtemp(prefix="edgefn-test-")
    launcher = ProcessLauncher(LauncherConfig(directory, mode=SandboxMode.LANDLOCK, path=path))
    counting = CountingLauncher(launcher)
    host = ProcessHost(counting, parked=1, senses=SENSES)
    stage = Stage(host, counting, tmp_path)
    try:
        node = await stage.node(
            {
                "index.mjs": "import fs from 'fs'; import os from 'os'; import { x } from './lib.mjs';\n"
                "import { createRequire } from 'module'; const shared = createRequire(import.meta.url)('shared');\n"
                "export const handler = async (event) => { fs.writeFileSync(os.tmpdir() + '/a', '1');"
                " const at = process.cwd() === process.env.LAMBDA_TASK_ROOT;"
                " return [event, x, shared, fs.readdirSync(os.tmpdir()), at]; };",
                "lib.mjs": "export const x = 'lib';",
                ".opt/nodejs/node_modules/shared/index.js": "module.exports = 'layer';",
            }
        )
        assert await node.result("one") == ["one", "lib", "layer", ["a"], True]
        python = await stage.python(
            {
                "index.py": "import os, tempfile, subprocess, sys, shared\n"
                "def handler(event, context):\n"
                "    with tempfile.NamedTemporaryFile('w+') as file:\n"
                "        file.write('text')\n"
                "    said = subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True).stdout.decode()\n"
                "    return [event, os.getcwd() == os.environ['LAMBDA_TASK_ROOT'], said, shared.who]\n",
                ".opt/python/shared.py": "who = 'layer'",
            }
        )
        assert await python.result("two") == ["two", True, "1\n", "layer"]
        spinning = await stage.python("def handler(event, context):\n    while True: pass", timeout=0.3)
        assert not isinstance(await spinning.run(), Returned)
    finally:
        await host.close()
        assert stage.left_in_slots() == []
        await launcher.close()
        shutil.rmtree(directory)
