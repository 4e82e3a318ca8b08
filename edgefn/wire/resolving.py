"""Names to addresses, remembered for a little while."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cachetools import TTLCache

_FOUND_FOR = 30.0
_FAILED_FOR = 1.0
_NAMES = 1024


class Resolver:
    """Asks the system's resolver, which tells no TTL: an answer holds for 30 s, a failure for 1 s."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._found: TTLCache[str, tuple[str, ...]] = TTLCache(_NAMES, _FOUND_FOR, timer=loop.time)
        self._failed: TTLCache[str, str] = TTLCache(_NAMES, _FAILED_FOR, timer=loop.time)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of `host`, at least one, in the order to try them. Raises `OSError`."""
        if is_address(host):
            return (host,)
        known = self._known(host)
        if known is not None:
            return known
        async with self._turn(host):
            known = self._known(host)  # by whoever had the turn before us
            return known if known is not None else await self._look_up(host)

    def _known(self, host: str) -> tuple[str, ...] | None:
        failed = self._failed.get(host)
        if failed is not None:
            raise socket.gaierror(failed)
        return self._found.get(host)

    async def _look_up(self, host: str) -> tuple[str, ...]:
        try:
            answers = await self._loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._failed[host] = str(error)
            raise socket.gaierror(str(error)) from error
        found = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
        if not found:
            raise socket.gaierror("the name has no address")
        self._found[host] = found
        return found

    @asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        """Let one look a name up while the others wait for what it finds."""
        lock, waiting = self._turns.get(host, (asyncio.Lock(), 0))
        self._turns[host] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns[host]
            if waiting == 1:
                del self._turns[host]
            else:
                self._turns[host] = (lock, waiting - 1)


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address already."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False
