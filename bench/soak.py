"""Mixed load for as long as you like: flat memory, flat descriptors, no failed request, no wrong byte.

    python -m bench.soak --minutes 30
    python -m bench.soak --minutes 1 --workers 1
    python -m bench.soak --minutes 30 --cache 'memory: 48MB'
    python -m bench.soak --minutes 5 --rough

Hits and misses by a Zipf draw over more than fits in memory, purges of every kind, ranges, viewers who leave in the
middle, viewers who read slowly, POSTs. With --rough there are few keys, so that all of this meets; origin and viewers
do whatever is allowed, and the configuration is loaded anew all the time. Prints what it saw as JSON; exit status 1
when anything was wrong.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientError

from bench.kills import CACHE, PLAIN, Site
from bench.rough import ROUTES, RoughOrigin, RoughViewers
from bench.traffic import Origin, Tally, Viewers

SIZES = (300, 2_000, 2_000, 12_000, 12_000, 60_000, 300_000)
LARGE = 2_500_000  # every fiftieth
SAMPLES = 60
MOST_GROWTH = 1.10
MOST_FDS = 64

Task = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True)
class Pace:
    """How many keys there are, and the seconds between two of the same kind; 0: that does not happen."""

    keys: int
    leave: float
    purge: float
    post: float
    reload: float


USUAL = Pace(20_000, leave=0.05, purge=0.2, post=0.5, reload=0)
ROUGH = Pace(60, leave=0.005, purge=0.01, post=0.02, reload=1)


def size_of(key: str) -> int:
    number = int(key[1:])
    return SIZES[number % len(SIZES)] if number % 50 else LARGE


@dataclass
class Sample:
    """Memory in KB and open files of all processes of the location, and what was answered so far."""

    at: float
    memory: int
    descriptors: int
    answered: int


@dataclass
class Load:
    """Who asks for what. `done` counts what was done, by its name."""

    site: Site
    origin: Origin
    viewers: Viewers
    dice: random.Random
    pace: Pace
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def key(self) -> str:
        """Return a key: the lower its number, the likelier (Zipf)."""
        return f"k{int(self.pace.keys ** self.dice.random()) - 1}"

    async def look(self) -> None:
        key = self.key()
        if await self.viewers.get(key, size_of(key), ranged=self.dice.random() < 0.2) is None:
            self.failed.append(self.viewers.tally.broken[-1])
        self.done["looked"] += 1

    async def leave(self) -> None:
        """Ask for something, and leave before it is all here."""
        key = self.key()
        request = f"GET /{key}/{size_of(key)} HTTP/1.1\r\nHost: 127.0.0.1:{self.site.port}\r\n\r\n"
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.site.port)
            try:
                writer.write(request.encode())
                await reader.readexactly(200)
            finally:
                writer.transport.abort()
        self.done["left"] += 1
        await asyncio.sleep(self.pace.leave)

    async def crawl(self) -> None:
        """Read something large, slowly, to its end."""
        key = f"k{self.dice.randrange(0, min(self.pace.keys, 2_000), 50)}"
        target = f"http://127.0.0.1:{self.site.port}/{key}/{LARGE}"
        got = 0
        try:
            async with self.viewers.session.get(target) as answer:
                while data := await answer.content.read(40_000):
                    got += len(data)
                    await asyncio.sleep(0.05)
        except (ClientError, TimeoutError, OSError) as error:
            self.failed.append(f"{target}, slowly: {error!r}")
        if got != LARGE and not self.failed:
            self.failed.append(f"{target}, slowly: {got} bytes")
        self.done["crawled"] += 1

    async def purge(self) -> None:
        key = self.key()
        self.origin.generations[key] += 1
        generation = self.origin.generations[key]
        if await self.site.purge(key):
            self.viewers.tally.floor[key] = max(generation, self.viewers.tally.floor[key])
        else:
            self.failed.append(f"purge of {key}")
        self.done["purged"] += 1
        await asyncio.sleep(self.pace.purge)

    async def post(self) -> None:
        key = self.key()
        target = f"http://127.0.0.1:{self.site.port}/{key}/{size_of(key)}"
        self.origin.generations[key] += 1
        generation = self.origin.generations[key]
        async with self.viewers.session.post(target, data=b"x") as answer:
            await answer.read()
            if answer.status < 400:
                self.viewers.tally.floor[key] = max(generation, self.viewers.tally.floor[key])
        self.done["posted"] += 1
        await asyncio.sleep(self.pace.post)

    async def reload(self) -> None:
        await asyncio.sleep(self.pace.reload)
        self.site.reload()
        self.done["reloaded"] += 1


async def forever(task: Task) -> None:
    while True:
        await task()


def sample(site: Site, load: Load, began: float) -> Sample:
    memory = descriptors = 0
    for pid in site.pids():
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += int(status.partition("Pss:")[2].split()[0])
            descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    tally = load.viewers.tally
    return Sample(time.monotonic() - began, memory, descriptors, tally.hits + tally.misses)


def verdict(samples: list[Sample]) -> dict[str, object]:
    """Compare the middle of the run with its end: before that, caches fill."""
    third = max(1, len(samples) // 3)
    middle, end = samples[third : 2 * third], samples[-third:]

    def mean(part: list[Sample], what: Callable[[Sample], int]) -> float:
        return sum(map(what, part)) / len(part)

    growth = mean(end, lambda each: each.memory) / mean(middle, lambda each: each.memory)
    more = mean(end, lambda each: each.descriptors) - mean(middle, lambda each: each.descriptors)
    return {
        "memory, MB, by time": [round(each.memory / 1024) for each in samples[:: max(1, len(samples) // 12)]],
        "open files, by time": [each.descriptors for each in samples[:: max(1, len(samples) // 12)]],
        "memory, last third against the one before": round(growth, 3),
        "open files, the same": round(more, 1),
        "flat": growth <= MOST_GROWTH and more <= MOST_FDS,
    }


async def run(
    directory: Path, *, seconds: float, workers: int, seed: int, cache: str, is_rough: bool = False
) -> dict[str, object]:
    dice, tally = random.Random(seed), Tally()
    async with RoughOrigin(random.Random(seed)) if is_rough else Origin() as origin:
        site = Site(directory, origin.port, workers, cache, ROUTES if is_rough else PLAIN)
        await site.start()
        viewers = RoughViewers if is_rough else Viewers
        load = Load(site, origin, viewers(site.base, tally, dice), dice, ROUGH if is_rough else USUAL)
        began, samples = time.monotonic(), list[Sample]()
        jobs = [*[load.look] * 12, *[load.leave] * 2, *[load.crawl] * 4, load.purge, load.post]
        jobs += [load.reload] if load.pace.reload else []
        tasks = [asyncio.create_task(forever(job)) for job in jobs]
        try:
            while (now := time.monotonic() - began) < seconds:
                await asyncio.wait(tasks, timeout=min(seconds / SAMPLES, seconds - now))
                for task in tasks:
                    if task.done():
                        task.result()
                samples.append(sample(site, load, began))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await load.viewers.close()
            await site.stop()
    return {
        "seconds": round(seconds),
        "answered": tally.hits + tally.misses,
        "hits": tally.hits,
        "misses": tally.misses,
        "done": dict(load.done),
        "failed": load.failed[:20],
        "wrong": tally.wrong[:20],
        **verdict(samples),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", default=CACHE, help="as the configuration has it; small, so that it is soon full")
    parser.add_argument("--rough", action="store_true", help="nothing is usual, and all of it meets")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        work = run(
            Path(directory),
            seconds=60 * given.minutes,
            workers=given.workers,
            seed=given.seed,
            cache=given.cache,
            is_rough=given.rough,
        )
        told = asyncio.run(work)
        said = [line for line in (Path(directory) / "log").read_text().splitlines() if "reloaded" not in line]
    told["log"] = said[:20]
    print(json.dumps(told, indent=2))
    return 0 if told["flat"] and not told["failed"] and not told["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
