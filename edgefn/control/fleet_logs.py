"""The logs of a whole fleet: each location is asked for its own, and what they tell is put in order."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from edgefn.control.faults import FaultError
from edgefn.control.log_endpoints import Book
from edgefn.functions.log_answering import Hearing
from edgefn.functions.log_asking import RENEWAL_SECONDS, Asked, Told, told_from
from edgefn.functions.logbook import LogEntry
from edgefn.functions.replicas.base import ReplicaError

PATIENCE: Final = 3.0
"""Seconds in which locations must have told what they have."""

_LOOK: Final = 1.0
_NOBODY: Final = "edgefn"


class Line(Protocol):
    """The line to the locations."""

    async def ask(self, question: bytes) -> None:
        """Ask all locations. Raises `ReplicaError`."""

    def answers(self) -> AbstractAsyncContextManager[Hearing]:
        """Give what they tell."""


@dataclass(slots=True)
class _Gathered:
    waiting: set[str]
    entries: list[LogEntry] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def take(self, location: str, told: Told) -> None:
        """Take a part of an answer. What a location tells, it tells of itself."""
        self.entries += [replace(entry, location=location) for entry in told.entries]
        if told.dropped:
            self.dropped[location] = self.dropped.get(location, 0) + told.dropped
        if told.is_end:
            self.waiting.discard(location)


@dataclass(frozen=True, slots=True)
class FleetBook:
    """The logs of `members`, and the control plane's `own` (of versions that are tried, and of `edgefn invoke`)."""

    line: Line
    members: Callable[[], Collection[str]]
    own: Book
    now: Callable[[], str]
    fresh_id: Callable[[], str]

    async def lines(self, asked: Asked) -> AsyncGenerator[list[LogEntry], None]:
        """Yield the newest lines of all; with `follow`, go on with those that come. Raises `FaultError`."""
        asked = replace(asked, id=self.fresh_id())
        members = {each for each in self.members() if asked.location in {"", each}}
        async with self.line.answers() as answers:
            await self._ask(asked)
            gathered = _Gathered(members)
            async for entries in self.own.lines(replace(asked, follow=False)):
                gathered.entries += entries
            await self._gather(asked, answers, gathered)
            yield self._told(gathered, asked.most)
            if asked.follow:
                async for entries in self._coming(asked, answers):
                    yield entries

    async def _ask(self, asked: Asked) -> None:
        try:
            await self.line.ask(asked.to_json())
        except ReplicaError as error:
            raise FaultError(503, "unavailable", f"the locations can't be asked: {error}") from error

    async def _gather(self, asked: Asked, answers: Hearing, gathered: _Gathered) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE
        while gathered.waiting and (left := until - clock()) > 0:
            await self._hear(asked, answers, gathered, left)

    async def _hear(self, asked: Asked, answers: Hearing, gathered: _Gathered, seconds: float) -> None:
        heard = await answers.next(seconds)
        if heard is not None:
            with suppress(ValueError):
                told = told_from(heard[1])
                if told.id == asked.id:
                    gathered.take(heard[0], told)

    async def _coming(self, asked: Asked, answers: Hearing) -> AsyncGenerator[list[LogEntry], None]:
        clock = asyncio.get_running_loop().time
        renew = clock()
        while True:
            if clock() >= renew:
                renew = clock() + RENEWAL_SECONDS
                with suppress(FaultError):
                    await self._ask(replace(asked, again=True))
            gathered = _Gathered(set())
            await self._hear(asked, answers, gathered, _LOOK)
            yield self._told(gathered, asked.most)

    def _told(self, gathered: _Gathered, most: int) -> list[LogEntry]:
        """Return the newest lines in order, and last what is missing."""
        in_order = sorted(gathered.entries, key=lambda entry: entry.at)
        notes = [
            self._note(location, f"{count} lines dropped here, as more is logged than travels; the location has them")
            for location, count in sorted(gathered.dropped.items())
        ]
        notes += [
            self._note(location, f"no answer within {PATIENCE:g} s: its logs are missing here")
            for location in sorted(gathered.waiting)
        ]
        return [*in_order[max(0, len(in_order) - most) :], *notes]

    def _note(self, location: str, text: str) -> LogEntry:
        return LogEntry(self.now(), location, _NOBODY, "-", "", "", text)
