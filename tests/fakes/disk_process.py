"""Another process that has a disk store open: it does what it reads on stdin, and says on stdout what came of it.

    python -m tests.fakes.disk_process DIRECTORY CAPACITY [RANDOM_SEED]

With a seed it puts and purges on its own, for as long as it lives, and tells of each thing once it is acknowledged.
"""

import asyncio
import random
import sys
from pathlib import Path

from edgefn.model.headers import Headers
from edgefn.rules.purges import ByPath, ByTag
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.disk.store import DiskStore, opened

KEYS = 60
SIZES = (20, 3_000, 40_000, 300_000)


def key_of(number: int) -> str:
    return f"https\nshop.test\n/{number % 3}/{number}"


def body_of(number: int, generation: int) -> bytes:
    """Return a body that tells whose it is, and in which every byte is known from that."""
    dice = random.Random(number * 1_000_003 + generation)
    return f"{number} {generation} ".encode() + dice.randbytes(dice.choice(SIZES))


def stored_of(number: int) -> Stored:
    return Stored(200, "OK", Headers([("N", str(number))]), b"", 1.0, 1.0, 60.0, 0.0, tags=(f"tag-{number % 5}",))


def say(*words: object) -> None:
    print(*words, flush=True)


async def put(store: DiskStore, number: int, generation: int) -> None:
    body = body_of(number, generation)
    async with store.writing(key_of(number), stored_of(number), store.epoch) as writer:
        for begin in range(0, len(body), 70_000):
            await writer.write(body[begin : begin + 70_000])
        say("put", number, generation, await writer.commit())


async def put_if_it_can(store: DiskStore, number: int, generation: int) -> None:
    try:
        await put(store, number, generation)
    except StoreError as error:
        say("refused", error)


async def churn(store: DiskStore, seed: int) -> None:
    dice = random.Random(seed)
    generation = seed * 1_000_000
    while True:
        generation += 1
        chance = dice.random()
        if chance < 0.9:
            numbers = dice.sample(range(KEYS), 3)
            await asyncio.gather(*(put_if_it_can(store, number, generation) for number in numbers))
        elif chance < 0.95:
            section = dice.randrange(3)
            await store.purge(ByPath(f"/{section}/*"), soft=False, now=5.0)
            say("purged-section", section, generation)
        else:
            tag = dice.randrange(5)
            await store.purge(ByTag(f"tag-{tag}"), soft=False, now=5.0)
            say("purged-tag", tag, generation)


async def obey(store: DiskStore) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["put", number, generation]:
                await put(store, int(number), int(generation))
            case ["begin", number, generation]:
                await slowly_put(store, int(number), int(generation))
            case ["get", number]:
                say("got", *[found.length for found in await store.get(key_of(int(number)))])
            case ["purge", pattern]:
                say("purged", (await store.purge(ByPath(pattern), soft=False, now=5.0)).entries)
            case ["epoch"]:
                say("epoch", store.epoch, len(store.orders_since(0) or ()))


async def slowly_put(store: DiskStore, number: int, generation: int) -> None:
    """Stop in the middle, and go on at the next line."""
    body = body_of(number, generation)
    async with store.writing(key_of(number), stored_of(number), store.epoch) as writer:
        await writer.write(body[:10])
        await writer.write(body[10:])
        say("begun")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        say(await writer.commit())


async def main(directory: str, capacity: str, seed: str | None = None) -> None:
    async with opened(Path(directory), int(capacity)) as store:
        say("ready")
        await (obey(store) if seed is None else churn(store, int(seed)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
