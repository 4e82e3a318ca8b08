"""One body on its way from the disk."""

from collections.abc import Callable

from edgefn.model.headers import NO_HEADERS, Headers
from edgefn.stores.disk.base import LostError
from edgefn.stores.disk.files import FileReader
from edgefn.stores.disk.lanes import ReadLane
from edgefn.stores.disk.seals import BLOCK

_PIECE = 4 * BLOCK


def piece_end(first: int, end: int) -> int:
    """Return where a piece that begins at `first` ends: with a block, so that none is read twice."""
    return min(end, (first // BLOCK) * BLOCK + _PIECE)


class FileBody:
    """A `Body` of the bytes of a file from `first` up to before `end`. `ahead` are the first of them, already here."""

    def __init__(
        self, file: FileReader, span: tuple[int, int], ahead: bytes, reads: ReadLane, lost: Callable[[LostError], None]
    ) -> None:
        first, self._end = span
        self.length: int | None = self._end - first
        self._file = file
        self._at = first + len(ahead)
        self._ahead = ahead
        self._reads = reads
        self._lost = lost
        self._close_at_end()

    @property
    def trailers(self) -> Headers:
        """There are none."""
        return NO_HEADERS

    def buffered(self) -> bytes | None:
        """Take the whole if it is here."""
        if self._at < self._end:
            return None
        data, self._ahead = self._ahead, b""
        return data

    async def read(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises `StoreError`."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        if self._at >= self._end:
            return b""
        first, end = self._at, piece_end(self._at, self._end)
        try:
            data = await self._reads.run(lambda: self._file.read(first, end))
        except LostError as error:
            self._lost(error)
            raise
        self._at = end
        self._close_at_end()
        return data

    def _close_at_end(self) -> None:
        """Let go of the file as soon as all is here: nobody need ask once more."""
        if self._at >= self._end:
            self._file.close()

    def close(self) -> None:
        """Give up the rest."""
        self._at, self._ahead = self._end, b""
        self._file.close()
