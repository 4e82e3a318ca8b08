"""A launcher that passes everything on, remembers what it started, and can be told to refuse."""

from edgefn.sandbox.process.launch import Launcher, LaunchError, Process, Start


class CountingLauncher:
    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self.processes: list[Process] = []
        self.starts: list[Start] = []
        self.refusal = ""

    @property
    def slots(self) -> str:
        return self._launcher.slots

    def look_up(self, runtime: str) -> str:
        return self._launcher.look_up(runtime)

    async def start(self, start: Start) -> Process:
        if self.refusal:
            raise LaunchError(self.refusal)
        process = await self._launcher.start(start)
        self.starts.append(start)
        self.processes.append(process)
        return process
