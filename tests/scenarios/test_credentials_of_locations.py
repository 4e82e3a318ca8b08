"""A location's credentials: renewed in time, run out while nobody renews them, and healed; a real NATS server."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from edgefn.cli.deploy import deployment_parts
from edgefn.configuration.loader import load
from edgefn.control.client import ControlClient
from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.packing import packed
from edgefn.functions.replicas.nats.server import ServerSettings, start
from edgefn.model.control_settings import ControlSettings, NatsSettings
from edgefn.model.settings import Settings
from edgefn.node.control_plane import open_control_plane, prepare, write_server_configuration
from edgefn.node.location import Location
from edgefn.node.membership import join, read_membership
from tests.free_ports import free_port
from tests.functions.nats.stage import PROGRAM
from tests.waiting import until

CODE = "exports.handler = async () => ({status: '200', body: 'WORD'});\n"
LIFETIME = 4.0


def location_settings(folder: Path) -> Settings:
    text = f"""
location: fra1
listen: 127.0.0.1:0
admin: 127.0.0.1:{free_port()}
data_dir: ./fra1
access_log: "off"
origins: {{none: {{url: "http://127.0.0.1:9"}}}}
routes: [{{path: "*", origin: none, hooks: {{viewer-request: "greet:live"}}}}]
"""
    return load(text, filename="fra1.yaml", base=str(folder))


class ControlPlane:
    """A control plane that can end and come back, and its operator."""

    def __init__(self, folder: Path, servers: tuple[str, ...]) -> None:
        nats = NatsSettings(servers)
        address = ("127.0.0.1", free_port())
        self.settings = ControlSettings(address, str(folder / "control"), nats, credentials_lifetime=LIFETIME)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ControlClient]:
        async with AsyncExitStack() as stack:
            url, _ = await open_control_plane(stack, self.settings, print)
            yield ControlClient(url, (Path(self.settings.data_dir) / "admin.token").read_text().strip())


async def deploy(client: ControlClient, word: str) -> None:
    """Deploy, and return when the location has it."""
    bundle = Bundle.of([BundleFile("index.js", CODE.replace("WORD", word).encode())])
    deployment = {"settings": {"runtime": "nodejs20.x"}, "description": "", "alias": "live", "weight": 10_000}
    told = await client.upload("POST", "/v1/functions/greet/deployments", deployment_parts(deployment, packed(bundle)))
    progress = client.lines("/v1/progress", {"generation": str(told["generation"])})
    assert [line async for line in progress][-1]["done"]


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[str]:
    """Run a NATS server that obeys the control plane below `folder`; give its URL."""
    settings = ControlSettings(data_dir=str(folder / "control"))
    prepare(settings)
    written = write_server_configuration(settings).read_text().replace("./accounts", str(folder / "nats" / "accounts"))
    running = await start(ServerSettings("n0", folder / "nats", authority=written, max_disk="1GB"), PROGRAM)
    try:
        yield running.url
    finally:
        await running.stop()


async def test_credentials_are_renewed_in_time_run_out_without_harm_and_heal_by_themselves(tmp_path: Path) -> None:
    reports: list[str] = []
    settings = location_settings(tmp_path)

    async with server(tmp_path) as url, AsyncExitStack() as stack, ClientSession() as viewer:
        control = ControlPlane(tmp_path, (url,))

        async def got() -> str:
            async with viewer.get(location.addresses[0]) as answer:
                return await answer.text()

        async with control.running() as client:
            told = await client.change("POST", "/v1/locations/fra1")
            first = await join(settings, f"http://127.0.0.1:{control.settings.admin[1]}", str(told["token"]))
            location = Location(settings, read=lambda _: settings, report=reports.append)
            await stack.enter_async_context(location)
            await deploy(client, "one")
            await until(lambda: read_membership(settings.data_dir).expires > first.expires + LIFETIME / 2)
            await deploy(client, "two")
            assert (await got(), [line for line in reports if "credentials" in line]) == ("two", [])

        await until(lambda: any("can't be renewed: nobody answers" in line for line in reports))
        await until(lambda: any("ran out at" in line for line in reports))
        assert await got() == "two"
        there = ControlClient(
            f"http://127.0.0.1:{settings.admin[1] if settings.admin else 0}",
            (Path(settings.data_dir) / "admin.token").read_text().strip(),
        )
        status = await there.get("/v1/status")
        assert "the fleet's credentials ran out at" in json.dumps(status["notes"])

        async with control.running() as client:
            await until(lambda: any("the fleet's credentials are renewed, until" in line for line in reports))
            await deploy(client, "three")
            assert await got() == "three"
            assert (await there.get("/v1/status"))["notes"] == []
            assert (await client.get("/v1/status"))["notes"] == []
