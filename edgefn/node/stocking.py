"""Opens what a process stores in: its memory, the location's disk, and the ledger of purges that its workers share."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.stores.base import StoreError
from edgefn.stores.disk.schema import discard
from edgefn.stores.disk.store import DiskStore, opened
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.memory import MemoryStore
from edgefn.stores.stock import Stock

_log = logging.getLogger("edgefn")

_WITH_DISK: Final = 64
"""In front of a disk, memory takes bodies up to this part of it: larger ones are read from the disk as fast."""


@asynccontextmanager
async def opened_stock(settings: Settings) -> AsyncIterator[Stock]:
    """Give the stock of one process. A disk that can't be used is told of, and done without."""
    async with AsyncExitStack() as stack:
        store = await _opened_disk(settings, stack)
        ledger = store or LocalLedger()
        disk = store if settings.cache_disk else None
        largest = None if disk is None else settings.cache_memory // _WITH_DISK
        stock = Stock(MemoryStore(settings.cache_memory, largest), ledger, disk, world.steady)
        stack.push_async_callback(stock.close)
        yield stock


async def _opened_disk(settings: Settings, stack: AsyncExitStack) -> DiskStore | None:
    """Return the store on disk. Several workers without one use it as a ledger alone: nothing fits in."""
    directory = Path(settings.data_dir, "cache")
    if not settings.cache_disk and settings.workers == 1:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(discard, directory)  # turned on again, it would not know of purges meanwhile
        return None
    try:
        return await stack.enter_async_context(opened(directory, settings.cache_disk))
    except StoreError as error:
        _log.error("cache.disk: %s can't be used: %s; going on in memory alone", directory, error)
        return None
