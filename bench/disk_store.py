"""How fast is the disk store, asynchronous calls and all? `bench.stores` compares what it could stand on.

    python -m bench.disk_store [--entries 100000] [--json FILE]

The entries are those of `bench.stores`. The store is filled, used by two processes at once, and then by one that also
purges it, each in a process of its own, on a new directory of the disk that `--where` names. Rates are per second of
wall time; *loop slips* is by how much the event loop was late for a sleep of a millisecond meanwhile.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from bench.stores import BODY, PROBES, SECTIONS, Figures, apart, clock, entry
from edgefn.model.headers import Headers
from edgefn.rules.purges import ByPath, ByTag, Everything, Purge
from edgefn.stores.base import Stored
from edgefn.stores.disk.store import DiskStore, opened

_STORED = Stored(
    200, "OK", Headers([(f"Name-{line}", "v" * 30) for line in range(10)]), b"", 1.0, 1.0, 60.0, 0.0, tags=("all",)
)
_LARGE = 10 * 2**20
_CAPACITY = 2**36


async def store_put(store: DiskStore, number: int) -> None:
    key, _, tag = entry(number)
    host, scheme, target = key.split("\n")
    stored = Stored(200, "OK", _STORED.headers, b"", 1.0, 1.0, 60.0, 0.0, tags=(tag,))
    async with store.writing(f"{scheme}\n{host}\n{target}", stored, store.epoch) as writer:
        await writer.write(BODY)
        await writer.commit()


async def store_get(store: DiskStore, number: int) -> None:
    host, scheme, target = entry(number)[0].split("\n")
    (found,) = await store.get(f"{scheme}\n{host}\n{target}")
    assert (await store.open(found)).buffered() == BODY


async def spread(call: Callable[[int], Awaitable[None]], numbers: Sequence[int], width: int) -> list[float]:
    """Call for each number, `width` at a time; return the seconds that each took."""
    waiting = iter(numbers)
    took: list[float] = []

    async def work() -> None:
        for number in waiting:
            began = clock()
            await call(number)
            took.append(clock() - began)

    await asyncio.gather(*(work() for _ in range(width)))
    return sorted(took)


async def heartbeat(slips: list[float]) -> None:
    """Note by how much each sleep of a millisecond was too long."""
    while True:
        began = clock()
        await asyncio.sleep(0.001)
        slips.append(clock() - began - 0.001)


def rated(name: str, took: list[float], seconds: float) -> Figures:
    return {f"{name} /s": len(took) / seconds, f"{name} p99 us": took[int(len(took) * 0.99)] * 1e6}


async def _fill_store(directory: Path, entries: int) -> Figures:
    order = list(range(entries))
    random.Random(1).shuffle(order)
    async with opened(directory, _CAPACITY) as store:
        began = clock()
        took = await spread(lambda number: store_put(store, number), order, 64)
        return rated("64 putting", took, clock() - began)


async def _use_store(directory: Path, entries: int) -> Figures:
    dice = random.Random(3)
    began = clock()
    async with opened(directory, _CAPACITY) as store:
        await store_get(store, entries // 2)
        figures = {"ready after ms": (clock() - began) * 1e3}
        slips: list[float] = []
        beating = asyncio.create_task(heartbeat(slips))
        for width in (1, 64):
            numbers = [dice.randrange(entries) for _ in range(PROBES)]
            began = clock()
            took = await spread(lambda number: store_get(store, number), numbers, width)
            figures |= rated(f"{width} getting", took, clock() - began)
        figures |= await _use_large(store)
        purges: dict[str, Purge] = {
            "1 % by path": ByPath("/section-007/*"),
            "1 % by tag": ByTag("tag-0009"),
            "all": Everything(),
        }
        for name, purge in purges.items():
            began = clock()
            purged = await store.purge(purge, soft=False, now=2.0)
            figures[f"purge {name} ms"] = (clock() - began) * 1e3
            assert purged.entries >= entries // SECTIONS
        beating.cancel()
        slips.sort()
        figures["loop slips p99 ms"], figures["loop slips most ms"] = (
            slips[int(len(slips) * 0.99)] * 1e3,
            slips[-1] * 1e3,
        )
        return figures


async def _use_large(store: DiskStore) -> Figures:
    figures: Figures = {}
    piece = os.urandom(65_536)
    began = clock()
    async with store.writing("large", _STORED, store.epoch) as writer:
        for _ in range(_LARGE // len(piece)):
            await writer.write(piece)
        await writer.commit()
    figures["10 MB written MB/s"] = _LARGE / 1e6 / (clock() - began)
    (found,) = await store.get("large")
    began = clock()
    body = await store.open(found)
    while await body.read():
        pass
    figures["10 MB read MB/s"] = _LARGE / 1e6 / (clock() - began)
    began = clock()
    for first in range(0, _LARGE - 100, _LARGE // 500):
        (await store.open(found, first, 100)).close()
    figures["100 bytes of 10 MB us"] = (clock() - began) / 500 * 1e6
    return figures


def fill_store(directory: Path, entries: int) -> Figures:
    return uvloop.run(_fill_store(directory, entries))


def use_store(directory: Path, entries: int) -> Figures:
    return uvloop.run(_use_store(directory, entries))


def get_store(directory: Path, entries: int, seed: int) -> Figures:
    async def get() -> Figures:
        numbers = [random.Random(seed + number).randrange(entries) for number in range(PROBES)]
        async with opened(directory, _CAPACITY) as store:
            began = clock()
            took = await spread(lambda number: store_get(store, number), numbers, 32)
            return rated("getting", took, clock() - began)

    return uvloop.run(get())


def measured(where: Path, entries: int) -> Figures:
    with tempfile.TemporaryDirectory(dir=where, prefix="edgefn-store-") as scratch:
        directory = Path(scratch)
        figures = apart((fill_store, (directory, entries)))[0]
        two = apart((get_store, (directory, entries, 1)), (get_store, (directory, entries, 2)))
        figures["two processes, 32 getting each /s"] = sum(each["getting /s"] for each in two)
        return figures | apart((use_store, (directory, entries)))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--where", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measured(options.where, options.entries)
    print(f"{options.entries} entries, {platform.machine()}, Python {platform.python_version()}")
    for figure, value in found.items():
        print(f"{figure:36}{value:>12,.1f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
