"""`edgefn purge`, against a running location of one worker or two, with a disk cache and without."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.cli.running import Here, Running
from tests.cli.test_serve import command
from tests.fakes.scripted_origin import Conversation, ScriptedOrigin, SeenRequest, ok
from tests.free_ports import free_port

SHAPES = {
    "one worker": (1, "0"),
    "one worker, disk": (1, "64MB"),
    "two workers": (2, "0"),
    "two workers, disk": (2, "64MB"),
}
ENOUGH = 40  # connections, so that each of two workers gets some


class Numbered:
    """An origin that numbers its answers: `TARGET NUMBER`. `/held/...` waits to be let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.server = ScriptedOrigin(self._serve)
        self._numbers = itertools.count(1)

    async def _serve(self, conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            await self._answer(conversation, seen)

    async def _answer(self, conversation: Conversation, seen: SeenRequest) -> None:
        number = next(self._numbers)
        if seen.target.startswith("/held") and not self.go.is_set():
            self.asked.set()
            await self.go.wait()
        tag = seen.target.strip("/").partition("/")[0]
        await conversation.send(
            ok(f"{seen.target} {number}".encode(), "Cache-Control: max-age=600", f"Cache-Tag: {tag}")
        )


@pytest.fixture
async def viewer() -> AsyncIterator[ClientSession]:
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:  # each request, maybe another worker
        yield session


async def got(viewer: ClientSession, url: str, method: str = "GET") -> str:
    async with viewer.request(method, url) as answer:
        assert answer.status == 200
        return await answer.text()


def configuration(tmp_path: Path, origin: str, shape: str) -> Path:
    workers, disk = SHAPES[shape]
    path = tmp_path / "edgefn.yaml"
    path.write_text(f"""
location: fra1
listen: 127.0.0.1:{free_port()}
admin: 127.0.0.1:{free_port()}
workers: {workers}
data_dir: ./var
access_log: off
cache: {{memory: 16MB, disk: {disk}}}
origins: {{app: {{url: "http://{origin}"}}}}
routes: [{{path: "*", origin: app}}]
""")
    return path


@pytest.mark.parametrize("shape", SHAPES)
async def test_after_a_purge_no_worker_serves_what_was_there(tmp_path: Path, viewer: ClientSession, shape: str) -> None:
    origin = Numbered()
    async with origin.server as site:
        path = configuration(tmp_path, site.address, shape)
        async with Running("serve", path) as location:
            base = await location.url()
            before = {await got(viewer, f"{base}/a/1") for _ in range(ENOUGH)}
            kept = {await got(viewer, f"{base}/b/1") for _ in range(ENOUGH)}

            status, told = await command("purge", f"{base}/a/*", "--config", path)
            assert (status, told.startswith("purged: 127.0.0.1:"), "in memory" in told) == (0, True, True), told
            after = {await got(viewer, f"{base}/a/1") for _ in range(ENOUGH)}
            assert not before & after
            assert {await got(viewer, f"{base}/b/1") for _ in range(ENOUGH)} <= kept

            status, told = await command("purge", "--tag", "b", "--json", "--config", path)
            assert status == 0, told
            (done,) = json.loads(told)["purged"]
            workers, disk = SHAPES[shape]
            assert done["purge"] == {"tag": "b"}
            assert 1 <= done["memory"]["entries"] <= workers
            assert done["disk"]["entries"] == (0 if disk == "0" else 1)
            assert not kept & {await got(viewer, f"{base}/b/1") for _ in range(ENOUGH)}

            changed = {await got(viewer, f"{base}/a/1") for _ in range(ENOUGH)}
            await got(viewer, f"{base}/a/1", "POST")
            assert not changed & {await got(viewer, f"{base}/a/1") for _ in range(ENOUGH)}


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ("two workers", "/held*"),
        ("two workers, disk", "/held*"),
        ("two workers, disk", "--tag=held"),
        ("two workers, disk", "--all"),
    ],
)
async def test_what_was_being_fetched_when_the_purge_came_is_not_served_after_it(
    tmp_path: Path, viewer: ClientSession, shape: str, how: str
) -> None:
    origin = Numbered()
    async with origin.server as site:
        path = configuration(tmp_path, site.address, shape)
        async with Running("serve", path) as location, asyncio.timeout(30):
            base = await location.url()
            fetching = asyncio.create_task(got(viewer, f"{base}/held/1"))
            await origin.asked.wait()
            assert (await command("purge", how, "--config", path))[0] == 0
            origin.go.set()
            old = await fetching
            assert old == "/held/1 1"
            assert old not in {await got(viewer, f"{base}/held/1") for _ in range(ENOUGH)}


async def test_a_purge_outlives_a_restart(tmp_path: Path, viewer: ClientSession) -> None:
    origin = Numbered()
    async with origin.server as site:
        path = configuration(tmp_path, site.address, "one worker, disk")
        async with Running("serve", path) as location:
            base = await location.url()
            old = [await got(viewer, f"{base}/{name}/1") for name in ("a", "b")]
            assert (await command("purge", "/a*", "--config", path))[0] == 0
        async with Running("serve", path) as location:
            base = await location.url()
            assert await got(viewer, f"{base}/a/1") != old[0]
            assert await got(viewer, f"{base}/b/1") == old[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "what is to be purged? give a URL, a path, --host, --tag or --all"),
        (("--all", "/a"), "--all is everything; leave the rest out"),
        (("www.example.com/a",), "neither a URL nor a path; write https://www.example.com/images/* or /images/*"),
        (("--host", "a/b"), "is no host"),
        (("--tag", "a,b"), "is no tag"),
    ],
)
def test_what_can_not_be_purged_is_told_with_the_cure(here: Here, arguments: tuple[str, ...], told: str) -> None:
    done = here("purge", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


async def test_without_a_location_the_command_fails(tmp_path: Path) -> None:
    path = configuration(tmp_path, "127.0.0.1:1", "one worker")
    status, told = await command("purge", "--all", "--config", path)
    assert status == 1
    assert "is a location running with this data_dir?" in told
