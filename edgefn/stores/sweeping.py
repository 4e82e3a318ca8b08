"""Purges on their way through a store in memory, in steps short enough for viewers to be served in between.

What has not been reached yet is dropped, or softened, when it is looked at: see `MemoryStore`. So a sweep only clears
away what nobody gets any more, and counts it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from edgefn.rules.purges import sieved
from edgefn.stores.base import NOTHING, Order, Purged

_LOOKED_AT = 1_000  # keys in one step
_TO_BE_DROPPED = 100  # of which so many are hit, at the most


class Sweep:
    """One purge, and what it has hit so far. `shelves` are the keys that it may be about, as lists of no great length.

    `serial` counts the purges of this store: it is about what was put there before.
    """

    __slots__ = ("_batches", "hit", "is_over", "order", "serial")

    def __init__(self, order: Order, serial: int, shelves: Iterable[Sequence[str]]) -> None:
        self.order = order
        self.serial = serial
        self.hit: Purged = NOTHING
        self.is_over = False
        self._batches = _batches(order, shelves)

    def next_keys(self) -> Sequence[str]:
        """Return the next keys to be looked at more closely, perhaps none; it is over when there are no more."""
        batch = next(self._batches, None)
        self.is_over = batch is None
        return batch or ()


def _batches(order: Order, shelves: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    looked_at, found = 0, list[str]()
    for shelf in shelves:
        looked_at += len(shelf)
        hits = iter(sieved(order.purge, shelf))
        while found := [*found, *islice(hits, _TO_BE_DROPPED - len(found))]:
            if len(found) < _TO_BE_DROPPED and looked_at < _LOOKED_AT:
                break
            yield found
            looked_at, found = 0, []
        if looked_at >= _LOOKED_AT:
            yield ()
            looked_at = 0
    yield found
