"""Fetches under way: one for many viewers that ask for the same (RFC 9111 section 4, request collapsing).

Whoever fetches holds a `Duty`, which ends in exactly one of three ways: the response is stored and the waiters look
again (`landed`), it can't be stored and they all go on their own at once (`unshared`), or it comes to nothing and one
of the waiters takes the duty over (`hand_on`). Leaving its `with` block by an error hands it on, whatever the error.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self, TypeAlias

from edgefn.proxy.spool import Spool
from edgefn.rules.cache_key import uri_of
from edgefn.rules.purges import hits, place_of
from edgefn.stores.base import Order

PATIENCE = 5.0
"""How many seconds a viewer waits for another one's fetch before it fetches on its own."""

_SOLO = 4096  # names for which nobody waits, at the most


class Landing(Enum):
    """How the wait for another one's fetch ended, or why there was none."""

    STORED = "look again"
    UNSHARED = "can't be shared: go alone"
    LATE = "took too long: go alone"
    NOBODY = "nobody fetches it"


class Duty:
    """The duty to fetch what `name` stands for. It ends once; each method is harmless after that."""

    __slots__ = ("_board", "is_outdated", "name", "since", "spool", "uri", "waiters")

    def __init__(self, board: "_Board", name: str, waiters: "_Waiters", since: int) -> None:
        self.name = name
        self.uri = uri_of(name)
        self.since = since
        """The number of the latest purge when it began: what was purged after that must not be stored."""
        self.waiters = waiters
        self.is_outdated = False
        """Whether what is fetched was invalidated meanwhile, and so must not be stored (RFC 9111 section 4.4)."""
        self.spool: Spool | None = None
        self._board = board

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.hand_on()

    def landed(self) -> None:
        """Say that the response is stored."""
        if self._board.retire(self):
            self._board.may_wait_for(self.name)
            self._release(Landing.STORED)

    def unshared(self) -> None:
        """Say that the response is of use to its own viewer only."""
        if self._board.retire(self):
            if self._board.dismiss(self):
                self._board.nobody_waits_for(self.name)
            self._release(Landing.UNSHARED)

    def hand_on(self) -> None:
        """Say that nothing came of it: the first waiter that is still there shall fetch."""
        if self._board.retire(self) and self._board.dismiss(self):
            self._board.promote(self)

    def shows(self, spool: Spool) -> None:
        """Say that all who wait, and all who come, can follow the body while it is coming."""
        self.spool = spool
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(spool)

    def outdated(self) -> None:
        """Say that what is fetched must not be stored any more; one of the waiters fetches anew."""
        self.is_outdated = True
        self.hand_on()

    def _release(self, landing: Landing) -> None:
        self._board.dismiss(self)
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(landing)


_Waiter: TypeAlias = "asyncio.Future[Duty | Landing | Spool]"
_Waiters: TypeAlias = dict[_Waiter, None]  # in the order of their coming


class Flights:
    """Who fetches what at the moment, and who waits for it. There are as many waiters as viewers, at most.

    A name is a cache key, or one with something behind a further CR. `epoch` is the number of the latest purge.
    """

    def __init__(self, patience: float = PATIENCE, epoch: Callable[[], int] = lambda: 0) -> None:
        self._patience = patience
        self._board = _Board(epoch)

    def __len__(self) -> int:
        """Return the number of fetches under way."""
        return sum(len(duties) for duties in self._board.airborne.values())

    def alone(self, name: str) -> Duty:
        """Return a duty that nobody waits for."""
        return self._board.appoint(name, {})

    def board_nowait(self, name: str) -> Duty | None:
        """Return the duty to fetch, or None when a fetch is under way that can be waited for.

        Nobody waits for a name whose response could not be shared the last time.
        """
        if name in self._board.led:
            return None
        return self.alone(name) if hash(name) in self._board.solo else self._board.lead(name, {})

    async def board(self, name: str) -> Duty | Landing | Spool:
        """Return the duty to fetch, or how the fetch went that was under way.

        A name whose response could not be shared the last time is not collapsed until one could.
        """
        if name in self._board.led:
            return await self.join(name)
        if hash(name) in self._board.solo:
            return Landing.UNSHARED
        return self._board.lead(name, {})

    async def join(self, name: str) -> Duty | Landing | Spool:
        """Wait for a fetch under way, if there is one. The duty may come to whoever waits."""
        leader = self._board.led.get(name)
        if leader is None:
            return Landing.NOBODY
        if leader.spool is not None:
            return leader.spool if leader.spool.can_be_joined else Landing.UNSHARED
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        leader.waiters[waiter] = None
        try:
            await asyncio.wait((waiter,), timeout=self._patience)
        except asyncio.CancelledError:
            _decline(waiter)
            raise
        finally:
            leader.waiters.pop(waiter, None)  # an heir has the same ones
        return waiter.result() if waiter.done() else Landing.LATE

    def invalidate(self, uri: str) -> None:
        """Let nothing be stored of the fetches of `uri` that are under way; one of their waiters fetches anew."""
        for duty in tuple(self._board.airborne.get(uri, ())):
            duty.outdated()

    def purged(self, order: Order | None) -> None:
        """Do the same with all fetches from before a purge that it is known to be about; with None with all."""
        for uri in tuple(self._board.airborne):
            if order is None or hits(order.purge, place_of(uri), ()):
                for duty in tuple(self._board.airborne.get(uri, ())):
                    if order is None or duty.since < order.epoch:
                        duty.outdated()


def _decline(waiter: _Waiter) -> None:
    """Hand on the duty that `waiter` was given in the moment it gave up."""
    result = waiter.result() if waiter.done() else None
    if isinstance(result, Duty):
        result.hand_on()


class _Board:
    """The duties by name (`led`: those that can be waited for) and by URI (`airborne`: all of them)."""

    def __init__(self, epoch: Callable[[], int]) -> None:
        self.epoch = epoch
        self.led: dict[str, Duty] = {}
        self.airborne: dict[str, set[Duty]] = {}
        self.solo: dict[int, None] = {}  # by hash, as names are long and up to viewers; the latest ones

    def appoint(self, name: str, waiters: _Waiters) -> Duty:
        """Return a duty that newcomers do not find."""
        duty = Duty(self, name, waiters, self.epoch())
        self.airborne.setdefault(duty.uri, set()).add(duty)
        return duty

    def lead(self, name: str, waiters: _Waiters) -> Duty:
        """Return a duty that newcomers find."""
        duty = self.led[name] = self.appoint(name, waiters)
        return duty

    def retire(self, duty: Duty) -> bool:
        """End `duty`. Return whether it had not ended before."""
        duties = self.airborne.get(duty.uri)
        if duties is None or duty not in duties:
            return False
        duties.remove(duty)
        if not duties:
            del self.airborne[duty.uri]
        return True

    def nobody_waits_for(self, name: str) -> None:
        """Let nobody wait for a name whose response can't be shared."""
        self.solo.pop(hash(name), None)
        self.solo[hash(name)] = None
        if len(self.solo) > _SOLO:
            del self.solo[next(iter(self.solo))]

    def may_wait_for(self, name: str) -> None:
        """Let others wait for a name again."""
        if self.solo:
            self.solo.pop(hash(name), None)

    def dismiss(self, duty: Duty) -> bool:
        """Let newcomers find `duty` no more. Return whether they did."""
        found = self.led.get(duty.name) is duty
        if found:
            del self.led[duty.name]
        return found

    def promote(self, duty: Duty) -> None:
        """Give an ended duty to the first of its waiters that is still there."""
        while duty.waiters:
            waiter = next(iter(duty.waiters))
            del duty.waiters[waiter]
            if not waiter.done():
                waiter.set_result(self.lead(duty.name, duty.waiters))
                return
