"""A location's answers when its control plane asks what functions log: few at a time, and honest about the rest.

Nothing travels that nobody asked for, and nothing is kept on the way. However much functions log, and however much is
asked, a location tells no more than so many lines and bytes per second; what it leaves out it counts.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson

from edgefn.functions.log_asking import RENEWAL_SECONDS, Asked, Told, asked_from
from edgefn.functions.logbook import LogEntry, LogFollower, tail
from edgefn.functions.replicas.base import ReplicaError

LINES_PER_SECOND, BYTES_PER_SECOND = 200, 64 * 1024
"""What a location tells at most of the lines that come, to all who follow them together."""
MOST_LINES, MOST_BYTES = 2_000, 512 * 1024
"""What it tells at most of the lines that were there."""
_MOST_FOLLOWED = 8
_PART_BYTES = 128 * 1024
_PAUSE = 0.25
_WAIT = 60.0


class Hearing(Protocol):
    """What is heard."""

    async def next(self, seconds: float) -> tuple[str, bytes] | None:
        """Return who says what; None when nothing was heard."""


class Line(Protocol):
    """The line to the control plane."""

    def questions(self) -> AbstractAsyncContextManager[Hearing]:
        """Give what is asked."""

    async def tell(self, location: str, answer: bytes) -> None:
        """Tell something. Raises `ReplicaError`."""


@dataclass(slots=True)
class _Followed:
    asked: Asked
    follower: LogFollower
    until: float
    seen: frozenset[LogEntry] = frozenset()


@dataclass(slots=True)
class LogAnswers:
    """Answers for `location` from the logs in `directory`. `ago` returns the time some seconds ago, as logs have it."""

    line: Line
    location: str
    directory: Path
    ago: Callable[[float], str]
    _followed: dict[str, _Followed] = field(default_factory=dict)

    async def run(self) -> None:
        """Answer, for ever."""
        try:
            async with self.line.questions() as questions, asyncio.TaskGroup() as group:
                group.create_task(self._go_on())
                while True:
                    heard = await questions.next(_WAIT)
                    if heard is not None:
                        with suppress(ValueError, OSError, ReplicaError):
                            await self._answer(asked_from(heard[1]))
        finally:
            for each in self._followed.values():
                each.follower.close()

    async def _answer(self, asked: Asked) -> None:
        if asked.location not in {"", self.location}:
            return
        now = asyncio.get_running_loop().time()
        known = self._followed.get(asked.id)
        if known is not None:
            known.until = now + 3 * RENEWAL_SECONDS
            return
        if asked.follow and len(self._followed) < _MOST_FOLLOWED:
            follower = await asyncio.to_thread(LogFollower, self.directory, asked.query(self.ago))
            self._followed[asked.id] = _Followed(asked, follower, now + 3 * RENEWAL_SECONDS)
        if not asked.again:
            await self._tell_tail(asked)

    def _wanted(self, asked: Asked) -> list[LogEntry]:
        return tail(self.directory, asked.query(self.ago), min(asked.most, MOST_LINES))

    async def _tell_tail(self, asked: Asked) -> None:
        found = await asyncio.to_thread(self._wanted, asked)
        if asked.id in self._followed:
            self._followed[asked.id].seen = frozenset(found)
        kept = list(_newest(found, MOST_BYTES))
        for part in _parts(kept):
            await self._tell(Told(asked.id, tuple(part)))
        await self._tell(Told(asked.id, (), len(found) - len(kept), is_end=True))

    async def _go_on(self) -> None:
        """Tell the lines that come to those who follow them."""
        while True:
            await asyncio.sleep(_PAUSE)
            share = max(1, len(self._followed))
            for name, each in list(self._followed.items()):
                if asyncio.get_running_loop().time() > each.until:
                    self._followed.pop(name).follower.close()
                    continue
                with suppress(OSError, ReplicaError):
                    await self._tell_new(each, share)

    async def _tell_new(self, followed: _Followed, share: int) -> None:
        came = await asyncio.to_thread(followed.follower.poll)
        seen, followed.seen = followed.seen, frozenset()
        came = [entry for entry in came if entry not in seen]
        if not came:
            return
        lines = max(1, int(LINES_PER_SECOND * _PAUSE / share))
        kept = list(_newest(came[-lines:], int(BYTES_PER_SECOND * _PAUSE / share)))
        await self._tell(Told(followed.asked.id, tuple(kept), len(came) - len(kept)))

    async def _tell(self, told: Told) -> None:
        await self.line.tell(self.location, told.to_json())


def _newest(entries: Sequence[LogEntry], most: int) -> Sequence[LogEntry]:
    """Return as many of the last entries as fit into so many bytes."""
    size = 0
    for count, entry in enumerate(reversed(entries)):
        size += len(orjson.dumps(entry))
        if size > most:
            return entries[len(entries) - count :]
    return entries


def _parts(entries: Sequence[LogEntry]) -> Iterator[list[LogEntry]]:
    """Yield entries, no more at once than a message takes."""
    part: list[LogEntry] = []
    size = 0
    for entry in entries:
        length = len(orjson.dumps(entry))
        if part and size + length > _PART_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += length
    if part:
        yield part
