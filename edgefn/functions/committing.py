"""One change at a time: reads what is published, plans on it, appends all of it or nothing.

When somebody else was faster it plans anew; when no answer came, the head tells whether it was done.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from edgefn.functions.bites import in_bites
from edgefn.functions.catalog import CatalogBuilder, Problem
from edgefn.functions.changes import changes
from edgefn.functions.heads import Head
from edgefn.functions.replicas.base import (
    HEAD,
    MIRROR,
    TRUST,
    ConflictError,
    Record,
    Replica,
    ReplicaError,
    UnknownOutcomeError,
)
from edgefn.functions.righting import Reading, Righted, Watch
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Catalog
from edgefn.rules.planning import Refused

T = TypeVar("T")

_TRIES = 50
_READS = 5
_PAUSE = 0.02
_AT_ONCE = 200
_REMEMBERED = 20
_NO_WATCH = Watch()


class PublishError(Exception):
    """It was not published. The message says what, why, and what to do. What is live is untouched."""


class StaleError(PublishError):
    """It was not published, since what it should replace has been replaced already."""


@dataclass(frozen=True, slots=True)
class Senses:
    """The clock (seconds since the epoch), and fresh names for operations."""

    wall: Callable[[], float]
    new_op: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Planned(Generic[T]):
    """What shall be published, and what to tell whoever asked for it."""

    catalog: Catalog
    told: T


Planner: TypeAlias = Callable[[Catalog], Planned[T] | Refused]


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What was told by the plan that counts, and the generation that it made (or that it found to be enough)."""

    told: T
    generation: int


def refusal(refused: Refused) -> PublishError:
    """Return the error that says why a plan is not carried out."""
    return (StaleError if refused.is_stale else PublishError)(refused.reason)


class Committer:
    """Keeps what is published in memory, as far as it was read last, and changes it. One change at a time.

    Nothing is planned on what nobody who may publish has written: that is put right first.
    """

    def __init__(self, replica: Replica, keys: Keys, senses: Senses, lifetime: float, watch: Watch = _NO_WATCH) -> None:
        self._replica = replica
        self._keys = keys
        self._senses = senses
        self._lifetime = lifetime
        self._watch = watch
        self._lock = asyncio.Lock()
        self._incarnation = ""
        self.righted: deque[Righted] = deque(maxlen=_REMEMBERED)
        """The newest ones."""
        self._reading = Reading(CatalogBuilder(self._keys))
        self.is_mirror = False
        """Whether the replica follows another one, so that nothing may be changed here."""

    @property
    def _builder(self) -> CatalogBuilder:
        return self._reading.builder

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with some of what is published, as far as it was read last."""
        wrong = () if self._reading.is_whole else self._reading.wrong
        return (*self._builder.problems, *(Problem(each, "nobody who may publish has written it") for each in wrong))

    async def catalog(self) -> Catalog:
        """Return what is published now. Raises `PublishError` when that does not count, and `ReplicaError`."""
        async with self._lock:
            return await self._refreshed()

    async def _refreshed(self) -> Catalog:
        incarnation = await self._replica.incarnation()
        if incarnation != self._incarnation:
            is_known = not self._incarnation and await self._remember(incarnation)
            self._incarnation = incarnation
            self._reading.begin_anew(is_known=is_known)
        for attempt in range(_READS):
            await asyncio.sleep(_PAUSE * attempt)
            await self._read_on()
            if self._reading.is_whole:
                break
        held = self._reading.held
        if held is not None and not self._reading.can_be_righted:
            raise PublishError(f"what is published can't be taken as it is, so nothing is changed: {held.reason}")
        return self._builder.catalog

    async def _remember(self, incarnation: str) -> bool:
        """Begin with what counted when it was kept last; return whether that is of the log that is there now."""
        if self._watch.memory is None:
            return False
        async for stored in in_bites(await self._watch.memory.read()):
            self._reading.take(stored)
        self._reading.to_keep()
        if self._builder.head.incarnation == incarnation and await self._replica.get(HEAD) is not None:
            return True
        self._reading = Reading(CatalogBuilder(self._keys), self._reading.subjects)
        return False

    async def _read_on(self) -> None:
        """Read what is new. A commit amidst the reading cures itself."""
        async for stored in in_bites(await self._replica.read(self._reading.last)):
            if stored.subject == MIRROR:
                self.is_mirror = bool(stored.value)
            self._reading.take(stored)
        kept = self._reading.to_keep()
        if self._watch.memory is not None and kept:
            await self._watch.memory.note(kept)

    async def put_right(self) -> bool:
        """Write anew what somebody without the right to has overwritten; return whether there was any.

        Where nothing was ever published there is nothing to put right. Raises as `change`.
        """
        async with self._lock:
            await self._refreshed()
            return self._builder.head.generation > 0 and await self._put_right()

    async def _put_right(self) -> bool:
        wrong: set[str] = set()
        if self.is_mirror:
            return False
        for _ in range(_TRIES):
            if self._reading.is_whole:
                break
            wrong.update(self._reading.wrong)
            await self._put_some_right()
            await self._refreshed()
        else:
            raise PublishError("somebody who may not publish writes to the log all the time: keep them out first")
        if wrong:
            righted = Righted(self._senses.wall(), tuple(sorted(wrong)), self._builder.head.generation)
            self.righted.append(righted)
            self._watch.heard(righted)
        return bool(wrong)

    async def _put_some_right(self) -> None:
        """Write the last signed state of some records; the head when that is all."""
        uncovered = sorted(self._builder.uncovered)
        documents = dict(changes(Catalog(), self._builder.catalog, self._keys))
        wanted = [(subject, documents.get(subject)) for subject in uncovered[:_AT_ONCE]]
        head = self._following(self._senses.new_op())
        if len(uncovered) > _AT_ONCE:
            records = self._builder.signed(wanted, head.generation)
        else:
            records = self._builder.written(wanted, head)
        await self._try(records)

    async def change(self, plan: Planner[T]) -> Committed[T]:
        """Make a change. A plan that returns the very catalog that it was given changes nothing.

        Raises `PublishError` when the plan refuses, `UnknownOutcomeError` when nobody can be asked whether it was
        done, and `ReplicaError`.
        """
        async with self._lock:
            return await self._changed(plan, 0)

    async def renew(self, least_generation: int) -> int:
        """Take what is in the replica for what is published, however old, and commit it anew; return the generation.

        It is above all that was seen here, and at least `least_generation`. Raises as `change`.
        """
        async with self._lock:
            least = max(least_generation, self._builder.head.generation + 1)
            self._incarnation = await self._replica.incarnation()
            kept = () if self._watch.memory is None else [each.subject for each in await self._watch.memory.read()]
            self._reading = Reading(CatalogBuilder(self._keys), kept)
            self.is_mirror = False
            return (await self._changed(lambda catalog: Planned(replace(catalog), None), least)).generation

    async def refresh(self) -> None:
        """Commit nothing new when half of the lifetime of what is published is over. Raises as `change`."""
        async with self._lock:
            await self._refreshed()
            head = self._builder.head
            if head.generation and head.expires < self._senses.wall() + self._lifetime / 2:
                await self._changed(lambda catalog: Planned(replace(catalog), None), 0)

    async def write_anew(self) -> int:
        """Write all records anew, signed and sealed with the keys of today; return the generation. Raises as `change`.

        A few at a time: each commit leaves something whole behind.
        """
        async with self._lock:
            await self._refreshed()
            await self._put_right()
            catalog = self._builder.catalog
            documents = list(changes(Catalog(), catalog, self._keys))
            for begin in range(0, len(documents), _AT_ONCE):
                head = self._following(self._senses.new_op())
                records = self._builder.written(documents[begin : begin + _AT_ONCE], head)
                await self._replica.append(records, {HEAD: self._reading.head})
                await self._refreshed()
            return self._builder.head.generation

    async def publish_trust(self, chain: bytes) -> int:
        """Publish the root's word on who may sign what; return the generation. Raises as `change`."""
        async with self._lock:
            await self._refreshed()
            await self._put_right()
            closing = self._builder.written((), self._following(self._senses.new_op()))
            await self._replica.append([Record(TRUST, chain), *closing], {HEAD: self._reading.head})
            await self._refreshed()
            return self._builder.head.generation

    async def _changed(self, plan: Planner[T], least_generation: int) -> Committed[T]:
        op = self._senses.new_op()
        planned: Planned[T] | Refused | None = None
        for _ in range(_TRIES):
            catalog = await self._refreshed()
            done = self._builder.head.generation_of(op)
            if done is not None and isinstance(planned, Planned):
                return Committed(planned.told, done)
            if self.is_mirror:
                raise PublishError("this location takes over what its fleet publishes: publish at the control plane")
            if await self._put_right():
                continue
            planned = plan(catalog)
            if isinstance(planned, Refused):
                raise refusal(planned)
            if planned.catalog is catalog:
                return Committed(planned.told, catalog.generation)
            await self._append(planned.catalog, op, least_generation)
        raise PublishError("others publish all the time, and were faster each time; try again")

    def _following(self, op: str, least_generation: int = 0) -> Head:
        expires = self._senses.wall() + self._lifetime if self._lifetime else 0.0
        return replace(self._builder.head.following(op, self._incarnation, least_generation), expires=expires)

    async def _append(self, after: Catalog, op: str, least_generation: int) -> None:
        """Try to append; whether it was done shows when the head is read again."""
        try:
            await self._try(self._builder.records(after, self._following(op, least_generation)))
        except UnknownOutcomeError as error:
            try:
                await self._refreshed()
            except ReplicaError:
                raise UnknownOutcomeError(
                    f"it is not known whether this was published: {error}; look again, then repeat it if it wasn't"
                ) from error

    async def _try(self, records: Sequence[Record]) -> None:
        """Append after the newest head that was read; when somebody was faster nothing is written."""
        try:
            await self._replica.append(records, {HEAD: self._reading.head})
        except ConflictError:
            newest = await self._replica.get(HEAD)
            if newest is None or newest.sequence <= self._reading.head:  # the log went back, under the same name
                self._reading.begin_anew()
