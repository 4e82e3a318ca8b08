"""Published configurations through the front door: who answers before, while and after one is put in force."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

from edgefn.functions.configuring import Configurer
from edgefn.functions.keys import make_keys
from edgefn.functions.publishing import Publisher
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.model.errors import SettingsError
from edgefn.model.location_status import status_to_json
from edgefn.model.publishing import LocationState, LocationStatus
from edgefn.node import world
from tests.fakes.certificates import write_certificate
from tests.fakes.greetings import GREET, publisher_on, saying, unfinished, until_applied
from tests.fakes.scripted_origin import Conversation, SeenRequest, ok
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

FOLLOWING = "site: shop\n"
OWN = 'site: shop\norigins: {own: {url: "http://{old}"}}\nroutes: [{path: "*", origin: own}]\n'


def shared(address: str, hook: str = "", **origin: object) -> dict[str, object]:
    route: dict[str, object] = {"path": "*", "origin": "app", "cache": {"policy": "CachingDisabled"}}
    if hook:
        route["hooks"] = {"viewer-request": hook}
    return {"origins": {"app": {"url": f"http://{address}", **origin}}, "routes": [route]}


class Scene:
    """A location that follows the site `shop`, two websites, and a publisher beside it on the same machine."""

    def __init__(self, edge: Edge, publisher: Publisher, old: Website, new: Website) -> None:
        self.edge = edge
        self.publisher = publisher
        self.old, self.new = old.address, new.address
        self._configurer = Configurer(publisher, world.wall, lambda: None)

    async def apply(self, document: dict[str, object], site: str = "shop") -> LocationStatus:
        turned = await self._configurer.carry_out(self._configurer.plan(site, document, "", None))
        return await self.settled(turned.generation)

    async def rollback(self) -> LocationStatus:
        turned = await self._configurer.carry_out(self._configurer.plan_back("shop", None, None))
        return await self.settled(turned.generation)

    async def deploy(self, bundle=None) -> LocationStatus:
        return await self.settled((await self.publisher.deploy(GREET, bundle or saying("hi"), alias="live")).generation)

    async def settled(self, generation: int) -> LocationStatus:
        await until_applied(self.publisher, generation, patience=60)
        return await self.status()

    async def status(self) -> LocationStatus:
        return (await self.publisher.statuses())["fra1"]

    async def get(self) -> tuple[int, str]:
        answer = await self.edge.get("/page")
        return answer.status, answer.text if answer.status == 200 else ""


@asynccontextmanager
async def scene(tmp_path: Path, text: str = FOLLOWING) -> AsyncIterator[Scene]:
    async with (
        Website({"/page": page(200, b"old")}) as old,
        Website({"/page": page(200, b"new")}) as new,
        opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica,
        Edge(text, tmp_path, old=old.address, new=new.address) as edge,
    ):
        yield Scene(edge, publisher_on(replica), old, new)


async def test_a_location_without_routes_of_its_own_answers_by_what_is_published(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        answer = await on.edge.get("/page")
        assert (answer.status, answer.x_cache) == (503, "Error")
        assert "This location has no configuration yet." in answer.text
        status = await on.apply(shared(on.old))
        assert (status.site, status.configuration, status.refused) == ("shop", 1, None)
        assert await on.get() == (200, "old")
        assert (await on.apply(shared(on.new))).configuration == 2
        assert await on.get() == (200, "new")
        assert (await on.rollback()).configuration == 1
        assert await on.get() == (200, "old")
        assert any("configuration 2 of site shop: reloaded" in line for line in on.edge.reports)


async def test_what_is_published_takes_the_place_of_the_files_own_routes_and_of_no_other_site_s(tmp_path: Path) -> None:
    async with scene(tmp_path, OWN) as on:
        assert await on.get() == (200, "old")
        assert (await on.apply(shared(on.new), site="main")).configuration == 0
        assert await on.get() == (200, "old")
        await on.apply(shared(on.new))
        assert await on.get() == (200, "new")
        told = await on.edge.location.reload()
        assert told.endswith("; routes and origins are those of configuration 1 of site shop")
        assert await on.get() == (200, "new")


async def test_a_location_that_follows_nobody_stays_with_its_file(tmp_path: Path) -> None:
    async with scene(tmp_path, OWN.replace("site: shop", "site: off")) as on:
        status = await on.apply(shared(on.new))
        assert (status.site, status.configuration) == ("", 0)
        assert await on.get() == (200, "old")


async def test_no_request_fails_while_configurations_come_and_go(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.deploy()
        documents = [shared(on.old), shared(on.new), shared(on.new, "greet:live")]
        await on.apply(documents[0])
        answers: list[tuple[int, str]] = []
        stop = asyncio.Event()

        async def viewer() -> None:
            while not stop.is_set():
                answers.append(await on.get())
                await asyncio.sleep(0.002)  # who opens functions has the same processor

        async with asyncio.TaskGroup() as viewers:
            for _ in range(4):
                viewers.create_task(viewer())
            for number in range(1, 7):
                await on.apply(documents[number % 3])
                assert await on.get() == (200, ("old", "new", "hi")[number % 3])
            stop.set()
        assert {status for status, _ in answers} == {200}
        assert {word for _, word in answers} == {"old", "new", "hi"}


async def test_a_request_under_way_ends_on_the_configuration_that_it_began_with(tmp_path: Path) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation, _: SeenRequest) -> None:
        asked.set()
        await go.wait()
        await conversation.send(ok(b"slowly"))

    async with Website({"/page": slow}) as site, scene(tmp_path) as on:
        await on.apply(shared(site.address))
        request = asyncio.create_task(on.get())
        await asked.wait()
        await on.apply(shared(on.new))
        assert await on.get() == (200, "new")
        go.set()
        assert await request == (200, "slowly")


async def test_what_can_not_be_used_here_stays_out_and_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.apply(shared(on.old))
        status = await on.apply(shared(on.new, tls={"ca": "missing.pem"}))
        assert (status.configuration, await on.get()) == (1, (200, "old"))
        assert status.refused is not None
        assert status.refused.revision == 2
        assert f"origins.app.tls.ca: there is no file {tmp_path}/missing.pem" in status.refused.why
        status = await on.apply(shared(on.new, "nowhere"))
        assert status.refused is not None
        assert 'routes[0].hooks.viewer-request: there is no function "nowhere"' in status.refused.why
        assert (status.configuration, await on.get()) == (1, (200, "old"))
        status = await on.apply(shared(on.new))
        assert (status.configuration, status.refused, await on.get()) == (4, None, (200, "new"))


async def test_what_was_in_its_way_is_gone_and_it_is_used(tmp_path: Path) -> None:
    ca, away = write_certificate(tmp_path)[0], tmp_path / "away.pem"
    os.rename(ca, away)
    async with scene(tmp_path) as on:
        await on.apply(shared(on.old))
        assert (await on.apply(shared(on.new, tls={"ca": str(ca)}))).refused is not None
        os.rename(away, ca)
        async with asyncio.timeout(60):
            while await on.get() != (200, "new"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while (await on.status()).refused is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await on.status()).configuration == 2


async def test_a_function_that_does_not_start_here_keeps_the_configuration_that_names_it_out(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.apply(shared(on.old))
        await on.deploy(unfinished())
        status = await on.apply(shared(on.new, "greet:live"))
        assert status.refused is not None
        assert "routes[0].hooks.viewer-request: greet:live: " in status.refused.why
        assert "SyntaxError" in status.refused.why
        assert (status.configuration, await on.get()) == (1, (200, "old"))
        status = await on.deploy(saying("mended"))
        assert (status.configuration, status.refused, await on.get()) == (2, None, (200, "mended"))


async def test_a_configuration_that_can_not_be_kept_on_the_disk_is_not_used(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.apply(shared(on.old))
        in_the_way = tmp_path / "var" / "configuration.json.new"
        os.mkdir(in_the_way)
        status = await on.apply(shared(on.new))
        assert status.refused is not None
        assert "configuration.json: the configuration can't be kept: " in status.refused.why
        assert (status.configuration, await on.get()) == (1, (200, "old"))
        os.rmdir(in_the_way)
        assert (await on.deploy()).configuration == 2
        assert await on.get() == (200, "new")


async def test_what_was_used_last_is_used_after_a_restart_whatever_else_is_there(tmp_path: Path) -> None:
    async with scene(tmp_path, OWN) as on:
        await on.apply(shared(on.new))
        new = on.new
    rmtree(tmp_path / "var" / "replica")
    async with Website({"/page": page(200, b"new")}) as site:
        kept = tmp_path / "var" / "configuration.json"
        assert kept.stat().st_mode & 0o077 == 0
        kept.write_text(kept.read_text().replace(new, site.address))
        async with scene(tmp_path, OWN) as on:
            assert await on.get() == (200, "new")
            assert (await on.status()).configuration == 1


async def test_what_came_while_it_was_away_is_in_use_when_it_starts(tmp_path: Path) -> None:
    async with scene(tmp_path) as on:
        await on.apply(shared(on.old))
        document = shared(on.new)
        async with Website({"/page": page(200, b"newer")}) as site:
            await on.edge.location.__aexit__(None, None, None)
            configurer = Configurer(on.publisher, world.wall, lambda: None)
            await configurer.carry_out(configurer.plan("shop", document, "", None))
            await configurer.carry_out(configurer.plan("shop", shared(site.address), "", None))
            await on.edge.session.close()
            await on.edge.__aenter__()
            assert await on.get() == (200, "newer")
            assert (await on.status()).configuration == 3


async def test_what_was_used_last_and_can_not_be_used_any_more_is_mended_by_a_reload(tmp_path: Path) -> None:
    ca, away = write_certificate(tmp_path)[0], tmp_path / "away.pem"
    async with scene(tmp_path, OWN) as on:
        await on.apply(shared(on.new, tls={"ca": str(ca)}))
        assert await on.get() == (200, "new")
        os.rename(ca, away)
        await on.edge.location.__aexit__(None, None, None)
        await on.edge.session.close()
        await on.edge.__aenter__()
        assert (await on.get())[0] == 503
        refused = (await on.status()).refused
        assert refused is not None
        assert "there is no file" in refused.why
        os.rename(away, ca)
        await on.edge.location.reload()
        assert await on.get() == (200, "new")


async def test_a_location_can_not_change_its_site_while_it_runs(tmp_path: Path) -> None:
    async with scene(tmp_path, OWN) as on:
        on.edge.text = on.edge.text.replace("site: shop", "site: main")
        with pytest.raises(SettingsError, match="site: can't change while the location runs"):
            await on.edge.location.reload()


async def test_its_headers_for_origins_are_sealed_on_the_disk_of_the_location(tmp_path: Path) -> None:
    make_keys(tmp_path / "var" / "keys", lambda size: bytes(range(size)))
    async with scene(tmp_path) as on:
        await on.apply(shared(on.old, headers={"X-Key": "secret-word"}))
        assert await on.get() == (200, "old")
    assert "secret-word" not in (tmp_path / "var" / "configuration.json").read_text()
    async with scene(tmp_path) as on:
        assert (await on.status()).configuration == 1


async def test_a_location_that_comes_back_after_its_site_was_deleted_says_so_and_then_goes_by_its_own_file(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, OWN) as on:
        await on.apply(shared(on.new))
        assert await on.get() == (200, "new")
    async with opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica:
        publisher = publisher_on(replica)
        gone = replace((await publisher.statuses())["fra1"], state=LocationState.RETIRED)
        await replica.set_status("fra1", status_to_json(gone))
        before, _ = await Configurer(publisher, world.wall, lambda: None).delete("shop", 1)
        assert (before.current, (await publisher.catalog()).configurations["shop"].last) == (1, 1)
    async with scene(tmp_path, OWN) as on:
        refused = (await on.status()).refused
        assert refused is not None
        assert "it was deleted, and is in use here until the location is started again" in refused.why
    async with scene(tmp_path, OWN) as on:
        assert await on.get() == (200, "old"), "as its own file says"
        status = await on.status()
        assert (status.configuration, status.refused) == (0, None)
        assert (await on.apply(shared(on.new))).configuration == 2
