"""One change at a time: reads what is published, plans on it, appends all of it or nothing.

When somebody else was faster it plans anew; when no answer came, the head tells whether it was done.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from edgefn.functions.catalog import CatalogBuilder, Held, Problem
from edgefn.functions.changes import changes
from edgefn.functions.heads import Head
from edgefn.functions.replicas.base import HEAD, MIRROR, ConflictError, Replica, ReplicaError, UnknownOutcomeError
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Catalog
from edgefn.rules.planning import Refused

T = TypeVar("T")

_TRIES = 50
_READS = 5
_PAUSE = 0.02
_AT_ONCE = 200


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
    """Keeps what is published in memory, as far as it was read last, and changes it. One change at a time."""

    def __init__(self, replica: Replica, keys: Keys, senses: Senses, lifetime: float) -> None:
        self._replica = replica
        self._keys = keys
        self._senses = senses
        self._lifetime = lifetime
        self._lock = asyncio.Lock()
        self._incarnation = ""
        self._forget()

    def _forget(self) -> None:
        self._builder = CatalogBuilder(self._keys)
        self._read = 0
        self._head = 0
        self._held: Held | None = None
        self.is_mirror = False
        """Whether the replica follows another one, so that nothing may be changed here."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with some of what is published, as far as it was read last."""
        return self._builder.problems

    async def catalog(self) -> Catalog:
        """Return what is published now. Raises `PublishError` when that does not count, and `ReplicaError`."""
        async with self._lock:
            return await self._refreshed()

    async def _refreshed(self) -> Catalog:
        incarnation = await self._replica.incarnation()
        if incarnation != self._incarnation:
            self._incarnation = incarnation
            self._builder.restart()
            self._read = self._head = 0
        for attempt in range(_READS):
            await asyncio.sleep(_PAUSE * attempt)
            await self._read_on()
            if self._held is None:
                return self._builder.catalog
        why = "" if self._held is None else self._held.reason
        raise PublishError(f"what is published can't be taken as it is, so nothing is changed: {why}")

    async def _read_on(self) -> None:
        """Read what is new, and whether the newest head is held. A commit amidst the reading cures itself."""
        for stored in await self._replica.read(self._read):
            self._read = stored.sequence
            if stored.subject == MIRROR:
                self.is_mirror = bool(stored.value)
            outcome = self._builder.take(stored)
            if stored.subject == HEAD:
                self._head = stored.sequence
                self._held = outcome if isinstance(outcome, Held) else None

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
            self._forget()
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
            catalog = await self._refreshed()
            documents = list(changes(Catalog(), catalog, self._keys))
            for begin in range(0, len(documents), _AT_ONCE):
                head = self._following(self._senses.new_op())
                records = self._builder.written(documents[begin : begin + _AT_ONCE], head)
                await self._replica.append(records, {HEAD: self._head})
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
        head = self._following(op, least_generation)
        try:
            await self._replica.append(self._builder.records(after, head), {HEAD: self._head})
        except ConflictError:
            newest = await self._replica.get(HEAD)
            if newest is None or newest.sequence <= self._head:  # the log went back: another one, under the same name
                self._builder.restart()
                self._read = self._head = 0
        except UnknownOutcomeError as error:
            try:
                await self._refreshed()
            except ReplicaError:
                raise UnknownOutcomeError(
                    f"it is not known whether this was published: {error}; look again, then repeat it if it wasn't"
                ) from error
