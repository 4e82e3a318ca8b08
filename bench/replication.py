"""How long from `deploy` until every location runs it and has said so? And a purge? And after an absence?

    python -m bench.replication [--locations 1,10,50] [--sizes 4KB,1MB,20MB] [--processes 2] [--json FILE]

A real nats-server (every acknowledged write is on its disk), a publisher, and locations as `edgefn serve` has them but
for viewers: each with its own connection and credentials, a mirror, an SQLite replica, files on disk, and a worker that
follows it. The locations share a few processes, and all share this machine and its disk. There is no network between.

`deploy`: from the call (pack, upload, sign, commit) until the status of every location says that it has applied the
generation; each one has then fetched the files, checked their digest, synced them to disk and committed. `purge`: from
the order until all locations have applied and confirmed it. `absence`: a location starts with an empty directory, or
with what it had 100 deployments ago; until it has all of it. `hub killed`: from the moment the server listens again
after a kill -9 until a deployment made then is acknowledged by all. Times are milliseconds. `cpu` is what each time
cost all locations and the server together, in milliseconds of a core; `idle` what they cost in a second in which
nothing happens.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvloop

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.catalog import CatalogBuilder
from edgefn.functions.committing import Senses
from edgefn.functions.following import Following, Reporting, status_of
from edgefn.functions.mirror.mirror import Mirror, Station
from edgefn.functions.published import OpeningError, Published
from edgefn.functions.publishing import Publisher
from edgefn.functions.purging import Purging
from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.layout import Keeping, location_inbox
from edgefn.functions.replicas.nats.link import Address, Login
from edgefn.functions.replicas.nats.nkeys import KeyPair, Owner
from edgefn.functions.replicas.nats.replica import NatsReplica
from edgefn.functions.replicas.nats.server import Server, ServerSettings, find_server, start
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.functions.runner import Runner
from edgefn.functions.signing import Keys, SigningKey, key_id
from edgefn.model.location_status import status_from_json
from edgefn.model.publishing import LocationStatus, Manifest
from edgefn.model.settings import FunctionSettings, SignaturePolicy
from edgefn.rules.purges import Purge

SIZES = {"4KB": 4_096, "64KB": 65_536, "1MB": 1 << 20, "20MB": 20 << 20}
REPEATS = {"4KB": 30, "64KB": 20, "1MB": 10, "20MB": 3}
PURGES = 50
ABSENT_DEPLOYMENTS = 100
IDLE_SECONDS = 10.0
PATIENCE = 120.0


def fresh_id() -> str:
    return uuid.uuid4().hex


async def starts(_manifest: Manifest, _bundle: Bundle) -> str | None:
    return None


# One process of locations


class NoSandbox:
    """Opens nothing: what a location runs is not what is measured here, and no hook names it."""

    async def open(self, manifest: Manifest) -> Runner:
        """Refuse."""
        raise OpeningError(f"{manifest.label} is not run here")


async def run_location(told: dict[str, str], goal: int) -> None:
    """Be a location as `edgefn serve` puts it together, but for its viewers, its cache and its functions."""
    began = time.monotonic()
    name, key = told["name"], KeyPair.from_seed(told["seed"])
    address = Address((told["server"],), lambda: Login(told["token"], key), inbox=location_inbox(name))
    public = bytes.fromhex(told["trusted"])
    keys = Keys(trusted={key_id(public): public}, policy=SignaturePolicy.ENFORCE)

    async def purged(purge: Purge, *, soft: bool) -> object:
        return soft

    def quiet(_line: str) -> None:
        pass

    upstream = NatsReplica(address, random.random, fresh_id)
    async with opened(Path(told["directory"]), time.time, fresh_id) as local:
        published = Published(NoSandbox(), time.monotonic, quiet)
        reporting = Reporting(name, local, lambda: status_of(name, published.running, following, time.time()))
        following = Following(local, CatalogBuilder(keys), published.apply, quiet, reporting.soon)

        def total(statuses: Sequence[LocationStatus]) -> LocationStatus:
            own = next((each for each in statuses if each.location == name), LocationStatus(name, 0, 0))
            if 0 < goal <= own.generation and "took" not in told:
                told["took"] = str(time.monotonic() - began)
                print(told["took"], flush=True)
            return replace(own, purge=purging.applied, at=time.time())

        mirror = Mirror(upstream, local, keys, Station(name, total, time.time, fresh_id, random.random, quiet))
        purging = Purging(local, purged, mirror.tell)
        await following.catch_up()
        await asyncio.gather(mirror.run(), following.run(), reporting.run(), purging.run())


async def run_locations() -> None:
    told = json.loads(sys.stdin.readline())
    await asyncio.gather(*(run_location(each, told["goal"]) for each in told["locations"]))


# The bench


def spent(pids: Iterable[int]) -> float:
    """Return the CPU time of some processes so far, in milliseconds."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) * 1_000 / os.sysconf("SC_CLK_TCK")


class Fleet:
    """A hub and its publisher; locations in their processes."""

    def __init__(self, directory: Path, server: Server, authority: Authority, signing: SigningKey) -> None:
        self.directory = directory
        self.server = server
        self.authority = authority
        self.signing = signing
        login = authority.control_login(int(time.time()))
        self.replica = NatsReplica(Address((server.url,), lambda: login), random.random, fresh_id)
        self.processes: list[int] = []
        self.control = Publisher(self.replica, Keys(signing=signing), starts, Senses(time.time, fresh_id))

    def spent(self) -> float:
        """Return the CPU time of the server and of all locations so far, in milliseconds."""
        return spent([self.server.pid, *self.processes])

    async def deploy(self, size: int, name: str = "hello") -> int:
        bundle = Bundle.of([BundleFile("index.js", os.urandom(size))])
        deployed = await self.control.deploy(FunctionSettings(name, "", "nodejs20.x"), bundle, alias="live")
        return deployed.generation

    def location(self, number: int) -> dict[str, str]:
        name, now = f"l{number}", int(time.time())
        key = KeyPair(Owner.USER, os.urandom(32))
        token = self.authority.location_token(name, key.public, now, now + 7_200)
        public = self.signing.public.hex()
        where = {"directory": str(self.directory / name), "server": self.server.url}
        return {"name": name, "seed": key.seed, "token": token, "trusted": public, **where}

    async def all_say(self, count: int, says: Callable[[LocationStatus], bool]) -> None:
        """Wait until `count` locations say it."""
        sure: set[str] = set()
        async with asyncio.timeout(PATIENCE), aclosing(self.replica.follow_statuses()) as statuses:
            async for location, text in statuses:
                if says(status_from_json(text)):
                    sure.add(location)
                if len(sure) >= count:
                    return


@asynccontextmanager
async def fleet(directory: Path) -> AsyncIterator[Fleet]:
    authority = Authority.begin(os.urandom)
    settings = ServerSettings(
        "hub", directory / "hub", authority=authority.server_settings(str(directory / "accounts"), int(time.time()))
    )
    server = await start(settings, find_server(os.environ.get("EDGEFN_NATS_SERVER")))
    run = Fleet(directory, server, authority, SigningKey(os.urandom(32)))
    try:
        await run.replica.begin(fresh_id(), Keeping())
        yield run
    finally:
        await run.replica.close()
        await run.server.stop()


@asynccontextmanager
async def locations(run: Fleet, count: int, processes: int, goal: int = 0) -> AsyncIterator[list[asyncio.StreamReader]]:
    started = []
    shares = [[run.location(number) for number in range(count)][share::processes] for share in range(processes)]
    try:
        for share in filter(None, shares):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.replication", "--be-locations"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            started.append(process)
            run.processes.append(process.pid)
            assert process.stdin is not None
            process.stdin.write(json.dumps({"goal": goal, "locations": share}).encode() + b"\n")
            await process.stdin.drain()
        yield [process.stdout for process in started if process.stdout is not None]
    finally:
        run.processes.clear()
        for process in started:
            process.kill()
            await process.wait()


async def timed_deploys(run: Fleet, count: int, size: str) -> list[float]:
    took = []
    for _ in range(REPEATS[size]):
        began = time.monotonic()
        generation = await run.deploy(SIZES[size])
        await run.all_say(count, lambda status, least=generation: status.generation >= least)  # type: ignore[misc]
        took.append((time.monotonic() - began) * 1_000)
    return took


async def timed_purges(run: Fleet, count: int) -> list[float]:
    took = []
    for _ in range(PURGES):
        began = time.monotonic()
        sequence = await run.control.order_purge(b'["tag", "news"]')
        await run.all_say(count, lambda status, least=sequence: status.purge >= least)  # type: ignore[misc]
        took.append((time.monotonic() - began) * 1_000)
    return took


async def timed_absence(run: Fleet, count: int, processes: int, goal: int) -> list[float]:
    async with locations(run, count, processes, goal) as outputs:

        async def read(output: asyncio.StreamReader, lines: int) -> list[float]:
            return [float(await output.readline()) * 1_000 for _ in range(lines)]

        shares = [len(range(share, count, processes)) for share in range(len(outputs))]
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.gather(*map(read, outputs, shares))
    return [each for share in found for each in share]


async def timed_recovery(run: Fleet, count: int) -> list[float]:
    port = int(run.server.url.rpartition(":")[2])
    run.server.signal(signal.SIGKILL)
    await run.server.stop()
    settings = replace(run.server.settings, port=port)
    run.server = await start(settings, find_server(os.environ.get("EDGEFN_NATS_SERVER")))
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                generation = await run.deploy(4_096)
                break
            except ReplicaError:  # who publishes has no connection yet
                await asyncio.sleep(0.05)
    await run.all_say(count, lambda status: status.generation >= generation)
    return [(time.monotonic() - began) * 1_000]


async def costing(run: Fleet, timed: Awaitable[list[float]]) -> dict[str, float]:
    before = run.spent()
    took = await timed
    return {**summary(took), "cpu": round((run.spent() - before) / len(took), 1)}


async def idling(run: Fleet) -> dict[str, float]:
    before = run.spent()
    await asyncio.sleep(IDLE_SECONDS)
    return {"cpu": round((run.spent() - before) / IDLE_SECONDS, 1)}


def summary(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return {"p50": round(statistics.median(ordered), 1), "p99": round(p99, 1), "of": len(ordered)}


async def measured(count: int, sizes: list[str], processes: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    directory = Path(tempfile.mkdtemp(prefix="edgefn-replication-"))
    try:
        async with fleet(directory) as run:
            goal = await run.deploy(4_096)
            async with locations(run, count, processes):
                await run.all_say(count, lambda status: status.generation >= goal)
                for size in sizes:
                    found[f"deploy {size}"] = await costing(run, timed_deploys(run, count, size))
                found["purge"] = await costing(run, timed_purges(run, count))
                found["idle"] = await idling(run)
                found["hub killed"] = summary(await timed_recovery(run, count))
            for number in range(ABSENT_DEPLOYMENTS):
                goal = await run.deploy(4_096, f"absent{number % 10}")
            found[f"absence of {ABSENT_DEPLOYMENTS} deployments"] = summary(
                await timed_absence(run, count, processes, goal)
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locations", default="1,10,50")
    parser.add_argument("--sizes", default="4KB,1MB,20MB")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--be-locations", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_locations:
        uvloop.run(run_locations())
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; milliseconds")
    print(f"{'locations':>9}  {'':36}{'p50':>9}{'p99':>9}{'of':>9}{'cpu':>9}")
    for count in map(int, options.locations.split(",")):
        results[str(count)] = uvloop.run(measured(count, options.sizes.split(","), options.processes))
        for what, figures in results[str(count)].items():
            told = "".join(f"{figures.get(each, ''):>9}" for each in ("p50", "p99", "of", "cpu"))
            print(f"{count:>9}  {what:36}{told}", flush=True)
    print(json.dumps(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
