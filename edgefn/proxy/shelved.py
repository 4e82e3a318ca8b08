"""A stored body that lies on disk."""

from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import Body
from edgefn.stores.base import Found, StoreError
from edgefn.stores.disk.base import BodyStore


class Shelved:
    """Stands for `length` bytes from `first` on of a body on disk, until it is opened. Nothing can be read of it."""

    def __init__(self, found: Found, first: int, length: int) -> None:
        self.length: int | None = length
        self._found = found
        self._first = first
        self._length = length

    @property
    def trailers(self) -> Headers:
        """There are none."""
        return NO_HEADERS

    async def opened(self, disk: BodyStore) -> Body:
        """Return what can be read. Raises `StoreError`."""
        return await disk.open(self._found, self._first, self._length)

    def buffered(self) -> bytes | None:
        """Take nothing."""
        return None

    async def read(self) -> bytes:
        """Raise `StoreError`."""
        raise StoreError("this body was never opened")

    def close(self) -> None:
        """Do nothing: nothing is open."""
