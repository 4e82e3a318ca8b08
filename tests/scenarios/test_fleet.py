"""A control plane with a real NATS server, and locations that join it: all of it from the command line."""

import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.free_ports import free_port
from tests.scenarios.fleet_stage import Fleet, fleet_of


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with fleet_of(Fleet, tmp_path) as made:
        yield made


@pytest.mark.fleet
async def test_a_fleet_deploys_purges_drains_revokes_and_outlives_its_control_plane(fleet: Fleet) -> None:
    await fleet.start_control()
    for name in ("ams1", "fra1"):
        await fleet.join(name)
        await fleet.serve(name)
    again = ("location", "join", fleet.folder / "fra1.yaml", "--control", fleet.url, "--token", fleet.token)
    status, told = await command(*again)
    assert (status, "revoked or used up" in told) == (1, True), "a one-time token counts once"

    status, told = await fleet.deploy("one")
    assert (status, "done: 2 of 2 locations" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["one", "one"]

    before = [await fleet.get(name, "/page") for name in ("ams1", "fra1", "ams1", "fra1")]
    assert before[:2] == before[2:]
    assert await command("purge", "/page", *fleet.there) == (0, "purged in 2 locations\n")
    after = [await fleet.get(name, "/page") for name in ("ams1", "fra1")]
    assert not set(before) & set(after)

    status, told = await command("logs", "--function", "greet:1", "--since", "1h", *fleet.there)
    assert (status, {line.split()[1] for line in told.splitlines()}) == (0, {"ams1", "fra1"}), told
    status, told = await command("logs", "--location", "fra1", *fleet.there)
    assert (status, {line.split()[1] for line in told.splitlines()}) == (0, {"fra1"}), told

    assert (await command("location", "drain", "fra1", *fleet.there))[0] == 0
    status, told = await fleet.deploy("two")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert (await command("location", "activate", "fra1", *fleet.there))[0] == 0

    assert (await command("location", "revoke", "ams1", *fleet.there))[0] == 0
    status, told = await command("status", *fleet.there)
    assert (status, "fra1" in told, "ams1" in told) == (0, True, False), told
    status, told = await command("location", "list", *fleet.there)
    assert (status, told.split("ams1")[1].split()[0]) == (0, "revoked"), told
    status, told = await fleet.deploy("three")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "three"]

    fleet.control.send(signal.SIGKILL)
    assert await fleet.control.ended() == -signal.SIGKILL
    fleet.locations["fra1"].send(signal.SIGTERM)
    await fleet.locations["fra1"].ended()
    await fleet.serve("fra1")
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "three"], "last known good"

    await fleet.start_control()
    status, told = await fleet.deploy("four")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["two", "four"]
    fleet.control.send(signal.SIGTERM)
    assert await fleet.control.ended() == 0


@pytest.mark.fleet
async def test_one_machine_becomes_a_fleet_and_outlives_the_loss_of_its_servers_disk(fleet: Fleet) -> None:
    fleet.write("fra1", admin=f"127.0.0.1:{free_port()}")
    await fleet.serve("fra1")
    config = fleet.folder / "fra1.yaml"
    code = fleet.code("one")
    alone = await command("deploy", code, "--name", "greet", "--runtime", "nodejs20.x", "--config", config)
    assert alone[0] == 0, alone[1]
    alone = await command("apply", config)
    assert alone[0] == 0, alone[1]
    fleet.locations["fra1"].send(signal.SIGTERM)
    await fleet.locations["fra1"].ended()

    fleet.write_control()
    status, told = await command("control", "init", fleet.folder / "control.yaml", "--from", config)
    assert (status, "signed with the keys of the control plane" in told) == (0, True), told
    await fleet.start_control()
    await fleet.join("fra1", config=config)
    await fleet.serve("fra1")
    assert await fleet.get("fra1") == "one"
    status, told = await command("apply", config, *fleet.there)
    assert (status, "configuration 1 has all of this already" in told) == (0, True), told

    fleet.control.send(signal.SIGTERM)
    assert await fleet.control.ended() == 0
    shutil.rmtree(fleet.folder / "control" / "nats")
    restore = ("control", "restore", fleet.folder / "control.yaml", "--from", fleet.folder / "fra1" / "replica")
    status, told = await command(*restore)
    assert (status, "for locations that have seen more" in told) == (0, True), told
    await fleet.start_control()
    status, told = await fleet.deploy("two")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert await fleet.get("fra1") == "two"


@pytest.mark.fleet
async def test_the_demo_of_a_fleet_loses_no_request_while_a_version_goes_live_and_the_control_plane_dies() -> None:
    async with Running("demo", "--locations", "2") as demo:
        for moment in ("under load", "while it went live", "while it was put in force", "after it", "without it"):
            line = await demo.says(f"{moment}: ")
            assert line.rstrip().endswith("failed: 0"), line
        assert "version 2" in line
        assert "version 1" not in line
        await demo.says("still serving")
        demo.send(signal.SIGINT)
        assert await demo.ended() == 0


READER = """import cf from 'cloudfront';
const greeting = cf.kvs();
async function handler() {
  return {statusCode: 200, body: await greeting.get('greeting').catch(() => 'no greeting')};
}
"""


@pytest.mark.fleet
async def test_a_function_of_a_fleet_reads_the_key_value_store_of_each_location(fleet: Fleet) -> None:
    await fleet.start_control()
    for name in ("ams1", "fra1"):
        await fleet.join(name)
        store = fleet.folder / f"{name}.json"
        store.write_text(f'{{"greeting": "{name}"}}')
        with (fleet.folder / f"{name}.yaml").open("a") as file:
            file.write(f"kvs: {{words: {store}}}\n")
        await fleet.serve(name)
    code = fleet.code("one")
    (code / "index.js").write_text(READER)
    publish = ("deploy", code, "--name", "greet", "--runtime", "cloudfront-js-2.0", "--kvs", "words", *fleet.there)
    status, told = await command(*publish)
    assert (status, "done: 2 of 2 locations" in told) == (0, True), told
    assert 'the key-value store "words" is not in `kvs` of the control plane' in told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["ams1", "fra1"]
    invoke = ("invoke", "greet:live", "--sample", "viewer-request", *fleet.there)
    status, told = await command(*invoke)
    assert (status, "no greeting" in told, "with an empty one there" in told) == (0, True, True), told

    fleet.control.send(signal.SIGTERM)
    assert await fleet.control.ended() == 0
    (fleet.folder / "words.json").write_text('{"greeting": "control"}')
    with (fleet.folder / "control.yaml").open("a") as file:
        file.write("kvs: {words: words.json}\n")
    await fleet.start_control()
    status, told = await command(*invoke)
    assert (status, '"body": "control"' in told, "an empty one" in told) == (0, True, False), told
    status, told = await command(*publish)
    assert (status, "done: 2 of 2 locations" in told, "an empty one" in told) == (0, True, False), told


@pytest.mark.fleet
async def test_a_fleet_changes_the_key_that_seals_and_forgets_the_one_before(fleet: Fleet) -> None:
    async def restarted(running: Running) -> None:
        running.send(signal.SIGTERM)
        assert await running.ended() == 0

    async def keys(action: str, *arguments: str, of: str) -> str:
        status, told = await command("keys", action, *arguments, "--dir", fleet.folder / of / "keys")
        assert status == 0, told
        return told

    await fleet.start_control()
    await fleet.join("fra1")
    await fleet.serve("fra1")
    assert (await fleet.deploy("one"))[0] == 0
    await restarted(fleet.control)
    told = await keys("new", "--rotate", "--keep-signing", of="control")
    old = next(line.split()[-1] for line in told.splitlines() if "opens" in line)
    await fleet.start_control()
    await restarted(fleet.locations["fra1"])
    assert (await command("location", "retire", "fra1", *fleet.there))[0] == 0
    await fleet.join("fra1", fleet.folder / "fra1.yaml")
    await fleet.serve("fra1")

    refused = await command("keys", "forget", old, "--dir", fleet.folder / "control" / "keys")
    assert (refused[0], "still needed by the files of greet:1" in refused[1]) == (1, True), refused[1]
    status, told = await command("keys", "sign", *fleet.there)
    assert (status, "files sealed anew: 1" in told) == (0, True), told
    generation = int(told.split("generation ")[1].split(";")[0])
    status, told = await fleet.deploy("two")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert generation > 1
    assert await fleet.get("fra1") == "two"
    for of in ("control", "fra1"):
        assert old not in await keys("forget", old, of=of)

    await restarted(fleet.control)
    await restarted(fleet.locations["fra1"])
    await fleet.start_control()
    await fleet.serve("fra1")
    assert await fleet.get("fra1") == "two"
    status, told = await command("rollback", "greet", *fleet.there)
    assert (status, "fra1: current" in told) == (0, True), told
    assert await fleet.get("fra1") == "one"
