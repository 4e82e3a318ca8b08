"""A NATS server as a child process: for a control plane that brings its own, for demos and tests."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import which

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.refusals import OLDEST
from edgefn.sandbox.process.spawn import end_with_parent, keep_from_children

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Member:
    """A server's place in a cluster: its port among the others, and theirs."""

    port: int
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server: where it listens and keeps its data, whose tokens it obeys, and its cluster.

    `authority` is what `Authority.server_settings` returns. `certificate` and `certificate_key` are paths of PEM files:
    with them it speaks TLS only. What it keeps is encrypted with `store_key`, 32 characters or more, unless it is "".
    """

    name: str
    directory: Path
    address: str = "127.0.0.1"
    port: int = -1
    """-1 lets the system choose one."""
    authority: str = ""
    member: Member | None = None
    certificate: str = ""
    certificate_key: str = ""
    store_key: str = ""
    max_disk: str = "100GB"
    max_memory: str = "256MB"


def find_server(override: str | None) -> str:
    """Return the path of nats-server: the one named, of PATH, or of the extra `cluster`. Raises `ReplicaError`."""
    beside = Path(sys.executable).parent / "nats-server"
    found = which(override) if override else which("nats-server") or which(str(beside))
    if found is None:
        wanted = override or "nats-server"
        raise ReplicaError(
            f"there is no {wanted} here: pip install 'edgefn[cluster]', or name one in EDGEFN_NATS_SERVER"
        )
    return found


async def check_version(program: str) -> str:
    """Return the version of a server's program. Raises `ReplicaError` when it is none, or too old."""
    asked = await asyncio.create_subprocess_exec(
        program,
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(_START_SECONDS):
        said, _ = await asked.communicate()
    version = re.search(rb"v(\d+)\.(\d+)\.(\S+)", said)
    if version is None:
        raise ReplicaError(f"{program} does not say which version of nats-server it is")
    if (int(version[1]), int(version[2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ReplicaError(f"{program} is nats-server {version[0].decode()}; edgefn needs {wanted} or newer")
    return version[0].decode().removeprefix("v")


def configuration(settings: ServerSettings) -> str:
    """Return a server's configuration file. What has been acknowledged is on its disk."""
    ports = json.dumps(str(settings.directory))
    store = json.dumps(str(settings.directory / "jetstream"))
    limits = f"max_mem: {settings.max_memory}, max_file: {settings.max_disk}"
    if settings.store_key:
        limits += f", cipher: chachapoly, key: {json.dumps(settings.store_key)}"
    lines = [
        f"server_name: {json.dumps(settings.name)}",
        f"listen: {json.dumps(f'{settings.address}:{settings.port}')}",
        f"ports_file_dir: {ports}",
        'ping_interval: "2s"',
        "ping_max: 2",
        'write_deadline: "5s"',
        f"jetstream {{ store_dir: {store}, sync_interval: always, {limits} }}",
    ]
    if settings.certificate:
        pair = f"cert_file: {json.dumps(settings.certificate)}, key_file: {json.dumps(settings.certificate_key)}"
        lines.append(f"tls {{ {pair} }}")
    if settings.member is not None:
        routes = ", ".join(f'"nats-route://{settings.address}:{port}"' for port in settings.member.others)
        lines.append(
            f'cluster {{ name: edgefn, listen: "{settings.address}:{settings.member.port}",'
            f' ping_interval: "2s", ping_max: 2, routes: [{routes}] }}'
        )
    return "\n".join(lines) + "\n" + settings.authority


class Server:
    """One running server."""

    def __init__(self, process: asyncio.subprocess.Process, settings: ServerSettings, url: str) -> None:
        self._process = process
        self.settings = settings
        self.url = url

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end; return its exit status, or -N when signal N ended it."""
        return await self._process.wait()

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it is gone; by force when it takes its time."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def signal(self, which_one: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(which_one)


async def start(settings: ServerSettings, program: str) -> Server:
    """Start a server and wait until it listens; it ends with the thread that this runs in, however that ends.

    Raises `ReplicaError` with its last words.
    """
    settings.directory.mkdir(parents=True, exist_ok=True)
    path, log = settings.directory / "server.conf", settings.directory / "server.log"
    path.write_text(configuration(settings))
    path.chmod(0o600)
    for old in settings.directory.glob("*.ports"):
        old.unlink()
    keep_from_children()  # a parent on uvloop leaves us second descriptors of our output: its reader waits for all
    with log.open("ab") as lines:
        process = await asyncio.create_subprocess_exec(
            program,
            "-c",
            str(path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            preexec_fn=partial(end_with_parent, os.getpid()),
        )
    server = Server(process, settings, "")
    try:
        async with asyncio.timeout(_START_SECONDS):
            server.url = await _url(settings.directory, process)
    except TimeoutError:
        await server.stop(signal.SIGKILL)
        raise ReplicaError(f"nats-server did not start within {_START_SECONDS:g} s: see {log}") from None
    except BaseException:
        await server.stop(signal.SIGKILL)
        raise
    return server


@contextlib.asynccontextmanager
async def running(settings: ServerSettings, program: str) -> AsyncIterator[Server]:
    """Run a server for as long as the block lasts. Raises `ReplicaError`."""
    server = await start(settings, program)
    try:
        yield server
    finally:
        await server.stop()


async def _url(directory: Path, process: asyncio.subprocess.Process) -> str:
    """Wait until a server listens, and return where."""
    while True:
        if process.returncode is not None:
            said = (directory / "server.log").read_text(errors="replace").splitlines()[-3:]
            raise ReplicaError(f"nats-server ended with {process.returncode}: {' | '.join(said)}")
        if urls := _listening(directory):
            return urls[0]
        await asyncio.sleep(_LOOK_SECONDS)


def _listening(directory: Path) -> Sequence[str]:
    """Return what the file in which a server says where it listens holds, as far as it is written."""
    for found in directory.glob("*.ports"):
        with contextlib.suppress(ValueError):
            ports: object = json.loads(found.read_text())
            urls = ports.get("nats") if isinstance(ports, dict) else None
            return [url for url in urls if isinstance(url, str)] if isinstance(urls, list) else []
    return []
