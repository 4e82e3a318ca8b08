"""Taking over the fleet's records: whole commits only, judged before they are written, with their files."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from edgefn.functions.bites import fed_in_bites, in_bites
from edgefn.functions.catalog import Applied, CatalogBuilder, Held
from edgefn.functions.mirror import place
from edgefn.functions.mirror.blobs import Blobs
from edgefn.functions.mirror.place import Place
from edgefn.functions.replicas.base import (
    HEAD,
    TRUST,
    Followed,
    OwnReplica,
    Record,
    Replica,
    ReplicaError,
    Restarted,
    Stored,
)
from edgefn.functions.signing import Keys
from edgefn.functions.trust import TrustError, links, read
from edgefn.model.publishing import Catalog

RETRY_SECONDS = 1.0
_MISSING_SECONDS = 10.0
MOST_PENDING, MOST_PENDING_BYTES = 200_000, 256 * 2**20
"""Records without a head that a mirror takes in: a hub must not fill our memory."""
TOO_MUCH_SECONDS = 30.0


class _TooMuchError(Exception):
    """More records came without a head than a commit, or all that is published, can have."""


@dataclass(slots=True)
class Records:
    """The records of one location, which follow those of its fleet. `report` takes lines for the operator."""

    upstream: Replica
    local: OwnReplica
    keys: Keys
    blobs: Blobs
    report: Callable[[str], None]
    changed: Callable[[], None]
    wall: Callable[[], float]
    place: Place = field(default_factory=Place)
    held: str = ""
    """Why the fleet's newest commit does not count, "" when it does."""
    builder: CatalogBuilder = field(init=False)
    _known: dict[str, bytes] = field(default_factory=dict)
    _pending: dict[str, bytes] = field(default_factory=dict)
    _pending_bytes: int = 0
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.builder = CatalogBuilder(self.keys)

    async def load(self) -> None:
        """Read what this location holds, and nothing else: the last known good. Raises `ReplicaError`."""
        self.builder = CatalogBuilder(self.keys)
        self._known.clear()
        self._let_go()
        async for stored in in_bites(await self.local.read()):
            if stored.subject == place.SUBJECT:
                self.place = place.read(stored.value)
            self._known[stored.subject] = stored.value
            self.builder.take(stored)

    async def run(self) -> None:
        """Take over what comes, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._fetch_again())

    async def keep(self, purges_of: str, purge: int) -> None:
        """Note that purges up to `purge` of a log have been taken over. Raises `ReplicaError`."""
        async with self._writing:
            moved = replace(self.place, purges_of=purges_of, purge=purge)
            if moved != self.place:
                await self.local.note([moved.record()])
                self.place = moved

    async def _follow(self) -> None:
        while True:
            incarnation = await self._known_incarnation()
            try:
                async with aclosing(self.upstream.follow(self.place.sequence, incarnation)) as followed:
                    async for each in fed_in_bites(followed):
                        await self._take(each)
                return  # the replica is closed
            except _TooMuchError as error:
                await self.load()
                self._hold(str(error))
            await asyncio.sleep(TOO_MUCH_SECONDS)

    async def _known_incarnation(self) -> str:
        """Return the log in which our place counts: that of the first contact, where there was none yet."""
        if self.place.sequence == 0:
            self._begin_anew()
        while not self.place.incarnation:
            try:
                self.place = replace(self.place, incarnation=await self.upstream.incarnation())
            except ReplicaError:
                await asyncio.sleep(RETRY_SECONDS)
        return self.place.incarnation

    def _begin_anew(self) -> None:
        """Whatever does not come again in the log that now begins is gone."""
        self.builder.restart()
        self._let_go()
        self._pending = dict.fromkeys(self._known.keys() - {HEAD, TRUST, place.SUBJECT}, b"")

    def _let_go(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0

    async def _take(self, followed: Followed) -> None:
        match followed:
            case Restarted(incarnation=incarnation):
                self.report(f"the fleet's log is another one or shorter than it was ({incarnation}): it is read anew")
                self.place = replace(self.place, incarnation=incarnation, sequence=0)
                self._begin_anew()
            case Stored():
                if followed.subject == HEAD and (ended := self._ended_trust()):
                    self._hold(ended)
                    return
                taken = self.builder.take(followed)
                if followed.subject != HEAD and (followed.subject != TRUST or self._is_newest(followed.value)):
                    self._remember(followed.subject, followed.value)
                await self._apply(taken, followed)

    def _remember(self, subject: str, value: bytes) -> None:
        """Keep a record until its head comes."""
        self._pending_bytes -= len(self._pending.pop(subject, b""))
        if not value and subject not in self._known:
            return  # it came and went
        self._pending[subject] = value
        self._pending_bytes += len(value)
        if len(self._pending) > len(self._known) + MOST_PENDING or self._pending_bytes > MOST_PENDING_BYTES:
            size = f"{len(self._pending)} records of {self._pending_bytes} bytes"
            raise _TooMuchError(
                f"{size} came without a head that they were signed for: somebody floods the fleet's log"
            )

    def _hold(self, reason: str) -> None:
        if reason != self.held:
            self.report(f"this location stays on what it has: {reason}")
        self.held = reason
        self.changed()

    def _ended_trust(self) -> str:
        """Return why nothing new is believed any more, "" while the root's word holds."""
        trust = self.builder.trust
        if trust is None or self.wall() < trust.expires:
            return ""
        return f"version {trust.version} of the root's word on who may sign has ended; a newer one is due"

    def _is_newest(self, chain: bytes) -> bool:
        """Return whether a chain ends with what the root said last: an older one must not be kept in its place."""
        try:
            return self.builder.trust in (None, read(links(chain)[-1]))
        except TrustError:
            return False

    async def _apply(self, taken: Applied | Held | None, stored: Stored) -> None:
        match taken:
            case None:
                return
            case Held(reason=reason):
                self._hold(reason)
            case Applied(catalog=catalog):
                self.held = ""
                await self._insist(catalog, stored)
                await self._forget()
                self.changed()

    async def _insist(self, catalog: Catalog, head: Stored) -> None:
        """Write a commit that counts, however long that can't be done; what is live stays as it is meanwhile."""
        told = ""
        while True:
            try:
                await self.blobs.fetch(catalog)
                for why in self.blobs.missing.values():
                    self.report(why)
                return await self._write(head)
            except ReplicaError as error:
                if str(error) != told:
                    self.report(f"this location can't keep what is published, and stays on what it has: {error}")
                self.held = told = str(error)
                self.changed()
            await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, head: Stored) -> None:
        async with self._writing:
            moved = replace(self.place, sequence=head.sequence)
            differing = [Record(s, v) for s, v in self._pending.items() if self._known.get(s, b"") != v]
            await self.local.append([*differing, moved.record(), Record(HEAD, head.value)], {})
            self.place, self.held = moved, ""
            self._known.update(self._pending)
            self._let_go()

    async def _forget(self) -> None:
        try:
            await self.blobs.forget(self.builder.catalog)
        except ReplicaError as error:
            self.report(f"files that nothing needs any more could not be deleted: {error}")

    async def _fetch_again(self) -> None:
        """Try again what could not be fetched: at the start, and now and then."""
        is_complete = False
        while True:
            if not is_complete:
                try:
                    await self.blobs.fetch(self.builder.catalog)
                except ReplicaError as error:
                    self.report(f"missing files could not be looked for: {error}")
                self.changed()
            await asyncio.sleep(_MISSING_SECONDS)
            is_complete = not self.blobs.missing
