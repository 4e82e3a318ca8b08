"""A disk that stops taking anything while a location runs, and takes it again: no viewer notices."""

import resource
from pathlib import Path

import pytest
from aiohttp import ClientSession

from bench.traffic import Origin, body_of
from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.free_ports import free_port

NOTHING, ANYTHING = 0, resource.RLIM_INFINITY


def configuration(tmp_path: Path, origin: int) -> Path:
    path = tmp_path / "edgefn.yaml"
    path.write_text(f"""
location: fra1
listen: 127.0.0.1:0
admin: 127.0.0.1:{free_port()}
data_dir: ./var
access_log: off
cache: {{memory: 4MB, disk: 256MB}}
origins: {{app: {{url: "http://127.0.0.1:{origin}"}}}}
routes: [{{path: "*", origin: app}}]
""")
    return path


def may_write(location: Running, most: int) -> None:
    """Let files grow to so many bytes; beyond that the system says no, as it does when a disk is full."""
    resource.prlimit(location.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


async def got(viewer: ClientSession, base: str, key: str, size: int) -> str:
    """Return how the target was served, whole."""
    async with viewer.get(f"{base}/{key}/{size}") as answer:
        assert answer.status == 200
        assert await answer.read() == body_of(key, 0, size)
        return answer.headers["X-Cache"].partition(" ")[0]


@pytest.mark.parametrize("room", [NOTHING, 700_000])
async def test_requests_go_on_without_the_disk_and_it_is_used_again_later(tmp_path: Path, room: int) -> None:
    large, small = 3_000_000, 2_000
    async with Origin() as origin, ClientSession() as viewer:
        path = configuration(tmp_path, origin.port)
        async with Running("serve", path) as location:
            base = await location.url()
            assert [await got(viewer, base, "before", large) for _ in range(2)] == ["Miss", "Hit"]

            may_write(location, room)
            assert [await got(viewer, base, "full", large) for _ in range(2)] == ["Miss", "Miss"]
            assert [await got(viewer, base, "full", small) for _ in range(2)] == ["Miss", "Hit"]
            assert await got(viewer, base, "before", large) == "Hit"
            assert "going on without" in await location.says("the disk cache")
            if room == NOTHING:
                status, told = await command("purge", "--all", "--config", path)
                assert (status, "it is not known what is purged: repeat it" in told) == (1, True), told

            may_write(location, ANYTHING)
            assert (await command("purge", "--all", "--config", path))[0] == 0
            assert [await got(viewer, base, "before", large) for _ in range(2)] == ["Miss", "Hit"]
            assert [await got(viewer, base, "full", large) for _ in range(2)] == ["Miss", "Hit"]
            said = [line.partition(" fails: ")[0] for line in location.told.splitlines() if "going on without" in line]
            assert len(said) == len(set(said)), location.told  # once for the bodies, once for the index
            assert "Traceback" not in location.told
