"""Published versions through the front door: who answers before, during and after a deployment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.functions.rollbacks import Rollbacks
from edgefn.model.errors import SettingsError
from edgefn.model.publishing import RollbackRule, Target
from edgefn.model.settings import FunctionSettings
from edgefn.node import world
from tests.fakes.greetings import GREET, failing, publisher_on, saying, unfinished, until_applied
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

CONFIGURATION = """
origins: {app: {url: "http://{app}"}}
routes:
  - {path: /live, origin: app, hooks: {viewer-request: "greet:live"}}
  - {path: /second, origin: app, hooks: {viewer-request: "greet:2"}}
  - {path: /open, origin: app, hooks: {viewer-request: {function: "greet:live", on_failure: open}}}
  - {path: /previous, origin: app, hooks: {viewer-request: {function: "greet:live", on_failure: previous}}}
  - {path: "*", origin: app}
"""
PAGES = {path: page(200, b"origin") for path in ("/live", "/open", "/second", "/previous")}


class Scene:
    """A location, and a publisher beside it on the same machine."""

    def __init__(self, edge: Edge, publisher: Publisher) -> None:
        self.edge = edge
        self.publisher = publisher

    async def deploy(self, bundle: Bundle, weight: int = 10_000) -> None:
        """Deploy to `live`, and wait until the location has it or has refused it."""
        deployed = await self.publisher.deploy(GREET, bundle, alias="live", weight=weight)
        await self.until(deployed.generation)

    async def until(self, generation: int) -> None:
        await until_applied(self.publisher, generation)

    async def get(self, path: str) -> tuple[int, str]:
        answer = await self.edge.get(path)
        return answer.status, answer.text if answer.status == 200 else answer.x_cache

    async def failures(self) -> list[str]:
        statuses = await self.publisher.statuses()
        return [failure.why for failure in statuses["fra1"].failed]


@asynccontextmanager
async def scene(tmp_path: Path, configuration: str = CONFIGURATION) -> AsyncIterator[Scene]:
    async with (
        Website(PAGES) as site,
        opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica,
        Edge(configuration, tmp_path, app=site.address) as edge,
    ):
        yield Scene(edge, publisher_on(replica))


async def test_each_request_is_answered_by_the_version_that_is_live(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        assert await on.get("/live") == (503, "LambdaExecutionError")
        assert await on.get("/open") == (200, "origin")
        await on.deploy(saying("one"))
        assert [await on.get(path) for path in ("/live", "/open", "/second")] == [
            (200, "one"), (200, "one"), (503, "LambdaExecutionError"),
        ]  # fmt: skip
        await on.deploy(saying("two"))
        assert [await on.get(path) for path in ("/live", "/second")] == [(200, "two"), (200, "two")]
        await on.publisher.rollback("greet", "live")
        await on.until((await on.publisher.catalog()).generation)
        assert [await on.get(path) for path in ("/live", "/second")] == [(200, "one"), (200, "two")]


async def test_a_version_that_does_not_start_never_replaces_one_that_does(tmp_path: Path) -> None:
    async with scene(tmp_path, CONFIGURATION.replace("greet:2", "greet:live")) as on:
        await on.deploy(saying("one"))
        await on.deploy(unfinished())
        assert await on.get("/live") == (200, "one")
        assert any("SyntaxError" in why for why in await on.failures())
        await on.deploy(saying("three"))
        assert (await on.get("/live"), await on.failures()) == ((200, "three"), [])


async def test_a_location_that_starts_again_has_what_it_had(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.deploy(saying("one"))
    async with scene(tmp_path) as on:
        assert await on.get("/live") == (200, "one")


async def test_no_request_fails_while_versions_come_and_go(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.deploy(saying("0"))
        answers: list[tuple[int, str]] = []
        stop = asyncio.Event()

        async def viewer() -> None:
            while not stop.is_set():
                answers.append(await on.get("/live"))

        async with asyncio.TaskGroup() as viewers:
            for _ in range(4):
                viewers.create_task(viewer())
            for number in range(1, 6):
                await on.deploy(saying(str(number)))
                assert await on.get("/live") == (200, str(number))
            stop.set()
        assert {status for status, _ in answers} == {200}
        order = [int(text) for _, text in answers]
        assert max(order) == 5


async def test_a_canary_that_fails_is_taken_out_and_the_last_good_version_stands_in(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.deploy(saying("good"))
        alias = (await on.publisher.catalog()).functions["greet"].aliases["live"]
        await on.deploy(failing(), weight=5_000)
        alias = (await on.publisher.catalog()).functions["greet"].aliases["live"]
        assert alias.targets == (Target(1, 5_000), Target(2, 5_000))
        assert {await on.get("/previous") for _ in range(20)} == {(200, "good")}
        rule = RollbackRule(error_rate=0.5, invocations=5)
        await on.until(await on.publisher.set_alias(replace(alias, rollback=rule)))
        seen = [await on.get("/live") for _ in range(60)]
        assert seen.count((503, "LambdaExecutionError")) == 5
        assert seen[-1] == (200, "good")
        assert any("greet:live rolled back to greet:1" in line for line in on.edge.reports)


async def test_a_version_whose_files_come_late_goes_live_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as on, opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica:
        await on.deploy(saying("one"))
        held: dict[str, list[bytes]] = {}

        async def hold_back(digest: str, content: AsyncIterator[bytes]) -> None:
            held[digest] = [piece async for piece in content]

        async def pieces(digest: str) -> AsyncIterator[bytes]:
            for piece in held[digest]:
                yield piece

        with monkeypatch.context() as patched:
            patched.setattr(replica, "put_blob", hold_back)
            late = await publisher_on(replica).deploy(GREET, saying("two"), alias="live")
        await on.until(late.generation)
        assert ["there is no blob" in why for why in await on.failures()] == [True]
        assert await on.get("/live") == (200, "one")
        for digest in held:
            await replica.put_blob(digest, pieces(digest))
        async with asyncio.timeout(30):
            while await on.failures():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await on.get("/live") == (200, "two")
        assert any("greet:2 could be opened at last" in line for line in on.edge.reports)


async def test_what_a_location_has_rolled_back_is_rolled_back_for_all(tmp_path: Path) -> None:
    async with scene(tmp_path) as on, opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica:
        await on.deploy(saying("good"))
        await on.deploy(failing(), weight=9_999)
        alias = (await on.publisher.catalog()).functions["greet"].aliases["live"]
        generation = await on.publisher.set_alias(replace(alias, rollback=RollbackRule(0.5, invocations=3)))
        await on.until(generation)
        told: list[str] = []
        rollbacks = asyncio.create_task(Rollbacks(replica, on.publisher, told.append).run())
        try:
            while (await on.get("/live"))[0] != 200:
                pass
            await on.until(generation + 1)
            async with asyncio.timeout(20):
                while not told:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            rollbacks.cancel()
        settled = (await on.publisher.catalog()).functions["greet"].aliases["live"]
        assert (settled.targets, settled.previous) == ((Target(1),), None)
        assert told == ["greet:live was rolled back from version 2, which failed too often at fra1"]
        assert await on.get("/live") == (200, "good")


@pytest.mark.parametrize("path", ["/live", "/second"])
async def test_a_function_that_is_deleted_is_not_run_any_more(tmp_path: Path, path: str) -> None:
    async with scene(tmp_path) as on:
        await on.deploy(saying("one"))
        await on.deploy(saying("two"))
        assert await on.get(path) == (200, "two")
        await on.until(await on.publisher.delete_function("greet"))
        assert await on.get(path) == (503, "LambdaExecutionError")


READER = """import cf from 'cloudfront';
async function handler() { return {statusCode: 200, body: await cf.kvs().get('greeting')}; }
"""
READING = FunctionSettings("greet", "", "cloudfront-js-2.0", "index.handler", kvs="words")


async def test_a_function_whose_key_value_store_is_not_here_goes_live_once_it_is(tmp_path: Path) -> None:
    bundle = Bundle.of([BundleFile("index.js", READER.encode())])
    async with scene(tmp_path) as on:
        deployed = await on.publisher.deploy(READING, bundle, alias="live")
        await on.until(deployed.generation)
        (why,) = await on.failures()
        assert why.startswith('there is no key-value store "words" in `kvs` of the configuration here; it has: none')
        (tmp_path / "words.json").write_text('{"greeting": "hello"}')
        on.edge.text += f"kvs: {{words: {tmp_path / 'words.json'}}}\n"
        await on.edge.location.reload()
        async with asyncio.timeout(60):
            while (await on.get("/live"))[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await on.get("/live") == (200, "hello")
        on.edge.text = on.edge.text.replace("words.json", "others.json")
        (tmp_path / "others.json").write_text('{"greeting": "good day"}')
        with pytest.raises(SettingsError, match=r"kvs\.words: a published function reads it.*restart it"):
            await on.edge.location.reload()
        assert await on.get("/live") == (200, "hello")
