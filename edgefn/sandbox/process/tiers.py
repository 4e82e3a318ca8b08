"""Decide how well this machine can confine a function, and whether that is good enough. Pure: facts in, verdict out.

Nothing here lowers the guard silently: what is weaker than full comes with a warning, what is too weak is refused
with a cure.
"""

from dataclasses import dataclass
from enum import StrEnum

from edgefn.model.settings import SandboxMode
from edgefn.sandbox.process.identity import Identity, NoIdentity
from edgefn.sandbox.process.landlock import OLDEST_ABI
from edgefn.sandbox.process.syscalls import MACHINES


class Tier(StrEnum):
    """How strong the walls are."""

    FULL = "full"
    NO_CGROUP = "no-cgroup"
    LANDLOCK = "landlock"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of starting a sandbox for a try. `said` is its complaint when it failed."""

    ok: bool
    said: str = ""


NOT_TRIED = Attempt(ok=False, said="not tried")


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel says of itself. A None is a switch that this kernel does not have."""

    system: str
    machine: str
    release: str
    seccomp: bool
    landlock: int = 0
    max_user_namespaces: int | None = None
    unprivileged_userns_clone: bool | None = None
    apparmor_restricts_userns: bool | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the verdict depends on. Programs are paths, "" when missing; `cgroup` is "" or why there is none.

    `attempt` is at namespaces, `landlock` at Landlock where it was asked for.
    """

    kernel: Kernel
    identity: Identity | NoIdentity
    bwrap: str
    prlimit: str
    setpriv: str
    attempt: Attempt
    cgroup: str
    in_container: bool = False
    landlock: Attempt = NOT_TRIED


@dataclass(frozen=True, slots=True)
class Granted:
    """Functions may run, in this tier. `warning` is to be said loudly; "" when there is nothing to warn of."""

    tier: Tier
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Functions may not run: why, and what would change that."""

    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.reason} Cure: {self.cure}."


TierVerdict = Granted | Refused

NO_CGROUP_WARNING = (
    "Functions run WITHOUT a cgroup ({reason}): memory is bounded per process and watched from outside, not by the "
    "kernel as a whole. Run edgefn as a systemd service with `Delegate=memory pids cpu` for hard limits."
)
LANDLOCK_WARNING = (
    "Functions run WITHOUT NAMESPACES ({reason}): Landlock and seccomp keep them from the host's files, processes and "
    "network, but they share its process table and a user, /tmp has no bound, and they have no network at all. "
    "docs/sandbox.md says what does not hold."
)
NONE_WARNING = (
    "Functions run WITHOUT ANY SANDBOX (sandbox.mode: none-i-know): they can read and do all that the user {user!r} "
    "can. Only loopback listeners are allowed."
)

_INSTALL_BWRAP = "install bubblewrap (`apt install bubblewrap`), or `pip install edgefn[sandbox]`"


def verdict(facts: Facts, mode: SandboxMode) -> TierVerdict:
    """Decide on the tier for these facts under the operator's mode."""
    impossible = _impossible(facts)
    if impossible is not None:
        return impossible
    match mode:
        case SandboxMode.REQUIRED:
            return _with_namespaces(facts)
        case SandboxMode.LANDLOCK:
            stronger = _with_namespaces(facts)
            return stronger if isinstance(stronger, Granted) else _with_landlock(facts, stronger)
        case SandboxMode.NONE_I_KNOW:
            user = facts.identity.name if isinstance(facts.identity, Identity) else ""
            return Granted(Tier.NONE, NONE_WARNING.format(user=user))


def _impossible(facts: Facts) -> Refused | None:
    """Return why functions can't run on this machine in any mode."""
    kernel = facts.kernel
    if kernel.system != "Linux":
        return Refused(f"Functions need Linux, this is {kernel.system}.", "run edgefn on Linux or in a virtual machine")
    if isinstance(facts.identity, NoIdentity):
        return Refused(f"{facts.identity.reason[0].upper()}{facts.identity.reason[1:]}.", facts.identity.cure)
    if not facts.prlimit or not (facts.identity.ours or facts.setpriv):
        return Refused("prlimit or setpriv is missing.", "install util-linux")
    return None


def _with_namespaces(facts: Facts) -> TierVerdict:
    kernel = facts.kernel
    if kernel.machine not in MACHINES:
        known = " and ".join(sorted(MACHINES))
        return Refused(f"There is no system call filter for {kernel.machine}.", f"use a machine of {known}")
    if not kernel.seccomp:
        return Refused(
            "The kernel has no seccomp filters, and without them a function reaches what no namespace confines.",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        )
    if not facts.bwrap:
        return Refused("bubblewrap (bwrap) was not found.", _INSTALL_BWRAP)
    if not facts.attempt.ok:
        said = facts.attempt.said.strip() or "nothing"
        return Refused(f"A sandbox could not be started; bubblewrap said: {said}.", cure_for(facts))
    if facts.cgroup:
        return Granted(Tier.NO_CGROUP, NO_CGROUP_WARNING.format(reason=facts.cgroup))
    return Granted(Tier.FULL)


def _with_landlock(facts: Facts, stronger: Refused) -> TierVerdict:
    kernel = facts.kernel
    if kernel.machine not in MACHINES or not kernel.seccomp:
        return stronger
    if kernel.landlock < OLDEST_ABI:
        has = f"version {kernel.landlock}" if kernel.landlock else "none, or it is switched off"
        return Refused(
            f"The landlock tier needs Landlock {OLDEST_ABI}, this kernel has {has}; and the stronger tiers are not on "
            f"this machine: {stronger.reason}",
            f"use Linux 6.12 or later with `landlock` in its `lsm=` list; or, better: {stronger.cure}",
        )
    if not facts.landlock.ok:
        said = facts.landlock.said.strip() or "nothing"
        return Refused(f"A program could not be shut in by Landlock; it said: {said}.", stronger.cure)
    return Granted(Tier.LANDLOCK, LANDLOCK_WARNING.format(reason=stronger.reason.rstrip(".")))


def cure_for(facts: Facts) -> str:
    """Return what lets bubblewrap make its namespaces, by what the kernel and bubblewrap said."""
    kernel, said = facts.kernel, facts.attempt.said
    if kernel.max_user_namespaces == 0:
        return "allow user namespaces: `sysctl -w user.max_user_namespaces=15000`"
    if kernel.unprivileged_userns_clone is False:
        return "allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1`"
    if kernel.apparmor_restricts_userns:
        return (
            f"give {facts.bwrap} an AppArmor profile that grants `userns,` (docs/sandbox.md has one), or "
            "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
        )
    if facts.in_container:
        return (
            "let the container make user namespaces: its seccomp profile must allow clone, unshare and mount "
            "(Docker: `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined`, or run edgefn outside of it)"
        )
    if "disable-userns" in said:
        return "use bubblewrap 0.8.0 or later"
    return "run `edgefn doctor`, and see docs/sandbox.md"
