"""Frozen values at the price of plain ones, for the few that are made several times for each request.

The guard of a frozen dataclass is paid for each field of each value made: a tenth of all that a request costs. So
here mypy alone keeps the promise, and the program runs without the guard.
"""

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as hot_dataclass
else:

    def hot_dataclass(*, frozen, slots, weakref_slot=False):
        """Return `dataclass` that takes `frozen` at its word. Values are hashed as frozen ones are."""
        return dataclasses.dataclass(unsafe_hash=frozen, slots=slots, weakref_slot=weakref_slot)


__all__ = ["hot_dataclass"]
