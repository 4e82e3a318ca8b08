"""`workers: 2`: two processes on one port, as one location."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.node import world
from tests.cli.running import Running
from tests.cli.test_serve import command, configuration, text
from tests.fakes.greetings import GREET, publisher_on, saying, until_applied
from tests.fakes.scripted_origin import ScriptedOrigin, answering, ok
from tests.fakes.website import Website
from tests.free_ports import free_port
from tests.waiting import until


@pytest.fixture
async def viewer() -> AsyncIterator[ClientSession]:
    async with ClientSession(connector=TCPConnector(force_close=True)) as session:  # each request, maybe another worker
        yield session


async def status(viewer: ClientSession, url: str) -> int:
    async with viewer.get(url) as answer:
        await answer.read()
        return answer.status


def children(pid: int) -> list[int]:
    """Return the workers of a supervisor."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command_line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == pid and b"--worker" in command_line:
                found.append(int(entry.name))
    return sorted(found)


async def test_two_workers_answer_reload_and_stop_together(tmp_path: Path, viewer: ClientSession) -> None:
    async with Website() as site:
        path = configuration(tmp_path, site.address, "workers: 2", listen=free_port(), admin=free_port())
        async with Running("serve", path) as location:
            url = await location.url()
            assert len(children(location.pid)) == 2
            assert {await status(viewer, url) for _ in range(20)} == {200}

            ended, told = await command("reload", path)
            assert (ended, "by 2 workers" in told) == (0, True), told

            path.write_text(path.read_text() + "origns: {}\n")
            ended, told = await command("reload", path)
            assert ended == 2
            assert "origns: is not a setting" in told
            assert await status(viewer, url) == 200

            location.send(signal.SIGTERM)
            assert await location.ended() == 0
            assert children(location.pid) == []


ASKS_AT_START = """
import urllib.request
with urllib.request.urlopen("http://127.0.0.1:%d/") as answer:
    assert answer.status == 200
def lambda_handler(event, context):
    return event["Records"][0]["cf"]["request"]
"""


async def test_what_one_worker_can_not_do_no_worker_does(tmp_path: Path, viewer: ClientSession) -> None:
    """The function starts in the first worker, and not in the second one."""
    refused = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    async with Website() as site, ScriptedOrigin(answering(ok()), answering(refused)) as counter:
        path = configuration(tmp_path, site.address, "workers: 2", listen=free_port(), admin=free_port())
        (tmp_path / "f.py").write_text(ASKS_AT_START % counter.port)
        function = f"{{path: f.py, runtime: python3.11, provisioned: 1, network: ['{counter.address}']}}"
        async with Running("serve", path) as location:
            url = await location.url()
            before = path.read_text()
            path.write_text(before.replace(site.address, "127.0.0.1:1") + f"functions: {{f: {function}}}\n")
            ended, told = await command("reload", path)
            assert (ended, counter.connections) == (1, 2), told
            assert "worker 1: functions.f: can't be started: HTTPError" in told
            assert "nothing was changed" in told
            assert {await status(viewer, f"{url}/page") for _ in range(20)} == {200}
            path.write_text(before)
            assert (await command("reload", path))[0] == 0


async def test_a_killed_worker_is_started_again_while_the_other_one_answers(
    tmp_path: Path, viewer: ClientSession
) -> None:
    async with Website() as site:
        path = configuration(tmp_path, site.address, "workers: 2", listen=free_port())
        async with Running("serve", path) as location:
            url = await location.url()
            first, second = children(location.pid)
            os.kill(first, signal.SIGKILL)
            await location.says("ended with status -9")
            assert {await status(viewer, url) for _ in range(10)} == {200}
            await until(lambda: len(children(location.pid)) == 2)
            assert second in children(location.pid)


async def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    async with Website() as site:
        path = configuration(tmp_path, site.address, "workers: 2", listen=free_port())
        async with Running("serve", path) as location:
            await location.url()
            workers = children(location.pid)
            location.send(signal.SIGKILL)
            await location.ended()
            await until(lambda: not any(_lives(pid) for pid in workers))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("data_dir: /proc/nowhere", "data_dir: /proc/nowhere can't be made"),
        ("listen: 127.0.0.1:0", "several workers can't share port 0"),
    ],
)
async def test_what_a_worker_can_not_start_with_is_told_once(tmp_path: Path, line: str, said: str) -> None:
    async with Website() as site:
        path = configuration(tmp_path, site.address, "workers: 2", listen=free_port())
        key = line.partition(":")[0]
        kept = [known for known in path.read_text().splitlines() if not known.startswith(f"{key}:")]
        path.write_text("\n".join([*kept, line]) + "\n")

        ended, told = await command("serve", path)

        assert (ended, told.count(said)) == (2, 1), told


async def test_a_deployment_is_done_when_every_worker_runs_it(tmp_path: Path, viewer: ClientSession) -> None:
    async with Website() as site, opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica:
        publisher = publisher_on(replica)
        path = configuration(tmp_path, site.address, "workers: 2", listen=free_port(), admin=free_port())
        hooked = path.read_text().replace(
            "origin: app, cache", "origin: app, hooks: {viewer-request: 'greet:live'}, cache"
        )
        path.write_text(hooked)
        async with Running("serve", path) as location:
            url = await location.url()
            for word in ("one", "two"):
                deployed = await publisher.deploy(GREET, saying(word), alias="live")
                await until_applied(publisher, deployed.generation)
                assert {await text(viewer, url) for _ in range(20)} == {word}
            statuses = await publisher.statuses()
            assert {name: (status.workers, dict(status.running)) for name, status in statuses.items()} == {
                "fra1": (2, {"greet:live": 2})
            }
