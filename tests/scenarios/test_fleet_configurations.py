"""One configuration for a whole fleet, with a real NATS server: applied, refused by one location, taken back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.cli.test_serve import command
from tests.fakes.website import Website, page
from tests.free_ports import free_port
from tests.scenarios.fleet_stage import CODE, Fleet

pytestmark = pytest.mark.fleet

NAMES = ("ams1", "fra1")


class Chain(Fleet):
    """A fleet whose locations have no routes of their own."""

    old = new = ""

    def write(self, name: str, admin: str = "off") -> None:
        workers = 2 if name == "fra1" else 1
        (self.folder / f"{name}.yaml").write_text(f"""
location: {name}
site: main
listen: 127.0.0.1:{free_port()}
admin: {admin}
data_dir: ./{name}
workers: {workers}
access_log: off
""")

    def shop(self, address: str, hook: str = "", origin: str = "") -> Path:
        file = self.folder / "shop.yaml"
        hooks = f", hooks: {{viewer-request: '{hook}'}}" if hook else ""
        file.write_text(f"""\
origins: {{app: {{url: "http://{address}"{origin}}}}}
routes: [{{path: "*", origin: app, cache: {{policy: CachingDisabled}}{hooks}}}]
""")
        return file

    async def apply(self, *arguments: str | Path) -> tuple[int, str]:
        return await command("apply", *arguments, *self.there)

    async def words(self) -> list[str]:
        """Return what all locations say, each one asked more often than it has workers."""
        return [await self.get(name, "/page") for name in NAMES for _ in range(4)]


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    async with (
        AsyncExitStack() as stack,
        ClientSession(connector=TCPConnector(force_close=True)) as viewer,
        Website({"/page": page(200, b"old")}) as old,
        Website({"/page": page(200, b"new")}) as new,
    ):
        made = Chain(tmp_path, stack, viewer, old.address)
        made.old, made.new = old.address, new.address
        await made.start_control()
        for name in NAMES:
            await made.join(name)
            await made.serve(name)
        yield made
        await stack.aclose()


async def test_a_configuration_comes_to_all_locations_with_no_failed_request(chain: Chain) -> None:
    status, told = await chain.apply(chain.shop(chain.old))
    assert (status, "done: 2 of 2 locations" in told) == (0, True), told
    assert await chain.words() == ["old"] * 8
    assert (await chain.deploy("hello"))[0] == 0
    answers: list[str] = []
    stop = asyncio.Event()

    async def viewer(name: str) -> None:
        while not stop.is_set():
            async with chain.viewer.get(f"{chain.bases[name]}/page") as answer:
                answers.append(f"{answer.status} {await answer.text()}")
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as viewers:
        for name in NAMES:
            viewers.create_task(viewer(name))
        for hook, word in (("", "new"), ("greet:live", "hello")):
            status, told = await chain.apply(chain.shop(chain.new, hook))
            assert (status, "done: 2 of 2 locations" in told) == (0, True), told
            assert await chain.words() == [word] * 8
        status, told = await command("alias", "delete", "greet", "live", *chain.there)
        assert (status, "of the configuration of site main" in told) == (1, True), told
        status, told = await chain.apply("--rollback")
        assert (status, "done: 2 of 2 locations" in told) == (0, True), told
        stop.set()
    assert await chain.words() == ["new"] * 8
    assert set(answers) == {"200 old", "200 new", "200 hello"}


async def test_the_one_location_that_can_not_take_a_configuration_is_told_and_keeps_the_one_before(
    chain: Chain,
) -> None:
    assert (await chain.apply(chain.shop(chain.old)))[0] == 0
    (chain.folder / "here.js").write_text(CODE.replace("WORD", "here"))
    config = chain.folder / "ams1.yaml"
    config.write_text(config.read_text() + "functions: {here: {path: here.js, runtime: js}}\n")
    status, told = await chain.apply(chain.shop(chain.old, "here"))
    assert (status, "not everywhere: 1 of 2 locations" in told) == (3, True), told
    assert 'routes[0].hooks.viewer-request: there is no function "here"' in told
    assert await chain.words() == ["here"] * 4 + ["old"] * 4
    status, told = await command("status", *chain.there)
    assert (status, "fra1: configuration main 2 is not in use: " in told) == (1, True), told
    assert "ams1: configuration" not in told
    assert (await chain.apply("--rollback"))[0] == 0
    assert await chain.words() == ["old"] * 8
    assert (await command("status", *chain.there))[0] == 0


async def test_a_configuration_outlives_the_control_plane_and_the_servers(chain: Chain) -> None:
    assert (await chain.apply(chain.shop(chain.old)))[0] == 0
    chain.control.send(signal.SIGKILL)
    assert await chain.control.ended() == -signal.SIGKILL
    status, told = await chain.apply(chain.shop(chain.new))
    assert (status, "nobody answers" in told) == (1, True), told
    for name in NAMES:
        chain.locations[name].send(signal.SIGKILL)
        await chain.locations[name].ended()
        await chain.serve(name)
    assert await chain.words() == ["old"] * 8, "what was used last, with nobody to ask"

    await chain.start_control()
    for delay in (0.25, 0.5, 0.75):
        applying = asyncio.create_task(chain.apply(chain.shop(chain.new)))
        await asyncio.sleep(delay)
        chain.control.send(signal.SIGKILL)
        await chain.control.ended()
        await applying
        assert set(await chain.words()) <= {"old", "new"}
        await chain.start_control()
        status, told = await chain.apply(chain.shop(chain.new))
        assert (status, "done: 2 of 2 locations" in told) == (0, True), told
        assert await chain.words() == ["new"] * 8
        status, told = await chain.apply("--rollback")
        assert (status, await chain.words()) == (0, ["old"] * 8), told
