"""Gather the facts that the tier depends on, by looking at the kernel and by really starting a sandbox."""

import ctypes
import os
import platform
import re
import shutil
import subprocess
from contextlib import ExitStack, suppress

from edgefn.sandbox.process.bwrap import Bind, Descriptors, Room, encoded, options
from edgefn.sandbox.process.cgroup import Delegated, Unusable, members, our_position, standing, usable
from edgefn.sandbox.process.identity import Identity
from edgefn.sandbox.process.landlock import plan
from edgefn.sandbox.process.libraries import system_mounts
from edgefn.sandbox.process.seccomp import filter_program
from edgefn.sandbox.process.spawn import memory_file
from edgefn.sandbox.process.syscalls import MACHINES
from edgefn.sandbox.process.tiers import Attempt, Kernel

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATE_RULESET = 444
PRLIMIT_INSIDE = "/usr/bin/prlimit"
_TIMEOUT = 10.0


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _switch(path: str) -> bool | None:
    text = _read(path)
    return None if text is None else text not in ("0", "")


def kernel_facts() -> Kernel:
    """Return what the kernel says of itself."""
    namespaces = _read("/proc/sys/user/max_user_namespaces")
    return Kernel(
        system=platform.system(),
        machine=platform.machine(),
        release=platform.release(),
        landlock=landlock_abi(),
        seccomp="errno" in (_read("/proc/sys/kernel/seccomp/actions_avail") or ""),
        max_user_namespaces=int(namespaces) if namespaces and namespaces.isdigit() else None,
        unprivileged_userns_clone=_switch("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts_userns=_switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    )


def landlock_abi() -> int:
    """Return the version of Landlock, 0 where there is none (landlock_create_ruleset(2))."""
    version = ctypes.c_uint32(1)
    return max(int(_LIBC.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), version)), 0)


def in_container() -> bool:
    """Say whether this looks like the inside of a container."""
    return os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")


def become(setpriv: str, identity: Identity) -> tuple[str, ...]:
    """Return the command that becomes the identity and goes on as what follows it; nothing when we are it."""
    if identity.ours:
        return ()
    return (setpriv, f"--reuid={identity.uid}", f"--regid={identity.gid}", "--clear-groups", "--")


def try_sandbox(bwrap: str, prlimit: str, prefix: tuple[str, ...], slot: str) -> Attempt:
    """Start a sandbox like those of functions, with a program that only says its version."""
    machine = platform.machine()
    if not bwrap or machine not in MACHINES:
        return Attempt(ok=False)
    with ExitStack() as opened:

        def held(content: bytes) -> int:
            descriptor = memory_file(content)
            opened.callback(os.close, descriptor)
            return descriptor

        mounts = (*system_mounts(machine), Bind(prlimit, PRLIMIT_INSIDE))
        room = Room(mounts, slot, tmp_size=4096)
        descriptors = Descriptors(seccomp=held(filter_program(machine, bounded=False)), info=held(b""))
        arguments = held(encoded(options(room, descriptors)))
        argv = [*prefix, bwrap, "--args", str(arguments), "--", PRLIMIT_INSIDE, "--core=0", PRLIMIT_INSIDE, "--version"]
        try:
            return _attempt(argv, (descriptors.seccomp, descriptors.info, arguments))
        finally:
            _bury(descriptors.info)


def try_landlock(python: str, confine: str, prlimit: str, prefix: tuple[str, ...]) -> Attempt:
    """Shut a program that only says its version in, as functions are, by Landlock."""
    machine = platform.machine()
    if machine not in MACHINES:
        return Attempt(ok=False)
    filter_ = filter_program(machine, bounded=False, exposed=True)
    rules = memory_file(plan(system_mounts(machine), (prlimit,), "/nonexistent", "/nonexistent", filter_))
    try:
        return _attempt([*prefix, python, "-I", "-S", confine, str(rules), prlimit, "--version"], (rules,))
    finally:
        os.close(rules)


def _bury(info: int) -> None:
    """Wait for the pid 1 that `info` names: it may have outlived its parent, and is ours to wait for then."""
    os.lseek(info, 0, os.SEEK_SET)
    found = re.search(rb'"child-pid": *(\d+)', os.read(info, 4096))
    if found is not None:
        with suppress(ChildProcessError):
            os.waitpid(int(found[1]), 0)


def _attempt(argv: list[str], passed: tuple[int, ...]) -> Attempt:
    try:
        done = subprocess.run(  # noqa: S603 - our own chain
            argv, env={}, pass_fds=passed, capture_output=True, timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Attempt(ok=False, said=str(error))
    return Attempt(done.returncode == 0, done.stderr.decode("utf-8", "replace")[:500])


def delegated_cgroup() -> Delegated | Unusable:
    """Take over the cgroup that was delegated to us, or say why there is none. Moves our processes into a leaf."""
    place = our_position()
    if isinstance(place, Unusable):
        return place
    try:
        obstacle = usable(standing(place.root))
        if obstacle is not None:
            return obstacle
        delegated = Delegated(place.root)
        delegated.settle(members(place.root)[0])
    except OSError as error:
        return Unusable(f"our cgroup cannot be divided: {error}")
    return delegated


def find_tool(name: str, path: str) -> str:
    """Return the real path of a program of the system, "" when it is not there."""
    found = shutil.which(name, path=path)
    return os.path.realpath(found) if found else ""
