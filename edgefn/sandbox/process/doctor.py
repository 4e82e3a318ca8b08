"""What `edgefn doctor` says: each thing that sandboxes need, what was found, and the cure for what is missing."""

import textwrap
from dataclasses import dataclass

from edgefn.sandbox.process.ground import LauncherConfig, survey
from edgefn.sandbox.process.identity import Identity, NoIdentity
from edgefn.sandbox.process.interpreters import Interpreters
from edgefn.sandbox.process.landlock import OLDEST_ABI
from edgefn.sandbox.process.launch import Language, LaunchError
from edgefn.sandbox.process.syscalls import MACHINES
from edgefn.sandbox.process.tiers import Facts, Granted, Kernel, Refused, TierVerdict, cure_for, verdict

_UTIL_LINUX = "install util-linux"
_WIDTH = 100
_DELEGATE = "run edgefn as a systemd service with `Delegate=memory pids cpu`"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `cure` is "" when there is nothing to do."""

    name: str
    ok: bool
    found: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, and the verdict that follows from them."""

    checks: tuple[Check, ...]
    verdict: TierVerdict

    @property
    def ok(self) -> bool:
        """Whether functions may run."""
        return isinstance(self.verdict, Granted)


def examine(config: LauncherConfig) -> Report:
    """Look at this machine as a launcher would. `config.directory` is used, and emptied again."""
    try:
        found = survey(config)
    except LaunchError as error:
        refused = Refused(str(error), "make this one thing right and ask again")
        return Report((Check("ground", ok=False, found=str(error)),), refused)
    try:
        languages = tuple(_interpreter(language, found.interpreters) for language in Language)
        return Report((*machine_checks(found.facts), *languages), verdict(found.facts, config.mode))
    finally:
        found.staging.remove()


def _interpreter(language: Language, interpreters: Interpreters) -> Check:
    try:
        first = interpreters.find(language)
    except LaunchError as error:
        said, _, cure = str(error).partition(". ")
        return Check(language, ok=False, found=said, cure=cure)
    others = [one for one in interpreters.all(language) if one.version != first.version]
    return Check(language, ok=True, found="\n".join(map(str, (first, *others))))


def machine_checks(facts: Facts) -> tuple[Check, ...]:
    """Return a check for each fact. Pure."""
    return (
        _system(facts),
        _user(facts.identity),
        _tools(facts),
        _check("seccomp", facts.kernel.seccomp, "filters", "no filters", "use a kernel with CONFIG_SECCOMP_FILTER"),
        _check("bubblewrap", bool(facts.bwrap), facts.bwrap, "not found", "`apt install bubblewrap`"),
        _namespaces(facts),
        _landlock(facts.kernel),
        _check("cgroup", not facts.cgroup, "delegated to us", facts.cgroup, _DELEGATE),
    )


def _check(name: str, ok: bool, found: str, missing: str, cure: str) -> Check:  # noqa: FBT001
    return Check(name, ok, found if ok else missing, "" if ok else cure)


def _system(facts: Facts) -> Check:
    kernel = facts.kernel
    ok = kernel.system == "Linux" and kernel.machine in MACHINES
    found = f"{kernel.system} {kernel.release} on {kernel.machine}"
    return Check("system", ok, found, "" if ok else f"use Linux on {' or '.join(sorted(MACHINES))}")


def _user(identity: Identity | NoIdentity) -> Check:
    match identity:
        case Identity(uid=uid, name=name):
            return Check("user", ok=True, found=f"functions run as {name} ({uid})")
        case NoIdentity(reason, cure):
            return Check("user", ok=False, found=reason, cure=cure)


def _tools(facts: Facts) -> Check:
    missing = [name for name, path in (("prlimit", facts.prlimit), ("setpriv", facts.setpriv)) if not path]
    return _check("tools", not missing, "prlimit, setpriv", f"no {' and no '.join(missing)}", _UTIL_LINUX)


def _namespaces(facts: Facts) -> Check:
    said = facts.attempt.said.strip() or "not tried"
    return _check("namespaces", facts.attempt.ok, "a sandbox was started for a try", said, cure_for(facts))


def _landlock(kernel: Kernel) -> Check:
    """Landlock is looked at for those without namespaces only: nobody else needs it."""
    missing = f"version {kernel.landlock}, too old" if kernel.landlock else "none"
    cure = "only the mode `landlock` needs it: Linux 6.12 or later, with `landlock` in its `lsm=` list"
    return _check("landlock", kernel.landlock >= OLDEST_ABI, f"version {kernel.landlock}", missing, cure)


def as_text(report: Report) -> str:
    """Return the report for a terminal."""
    lines = []
    for each in report.checks:
        needed = not report.ok or each.name in list(Language)
        first, *more = each.found.split("\n")
        lines.append(f"{'ok' if each.ok else 'NO' if needed else 'weak':<6}{each.name:<12}{first}")
        lines += (f"{'':18}{line}" for line in more)
        if each.cure:
            lines.append(f"{'':18}-> {each.cure}")
    lines.append("")
    match report.verdict:
        case Granted(tier, warning):
            lines.append(f"Functions run in the tier {tier.value!r}.")
            lines += textwrap.wrap(warning, _WIDTH)
        case Refused() as refused:
            lines += textwrap.wrap(f"Functions do not run. {refused}", _WIDTH)
    return "\n".join(lines)
