"""Facts of a machine in, a verdict with its reason and cure out. And the facts' own small rules."""

import os
import shutil
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.model.settings import SandboxMode
from edgefn.sandbox.process import cgroup, doctor
from edgefn.sandbox.process.bwrap import Bind, Descriptors, Link, Room, encoded, options
from edgefn.sandbox.process.ground import LauncherConfig
from edgefn.sandbox.process.identity import Identity, NoIdentity, choose, obstacle, permits
from edgefn.sandbox.process.inside import Memory
from edgefn.sandbox.process.landlock import OLDEST_ABI
from edgefn.sandbox.process.launch import Language
from edgefn.sandbox.process.libraries import system_mounts
from edgefn.sandbox.process.limits import MB, TMP_SIZE, limits_for, prlimit
from edgefn.sandbox.process.machine import landlock_abi
from edgefn.sandbox.process.staging import prepare
from edgefn.sandbox.process.tiers import Attempt, Facts, Granted, Kernel, Refused, Tier, verdict
from edgefn.sandbox.process.watchdog import excess

KERNEL = Kernel("Linux", "x86_64", "6.1", seccomp=True)
EDGEFN = Identity(993, 993, "edgefn", ours=False)
GOOD = Facts(
    kernel=KERNEL,
    identity=EDGEFN,
    bwrap="/usr/bin/bwrap",
    prlimit="/usr/bin/prlimit",
    setpriv="/usr/bin/setpriv",
    attempt=Attempt(ok=True),
    cgroup="",
)
BROKEN = replace(GOOD, attempt=Attempt(ok=False, said="bwrap: No permissions to create new namespace"))


def test_a_good_machine_gives_all_there_is_without_a_warning() -> None:
    assert verdict(GOOD, SandboxMode.REQUIRED) == Granted(Tier.FULL)


def test_a_machine_without_a_delegated_cgroup_is_good_enough_but_says_so() -> None:
    granted = verdict(replace(GOOD, cgroup="our cgroup is not delegated to us"), SandboxMode.REQUIRED)
    assert isinstance(granted, Granted)
    assert granted.tier is Tier.NO_CGROUP
    assert "not delegated to us" in granted.warning
    assert "Delegate=" in granted.warning


@pytest.mark.parametrize(
    ("facts", "reason", "cure"),
    [
        (replace(GOOD, kernel=replace(KERNEL, system="Darwin")), "need Linux", "virtual machine"),
        (replace(GOOD, kernel=replace(KERNEL, machine="riscv64")), "riscv64", "aarch64 and x86_64"),
        (replace(GOOD, kernel=replace(KERNEL, seccomp=False)), "no seccomp", "CONFIG_SECCOMP_FILTER"),
        (replace(GOOD, identity=NoIdentity("nobody is there", "make a user")), "Nobody is there", "make a user"),
        (replace(GOOD, bwrap=""), "bubblewrap", "apt install bubblewrap"),
        (replace(GOOD, prlimit=""), "prlimit", "util-linux"),
        (replace(GOOD, setpriv=""), "setpriv", "util-linux"),
        (BROKEN, "No permissions", "edgefn doctor"),
        (replace(BROKEN, in_container=True), "No permissions", "seccomp=unconfined"),
        (replace(BROKEN, kernel=replace(KERNEL, max_user_namespaces=0)), "could not be started", "max_user_namespaces"),
        (
            replace(BROKEN, kernel=replace(KERNEL, unprivileged_userns_clone=False)),
            "could not be started",
            "unprivileged_userns_clone=1",
        ),
        (
            replace(BROKEN, kernel=replace(KERNEL, apparmor_restricts_userns=True)),
            "could not be started",
            "AppArmor profile",
        ),
        (
            replace(BROKEN, attempt=Attempt(ok=False, said="bwrap: Unknown option --disable-userns")),
            "Unknown option",
            "0.8.0 or later",
        ),
    ],
)
def test_what_is_missing_is_refused_with_its_cure(facts: Facts, reason: str, cure: str) -> None:
    refused = verdict(facts, SandboxMode.REQUIRED)
    assert isinstance(refused, Refused)
    assert reason in refused.reason
    assert cure in refused.cure
    assert str(refused).endswith(f"Cure: {refused.cure}.")


LANDLOCKED = replace(BROKEN, kernel=replace(KERNEL, landlock=7), landlock=Attempt(ok=True))


def test_the_landlock_mode_takes_the_stronger_walls_where_they_are() -> None:
    assert verdict(replace(GOOD, kernel=LANDLOCKED.kernel), SandboxMode.LANDLOCK) == Granted(Tier.FULL)


def test_landlock_is_taken_when_asked_for_and_said_loudly() -> None:
    granted = verdict(LANDLOCKED, SandboxMode.LANDLOCK)
    assert isinstance(granted, Granted)
    assert granted.tier is Tier.LANDLOCK
    assert "WITHOUT NAMESPACES" in granted.warning
    assert "No permissions to create new namespace" in granted.warning
    assert isinstance(verdict(LANDLOCKED, SandboxMode.REQUIRED), Refused)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (BROKEN, "needs Landlock 6, this kernel has none, or it is switched off"),
        (replace(LANDLOCKED, kernel=replace(KERNEL, landlock=5)), "this kernel has version 5"),
        (
            replace(LANDLOCKED, landlock=Attempt(ok=False, said="EPERM")),
            "could not be shut in by Landlock; it said: EPERM",
        ),
        (replace(LANDLOCKED, kernel=replace(LANDLOCKED.kernel, seccomp=False)), "no seccomp filters"),
        (
            replace(LANDLOCKED, kernel=replace(LANDLOCKED.kernel, machine="riscv64")),
            "no system call filter for riscv64",
        ),
    ],
)
def test_landlock_that_is_not_enough_is_refused(facts: Facts, reason: str) -> None:
    refused = verdict(facts, SandboxMode.LANDLOCK)
    assert isinstance(refused, Refused)
    assert reason in refused.reason
    assert refused.cure


def test_this_kernel_gives_landlock_or_the_mode_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edgefn.sandbox.process.runtimes.from_wheel", lambda *_: None)
    for name in ("prlimit", "setpriv", "python3"):
        found = shutil.which(name, path="/usr/bin:/bin")
        if found is not None:  # else a Python is found elsewhere
            (tmp_path / name).symlink_to(found)
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        report = doctor.examine(LauncherConfig(directory, mode=SandboxMode.LANDLOCK, path=str(tmp_path)))
    if landlock_abi() >= OLDEST_ABI:
        assert isinstance(report.verdict, Granted), doctor.as_text(report)
        assert report.verdict.tier is Tier.LANDLOCK
    else:
        assert isinstance(report.verdict, Refused)
        assert f"needs Landlock {OLDEST_ABI}" in report.verdict.reason


def test_no_walls_are_had_by_saying_so_only() -> None:
    granted = verdict(replace(BROKEN, bwrap="", kernel=replace(KERNEL, seccomp=False)), SandboxMode.NONE_I_KNOW)
    assert isinstance(granted, Granted)
    assert granted.tier is Tier.NONE
    assert "WITHOUT ANY SANDBOX" in granted.warning


@pytest.mark.parametrize("mode", list(SandboxMode))
def test_root_without_a_user_to_become_is_refused_in_every_mode(mode: SandboxMode) -> None:
    facts = replace(GOOD, identity=choose(Identity(0, 0, "root", ours=True), "", lambda _: None))
    assert isinstance(verdict(facts, mode), Refused)


USERS = {"edgefn": (993, 993), "nobody": (65534, 65534), "root": (0, 0), "toor": (0, 0)}
ROOT = Identity(0, 0, "root", ours=True)
ALICE = Identity(1000, 1000, "alice", ours=True)


@pytest.mark.parametrize(
    ("me", "wanted", "users", "chosen"),
    [
        (ROOT, "", {"edgefn", "nobody"}, "edgefn"),
        (ROOT, "", {"nobody"}, "nobody"),
        (ROOT, "nobody", {"edgefn", "nobody"}, "nobody"),
        (ROOT, "toor", {"toor"}, None),
        (ROOT, "missing", {"edgefn", "nobody"}, None),
        (ROOT, "", set(), None),
        (ALICE, "", {"edgefn"}, "alice"),
        (ALICE, "alice", {"edgefn"}, "alice"),
        (ALICE, "edgefn", {"edgefn"}, None),
    ],
)
def test_functions_never_run_as_root(me: Identity, wanted: str, users: set[str], chosen: str | None) -> None:
    found = choose(me, wanted, lambda name: USERS[name] if name in users else None)
    if chosen is None:
        assert isinstance(found, NoIdentity)
        assert found.cure
    else:
        assert isinstance(found, Identity)
        assert (found.name, found.uid == 0) == (chosen, False)


@pytest.mark.parametrize(
    ("mode", "owner", "group", "bits", "granted"),
    [
        (0o700, 993, 0, 5, True),
        (0o700, 0, 993, 5, False),
        (0o750, 0, 993, 5, True),
        (0o754, 0, 0, 4, True),
        (0o754, 0, 0, 5, False),
        (0o077, 993, 0, 4, False),
    ],
)
def test_a_files_mode_is_read_as_the_kernel_does(mode: int, owner: int, group: int, bits: int, granted: bool) -> None:
    facts = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, group, 0, 0, 0, 0))
    assert permits(facts, EDGEFN, bits) is granted


def test_the_first_closed_directory_is_named(tmp_path: Path) -> None:
    stranger = Identity(54321, 54321, "stranger", ours=False)
    file = tmp_path / "open" / "closed" / "file"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    assert obstacle(str(tmp_path / "missing"), stranger) == os.path.realpath(tmp_path / "missing")
    assert obstacle("/usr/bin/env", stranger, 5) is None
    file.parent.chmod(0o700)
    closed = obstacle(str(file), stranger)
    assert closed is not None
    assert str(file).startswith(closed)
    assert obstacle(str(file), Identity(os.geteuid(), os.getegid(), "me", ours=True)) is None


def test_staging_copies_what_is_in_a_closed_place(tmp_path: Path) -> None:
    bootstrap = tmp_path / "bootstrap"
    bootstrap.mkdir()
    (bootstrap / "python.py").write_text("pass")
    me = Identity(os.geteuid(), os.getegid(), "me", ours=True)
    staging = prepare(str(tmp_path / "ground"), str(bootstrap), me)
    secretive = tmp_path / "node"
    secretive.write_bytes(b"program")
    secretive.chmod(0o700)
    staged = Path(staging.stage(str(secretive), "node"))
    assert staged.read_bytes() == b"program"
    assert stat.S_IMODE(staged.stat().st_mode) == 0o755
    assert stat.S_IMODE(secretive.stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.write_bytes(b"program")
    shared.chmod(0o755)
    assert Path(staging.stage(str(shared), "shared")).stat().st_ino == shared.stat().st_ino
    assert Path(staging.runtime, "python.py").read_text() == "pass"
    staging.remove()
    assert os.listdir(staging.directory) == []


@pytest.mark.parametrize(
    ("language", "version", "bounded", "data", "processes"),
    [
        (Language.PYTHON, (3, 12), False, 192, 256),
        (Language.NODE, (20, 1), False, 192, 256),
        (Language.NODE, (22, 1), True, 192, 1024),
        (Language.NODE, (24, 0), True, 192 + 5 * 540, 1024),
    ],
)
def test_limits_follow_memory_and_runtime(
    language: Language, version: tuple[int, int], bounded: bool, data: int, processes: int
) -> None:
    limits = limits_for(language, version, 128, bounded=bounded)
    assert (limits.data, limits.memory, limits.processes) == (data * MB, 192 * MB, processes)
    assert limits.heap_mb < 128
    assert {"--core=0", f"--data={data * MB}", f"--nproc={processes}"} <= set(prlimit("prlimit", limits))


def test_the_watchdog_counts_memory_and_files() -> None:
    assert excess(Memory(held=100, files=10), limit=100) is None
    assert "101 bytes" in (excess(Memory(held=101, files=10), limit=100) or "")
    assert "files in /tmp" in (excess(Memory(held=1, files=70_000), limit=100) or "")


def test_the_room_is_closed_before_anybody_enters() -> None:
    room = Room((Bind("/usr/bin/node", "/n"), Link("usr/lib", "/lib")), "/slots/1", TMP_SIZE, {"A": "1"})
    chosen = options(room, Descriptors(seccomp=5, info=6, hosts=7))
    text = " ".join(chosen)
    for needed in (
        "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--disable-userns", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop ALL", "--seccomp 5",
        "--info-fd 6", "--ro-bind /slots/1 /var/task", "--setenv A 1", "--ro-bind-data 7 /etc/hosts",
        "--symlink usr/lib /lib",
    ):  # fmt: skip
        assert needed in text
    assert "--bind" not in chosen
    assert text.endswith("--remount-ro / --seccomp 5 --info-fd 6")
    assert encoded(["--a", "b c"]) == b"--a\0b c\0"
    with pytest.raises(ValueError, match="NUL"):
        encoded(["a\0b"])


def layout(root: Path, *directories: str) -> Path:
    for directory in directories:
        (root / directory).mkdir(parents=True)
    return root


def test_debians_libraries_are_one_directory(tmp_path: Path) -> None:
    root = layout(tmp_path, "usr/lib/aarch64-linux-gnu", "usr/lib/python3", "etc/ssl/certs")
    (root / "usr/lib/ld-linux-aarch64.so.1").touch()
    (root / "lib").symlink_to("usr/lib")
    assert system_mounts("aarch64", str(root)) == (
        Link("usr/lib", "/lib"),
        Bind("/usr/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"),
        Bind("/usr/lib/ld-linux-aarch64.so.1", "/usr/lib/ld-linux-aarch64.so.1"),
        Bind("/etc/ssl/certs", "/etc/ssl/certs", optional=True),
    )


def test_fedoras_libraries_are_in_lib64(tmp_path: Path) -> None:
    root = layout(tmp_path, "usr/lib64", "usr/lib/systemd")
    (root / "lib64").symlink_to("usr/lib64")
    (root / "lib").symlink_to("usr/lib")
    mounts = system_mounts("x86_64", str(root))
    assert mounts == (Link("usr/lib", "/lib"), Link("usr/lib64", "/lib64"), Bind("/usr/lib64", "/usr/lib64"))


def test_alpines_libraries_are_in_lib(tmp_path: Path) -> None:
    root = layout(tmp_path, "usr/lib", "lib")
    assert system_mounts("x86_64", str(root)) == (Bind("/lib", "/lib"), Bind("/usr/lib", "/usr/lib"))


MOUNTINFO = """\
24 1 0:22 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
"""


def test_our_place_in_the_cgroup_tree_is_found() -> None:
    place = cgroup.position("1:name=systemd:/x\n0::/system.slice/edgefn.service\n", MOUNTINFO)
    assert isinstance(place, cgroup.Position)
    assert place.root == "/sys/fs/cgroup/system.slice/edgefn.service"
    moved = cgroup.position(f"0::/system.slice/edgefn.service/{cgroup.LEAF}\n", MOUNTINFO)
    assert isinstance(moved, cgroup.Position)
    assert moved.root == place.root
    top = cgroup.position("0::/\n", MOUNTINFO)
    assert isinstance(top, cgroup.Position)
    assert top.root == "/sys/fs/cgroup"
    assert isinstance(cgroup.position("4:memory:/x\n", ""), cgroup.Unusable)


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (cgroup.Standing(frozenset({"memory", "pids", "cpu"}), writable=True, strangers=0), None),
        (cgroup.Standing(frozenset({"hugetlb"}), writable=True, strangers=0), "no memory and no pids"),
        (cgroup.Standing(frozenset({"memory", "pids"}), writable=False, strangers=0), "not delegated"),
        (cgroup.Standing(frozenset({"memory", "pids"}), writable=True, strangers=3), "3 other processes"),
    ],
)
def test_a_cgroup_is_used_when_it_is_ours_alone(standing: cgroup.Standing, reason: str | None) -> None:
    found = cgroup.usable(standing)
    assert (found is None) if reason is None else (found is not None and reason in found.reason)


def tree(root: Path, *directories: str) -> None:
    """Lay out the files of cgroup directories as the kernel would."""
    for directory in (".", *directories):
        place = root / directory
        place.mkdir(exist_ok=True)
        for name in (
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.freeze",
            "cgroup.kill",
            "memory.max",
            "pids.max",
        ):
            (place / name).write_text("")
        (place / "memory.oom.group").write_text("")
        (place / "cgroup.controllers").write_text("cpu memory pids\n")


def test_a_cgroup_is_divided_and_an_old_one_swept(tmp_path: Path) -> None:
    tree(tmp_path, cgroup.LEAF)
    (tmp_path / "edgefn-sandbox-1-1").mkdir()
    cgroup.Delegated(str(tmp_path)).settle([4242])
    assert (tmp_path / cgroup.LEAF / "cgroup.procs").read_text() == "4242"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert not (tmp_path / "edgefn-sandbox-1-1").exists()
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n1\n")
    assert cgroup.members(str(tmp_path)) == ([os.getpid()], 1)
    assert cgroup.standing(str(tmp_path)).strangers == 1


def test_a_sandboxes_cgroup_holds_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = limits_for(Language.NODE, (20, 0), 128, bounded=True)
    assert cgroup.settings(limits) == {
        "memory.max": str((128 + 64 + 512) * MB),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "1024",
    }
    real = os.mkdir

    def make_as_the_kernel_does(path: str, mode: int = 0o777) -> None:
        real(path, mode)
        if os.path.dirname(path) == str(tmp_path):
            monkeypatch.setattr(os, "mkdir", real)
            tree(Path(path))

    monkeypatch.setattr(os, "mkdir", make_as_the_kernel_does)
    group = cgroup.Delegated(str(tmp_path)).group(limits)
    made = Path(group.directory)
    assert (made / "memory.max").read_text() == str(704 * MB)
    group.freeze()
    assert (made / "cgroup.freeze").read_text() == "1"
    group.thaw()
    assert (made / "cgroup.freeze").read_text() == "0"
    group.freeze()
    group.kill()
    assert ((made / "cgroup.kill").read_text(), (made / "cgroup.freeze").read_text()) == ("1", "0")
    (made / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    (made / "memory.peak").write_text("4096\n")
    assert group.footprint() == cgroup.Footprint(1.5, 4096)
    assert group.entrance == str(made / "cgroup.procs")


def test_the_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        report = doctor.examine(LauncherConfig(directory, bootstrap=str(tmp_path)))
    text = doctor.as_text(report)
    assert report.ok, text
    assert {check.name for check in report.checks if not check.ok} <= {"cgroup", "landlock"}
    assert "Functions run in the tier" in text


def test_the_doctor_names_a_cure_for_every_lack() -> None:
    worst = replace(
        BROKEN, kernel=Kernel("Linux", "mips", "3.0", seccomp=False), bwrap="", prlimit="", cgroup="no cgroup",
        identity=NoIdentity("no user", "make one"),
    )  # fmt: skip
    checks = doctor.machine_checks(worst)
    assert [check.name for check in checks if not check.ok] == [check.name for check in checks]
    assert all(check.cure for check in checks)
    assert all(not check.cure for check in doctor.machine_checks(replace(GOOD, kernel=LANDLOCKED.kernel)))
    refused = doctor.Report(checks, verdict(worst, SandboxMode.REQUIRED))
    assert "Functions do not run." in doctor.as_text(refused)
    assert not refused.ok


def test_the_doctor_survives_a_machine_that_has_nothing() -> None:
    report = doctor.examine(LauncherConfig("/proc/no-such-place"))
    assert not report.ok
    assert "cannot be made ready" in doctor.as_text(report)
