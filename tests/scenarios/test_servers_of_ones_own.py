"""A fleet on NATS servers that somebody else runs, with TLS everywhere: all of it from the command line."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from edgefn.cli.control import read_control
from edgefn.functions.replicas.nats.layout import RECORDS
from edgefn.functions.replicas.nats.server import Member, Server, ServerSettings, start
from edgefn.node.control_plane import prepare, write_server_configuration
from edgefn.node.hub import open_hub
from tests.cli.test_serve import command
from tests.fakes.certificates import write_certificate
from tests.free_ports import free_port
from tests.functions.nats.stage import PROGRAM
from tests.scenarios.fleet_stage import Fleet, fleet_of


class Servers:
    """Servers with TLS on ports of loopback that obey the fleet whose control plane is in `folder`."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.certificate, self.key = write_certificate(folder, "nats")
        self.ports = [free_port() for _ in range(count)]
        self._routes = [free_port() for _ in range(count)]
        self.running: dict[str, Server] = {}

    @property
    def urls(self) -> str:
        return ", ".join(f'"tls://localhost:{port}"' for port in self.ports)

    async def start(self, only: str = "", authority: str | None = None) -> None:
        written = (self.folder / "control" / "nats-server.conf").read_text() if authority is None else authority
        for number, port in enumerate(self.ports):
            name = f"n{number}"
            if only not in {"", name}:
                continue
            routes = tuple(other for other in self._routes if other != self._routes[number])
            settings = ServerSettings(
                name,
                self.folder / name,
                port=port,
                authority=written.replace("./accounts", str(self.folder / name / "accounts")),
                member=Member(self._routes[number], routes) if routes else None,
                certificate=str(self.certificate),
                certificate_key=str(self.key),
                max_disk="1GB",
                max_memory="64MB",
            )
            self.running[name] = await start(settings, PROGRAM)

    async def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        await asyncio.gather(*(server.stop(how) for server in self.running.values()))

    def lose_disks(self) -> None:
        for name in self.running:
            shutil.rmtree(self.folder / name)


class TlsFleet(Fleet):
    """A fleet whose control API and whose servers speak TLS."""

    servers: Servers

    def write_control(self) -> Path:
        file = self.folder / "control.yaml"
        if not file.exists():
            admin = self.url.removeprefix("http://")
            certificate, key = write_certificate(self.folder, "control")
            self.url = self.url.replace("http://127.0.0.1", "https://localhost")
            file.write_text(
                f"admin: {admin}\ntls: {{certificate: {certificate}, key: {key}}}\ndata_dir: ./control\n"
                f"nats: {{servers: [{self.servers.urls}], ca_file: {self.servers.certificate}}}\n"
            )
        return file

    @property
    def there(self) -> tuple[str, ...]:
        return (*super().there, "--ca-file", str(self.folder / "control.pem"))

    async def join(self, name: str, config: Path | None = None) -> None:
        self.write(name)
        status, token = await command("location", "add", name, *self.there)
        assert status == 0, token
        trusting = ("--ca-file", self.folder / "control.pem")
        joining = ("location", "join", self.folder / f"{name}.yaml", "--control", self.url, "--token", token.strip())
        status, told = await command(*joining)
        assert (status, "is not trusted" in told, "--ca-file" in told) == (1, True, True), told
        status, told = await command(*joining, *trusting)
        assert status == 0, told

    async def init(self) -> tuple[int, str]:
        return await command("control", "init", self.write_control())

    async def lose_all_disks_and_restore(self, name: str) -> None:
        """Begin the servers anew, empty, and fill them with what the location `name` has."""
        self.control.send(signal.SIGTERM)
        assert await self.control.ended() == 0
        await self.servers.stop()
        self.servers.lose_disks()
        await self.servers.start()
        restore = ("control", "restore", self.write_control(), "--from", self.folder / name / "replica")
        status, told = await command(*restore)
        assert (status, "for locations that have seen more" in told) == (0, True), told
        await self.start_control()

    async def begin(self, count: int) -> None:
        """Have the servers obey a control plane that is new, and the control plane run."""
        self.servers = Servers(self.folder, count)
        self._stack.push_async_callback(self.servers.stop)
        settings = read_control(str(self.write_control()))
        prepare(settings)
        write_server_configuration(settings)
        await self.servers.start()
        status, told = await self.init()
        assert (status, "streams: ready at tls://localhost" in told) == (0, True), told
        await self.start_control()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[TlsFleet]:
    async with fleet_of(TlsFleet, tmp_path) as made:
        yield made


async def test_a_fleet_runs_on_a_server_with_tls_that_it_did_not_start_and_outlives_its_disk(fleet: TlsFleet) -> None:
    await fleet.begin(1)
    await fleet.join("fra1")
    await fleet.serve("fra1")
    status, told = await fleet.deploy("one")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert await fleet.get("fra1") == "one"
    page = await fleet.get("fra1", "/page")
    assert page == await fleet.get("fra1", "/page")
    assert await command("purge", "/page", *fleet.there) == (0, "purged in 1 location\n")
    assert page != await fleet.get("fra1", "/page")

    await fleet.lose_all_disks_and_restore("fra1")
    status, told = await fleet.deploy("two")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert await fleet.get("fra1") == "two"


async def leader(fleet: TlsFleet) -> str:
    """Return which server leads the records."""
    settings = read_control(str(fleet.write_control()))
    async with AsyncExitStack() as stack:
        hub = await open_hub(stack, settings, print)
        answer = await hub.replica.link.ask(f"$JS.API.STREAM.INFO.{RECORDS}")
        return str(json.loads(answer.data)["cluster"]["leader"])


@pytest.mark.fleet
async def test_a_cluster_with_tls_loses_its_leader_a_server_and_all_disks_and_goes_on(fleet: TlsFleet) -> None:
    await fleet.begin(3)
    for name in ("ams1", "fra1"):
        await fleet.join(name)
        await fleet.serve(name)
    status, told = await fleet.deploy("one")
    assert (status, "done: 2 of 2 locations" in told) == (0, True), told

    lost = await leader(fleet)
    await fleet.servers.running[lost].stop(signal.SIGKILL)
    status, told = await fleet.deploy("two")
    assert (status, "done: 2 of 2 locations" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "two"]
    before = [await fleet.get(name, "/page") for name in ("ams1", "fra1")]
    assert await command("purge", "/page", *fleet.there) == (0, "purged in 2 locations\n")
    assert not set(before) & {await fleet.get(name, "/page") for name in ("ams1", "fra1")}
    await fleet.servers.start(lost)

    assert (await command("location", "revoke", "ams1", *fleet.there))[0] == 0
    status, told = await fleet.deploy("three")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "three"]

    await fleet.lose_all_disks_and_restore("fra1")
    status, told = await fleet.deploy("four")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "four"]
