"""The key-value stores of this process's functions: opened with them, and looked after while any is in use."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from edgefn.functions.kvs import KeyValueStore, KeyValueStores
from edgefn.functions.kvs_file import StoreError
from edgefn.node.tending import tend
from edgefn.sandbox.base import Code, OpenError

_LOOK_EVERY = 0.5
"""Seconds. A function sees a change within about twice that."""


class Shelf:
    """Gives each function its store. `tell` takes lines for the operator; the watch ends with `stack`."""

    def __init__(self, tell: Callable[[str], None], stack: AsyncExitStack) -> None:
        self._stores = KeyValueStores(tell)
        self._stack = stack
        self._is_watched = False

    @asynccontextmanager
    async def fetched(self, code: Code) -> AsyncIterator[None]:
        """Hold a function's store until the block ends, in which `of` finds it. Raises `OpenError`."""
        if not code.kvs:
            yield
            return
        try:
            store = await self._stores.open(Path(code.kvs))
        except StoreError as error:
            raise OpenError(f"its key-value store {error}") from error
        if not self._is_watched:
            self._is_watched = True
            tend(self._stack, self._stores.watch(_LOOK_EVERY))
        yield
        del store

    def of(self, code: Code) -> KeyValueStore | None:
        """Return the store of a function, which from then on keeps it open; None where it has none."""
        return self._stores.held(Path(code.kvs)) if code.kvs else None

    def reader_of(self, code: Code) -> Callable[[bytes], bytes | None] | None:
        """Return what gives the value of a key of that store."""
        store = self.of(code)
        return None if store is None else store.get_by_bytes
