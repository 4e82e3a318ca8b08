"""A stored body that lies on disk."""

from dataclasses import dataclass

from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.model.message import Body
from edgefn.rules.ranges import Span, strong_tag
from edgefn.stores.base import Found, Part, StoreError
from edgefn.stores.disk.base import BodyStore


@dataclass(frozen=True, slots=True)
class Lacking:
    """Bytes of a representation of `total` bytes that has this strong tag."""

    span: Span
    total: int
    tag: str


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

    def lacking(self, at: int) -> Lacking | None:
        """Return what is still to come behind `at` bytes of it; None where the origin can't be asked for just that."""
        stored = self._found.stored
        tag = strong_tag(stored.headers) if stored.origin_tag is None else None
        if tag is None or stored.status not in {200, 206}:
            return None
        part = stored.part or Part(0, self._found.length)
        first = part.first + self._first
        return Lacking(Span(first + at, first + self._length - 1), part.total, tag)

    def buffered(self) -> bytes | None:
        """Take nothing."""
        return None

    async def read(self) -> bytes:
        """Raise `StoreError`."""
        raise StoreError("this body was never opened")

    def close(self) -> None:
        """Do nothing: nothing is open."""
