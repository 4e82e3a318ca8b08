"""Kills a location under load with SIGKILL, again and again: no wrong byte, still warm, what was purged stays purged.

    python -m bench.kills            20 times, every other time all of it, else one of its workers
    python -m bench.kills --times 4

Prints what it saw as JSON; exit status 1 when anything was wrong.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

from bench.traffic import Origin, Tally, Viewers

KEYS = [f"k{number}" for number in range(60)]
SIZES = (300, 5_000, 60_000, 400_000)
CACHE = "memory: 4MB, disk: 256MB"
CONFIG = """
location: fra1
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
workers: {workers}
data_dir: {directory}/var
access_log: off
cache: {{{cache}}}
origins: {{app: {{url: "http://127.0.0.1:{origin}"}}}}
routes: {routes}
drain_timeout: 5s
"""
PLAIN = '[{path: "*", origin: app}]'
PATIENCE = 60.0


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def size_of(key: str) -> int:
    return SIZES[int(key[1:]) % len(SIZES)]


def workers_of(pid: int) -> list[int]:
    """Return the worker processes of a supervisor."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"--worker" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return sorted(found)


class Site:
    """A location that can be killed and started again, with the ports it had."""

    def __init__(self, directory: Path, origin: int, workers: int, cache: str = CACHE, routes: str = PLAIN) -> None:
        self.port, self.admin = free_ports(2)
        self._directory = directory
        self._config = directory / "edgefn.yaml"
        self._config.write_text(
            CONFIG.format(
                port=self.port,
                admin=self.admin,
                workers=workers,
                directory=directory,
                origin=origin,
                cache=cache,
                routes=routes,
            )
        )
        self._workers = workers
        self.process: asyncio.subprocess.Process | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        arguments = [sys.executable, "-m", "edgefn.cli.main", "serve", str(self._config)]
        log = (self._directory / "log").open("ab")
        with log:
            self.process = await asyncio.create_subprocess_exec(
                *arguments, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        if not line.startswith(b"ready"):
            raise RuntimeError(f"it did not start: {(self._directory / 'log').read_text()}")

    def pids(self) -> list[int]:
        assert self.process is not None
        return [self.process.pid, *workers_of(self.process.pid)]

    async def kill_all(self) -> None:
        """Kill every process of it at once."""
        assert self.process is not None
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()

    async def kill_one(self, dice: random.Random) -> None:
        """Kill one worker, and wait until there is another one."""
        assert self.process is not None
        victim = dice.choice(workers_of(self.process.pid))
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            # Nobody tells of new processes.
            while len([pid for pid in workers_of(self.process.pid) if pid != victim]) < self._workers:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def reload(self) -> None:
        """Have it read its configuration anew."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def purge(self, key: str) -> bool:
        """Purge all of a key; return whether it was acknowledged."""
        token = (self._directory / "var" / "admin.token").read_text().strip()
        sent = {"purges": [{"tag": key} if int(key[1:]) % 2 else {"path": f"/{key}/*"}]}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=20), headers={"Authorization": f"Bearer {token}"}) as session,
                session.post(f"http://127.0.0.1:{self.admin}/v1/purges", json=sent) as answer,
            ):
                return answer.status == 200
        except (ClientError, TimeoutError, OSError):
            return False


@contextlib.asynccontextmanager
async def load(viewers: Viewers, count: int) -> AsyncIterator[None]:
    """Keep so many viewers asking while the block runs."""

    async def ask() -> None:
        while True:
            key = viewers.dice.choice(KEYS)
            if await viewers.get(key, size_of(key), ranged=viewers.dice.random() < 0.3) is None:
                await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(ask()) for _ in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for error in done:
            if not isinstance(error, asyncio.CancelledError) and error is not None:
                raise error


async def purge_some(site: Site, origin: Origin, tally: Tally, dice: random.Random, count: int) -> int:
    """Change some keys at the origin and purge them; return how many purges were acknowledged."""
    done = 0
    for key in dice.sample(KEYS, count):
        origin.generations[key] += 1
        generation = origin.generations[key]
        if await site.purge(key):
            tally.floor[key] = generation
            done += 1
    return done


async def warmth(viewers: Viewers) -> float:
    """Return which part of all keys is a hit."""
    found = [await viewers.get(key, size_of(key)) for key in KEYS]
    return sum(each is True for each in found) / len(KEYS)


async def run(directory: Path, *, times: int, workers: int, seed: int, pause: float = 1.0) -> dict[str, object]:
    """Kill it so many times; return what was seen."""
    dice, tally = random.Random(seed), Tally()
    least_warm, purges = 1.0, 0
    async with Origin() as origin:
        site = Site(directory, origin.port, workers)
        await site.start()
        viewers = Viewers(site.base, tally, dice)
        try:
            await warmth(viewers)
            for turn in range(times):
                async with load(viewers, 8):
                    await asyncio.sleep(pause)
                    purging = asyncio.create_task(purge_some(site, origin, tally, dice, 6))
                    await asyncio.sleep(dice.random() * pause / 2)
                    if turn % 2:
                        await site.kill_one(dice)
                    else:
                        await site.kill_all()
                        await site.start()
                    purges += await purging
                least_warm = min(least_warm, await warmth(viewers))
        finally:
            await viewers.close()
            await site.stop()
    return {
        "killed": times,
        "hits": tally.hits,
        "misses": tally.misses,
        "broken while it was down": len(tally.broken),
        "purges acknowledged": purges,
        "least warm after a kill": round(least_warm, 2),
        "wrong": tally.wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        told = asyncio.run(run(Path(directory), times=given.times, workers=given.workers, seed=given.seed))
        said = (Path(directory) / "log").read_text()
    told["seconds"] = round(time.monotonic() - began, 1)
    told["log"] = [line for line in said.splitlines() if "ended with status -9" not in line]
    print(json.dumps(told, indent=2))
    return 1 if told["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
