"""Many deployments and purges while locations and their server are killed all the time. Long: `make test-fleet`."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edgefn.functions.catalog import Applied, CatalogBuilder
from edgefn.functions.replicas.base import PurgeOrder, ReplicaError
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.rules.purges import ByTag, written
from tests.functions.mirror.stage import LOCATION_KEYS, SIGNING, Fleet, deploy, fleet, fresh_id
from tests.functions.mirror.test_dying_and_full import FLUSH, MORTAL, location_login
from tests.functions.nats.stage import eventually

LOCATIONS, DEPLOYMENTS, PURGES, KILLS = 10, 100, 1_000, 25


class Machine:
    """A location in a process of its own, which is killed and started again."""

    def __init__(self, run: Fleet, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory / name
        self._told = {"role": "mirror", "die_at": "never", "directory": str(self.directory)}
        self._told |= {"signing": SIGNING.secret.hex(), **location_login(run.hub, name)}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(MORTAL), stdin=pipe, stdout=asyncio.subprocess.DEVNULL
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(self._told).encode())
        self.process.stdin.close()

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    def weight(self) -> tuple[int, int]:
        """Return its resident kilobytes and its open files."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0])
        return resident, len(os.listdir(f"/proc/{self.process.pid}/fd"))


async def all_report(run: Fleet) -> None:
    if len(await run.replica.statuses()) < LOCATIONS:
        raise ReplicaError("not all locations have reported yet")


async def has_all(machine: Machine, generation: int, purges: set[bytes]) -> None:
    """Raise `ReplicaError` until a location's own replica is at a generation, whole, and has each purge."""
    async with opened(machine.directory, time.time, fresh_id) as local:
        builder, applied = CatalogBuilder(LOCATION_KEYS), False
        for stored in await local.read():
            applied |= isinstance(builder.take(stored), Applied)
        if builder.catalog.generation != generation:
            raise ReplicaError(f"{machine.name} is at {builder.catalog.generation}")
        assert applied
        for function in builder.catalog.functions.values():
            for version in function.versions.values():
                assert await local.has_blob(version.blob.digest), version.label
        last, found = await local.last_purge(), set()
        async for each in local.follow_purges(0, ""):
            if isinstance(each, PurgeOrder):
                found.add(each.order)
                if each.sequence == last:
                    break
        if not purges <= found:
            raise ReplicaError(f"{machine.name} lacks {len(purges - found)} purges")
        assert FLUSH in found  # From its first contact with the fleet.


@pytest.mark.fleet
async def test_a_fleet_whose_machines_die_all_the_time_ends_up_whole(tmp_path: Path) -> None:
    dice = random.Random(4)
    async with fleet(tmp_path / "hub") as run:
        machines = [Machine(run, f"l{number}", tmp_path) for number in range(LOCATIONS)]
        orders = {written(ByTag(f"t{number}")).encode() for number in range(PURGES)}
        await asyncio.gather(*(machine.start() for machine in machines))
        weighed: list[tuple[int, int]] = []

        async def publish() -> int:
            generation = 0
            for number in range(DEPLOYMENTS):
                content = dice.randbytes(dice.choice([500, 50_000, 1_500_000]))
                deployed = await eventually(lambda new=content, n=number: deploy(run.control, new, f"f{n % 5}"))  # type: ignore[misc]
                generation = deployed.generation
                if number in {20, DEPLOYMENTS - 1}:
                    weighed.append(machines[0].weight())
            return generation

        async def purge() -> None:
            for order in orders:
                op = fresh_id()
                await eventually(lambda told=order, name=op: run.replica.order_purge(told, name))  # type: ignore[misc]

        async def kill() -> None:
            for number in range(KILLS):
                await asyncio.sleep(0.5)
                if number % 8 == 7:
                    await run.hub.server.stop(signal.SIGKILL)
                    await run.hub.restart()
                else:
                    victim = dice.choice(machines[1:])  # The first one lives, and is weighed.
                    await victim.kill()
                    await victim.start()

        try:
            # No machine has missed a purge before it was there once.
            await eventually(lambda: all_report(run))
            generation, *_ = await asyncio.gather(publish(), purge(), kill())
            for machine in machines:
                await eventually(lambda one=machine: has_all(one, generation, orders), seconds=120)  # type: ignore[misc]
            (before, files_before), (after, files_after) = weighed
            assert after < before + 30_000
            assert files_after <= files_before + 5
        finally:
            with suppress(ReplicaError):
                await asyncio.gather(*(machine.kill() for machine in machines))
