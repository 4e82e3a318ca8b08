"""Putting right what somebody without the right to publish has written into a log: the last signed state comes back.

A publisher remembers what it has read last under a head that counts: in memory, and where it is given a `Memory`, also
from one start to the next. A log alone does not tell what stood where a forged record stands now.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from edgefn.functions.catalog import CatalogBuilder, Held
from edgefn.functions.replicas.base import HEAD, Record, Stored

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Righted:
    """Records that nobody who may publish had written, and that were put right: when, which, and in what generation."""

    at: float
    subjects: tuple[str, ...]
    generation: int

    @property
    def line(self) -> str:
        """Return it for people."""
        more = f" and {len(self.subjects) - _NAMED} more" if len(self.subjects) > _NAMED else ""
        return (
            f"somebody without the key had written {', '.join(self.subjects[:_NAMED])}{more}: put right in generation "
            f"{self.generation}; find out who can write there"
        )


Heard: TypeAlias = Callable[[Righted], None]


class Memory(Protocol):
    """Where a publisher keeps the records of the last state that counts: a replica of its own."""

    async def read(self, after: int = 0) -> Sequence[Stored]:
        """Return all records. Raises `ReplicaError`."""

    async def note(self, records: Sequence[Record]) -> int:
        """Keep records. Raises `ReplicaError`."""


def _say_nothing(_: Righted) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watch:
    """What a publisher remembers from one start to the next, and whom it tells of what it put right."""

    memory: Memory | None = None
    heard: Heard = _say_nothing


class Reading:
    """What a publisher has read of a log, and which of it counts. Take the records in their order. No I/O."""

    def __init__(self, builder: CatalogBuilder, kept: Iterable[str] = ()) -> None:
        self.builder = builder
        self.last = 0
        """The sequence up to which the log was read."""
        self.head = 0
        """The sequence of the newest head, whether it counts or not."""
        self._is_known = True
        self.held: Held | None = None
        """Why the newest head does not count, None when it does."""
        self._unkept = dict.fromkeys(kept, b"")
        self._kept: list[Record] = []
        self.subjects = set(kept)
        """All that were ever read, or kept in a memory."""

    def begin_anew(self, *, is_known: bool = False) -> None:
        """Read a log from its beginning: another one, or one that went back, unless it `is_known`.

        What was known of another log says nothing about the records of this one, until a head of it counts.
        """
        self.builder.restart()
        self._is_known = is_known
        self._unkept = dict.fromkeys(self.subjects, b"")
        self.last = self.head = 0

    def take(self, stored: Stored) -> None:
        """Take the next record."""
        self.last = stored.sequence
        outcome = self.builder.take(stored)
        self._unkept.pop(stored.subject, None)  # in a memory too the head comes last
        self._unkept[stored.subject] = stored.value
        self.subjects.add(stored.subject)
        if stored.subject != HEAD:
            return
        self.head = stored.sequence
        self.held = outcome if isinstance(outcome, Held) else None
        if self.held is None:
            self._is_known = True
            self._kept += [Record(subject, value) for subject, value in self._unkept.items()]
            self._unkept.clear()

    def to_keep(self) -> list[Record]:
        """Return what has come to count since this was asked last."""
        kept, self._kept = self._kept, []
        return kept

    @property
    def is_whole(self) -> bool:
        """Return whether everything that was read counts."""
        return self.held is None and not self._uncovered

    @property
    def _uncovered(self) -> frozenset[str]:
        is_anything_known = self._is_known or not self.builder.head.generation
        return self.builder.uncovered if is_anything_known else frozenset()

    @property
    def can_be_righted(self) -> bool:
        """Return whether what does not count can be told from what does.

        A head that nobody trusted has signed, and an old one among newer records, were put there by somebody else. An
        old state that is whole may be a backup: people must say what counts.
        """
        held, known = self.held, self.builder.head.generation
        if held is None:
            return True
        return self._is_known and known > 0 and held.generation <= known and not held.is_whole

    @property
    def wrong(self) -> list[str]:
        """Return the subjects of what does not count."""
        return [*sorted(self._uncovered), *([] if self.held is None else [HEAD])]
