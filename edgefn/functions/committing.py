"""One change at a time: reads what is published, plans on it, appends all of it or nothing.

When somebody else was faster it plans anew; when no answer came, the head tells whether it was done.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from edgefn.functions.catalog import CatalogBuilder, Held, Problem
from edgefn.functions.replicas.base import HEAD, ConflictError, Replica, ReplicaError, UnknownOutcomeError
from edgefn.functions.signing import Keys
from edgefn.model.publishing import Catalog
from edgefn.rules.planning import Refused

T = TypeVar("T")

_TRIES = 50
_READS = 5


class PublishError(Exception):
    """It was not published. The message says what, why, and what to do. What is live is untouched."""


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


class Committer:
    """Keeps what is published in memory, as far as it was read last, and changes it. One change at a time."""

    def __init__(self, replica: Replica, keys: Keys, senses: Senses) -> None:
        self._replica = replica
        self._keys = keys
        self._senses = senses
        self._lock = asyncio.Lock()
        self._incarnation = ""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._builder = CatalogBuilder(self._keys)
        self._read = 0
        self._head = 0

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
            self._begin_anew()
            self._incarnation = incarnation
        held = None
        for _ in range(_READS):
            held = await self._read_on()
            if held is None:
                return self._builder.catalog
            self._begin_anew()  # a commit may have come amidst the reading; else it is held again
        why = "" if held is None else held.reason
        raise PublishError(f"what is published can't be taken as it is, so nothing is changed: {why}")

    async def _read_on(self) -> Held | None:
        """Read what is new. A head that is held is an answer; records that no head closes are left for later."""
        held = None
        for stored in await self._replica.read(self._read):
            self._read = stored.sequence
            if stored.subject == HEAD:
                self._head = stored.sequence
            outcome = self._builder.take(stored)
            held = outcome if isinstance(outcome, Held) else None
        return held

    async def change(self, plan: Planner[T], *, least_generation: int = 0) -> Committed[T]:
        """Make a change. A plan that returns the catalog as it is changes nothing, unless a generation is wanted.

        Raises `PublishError` when the plan refuses, `UnknownOutcomeError` when nobody can be asked whether it was
        done, and `ReplicaError`.
        """
        async with self._lock:
            op = self._senses.new_op()
            planned: Planned[T] | Refused | None = None
            for _ in range(_TRIES):
                catalog = await self._refreshed()
                done = self._builder.head.generation_of(op)
                if done is not None and isinstance(planned, Planned):
                    return Committed(planned.told, done)
                planned = plan(catalog)
                if isinstance(planned, Refused):
                    raise PublishError(planned.reason)
                if planned.catalog is catalog and catalog.generation >= least_generation:
                    return Committed(planned.told, catalog.generation)
                await self._append(planned.catalog, op, least_generation)
            raise PublishError("others publish all the time, and were faster each time; try again")

    async def _append(self, after: Catalog, op: str, least_generation: int) -> None:
        """Try to append; whether it was done shows when the head is read again."""
        head = self._builder.head.following(op, self._incarnation, least_generation)
        try:
            await self._replica.append(self._builder.records(after, head), {HEAD: self._head})
        except ConflictError:
            return
        except UnknownOutcomeError as error:
            try:
                await self._refreshed()
            except ReplicaError:
                raise UnknownOutcomeError(
                    f"it is not known whether this was published: {error}; look again, then repeat it if it wasn't"
                ) from error
