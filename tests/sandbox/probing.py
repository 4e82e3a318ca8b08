"""Sandboxes that run whatever code a test sends them, to see from inside what an attacker would see."""

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from edgefn.model.settings import SandboxMode
from edgefn.sandbox.process.ground import SYSTEM_PATH, LauncherConfig
from edgefn.sandbox.process.launch import Language, Process, Start
from edgefn.sandbox.process.launcher import ProcessLauncher
from edgefn.sandbox.process.tiers import Tier

PROBES = str(Path(__file__).parent / "probes")
PATIENCE = 20.0


class Probe:
    """One sandbox that answers to `ask`."""

    def __init__(self, process: Process, slot: str) -> None:
        self.process = process
        self.slot = slot
        self._received = b""
        self._namespace: int | None = None

    def hold(self) -> None:
        """Keep the number of its pid namespace from being given to another sandbox."""
        self._namespace = os.open(f"/proc/{self.reaper()}/ns/pid", os.O_RDONLY)

    def release(self) -> None:
        """See that no process of it is left, and let its namespace go."""
        self.process.control.close()
        os.close(self.process.output)
        if self._namespace is not None:
            left = processes_in(os.fstat(self._namespace).st_ino)
            os.close(self._namespace)
            assert left == []

    async def send(self, code: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.process.control, json.dumps(code).encode() + b"\n")

    async def answer(self) -> object:
        """Return what the code left; raises EOFError when the sandbox died of it."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._received:
            piece = await asyncio.wait_for(loop.sock_recv(self.process.control, 65536), PATIENCE)
            if not piece:
                raise EOFError(self.printed())
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        reply = json.loads(line)
        assert "error" not in reply, reply["error"]
        return reply.get("result")

    async def ask(self, code: str) -> object:
        await self.send(code)
        return await self.answer()

    def printed(self) -> str:
        try:
            return os.read(self.process.output, 65536).decode("utf-8", "replace")
        except BlockingIOError:
            return ""

    def reaper(self) -> int:
        return self.process.reaper  # type: ignore[attr-defined]

    async def end(self) -> int:
        """Kill it; return its exit status once nothing is left."""
        self.process.kill()
        return await asyncio.wait_for(self.process.gone(), PATIENCE)


class Laboratory:
    """A launcher whose sandboxes answer to tests."""

    def __init__(self, launcher: ProcessLauncher) -> None:
        self.launcher = launcher
        self._probes: list[Probe] = []
        self._numbers = itertools.count()

    async def start(
        self,
        language: Language = Language.PYTHON,
        *,
        memory: int = 128,
        network: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Probe:
        slot = os.path.join(self.launcher.slots, str(next(self._numbers)))
        os.mkdir(slot)
        os.chmod(slot, 0o755)
        process = await self.launcher.start(Start(language, slot, memory, environment or {}, network))
        probe = Probe(process, slot)
        if self.launcher.tier in {Tier.FULL, Tier.NO_CGROUP}:
            probe.hold()
        self._probes.append(probe)
        return probe

    async def close(self) -> None:
        for probe in self._probes:
            await probe.end()
            probe.release()
        await self.launcher.close()


@asynccontextmanager
async def laboratory(mode: SandboxMode = SandboxMode.REQUIRED, path: str = SYSTEM_PATH) -> AsyncIterator[Laboratory]:
    """Open a laboratory in a directory that the sandbox's user can reach, and leave nothing of it."""
    directory = tempfile.mkdtemp(prefix="edgefn-test-")
    made = Laboratory(ProcessLauncher(LauncherConfig(directory, mode=mode, path=path, bootstrap=PROBES)))
    try:
        yield made
    finally:
        await made.close()
        shutil.rmtree(directory)


def processes_in(namespace: int) -> list[int]:
    """Return the host's pids of all processes in a pid namespace, zombies apart."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
            if os.stat(f"/proc/{name}/ns/pid").st_ino == namespace and state != "Z":
                found.append(int(name))
        except (OSError, IndexError):
            continue
    return found


def namespace_of(probe: Probe) -> int:
    return os.stat(f"/proc/{probe.reaper()}/ns/pid").st_ino
