"""Large files come from an object store where there is one, and from the hub whatever is wrong with the store."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from edgefn.functions.blob_stores import BlobStoreError, BlobStores, OneDepot
from edgefn.functions.blobs import fetched
from edgefn.functions.committing import Senses
from edgefn.functions.mirror.blobs import Blobs
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.model.publishing import Blob, Manifest
from tests.functions.mirror.stage import CONTROL_KEYS, deploy, fresh_id, starts

CODE = b"exports.handler = async () => ({status: '200'});" * 100
SECRET = "s3cr3t-that-stands-nowhere"


class Counted:
    """The hub's replica, and how often blobs were asked of it."""

    def __init__(self, hub: SqliteReplica) -> None:
        self._hub = hub
        self.asked = 0

    async def get_blob(self, digest: str) -> AsyncGenerator[bytes, None]:
        self.asked += 1
        async for piece in self._hub.get_blob(digest):
            yield piece


class Stage:
    """A control plane with a store at `url`, and a location that fetches what it publishes."""

    def __init__(self, hub: SqliteReplica, local: SqliteReplica, url: str, least: int) -> None:
        self.reports: list[str] = []
        self.lines: list[str] = []
        self.url = url
        self.hub, self.local = Counted(hub), local
        depot = OneDepot(BlobStores(), url, least, self.reports.append)
        self.control = Publisher(hub, CONTROL_KEYS, starts, Senses(time.time, fresh_id), depot=depot)
        self.stores = BlobStores(patience=1.0)

    async def published(self, code: bytes = CODE) -> Manifest:
        return (await deploy(self.control, code)).manifest

    async def code(self, manifest: Manifest) -> bytes:
        """Return the code of a version as the location has it once it has fetched its files."""
        blobs = Blobs(self.hub, self.local, self.stores, self.lines.append)  # type: ignore[arg-type]  # all it needs
        await blobs.fetch(await self.control.catalog())
        assert blobs.missing == {}
        return (await fetched(self.local, manifest, ())).files[0].data


@asynccontextmanager
async def stage(folder: Path, url: str, least: int = 0) -> AsyncIterator[Stage]:
    async with (
        opened(folder / "hub", time.time, fresh_id) as hub,
        opened(folder / "fra1", time.time, fresh_id) as local,
    ):
        yield Stage(hub, local, url, least)


async def test_files_come_from_the_store_and_the_hub_is_not_asked(tmp_path: Path) -> None:
    async with stage(tmp_path, f"file://{tmp_path}/blobs") as on:
        manifest = await on.published()
        assert manifest.blob.url == on.url
        assert (tmp_path / "blobs" / manifest.blob.digest).stat().st_size == manifest.blob.size
        assert await on.code(manifest) == CODE
        assert (on.hub.asked, on.lines, on.reports) == (0, [], [])


async def test_what_is_small_goes_to_the_hub_only(tmp_path: Path) -> None:
    async with stage(tmp_path, f"file://{tmp_path}/blobs", least=100_000) as on:
        manifest = await on.published()
        assert manifest.blob.url == ""
        assert await on.code(manifest) == CODE
        assert (on.hub.asked, (tmp_path / "blobs").exists()) == (1, False)


async def test_a_store_that_has_other_bytes_more_bytes_or_none_is_told_of_and_the_hub_asked(tmp_path: Path) -> None:
    async with stage(tmp_path, f"file://{tmp_path}/blobs") as on:
        for number, spoil in enumerate((lambda old: b"x" * len(old), lambda old: old + b"more", None)):
            on.stores = BlobStores()
            manifest = await on.published(CODE + b"//%d" % number)
            kept = tmp_path / "blobs" / manifest.blob.digest
            if spoil is None:
                kept.unlink()
            else:
                kept.write_bytes(spoil(kept.read_bytes()))
            assert await on.code(manifest) == CODE + b"//%d" % number
            assert on.hub.asked == number + 1
        for line, words in zip(on.lines, ("digest", "more than", "does not have it"), strict=True):
            assert line.startswith("the files of hello:")
            assert "are asked of the hub" in line
            assert words in line


async def test_a_store_that_can_not_be_written_does_not_hold_up_a_deployment(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file, where a directory is wanted")
    async with stage(tmp_path, f"file://{tmp_path}/blobs/deeper") as on:
        manifest = await on.published()
        assert on.reports
        assert await on.code(manifest) == CODE
        assert on.hub.asked == 1


@asynccontextmanager
async def website(answer: web.Response | None, asked: list[str]) -> AsyncIterator[str]:
    """Give the URL of a server that answers everything so, or never."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path}")
        if answer is None:
            await asyncio.sleep(60)
            raise web.HTTPGatewayTimeout
        return web.Response(status=answer.status, body=answer.body)

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/blobs"
    finally:
        await runner.cleanup()


async def test_a_web_server_will_do_as_a_store() -> None:
    asked: list[str] = []
    async with website(web.Response(body=b"hello"), asked) as url:
        pieces = [piece async for piece in BlobStores().get(url, "a" * 64)]
    assert (b"".join(pieces), asked) == (b"hello", [f"GET /blobs/{'a' * 64}"])


async def test_a_store_that_hangs_is_given_up_and_then_left_alone_for_a_while() -> None:
    asked: list[str] = []
    async with website(None, asked) as url:
        stores = BlobStores(patience=0.3)
        async with asyncio.timeout(20):
            for _ in range(2):
                with pytest.raises(BlobStoreError):
                    _ = [piece async for piece in stores.get(url, "a" * 64)]
        assert len(asked) == 1


async def test_credentials_stand_in_no_error() -> None:
    asked: list[str] = []
    echo = web.Response(status=403, body=f"<Error><Message>{SECRET}</Message></Error>".encode())
    async with website(echo, asked) as url:
        options = {
            "aws_endpoint": url.removesuffix("/blobs"),
            "aws_region": "us-east-1",
            "aws_access_key_id": SECRET,
            "aws_secret_access_key": SECRET,
            "allow_http": "true",
        }
        stores = BlobStores(options)
        with pytest.raises(BlobStoreError, match=r"^s3://bucket: PermissionDenied \(403 Forbidden\)$"):
            _ = [piece async for piece in stores.get("s3://bucket", "a" * 64)]
        reports: list[str] = []
        await OneDepot(BlobStores(options), "s3://bucket", 0, reports.append).put(
            Blob("a" * 64, 1, "s3://bucket"), b"x"
        )
        assert reports
        assert SECRET not in "".join(reports) + repr(stores)
    assert asked


@pytest.mark.parametrize("options", [{"aws_nonsense": "x"}, {"aws_allow_http": "true"}, {"google_bucket": "x"}])
async def test_options_that_the_provider_does_not_know_are_an_error_and_no_crash(options: dict[str, str]) -> None:
    with pytest.raises(BlobStoreError, match=r"s3://bucket can't be used: .*; look at its options"):
        _ = [piece async for piece in BlobStores(options).get("s3://bucket", "a" * 64)]
