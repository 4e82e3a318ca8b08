"""Requests that come again because their answer was lost: done once, answered as often as asked.

A client names each of its changes by an `Idempotency-Key`; who sends the same key again gets the first answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

HEADER: Final = "Idempotency-Key"
LONGEST_KEY: Final = 200
KEPT_FOR: Final = 600.0
MOST_KEPT: Final = 1_000
MOST_BYTES: Final = 32 * 1024**2
"""Of all answers together: what a function returned by hand may be a megabyte."""


@dataclass(slots=True)
class _Entry:
    """One change. The lock is held while it is being made."""

    at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: tuple[int, bytes, str] | None = None


class Retries:
    """The answers of the last ten minutes, by key. `now` is a monotonic clock, in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._size = 0

    async def once(self, key: tuple[str, ...], make: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        """Return the answer that `make` gives, or gave before under this key. What failed is tried again."""
        self._forget()
        entry = self._entries.setdefault(key, _Entry(self._now()))
        async with entry.lock:
            if entry.answer is not None:
                status, content, kind = entry.answer
                return web.Response(body=content, status=status, content_type=kind)
            answer = await make()
            if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
                entry.answer = (answer.status, answer.body, answer.content_type)
                self._size += len(answer.body)
            return answer

    def _forget(self) -> None:
        oldest = self._now() - KEPT_FOR
        for key, entry in list(self._entries.items()):
            if entry.at > oldest and len(self._entries) < MOST_KEPT and self._size <= MOST_BYTES:
                return
            if not entry.lock.locked():
                del self._entries[key]
                self._size -= 0 if entry.answer is None else len(entry.answer[1])
