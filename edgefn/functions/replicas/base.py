"""The promise of every replica: records with compare-and-set, blobs that never change, purges, and who has got how far.

A *record* is the newest document of its subject; a commit appends several at once, or none. The subjects are

    fn.<function>                the draft and the counter of versions
    ver.<function>.<number>      one version's manifest, signed; written once
    alias.<function>.<name>      one alias
    config.<site>                which configuration of a site is in force
    config.<site>.<number>       one such configuration; written once
    garbage                      blobs that nothing refers to any more
    trust                        who may sign what, by the word of an offline root: a chain that is signed by itself
    head                         the commit mark: generation, incarnation, operation, the digest of all other records

An empty value is a tombstone. Every commit ends with `head`, and expects the head it was planned on: so all writers
stand in one order, and whoever follows applies whole commits only (`functions.catalog`). Subjects' parts are names of
`[A-Za-z0-9_-]`. Subjects of other kinds are kept all the same, and mean nothing to a catalog.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

HEAD = "head"
TRUST = "trust"
MIRROR = "mirror"
"""The subject of a record in a replica that follows another one: nobody publishes there."""

MAX_RECORD = 512 * 1024
"""Bytes of one record's value."""


@dataclass(frozen=True, slots=True)
class Record:
    """One document. `value` b"" takes the subject away."""

    subject: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A record in its place: `sequence` rises with each one, commits being contiguous."""

    sequence: int
    subject: str
    value: bytes


@dataclass(frozen=True, slots=True)
class PurgeOrder:
    """One purge in its place. `order` is a JSON document that the receiver understands; `at` when it was given."""

    sequence: int
    order: bytes
    at: float


@dataclass(frozen=True, slots=True)
class PurgesLost:
    """Purges before `first` are no longer there, or this is another log: whoever needs them must flush everything."""

    first: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The log is not the one that was followed (another incarnation): what was known of it counts no more."""

    incarnation: str


Followed: TypeAlias = Stored | Restarted
FollowedPurge: TypeAlias = PurgeOrder | PurgesLost


class ReplicaError(Exception):
    """The replica can't do what was asked. The message says why, and what to do."""


class ConflictError(ReplicaError):
    """Somebody else has committed meanwhile: read again, plan again. Nothing was written."""


class UnknownOutcomeError(ReplicaError):
    """No answer came: it may have been written or not. Read the head again and compare its `op`."""


class UnavailableError(ReplicaError):
    """The replica can't be reached now. Nothing was written."""


class Replica(Protocol):
    """One log of records, one of purges, a set of blobs and a board of statuses. Every call has a time limit.

    What follows is an asynchronous generator: whoever leaves it before its end closes it (`contextlib.aclosing`).
    """

    async def incarnation(self) -> str:
        """Return the random name that this log got when it was begun. Raises `ReplicaError`."""

    async def append(self, records: Sequence[Record], expected: Mapping[str, int]) -> int:
        """Commit all of `records`, or none; return the sequence of the last one.

        `expected` gives, for some subjects, the sequence that their newest record must still have (0: there is none).
        Raises `ConflictError`, `UnknownOutcomeError`, `UnavailableError`, and `ReplicaError` for a record too large.
        """

    async def get(self, subject: str) -> Stored | None:
        """Return the newest record of a subject (a tombstone too), or None. Raises `ReplicaError`."""

    async def read(self, after: int = 0) -> Sequence[Stored]:
        """Return the newest record of every subject beyond the sequence `after`, in order. Raises `ReplicaError`."""

    def follow(self, after: int, incarnation: str) -> AsyncGenerator[Followed, None]:
        """Yield records beyond `after` in order as they come, without gaps, for ever.

        Older records of a subject may be left out when a newer one exists. It survives restarts of the engine and
        lost messages. `incarnation` is that of the log in which `after` counts, "" when it is not known; when the log
        is another one, a `Restarted` comes first and the records follow from the beginning.
        """

    async def put_blob(self, digest: str, content: AsyncIterable[bytes]) -> None:
        """Keep a blob under the SHA-256 of its bytes, in hex; one that is there already is not written again.

        Raises `ReplicaError`, also when the bytes don't have that digest.
        """

    def get_blob(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Yield a blob in pieces. Whoever takes it checks the digest. Raises `ReplicaError` when it isn't there."""

    async def has_blob(self, digest: str) -> bool:
        """Return whether the whole blob is there. Raises `ReplicaError`."""

    async def blobs(self) -> Collection[str]:
        """Return the digests of all blobs that are there, whether needed or not. Raises `ReplicaError`."""

    async def delete_blob(self, digest: str) -> None:
        """Forget a blob that nothing refers to any more, if it is there. Raises `ReplicaError`."""

    async def order_purge(self, order: bytes, op: str) -> int:
        """Append a purge and return its sequence; the same `op` again within two minutes appends nothing new.

        Raises `UnknownOutcomeError`, `UnavailableError`.
        """

    def follow_purges(self, after: int, incarnation: str) -> AsyncGenerator[FollowedPurge, None]:
        """Yield purges beyond `after` in order, for ever; `PurgesLost` first when some of them are gone."""

    async def last_purge(self) -> int:
        """Return the sequence of the newest purge, 0 when there was none. Raises `ReplicaError`."""

    async def set_status(self, location: str, status: bytes) -> None:
        """Put a location's status on the board. Raises `ReplicaError`."""

    async def statuses(self) -> Mapping[str, bytes]:
        """Return the newest status of each location. Raises `ReplicaError`."""

    def follow_statuses(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield (location, status) as they change, all current ones first, for ever."""

    async def close(self) -> None:
        """Let go of everything; whoever still follows gets no more."""


class OwnReplica(Replica, Protocol):
    """The replica of this machine, which takes over from a fleet's what that one has on its disk already.

    What is only noted is seen by all processes of the machine, whatever becomes of them. After a power cut it may be
    gone, though never without all that was written after it: so it comes again from the fleet.
    """

    async def note(self, records: Sequence[Record]) -> int:
        """Append as `append` does when nothing is expected. Raises `ReplicaError`."""

    async def note_purge(self, order: bytes, op: str) -> int:
        """Append a purge as `order_purge` does. Raises `ReplicaError`."""
