"""`edgefn demo`: every curl line that it prints does what it says."""

import asyncio
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from edgefn.cli.demo import LINES
from tests.cli.curl import curl as run_curl
from tests.cli.running import Running, edgefn

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", name="temp")
def _temp() -> Iterator[Path]:
    directory = tempfile.mkdtemp(dir="/tmp")
    os.chmod(directory, 0o711)
    yield Path(directory)
    shutil.rmtree(directory)


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="demo")
async def _demo(temp: Path) -> AsyncIterator[Running]:
    async with Running("demo", "--port", "0", environment={"TMPDIR": str(temp)}) as demo:
        await demo.says(LINES[-1].shows)
        yield demo


async def curl(demo: Running, path: str) -> str:
    """Run the first line that was printed with this path, as a user would paste it; return all that it shows."""
    line = next(line for line in demo.told.splitlines() if line.startswith("  curl ") and line.endswith(f"{path}'"))
    return await run_curl(line)


async def test_every_line_is_printed_with_what_it_shows(demo: Running) -> None:
    base = (await demo.says("edgefn demo: ")).split()[2]
    for line in LINES:
        assert f"  curl {line.options} '{base}{line.path}'\n" in demo.told
        assert all(f"# {words}\n" in demo.told for words in line.shows.split("\n"))


async def test_home_is_one_of_two_pages_with_headers_from_three_functions(demo: Running) -> None:
    first, again = await curl(demo, "/home"), await curl(demo, "/home")
    for shown in (first, again):
        assert re.search(r"<h1>Home, variant [AB]</h1>", shown)
        assert "Strict-Transport-Security: " in shown
        assert "X-Client: 127.0.0.1\n" in shown
        assert "X-Origin-Fetch: 1\n" in shown
    assert "X-Cache: Miss from cloudfront" in first
    assert "X-Cache: Hit from cloudfront" in again
    assert re.search(r"^Age: \d+$", again, re.MULTILINE)


async def test_an_old_address_is_redirected_by_a_function(demo: Running) -> None:
    shown = await curl(demo, "/old-home?from=mail")
    assert shown.startswith("HTTP/1.1 301 Moved Permanently\n")
    assert "Location: /home?from=mail\n" in shown
    assert "X-Cache: LambdaGeneratedResponse from cloudfront\n" in shown


async def test_the_private_report_needs_a_password(demo: Running) -> None:
    assert (await curl(demo, "/private/report.html")).startswith("HTTP/1.1 401 Unauthorized\n")
    line = next(line for line in demo.told.splitlines() if "-u ada" in line)
    assert await run_curl(line) == "<h1>The private report</h1>\n"


async def test_a_folder_is_its_index_page(demo: Running) -> None:
    assert "<h1>Getting started</h1>" in await curl(demo, "/docs/start")


async def test_a_posted_form_reaches_the_origin_as_json(demo: Running) -> None:
    told = json.loads(await curl(demo, "/sign-up"))
    assert told["content-type"] == "application/json"
    assert json.loads(told["received"]) == {"name": "Ada", "truncated": False}


async def test_a_picture_is_made_once_and_cached(demo: Running) -> None:
    first, again = await curl(demo, "/pixel.gif"), await curl(demo, "/pixel.gif")
    assert "Content-Type: image/gif\n" in first
    assert "X-Cache: Miss from cloudfront\n" in first
    assert "X-Cache: Hit from cloudfront\n" in again


async def test_the_event_can_be_looked_at(demo: Running) -> None:
    told = json.loads(await curl(demo, "/event"))
    assert told["event"]["Records"][0]["cf"]["config"]["eventType"] == "origin-request"


async def test_server_sent_events_come_one_by_one(demo: Running) -> None:
    assert await curl(demo, "/clock") == "".join(f'data: {{"tick": {tick}}}\n\n' for tick in range(3))


async def test_the_origin_sees_what_it_would_see_behind_cloudfront(demo: Running) -> None:
    headers = dict(json.loads(await curl(demo, "/headers"))["headers"])
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["Via"].endswith(".cloudfront.net (CloudFront)")
    assert headers["X-Amz-Cf-Id"].endswith("==")
    assert headers["Host"].startswith("127.0.0.1:")


async def test_a_port_that_is_taken_is_named(demo: Running) -> None:
    port = re.findall(r"http://127\.0\.0\.1:(\d+)", demo.told)[0]
    done = await asyncio.to_thread(edgefn, "demo", "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"listen: 127.0.0.1:{port} can't be had: it is in use" in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
async def test_a_port_that_is_none_is_named(port: str) -> None:
    done = await asyncio.to_thread(edgefn, "demo", f"--port={port}")
    assert done.returncode == 2
    assert f"'{port}' is no port; write a number from 0 to 65535" in done.stderr


async def test_ctrl_c_ends_it_and_leaves_nothing(demo: Running, temp: Path) -> None:
    inside = children(demo.pid)
    assert len(inside) > 0
    demo.send(signal.SIGINT)
    async with asyncio.timeout(5):
        assert await demo.ended() in {0, 130}
    assert "Traceback" not in demo.told
    assert left_in(temp) == []
    assert alive(inside) == []


def left_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def children(pid: int) -> list[int]:
    """Return the processes below `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found
