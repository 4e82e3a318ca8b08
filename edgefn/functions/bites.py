"""Long work in bites: between them, whatever else waits for the event loop gets its turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TypeVar

T = TypeVar("T")

BITE = 16
"""Records in one bite: to verify and read one takes some 0.2 ms."""


async def in_bites(things: Iterable[T]) -> AsyncGenerator[T, None]:
    """Yield things, and let others run after each bite of them."""
    for count, thing in enumerate(things, start=1):
        yield thing
        if count % BITE == 0:
            await asyncio.sleep(0)


async def fed_in_bites(things: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Yield things that come in an asynchronous way, which need not mean that any of them is waited for."""
    count = 0
    async for thing in things:
        yield thing
        count += 1
        if count % BITE == 0:
            await asyncio.sleep(0)
