"""Starting, freezing, measuring and ending sandboxes."""

import asyncio
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgefn.model.settings import SandboxMode
from edgefn.sandbox.process.ground import LauncherConfig
from edgefn.sandbox.process.launch import Footprint, Language, LaunchError, Start
from edgefn.sandbox.process.launcher import ProcessLauncher
from edgefn.sandbox.process.tiers import Tier
from tests.sandbox.probing import PATIENCE, PROBES, Laboratory, Probe, laboratory, namespace_of, processes_in

HELLO = {Language.PYTHON: "result = 'hello'", Language.NODE: "return 'hello';"}
EXIT = {Language.PYTHON: "import os\nos._exit(%d)", Language.NODE: "process.exit(%d);"}


@pytest.fixture(params=list(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory() as made:
        yield made


async def test_a_worker_answers_over_its_control_socket(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language)
    assert await probe.ask(HELLO[language]) == "hello"


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


async def test_its_task_directory_is_the_slot_and_stays_live(lab: Laboratory) -> None:
    """A bundle is renamed into the slot of a running worker."""
    probe = await lab.start()
    bundle = os.path.join(lab.launcher.slots, "bundle")
    os.mkdir(bundle)
    write(os.path.join(bundle, "index.py"), "answer = 42")
    os.chmod(bundle, 0o755)
    os.rename(bundle, os.path.join(probe.slot, "code"))
    code = "import sys\nsys.path.insert(0, '/var/task/code')\nimport index\nresult = index.answer"
    assert await probe.ask(code) == 42


@pytest.mark.parametrize("status", [0, 3, 127])
async def test_its_exit_status_is_told(lab: Laboratory, language: Language, status: int) -> None:
    probe = await lab.start(language)
    await probe.send(EXIT[language] % status)
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == status
    assert await probe.process.gone() == status
    assert probe.process.footprint() == Footprint(0.0, 0)


async def test_a_signal_is_told_as_a_negative_status(lab: Laboratory) -> None:
    probe = await lab.start()
    await probe.send("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)")
    assert await asyncio.wait_for(probe.process.gone(), PATIENCE) == -signal.SIGABRT


async def test_killing_twice_and_after_the_end_is_harmless(lab: Laboratory) -> None:
    probe = await lab.start()
    probe.process.kill()
    probe.process.kill()
    assert await probe.process.gone() == -signal.SIGKILL
    probe.process.kill()
    probe.process.freeze()
    probe.process.thaw()
    assert probe.process.footprint() == Footprint(0.0, 0)


async def test_output_and_errors_come_through_one_pipe(lab: Laboratory, language: Language) -> None:
    probe = await lab.start(language)
    say = {
        Language.PYTHON: "import os\nos.write(1, b'out ')\nos.write(2, b'err')",
        Language.NODE: "const fs = require('fs'); fs.writeSync(1, 'out '); fs.writeSync(2, 'err');",
    }
    await probe.ask(say[language])
    assert probe.printed() == "out err"


BUSY = """
import os, threading
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
if os.fork() == 0:
    os.setsid()
    while True:
        pass
"""


def states(namespace: int, reaper: int) -> set[str]:
    """Return the states of all threads of all processes inside, without the reaper."""
    found = set()
    for pid in processes_in(namespace):
        if pid == reaper:
            continue
        for thread in os.listdir(f"/proc/{pid}/task"):
            stat = Path(f"/proc/{pid}/task/{thread}/stat").read_text()
            found.add(stat.rpartition(")")[2].split()[0])
    return found


async def test_a_frozen_sandbox_does_not_run_and_goes_on_when_thawed(lab: Laboratory) -> None:
    probe = await lab.start()
    await probe.ask(BUSY)
    namespace = namespace_of(probe)
    assert "R" in states(namespace, probe.reaper())
    probe.process.freeze()
    assert await settled(namespace, probe)
    probe.process.freeze()
    probe.process.thaw()
    assert await probe.ask("result = 'awake'") == "awake"
    probe.process.thaw()


async def settled(namespace: int, probe: Probe) -> bool:
    """Wait until every thread has stopped: each takes the order when it is next on a processor."""
    group = probe.process._duties.group  # type: ignore[attr-defined]
    events = None if group is None else Path(group.directory, "cgroup.events")

    def stopped() -> bool:
        return "frozen 1" in events.read_text() if events else states(namespace, probe.reaper()) == {"T"}

    async with asyncio.timeout(PATIENCE):
        while not stopped():  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # the kernel tells nobody
    return True


MANY = """
import os, time
for _ in range(60):
    if os.fork() == 0:
        time.sleep(60)
"""


async def test_a_frozen_sandbox_holds_few_descriptors_of_ours_however_many_it_has_inside(lab: Laboratory) -> None:
    probe = await lab.start()
    await probe.ask(MANY)
    probe.process.freeze()
    probe.process.thaw()
    before = len(os.listdir("/proc/self/fd"))
    probe.process.freeze()
    assert len(os.listdir("/proc/self/fd")) <= before + 8
    probe.process.thaw()
    assert await probe.ask("result = 'awake'") == "awake"


@pytest.mark.parametrize("room", range(1, 5))
async def test_a_freeze_that_fails_halfway_leaves_everything_running(lab: Laboratory, room: int) -> None:
    """Without descriptors left nothing can be frozen; what was stopped already goes on."""
    probe = await lab.start()
    await probe.ask(MANY)
    probe.process.freeze()
    probe.process.thaw()
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + room - 1, usual[1]))
    try:
        with suppress(OSError):
            probe.process.freeze()
            probe.process.thaw()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert await probe.ask("result = 'awake'") == "awake"


async def test_a_frozen_sandbox_dies_at_once(lab: Laboratory) -> None:
    probe = await lab.start()
    await probe.ask(BUSY)
    namespace = namespace_of(probe)
    probe.process.freeze()
    assert await probe.end() == -signal.SIGKILL
    assert processes_in(namespace) == []


async def test_freezing_a_sandbox_that_is_being_made_never_touches_the_host(lab: Laboratory) -> None:
    """Right after the start its /proc may still be ours; then nothing is stopped."""
    for _ in range(10):
        probe = await lab.start()
        probe.process.freeze()
        probe.process.thaw()
        assert await probe.ask("result = 'well'") == "well"


async def test_its_footprint_grows_with_what_it_takes(lab: Laboratory) -> None:
    probe = await lab.start()
    await probe.ask("result = 0")
    before = probe.process.footprint()
    work = (
        "import time\nheld = b'x' * (48 << 20)\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    )
    await probe.ask(work)
    after = probe.process.footprint()
    assert after.cpu >= before.cpu + 0.08
    assert after.memory >= before.memory + (40 << 20)


async def test_the_first_to_die_when_memory_is_short(lab: Laboratory) -> None:
    probe = await lab.start()
    assert await probe.ask("result = open('/proc/self/oom_score_adj').read().strip()") == "1000"
    assert await probe.ask("import os\nresult = os.getpriority(os.PRIO_PROCESS, 0)") == 5


async def test_no_descriptor_and_no_file_is_left_when_all_is_closed() -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    async with laboratory() as lab:
        probes = [await lab.start(each) for each in (*Language, *Language)]
        await probes[0].ask(HELLO[Language.NODE])
        probes[1].process.freeze()
        directory = os.path.dirname(lab.launcher.slots)
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert os.path.basename(directory) not in os.listdir(os.path.dirname(directory))


async def test_a_start_that_fails_says_why_and_leaves_nothing(lab: Laboratory) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LaunchError, match=r"NUL"):
        await lab.launcher.start(Start(Language.PYTHON, lab.launcher.slots, 128, {"NAME": "a\0--bind"}))
    with pytest.raises(LaunchError, match=r"network.*host:port"):
        await lab.launcher.start(Start(Language.PYTHON, lab.launcher.slots, 128, {}, ("example.com",)))
    assert len(os.listdir("/proc/self/fd")) == open_before


async def complaint_of_a_start(lab: Laboratory, slot: str) -> str:
    """Return what is said of a start that fails: at once, or by a worker that ends before it has begun."""
    try:
        process = await lab.launcher.start(Start(Language.PYTHON, slot, 128, {}))
    except LaunchError as error:
        return str(error)
    assert await asyncio.wait_for(process.gone(), PATIENCE) == 1
    said = os.read(process.output, 1000).decode()
    process.control.close()
    os.close(process.output)
    return said


async def test_a_slot_that_is_not_there_is_complained_of(lab: Laboratory) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    assert "bwrap: Can't find source path" in await complaint_of_a_start(lab, lab.launcher.slots + "/none")
    assert len(os.listdir("/proc/self/fd")) == open_before


def our_children() -> list[str]:
    """Return the children of this process, zombies too; orphans of what it started come to it."""
    tasks = os.listdir("/proc/self/task")
    return [pid for task in tasks for pid in Path(f"/proc/self/task/{task}/children").read_text().split()]


@pytest.mark.parametrize("delay", [0, 0.0005, 0.001, 0.0015, 0.002, 0.003])
async def test_cancelling_a_start_leaves_nothing(lab: Laboratory, delay: float) -> None:
    """At whatever moment it comes: also between the making of pid 1 and the word of it."""
    open_before, children_before = len(os.listdir("/proc/self/fd")), our_children()
    slot = os.path.join(lab.launcher.slots, "cancelled")
    os.mkdir(slot)
    for _ in range(5):
        starting = asyncio.create_task(lab.launcher.start(Start(Language.PYTHON, slot, 128, {})))
        await asyncio.sleep(delay)
        starting.cancel()
        try:
            process = await starting
        except asyncio.CancelledError:
            continue
        process.kill()
        await process.gone()
        process.control.close()
        os.close(process.output)
    assert our_children() == children_before
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_many_start_at_once(lab: Laboratory) -> None:
    probes = await asyncio.gather(*(lab.start(each) for each in (*Language,) * 6))
    codes = [HELLO[each] for each in (*Language,) * 6]
    assert await asyncio.gather(*(probe.ask(code) for probe, code in zip(probes, codes, strict=True))) == ["hello"] * 12


async def test_the_walls_are_namespaces(lab: Laboratory) -> None:
    assert lab.launcher.tier in (Tier.FULL, Tier.NO_CGROUP)
    assert not lab.launcher.loopback_only


async def test_a_language_without_an_interpreter_is_a_clear_error() -> None:
    directory = tempfile.mkdtemp(prefix="edgefn-test-")
    config = LauncherConfig(
        directory, bootstrap=PROBES, interpreters={"nodejs22.x": "/bin/true", "python3.12": "/bin/true"}
    )
    launcher = ProcessLauncher(config)
    try:
        with pytest.raises(LaunchError, match=r"/bin/true --version printed no version"):
            await launcher.start(Start(Language.NODE, launcher.slots, 128, {}, runtime="nodejs22.x"))
        with pytest.raises(LaunchError, match=r"/bin/true: does not .*: sandbox.interpreters names it"):
            await launcher.start(Start(Language.PYTHON, launcher.slots, 128, {}, runtime="python3.12"))
    finally:
        await launcher.close()
        shutil.rmtree(directory)


def test_a_user_who_does_not_exist_is_refused() -> None:
    directory = tempfile.mkdtemp(prefix="edgefn-test-")
    try:
        with pytest.raises(LaunchError, match=r"edgefn-nobody-at-all"):
            ProcessLauncher(LauncherConfig(directory, user="edgefn-nobody-at-all", bootstrap=PROBES))
    finally:
        shutil.rmtree(directory)


def test_a_machine_without_bubblewrap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tempfile.mkdtemp(prefix="edgefn-test-")
    tools = os.path.join(directory, "tools")
    os.mkdir(tools)
    for name in ("prlimit", "setpriv"):
        found = shutil.which(name)
        assert found is not None
        os.symlink(found, os.path.join(tools, name))
    monkeypatch.setattr("edgefn.sandbox.process.runtimes.from_wheel", lambda *_: None)
    try:
        with pytest.raises(LaunchError, match=r"bubblewrap \(bwrap\) was not found. Cure: install bubblewrap"):
            ProcessLauncher(LauncherConfig(directory, path=tools, bootstrap=PROBES))
    finally:
        shutil.rmtree(directory)


async def test_without_walls_it_runs_as_somebody_else_and_on_loopback_only(language: Language) -> None:
    async with laboratory(SandboxMode.NONE_I_KNOW) as lab:
        assert lab.launcher.loopback_only
        assert lab.launcher.tier is Tier.NONE
        probe = await lab.start(language)
        task = {
            Language.PYTHON: "import os\nresult = os.environ['EDGEFN_TASK']",
            Language.NODE: "return process.env.EDGEFN_TASK;",
        }
        assert await probe.ask(task[language]) == probe.slot
        user = {Language.PYTHON: "import os\nresult = os.getuid()", Language.NODE: "return process.getuid();"}
        assert await probe.ask(user[language]) != 0
        probe.process.freeze()
        probe.process.thaw()
        assert await probe.ask(HELLO[language]) == "hello"
        assert probe.process.footprint().memory > 1 << 20
        assert await probe.end() == -signal.SIGKILL
