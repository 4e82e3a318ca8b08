"""Names to addresses, remembered for a little while."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from cachetools import TTLCache

_FOUND_FOR = 30.0  # seconds
_FAILED_FOR = 1.0
_NAMES = 1024
_THREADS_FOR_CHOSEN = 4

LookUp: TypeAlias = Callable[[str], Awaitable[Iterable[tuple[object, ...]]]]
"""Returns what `getaddrinfo` tells of a name. Raises `OSError` or `UnicodeError`."""


class Resolvers:
    """One resolver for the names of the configuration, and one for those that functions choose.

    A lookup holds a thread for as long as the name's servers like, and the loop has few of them. So the names that
    functions choose have a few threads of their own, and what is remembered of them drives out only its like.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._threads = ThreadPoolExecutor(_THREADS_FOR_CHOSEN, "edgefn-names")
        self.configured = Resolver(loop)
        self.chosen = Resolver(loop, partial(_in_threads, loop, self._threads))

    def close(self) -> None:
        """Look up no more; who waits for a chosen name is not told."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _in_threads(
    loop: asyncio.AbstractEventLoop, threads: ThreadPoolExecutor, host: str
) -> Awaitable[Iterable[tuple[object, ...]]]:
    return loop.run_in_executor(threads, partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM))


class Resolver:
    """Asks the system's resolver, which tells no TTL: an answer holds for 30 s, a failure for 1 s.

    It is asked by `look_up`; without one, in the loop's own threads.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, look_up: LookUp | None = None) -> None:
        self._ask = look_up or partial(loop.getaddrinfo, port=None, type=socket.SOCK_STREAM)
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
            answers = await self._ask(host)
        except (OSError, UnicodeError) as error:
            self._failed[host] = str(error)
            raise socket.gaierror(str(error)) from error
        found = tuple(dict.fromkeys(_address(answer) for answer in answers))
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


def _address(answer: tuple[object, ...]) -> str:
    """Return the address in one tuple of `getaddrinfo`."""
    place = answer[4]
    if not isinstance(place, tuple):
        raise OSError(f"the resolver answered {answer!r}")
    return str(place[0])


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address already."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False
