"""Start sandboxed processes: a spawned chain of setpriv, bubblewrap, prlimit and the runtime.

The chain is started with an empty environment, because bubblewrap's pid 1 keeps its own for anybody inside to read.
Call it from the main thread: a sandbox dies with the thread that started it.
"""

import asyncio
from contextlib import suppress

from edgefn.sandbox.process.allowance import Allowance, allowances, hosts_file
from edgefn.sandbox.process.bwrap import RUNTIME, Room
from edgefn.sandbox.process.cgroup import Group
from edgefn.sandbox.process.chain import CONTROL_FD, Chain, Spawned, abandon, complaint, find_reaper, spawn_chain
from edgefn.sandbox.process.egress import Egress
from edgefn.sandbox.process.ground import Ground, LauncherConfig, prepare_ground
from edgefn.sandbox.process.landlock import plan
from edgefn.sandbox.process.launch import Language, LaunchError, Process, Start
from edgefn.sandbox.process.limits import TMP_SIZE, Limits, limits_for, of_one_user, prlimit
from edgefn.sandbox.process.machine import PRLIMIT_INSIDE
from edgefn.sandbox.process.plain import RULES_FD, Plain, PlainProcess, spawn_plainly
from edgefn.sandbox.process.process import Duties, Duty, SandboxProcess
from edgefn.sandbox.process.runtimes import Runtime
from edgefn.sandbox.process.seccomp import filter_program
from edgefn.sandbox.process.spawn import adopt_orphans
from edgefn.sandbox.process.staging import remove_tree
from edgefn.sandbox.process.tiers import Tier
from edgefn.sandbox.process.watchdog import watch

CONTROL = "EDGEFN_FD"
"""The variable in which a worker finds the number of its control socket."""

TASK_ROOT = "EDGEFN_TASK"
"""The variable that tells a worker without walls where its function lies, as there is no /var/task."""

TMP_ROOT = "EDGEFN_TMP"
"""The variable that tells it what it has instead of /tmp."""

_DEFAULTS = {"PATH": "/var/lang/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC"}  # noqa: S108


def runtime_command(language: Language, program: str, bootstrap: str, limits: Limits) -> tuple[str, ...]:
    """Return the command that runs the program of a language in the directory `bootstrap`."""
    match language:
        case Language.NODE:
            return (program, f"--max-old-space-size={limits.heap_mb}", f"{bootstrap}/node.js")
        case Language.PYTHON:
            return (program, "-I", "-S", f"{bootstrap}/python.py")


class ProcessLauncher:
    """Starts sandboxes under the tier that this machine gives.

    Making one looks at the machine, starts a sandbox for a try and fills the directory: some 20 ms, blocking.
    Raises LaunchError when this machine is refused. Whoever makes it must `close` it.
    """

    def __init__(self, config: LauncherConfig) -> None:
        adopt_orphans()
        self._config = config
        self._ground: Ground = prepare_ground(config)
        self._filter = filter_program(
            self._ground.survey.facts.kernel.machine, bounded=self._bounded, exposed=self.tier is Tier.LANDLOCK
        )
        self._running: set[Process] = set()
        self._watched: set[SandboxProcess | PlainProcess] = set()
        self._watch: asyncio.Task[None] | None = None

    @property
    def slots(self) -> str:
        """The host directory in which slot directories are made."""
        return self._ground.survey.staging.slots

    @property
    def tier(self) -> Tier:
        """How strong the walls are."""
        return self._ground.tier

    @property
    def loopback_only(self) -> bool:
        """Whether viewers may only be served on loopback, because functions run without walls."""
        return self.tier is Tier.NONE

    @property
    def _bounded(self) -> bool:
        return self._ground.tier is Tier.FULL

    def look_up(self, runtime: str) -> str:
        """Find what runs a declared runtime; return what is to be warned of, "" for nothing. Raises LaunchError."""
        return self._ground.interpreters.warning(runtime)

    async def start(self, start: Start) -> Process:
        """Start a sandbox. Raises LaunchError."""
        runtime = self._ground.interpreters.find(start.language, start.runtime)
        limits = limits_for(start.language, runtime.version, start.memory, bounded=self._bounded)
        if self.tier is Tier.NONE or self.tier is Tier.LANDLOCK:
            return await self._start_plainly(start, runtime, limits)
        allowed = self._allowed(start)
        duties = Duties(limits.memory, self._group(limits))
        spawned = self._spawn(self._chain(start, runtime, limits, duties, allowed))
        try:
            reaper = await find_reaper(spawned, self._config.start_timeout)
        except LaunchError as error:
            await self._abandon(spawned, duties)
            said = complaint(spawned.output)
            spawned.close()
            raise LaunchError(f"{error} The chain said: {said}") from error
        except BaseException:
            await self._abandon(spawned, duties)
            spawned.close()
            raise
        process = SandboxProcess(spawned.control, spawned.output, spawned.child, reaper, duties)
        self._keep(process, duties.at_end)
        if allowed:
            await self._let_out(process, duties, allowed)
        return process

    async def _abandon(self, spawned: Spawned, duties: Duties) -> None:
        await abandon(spawned.child)
        await duties.fulfil()

    async def _let_out(self, process: SandboxProcess, duties: Duties, allowed: tuple[Allowance, ...]) -> None:
        egress = Egress(allowed)
        duties.at_end.append(egress.close)
        try:
            await egress.open(process.reaper)
        except BaseException:
            process.kill()
            await process.gone()
            process.close()
            raise

    def _group(self, limits: Limits) -> Group | None:
        delegated = self._ground.survey.delegated
        if delegated is None:
            return None
        try:
            return delegated.group(limits)
        except OSError as error:
            raise LaunchError(f"No cgroup could be made for a sandbox: {error}.") from error

    def _chain(
        self, start: Start, runtime: Runtime, limits: Limits, duties: Duties, allowed: tuple[Allowance, ...]
    ) -> Chain:
        room = Room(
            mounts=self._ground.mounts(runtime, hosts=not allowed),
            slot=start.slot,
            tmp_size=TMP_SIZE,
            environment={**_DEFAULTS, **start.environment, CONTROL: str(CONTROL_FD)},
            bounded=self._bounded,
        )
        return Chain(
            prefix=self._ground.prefix,
            bwrap=self._ground.survey.facts.bwrap,
            room=room,
            command=(
                *prlimit(PRLIMIT_INSIDE, limits),
                *runtime_command(start.language, runtime.inside, RUNTIME, limits),
            ),
            filter=self._filter,
            hosts=hosts_file(allowed).encode() if allowed else None,
            entrance=duties.group.entrance if duties.group is not None else "",
        )

    def _allowed(self, start: Start) -> tuple[Allowance, ...]:
        try:
            return allowances(start.network)
        except ValueError as error:
            raise LaunchError(f"The function's network setting: {error}.") from error

    def _spawn(self, chain: Chain) -> Spawned:
        try:
            return spawn_chain(chain)
        except (OSError, ValueError) as error:
            raise LaunchError(f"The sandbox could not be spawned: {error}.") from error

    async def _start_plainly(self, start: Start, runtime: Runtime, limits: Limits) -> PlainProcess:
        """Start without namespaces. What hides in the environment's /var/task is the slot's true path here."""
        if start.network and self.tier is Tier.LANDLOCK:
            raise LaunchError("The function's network setting: the tier landlock has no network; take it out.")
        tmp = f"{start.slot}.tmp"
        try:
            self._ground.make_own(tmp)
            process = spawn_plainly(self._plain(start, runtime, of_one_user(limits), tmp))
        except (OSError, ValueError) as error:
            raise LaunchError(f"The worker could not be spawned: {error}.") from error

        async def clear_away() -> None:
            await asyncio.to_thread(remove_tree, tmp)

        process.at_end.append(clear_away)
        self._keep(process, process.at_end)
        return process

    def _plain(self, start: Start, runtime: Runtime, limits: Limits, tmp: str) -> Plain:
        staging, facts = self._ground.survey.staging, self._ground.survey.facts
        command = runtime_command(start.language, runtime.program, staging.runtime, limits)
        environment = {**_DEFAULTS, **start.environment, CONTROL: str(CONTROL_FD), TASK_ROOT: start.slot, TMP_ROOT: tmp}
        rules = None
        if self.tier is Tier.LANDLOCK:
            python = self._ground.interpreters.find(Language.PYTHON).program
            command = (python, "-I", "-S", staging.confine, str(RULES_FD), *command)
            rules = plan(self._ground.mounts(runtime, hosts=True), (runtime.program,), start.slot, tmp, self._filter)
        argv = [*self._ground.fatal_prefix, *prlimit(facts.prlimit, limits), *command]
        return Plain(argv, {**environment, "HOME": tmp, "TMPDIR": tmp}, limits.memory, rules)

    def _keep(self, process: SandboxProcess | PlainProcess, at_end: list[Duty]) -> None:
        self._remember(process, at_end)

        async def look_away() -> None:
            self._watched.discard(process)

        self._watched.add(process)
        at_end.append(look_away)
        if self._watch is None:
            self._watch = asyncio.create_task(watch(self._watched))

    def _remember(self, process: Process, at_end: list[Duty]) -> None:
        async def forget() -> None:
            self._running.discard(process)

        self._running.add(process)
        at_end.append(forget)

    async def close(self) -> None:
        """Kill every sandbox, wait until they are gone, and remove the directory's content."""
        for process in tuple(self._running):
            process.kill()
        for process in tuple(self._running):
            await process.gone()
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        self._ground.survey.staging.remove()
