"""One purge on its way through the index, in steps short enough for others to write in between."""

from collections import deque
from collections.abc import Iterable

from edgefn.rules.purges import ByTag
from edgefn.stores.base import NOTHING, Order
from edgefn.stores.disk.changes import Changes

_LOOKED_AT = 500  # entries in one step
_RANGES = 64


class Sweep:
    """Hits what was there when the purge was ordered, each entry once. All that comes later is none of its business.

    `ranges` are those that what it hits lies in; for a tag there are none.
    """

    def __init__(self, order: Order, ranges: Iterable[tuple[bytes, bytes]]) -> None:
        self.hit = NOTHING
        self._order = order
        self._ranges = deque(((begin, b""), end) for begin, end in ranges)
        self._number = 0

    def step(self, changes: Changes) -> bool:
        """Do a little; return whether that was the end. If the transaction fails, the sweep is of no use any more."""
        purge = self._order.purge
        is_done = self._tag_step(changes, purge.tag) if isinstance(purge, ByTag) else self._range_steps(changes)
        if is_done:
            changes.finished(self._order.epoch)
        return is_done

    def _tag_step(self, changes: Changes, tag: str) -> bool:
        rows = changes.tagged(tag, self._number)
        if rows:
            self._number = rows[-1].number
            self.hit += changes.hit(self._order, rows)
        return not rows

    def _range_steps(self, changes: Changes) -> bool:
        looked_at = 0
        for _ in range(_RANGES):
            if not self._ranges or looked_at >= _LOOKED_AT:
                break
            _, end = self._ranges[0]
            rows = changes.in_range(*self._ranges.popleft())
            if rows:
                self._ranges.appendleft(((rows[-1].place, rows[-1].variant), end))
                self.hit += changes.hit(self._order, rows)
            looked_at += len(rows)
        return not self._ranges
