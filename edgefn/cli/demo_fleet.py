"""`edgefn demo --locations N`: a fleet on one machine; a deployment under load, and the control plane's death."""

import asyncio
import signal
import socket
import sys
import tempfile
from argparse import Namespace
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from edgefn.cli.deploy import deployment_parts
from edgefn.cli.reading import read_settings
from edgefn.cli.waiting import wait_for
from edgefn.control.client import ControlClient, ControlError
from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.packing import packed
from edgefn.node.membership import join
from edgefn.node.tending import tend

_NAMES: Final = ("fra", "ams", "lhr", "jfk", "sfo", "nrt", "syd", "gru", "sin", "bom")
_CODE: Final = "exports.handler = async () => ({status: '200', body: 'version WORD\\n'});\n"
_PATIENCE: Final = 60.0
_VIEWERS: Final = 4


@dataclass(slots=True)
class _Load:
    """Viewers that never stop asking, and what they got."""

    urls: list[str]
    answers: dict[str, int] = field(default_factory=dict)
    failed: int = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        async with ClientSession(timeout=ClientTimeout(total=10.0)) as session, asyncio.TaskGroup() as viewers:
            for number in range(_VIEWERS):
                viewers.create_task(self._ask(session, number))

    async def _ask(self, session: ClientSession, number: int) -> None:
        while True:
            number += 1
            try:
                async with session.get(self.urls[number % len(self.urls)]) as answer:
                    word = (await answer.text()).strip()
                    if answer.status == 200:
                        self.answers[word] = self.answers.get(word, 0) + 1
                    else:
                        self.failed += 1
            except (ClientError, TimeoutError):
                self.failed += 1
            await asyncio.sleep(0.005)

    def told(self) -> str:
        """Return what they got since the last time."""
        counts = ", ".join(f"{count} x {word}" for word, count in sorted(self.answers.items()))
        words = f"{counts or 'no answer'}; failed: {self.failed}"
        self.answers.clear()
        self.failed = 0
        return words


async def run_fleet(locations: int) -> int:
    """Run the demo until Ctrl-C; return the exit status."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    story = asyncio.get_running_loop().create_task(_story(locations, stopping))
    stop = asyncio.get_running_loop().create_task(stopping.wait())
    await asyncio.wait({story, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not story.done():
        story.cancel()
    with suppress(asyncio.CancelledError):
        return await story
    return 0


async def _story(locations: int, stopping: asyncio.Event) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgefn-fleet-")))
        control = await _control(stack, folder)
        client = ControlClient(control.url, (folder / "control" / "admin.token").read_text().strip())
        names = [f"{_NAMES[number % len(_NAMES)]}{number // len(_NAMES) + 1}" for number in range(locations)]
        urls = [await _location(stack, folder, name, client, control.url) for name in names]
        await _deploy(client, "1")
        await _apply(client, "1h")
        load = _Load(urls)
        tend(stack, load.run())
        await asyncio.sleep(1.0)
        print(f"\nunder load: {load.told()}", flush=True)
        await _deploy(client, "2")
        print(f"while it went live: {load.told()}", flush=True)
        await _apply(client, "2h")
        print(f"while it was put in force: {load.told()}", flush=True)
        await asyncio.sleep(1.0)
        print(f"after it: {load.told()}", flush=True)
        control.process.kill()
        await control.process.wait()
        print("\nthe control plane is killed", flush=True)
        await asyncio.sleep(2.0)
        print(f"without it: {load.told()}", flush=True)
        print(f"\nstill serving (Ctrl-C stops it): {' '.join(urls)}", flush=True)
        await stopping.wait()
    return 0


@dataclass(frozen=True, slots=True)
class _Child:
    process: asyncio.subprocess.Process
    url: str


async def _control(stack: AsyncExitStack, folder: Path) -> _Child:
    admin, nats = _free_port(), _free_port()
    file = folder / "control.yaml"
    _write(file, f'admin: 127.0.0.1:{admin}\ndata_dir: ./control\nnats: {{listen: "127.0.0.1:{nats}"}}\n')
    child = await _start(stack, folder, "control", "serve", str(file))
    print(f"control plane: http://127.0.0.1:{admin}, NATS at 127.0.0.1:{nats}", flush=True)
    return _Child(child, f"http://127.0.0.1:{admin}")


async def _location(stack: AsyncExitStack, folder: Path, name: str, client: ControlClient, control: str) -> str:
    port, file = _free_port(), folder / f"{name}.yaml"
    _write(
        file,
        f"""location: {name}
listen: 127.0.0.1:{port}
admin: off
data_dir: ./{name}
access_log: off
site: main
""",
    )
    told = await client.change("POST", f"/v1/locations/{name}")
    await join(read_settings(str(file)), control, str(told.get("token")))
    await _start(stack, folder, "serve", str(file))
    print(f"location {name}: http://127.0.0.1:{port}", flush=True)
    return f"http://127.0.0.1:{port}/"


async def _deploy(client: ControlClient, word: str) -> None:
    bundle = Bundle.of([BundleFile("index.js", _CODE.replace("WORD", word).encode())])
    deployment = {"settings": {"runtime": "js"}, "description": "", "alias": "live", "weight": 10_000}
    print(f"\ndeploy version {word}:", flush=True)
    told = await client.upload("POST", "/v1/functions/greet/deployments", deployment_parts(deployment, packed(bundle)))
    waited = await wait_for(client, Namespace(wait=1.0, wait_timeout=int(_PATIENCE)), told.get("generation"), "greet")
    print(f"version {word}: {waited.words}", flush=True)


async def _apply(client: ControlClient, lifetime: str) -> None:
    route = {"path": "*", "origin": "none", "hooks": {"viewer-request": "greet:live"}}
    cached = {**route, "cache": {"max_ttl": lifetime}}
    shared = {"origins": {"none": {"url": "http://127.0.0.1:9"}}, "routes": [cached]}
    told = await client.change("PUT", "/v1/configurations/main", {"shared": shared})
    waiting = Namespace(wait=1.0, wait_timeout=int(_PATIENCE))
    waited = await wait_for(client, waiting, told.get("generation"), site="main", quiet=True)
    print(f"\nroutes and origins, configuration {told.get('revision')}: {waited.words}", flush=True)


async def _start(stack: AsyncExitStack, folder: Path, *words: str) -> asyncio.subprocess.Process:
    """Start one of our own commands, and wait until it is ready. Raises `ControlError`."""
    log = stack.enter_context((folder / f"{words[-1].rpartition('/')[2]}.log").open("wb"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "edgefn.cli.main", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl-C is ours: first the load ends, then the locations
    )
    stack.push_async_callback(_stopped, process)
    if process.stdout is None:
        raise ControlError("a process without its output")
    async with asyncio.timeout(_PATIENCE):
        line = await process.stdout.readline()
    if not line.startswith(b"ready"):
        raise ControlError(f"{' '.join(words)} did not start: {_last_words(log.name)}")
    return process


async def _stopped(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 15.0)
    except TimeoutError:
        process.kill()
        await process.wait()


def _last_words(log: str) -> str:
    return Path(log).read_text(errors="replace")[-500:]


def _write(file: Path, text: str) -> None:
    file.write_text(text)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
