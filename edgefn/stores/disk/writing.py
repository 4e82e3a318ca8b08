"""One body on its way to the disk."""

from edgefn.stores.base import Stored, StoreError
from edgefn.stores.disk.base import Outcome, TooLargeError
from edgefn.stores.disk.changes import New
from edgefn.stores.disk.files import BodyFiles, FileReader, FileWriter
from edgefn.stores.disk.health import Doing
from edgefn.stores.disk.lanes import ReadLane, WriteLane
from edgefn.stores.disk.reading import piece_end
from edgefn.stores.disk.schema import SMALL

_PIECE = 262_144


class Room:
    """How many bytes may be on their way at once, so that what is not committed is bounded too."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """Take so much. Raises `StoreError` when there is not so much."""
        if size > self._left:
            raise StoreError("too much is on its way to the disk")
        self._left -= size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size


class BodyWriter:
    """Takes one body. A small one is not written before it is committed; a larger one goes to its file in pieces.

    One that is `followed` can be read before its end, and must be released.
    """

    def __init__(
        self, files: BodyFiles, reads: ReadLane, writes: WriteLane, room: Room, largest: int, *, followed: bool
    ) -> None:
        self._files = files
        self._reads = reads
        self._writes = writes
        self._room = room
        self._largest = largest
        self._number: int | None = None
        self._file: FileWriter | None = None
        self._reader: FileReader | None = None
        self.flushed = 0
        self._pieces: list[bytes] = []
        self._ahead = 0
        self._size = 0
        self._is_over = False
        self._is_followed = followed

    async def write(self, data: bytes) -> None:
        """Add to the body, waiting while the disk is slow. Raises `StoreError`."""
        if self._is_over:
            raise StoreError("this body was given up")
        if self._size + len(data) > self._largest:
            self.abandon()
            raise TooLargeError(f"more than {self._largest} bytes")
        try:
            self._room.take(len(data))
            self._size += len(data)
            self._pieces.append(data)
            self._ahead += len(data)
            if self._ahead >= _PIECE:
                await self._flush()
        except BaseException:
            self.abandon()
            raise

    async def _flush(self) -> None:
        data = b"".join(self._pieces)
        self._pieces, self._ahead = [], 0
        file = self._file or await self._created()
        await self._reads.run(lambda: file.append(data), doing=Doing.WRITING_BODIES)
        self.flushed = file.whole

    async def _created(self) -> FileWriter:
        self._number = number = (await self._writes.do(lambda changes: changes.numbers(1)))[0]
        self._file = await self._reads.run(
            lambda: self._files.create(number), lambda file: self._drop(file, keep=False)
        )
        if self._is_followed:  # opened now: should the disk fail, the file has no name any more
            path = self._files.path(number)
            reader = await self._reads.run(lambda: FileReader.following(path, number), FileReader.close)
            self._reader = reader
        return self._file

    async def read(self, first: int) -> bytes:
        """Return some of the flushed bytes from `first` on. Raises `StoreError`."""
        reader, end = self._reader, piece_end(first, self.flushed)
        if reader is None or first >= end:
            raise StoreError("nothing of this body can be read there")
        return await self._reads.run(lambda: reader.read(first, end))

    def release(self) -> None:
        """Read no more. Harmless when repeated."""
        if self._reader is not None:
            self._reader.close()

    async def commit(self, key: str, stored: Stored, since: int) -> Outcome:
        """Let the entry be found. Raises `StoreError`."""
        if self._is_over:
            raise StoreError("this body was given up")
        outcome = None
        try:
            data = b"".join(self._pieces) if self._size <= SMALL else None
            if data is None:
                await self._flush()
                await self._reads.run(self._finish, doing=Doing.WRITING_BODIES)
            new = New(self._number, key, stored, self._size, since, data)
            outcome = await self._writes.do(lambda changes: changes.add(new))
            return outcome
        finally:
            self._end(keep=outcome is Outcome.STORED)

    def _finish(self) -> None:
        if self._file is not None:
            self._file.finish()

    def abandon(self) -> None:
        """Leave nothing behind. Harmless at the end and when repeated."""
        self._end(keep=False)

    def _end(self, *, keep: bool) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._room.give(self._size)
        self._pieces = []
        if self._file is not None:
            self._drop(self._file, keep=keep)

    def _drop(self, file: FileWriter, *, keep: bool) -> None:
        try:
            self._reads.begin(lambda: file.close(keep=keep), Doing.WRITING_BODIES)
        except StoreError:
            file.close(keep=keep)  # nobody else will


class Writing:
    """A body that is being written, until the block is left: then it is committed, or there was none."""

    def __init__(self, key: str, stored: Stored, since: int, body: BodyWriter) -> None:
        self._key = key
        self._stored = stored
        self._since = since
        self._body = body

    async def write(self, data: bytes) -> None:
        """Add to the body. Raises `StoreError`; no more may be written then."""
        await self._body.write(data)

    @property
    def flushed(self) -> int:
        """Return how many of its first bytes can be read."""
        return self._body.flushed

    async def read(self, first: int) -> bytes:
        """Return some of the flushed bytes from `first` on. Raises `StoreError`."""
        return await self._body.read(first)

    def release(self) -> None:
        """Read no more. Harmless when repeated."""
        self._body.release()

    async def commit(self) -> Outcome:
        """Let the entry be found, in place of one with the same `vary`. Raises `StoreError`."""
        return await self._body.commit(self._key, self._stored, self._since)

    async def __aenter__(self) -> "Writing":
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._body.abandon()
