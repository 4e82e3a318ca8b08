"""Waiting for what tells nobody that it has happened."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds. Raises `TimeoutError` after so many seconds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
