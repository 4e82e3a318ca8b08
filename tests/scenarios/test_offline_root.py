"""A fleet whose keys an offline root names: they change, and no location is touched; all from the command line."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.scenarios.fleet_stage import Fleet, fleet_of


class RootedFleet(Fleet):
    """A fleet, and the machine without a network on which its root is."""

    @property
    def keys(self) -> Path:
        return self.folder / "control" / "keys"

    async def line(self) -> str:
        """Return the control plane's public key as `edgefn keys show` prints it."""
        status, told = await command("keys", "show", "--dir", self.keys)
        assert status == 0, told
        return next(line.split(": ")[1].strip() for line in told.splitlines() if "for others" in line)

    async def authorize(self, *lines: str) -> None:
        """Have the root say that these keys may sign, and bring that to the control plane."""
        trust = self.folder / "trust.json"
        named = [word for line in lines for word in ("--release", line)]
        for words in (
            ("authorize", trust, "--root", self.folder / "root", *named),
            ("pin", trust, "--dir", self.keys),
        ):
            status, told = await command("keys", *words)
            assert status == 0, told

    async def restart(self) -> None:
        self.control.send(signal.SIGTERM)
        assert await self.control.ended() == 0
        await self.start_control()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[RootedFleet]:
    async with fleet_of(RootedFleet, tmp_path) as made:
        yield made


@pytest.mark.fleet
async def test_the_key_that_signs_changes_twice_and_the_location_is_not_touched(fleet: RootedFleet) -> None:
    assert (await command("control", "init", fleet.write_control()))[0] == 0
    assert (await command("keys", "root", "--dir", fleet.folder / "root"))[0] == 0
    first = await fleet.line()
    await fleet.authorize(first)
    await fleet.start_control()
    await fleet.control.says("the root's version 1 is published")
    await fleet.join("fra1")
    await fleet.serve("fra1")
    status, told = await fleet.deploy("one")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told

    assert (await command("keys", "new", "--rotate", "--keep-sealing", "--dir", fleet.keys))[0] == 0
    second = await fleet.line()
    fleet.control.send(signal.SIGTERM)
    assert await fleet.control.ended() == 0
    async with Running("control", "serve", fleet.write_control()) as refused:
        assert await refused.ended() == 2
        assert "the root's version 1 does not name" in refused.told
    await fleet.authorize(first, second)
    await fleet.start_control()
    await fleet.control.says("the root's version 2 is published")
    await fleet.authorize(second)
    await fleet.restart()
    await fleet.control.says("the root's version 3 is published")

    status, told = await fleet.deploy("two")
    assert (status, "done: 1 of 1 location" in told) == (0, True), told
    assert await fleet.get("fra1") == "two"
    fleet.locations["fra1"].send(signal.SIGTERM)
    await fleet.locations["fra1"].ended()
    await fleet.serve("fra1")
    assert await fleet.get("fra1") == "two"
    await fleet.join("ams1")
    await fleet.serve("ams1")
    status, told = await fleet.deploy("three")
    assert (status, "done: 2 of 2 locations" in told) == (0, True), told
    assert [await fleet.get(name) for name in ("ams1", "fra1")] == ["three", "three"]
