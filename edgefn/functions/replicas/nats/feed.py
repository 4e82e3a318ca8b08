"""Following a stream: live by its republished messages, by batched reads after a gap, by a look at its end each second.

The feed is the optimisation, the look is the guarantee: NATS tells nobody that a message was lost on the way, nor that
the server has come back with an older disk.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from edgefn.functions.replicas.base import ReplicaError
from edgefn.functions.replicas.nats.hearing import Ear
from edgefn.functions.replicas.nats.link import Link
from edgefn.functions.replicas.nats.streams import Entry, entry, read_all_after

LOOK_SECONDS = 1.0
RETRY_SECONDS = 0.2
TIMES_OLDER = 3
"""How often in a row a log must look shorter than it was: a copy that lags behind looks so for a moment."""


@dataclass(frozen=True, slots=True)
class End:
    """How far a log goes, and which one it is."""

    incarnation: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Anew:
    """This log is not the one that was followed, or it is shorter: it is read from the beginning."""

    incarnation: str


@dataclass(frozen=True, slots=True)
class Source:
    """What is followed: a stream, the subjects in it, where it is republished, and how its end is looked at."""

    stream: str
    subjects: str
    feed: str
    look: Callable[[], Awaitable[End | None]]


class Feed:
    """One follower's place in a stream."""

    def __init__(self, link: Link, source: Source, after: int, incarnation: str) -> None:
        self._link = link
        self._source = source
        self._last = after
        self._incarnation = incarnation
        self._older = 0

    async def messages(self) -> AsyncGenerator[Entry | Anew, None]:
        """Yield all messages in order, for ever; trouble is waited out."""
        async with self._link.listening(self._source.feed) as ear:
            while not self._link.is_closed:
                try:
                    end = await self._source.look()
                    if end is not None:
                        async for found in self._caught_up(end):
                            yield found
                except ReplicaError:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                async for heard in self._live(ear):
                    yield heard

    async def _caught_up(self, end: End) -> AsyncGenerator[Entry | Anew, None]:
        if self._is_another(end):
            self._incarnation, self._last = end.incarnation, 0
            yield Anew(end.incarnation)
        if end.sequence <= self._last:
            return
        missed = read_all_after(self._link, self._source.stream, self._source.subjects, self._last)
        async with contextlib.aclosing(missed):
            async for found in missed:
                self._last = found.sequence
                yield found

    def _is_another(self, end: End) -> bool:
        known, self._incarnation = self._incarnation, self._incarnation or end.incarnation
        if known not in {"", end.incarnation}:
            self._older = 0
            return True
        self._older = self._older + 1 if end.sequence < self._last else 0
        if self._older < TIMES_OLDER:
            return False
        self._older = 0
        return True

    async def _live(self, ear: Ear) -> AsyncGenerator[Entry, None]:
        """Yield what is heard in sequence, until it is time to look: a second, a gap, a new connection."""
        clock = asyncio.get_running_loop().time
        until = clock() + LOOK_SECONDS
        while (left := until - clock()) > 0:
            message = await ear.next(left)
            if message is None:
                return
            with contextlib.suppress(ReplicaError):  # Whatever it is, it is no message of the stream.
                heard = entry(message)
                if heard.sequence > self._last + 1:
                    return
                if heard.sequence == self._last + 1:
                    self._last = heard.sequence
                    yield heard
