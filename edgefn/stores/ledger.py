"""The purges of a location that is one process and keeps nothing on disk: a list in memory."""

from collections import deque
from collections.abc import Sequence

from edgefn.rules.purges import ByKey, Purge
from edgefn.stores.base import NOTHING, Order, Purged

_KEPT = 4_096


class LocalLedger:
    """A `Ledger` of this process alone. It keeps no entries."""

    def __init__(self) -> None:
        self.epoch = 0
        self._orders: deque[Order] = deque(maxlen=_KEPT)

    async def remove(self, key: str) -> None:
        """Let all variants of `key` be purged, and of the keys that extend it."""
        await self.purge(ByKey(key), soft=False, now=0.0)

    async def purge(self, purge: Purge, *, soft: bool, now: float) -> Purged:
        """Write the purge down."""
        self.epoch += 1
        self._orders.append(Order(self.epoch, purge, soft, now))
        return NOTHING

    def orders_since(self, epoch: int) -> Sequence[Order] | None:
        """Return the purges after that one; None when they are too many to know."""
        count = self.epoch - epoch
        return None if count > len(self._orders) else list(self._orders)[len(self._orders) - count :]
