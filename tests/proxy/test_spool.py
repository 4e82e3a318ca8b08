"""A body on its way into the store, and those who read it meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from edgefn.model.errors import OriginError
from edgefn.model.headers import Headers
from edgefn.model.message import Body
from edgefn.proxy.background import Background
from edgefn.proxy.spool import Keeper, Spool
from edgefn.rules.storing import Reason
from edgefn.stores.base import Stored, StoreError
from edgefn.stores.disk.base import Outcome, TooLargeError
from tests.proxy.cache_stage import BROKEN, ArrivingBody, settled

BLOCK = 1_000
MOST = 2_500


class Disk:
    """A writer whose whole blocks can be read. It fails with `error` when it has more than `most` bytes."""

    def __init__(self, most: int = 10**9, error: StoreError | None = None) -> None:
        self.written = b""
        self.flushed = 0
        self.outcome: Outcome | StoreError = Outcome.STORED
        self.is_released = False
        self.is_left = False
        self._most = most
        self._error = error

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)
        if len(self.written) + len(data) > self._most:
            raise self._error or StoreError("full")
        self.written += data
        self.flushed = len(self.written) // BLOCK * BLOCK

    async def read(self, first: int) -> bytes:
        assert not self.is_released
        assert first < self.flushed
        return self.written[first : min(first + BLOCK, self.flushed)]

    async def commit(self) -> Outcome:
        await asyncio.sleep(0)
        if isinstance(self.outcome, StoreError):
            raise self.outcome
        return self.outcome

    def release(self) -> None:
        self.is_released = True


class Stage:
    """One spool, and what it told its keeper."""

    is_superseded = False

    def __init__(
        self, source: Body, disk: Disk | None = None, length: int | None = None, *, is_paced: bool = False
    ) -> None:
        self.disk = disk or Disk()
        self.background = Background()
        self.told: list[str | Reason | bytes] = []
        head = Stored(200, "OK", Headers(), b"", 1.0, 1.0, 60.0, 0.0)
        keeper = Keeper(
            key="key", head=head, since=0, length=length, most_in_memory=2**30 if is_paced else MOST,
            keep=self.told.append, writing=self._writing, superseded=self._superseded,
            kept=lambda: self.told.append("kept"), refused=self.told.append, is_paced=is_paced,
        )  # fmt: skip
        self.spool = Spool(source, keeper, self.background.carry)

    async def _superseded(self) -> bool:
        await asyncio.sleep(0)
        return self.is_superseded

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Disk]:
        try:
            yield self.disk
        finally:
            self.disk.is_left = True


async def all_of(body: Body) -> bytes:
    parts = []
    while part := await body.read():
        parts.append(part)
    body.close()
    return b"".join(parts)


def pieces(count: int, size: int = 700) -> list[bytes]:
    return [bytes([65 + number % 26]) * size for number in range(count)]


async def test_a_small_one_is_kept_whole() -> None:
    source = ArrivingBody()
    stage = Stage(source)
    reader = stage.spool.reader()
    source.arrives(b"a", b"b", b"")
    assert await all_of(reader) == b"ab"
    assert (stage.told, source.is_closed) == ([b"ab"], True)


async def test_nobody_can_join_once_it_is_over_and_its_last_reader_gone() -> None:
    source = ArrivingBody()
    stage = Stage(source)
    first, second = stage.spool.reader(), stage.spool.reader()
    source.arrives(b"a", b"")
    assert await all_of(first) == b"a"
    assert stage.spool.can_be_joined
    assert await all_of(stage.spool.reader()) == await all_of(second) == b"a"
    assert not stage.spool.can_be_joined


async def test_a_large_one_goes_to_disk_and_is_read_from_there_by_who_comes_late() -> None:
    source, sent = ArrivingBody(), pieces(10)
    stage = Stage(source)
    first = stage.spool.reader()
    source.arrives(*sent[:8])
    await settled()
    late = stage.spool.reader()
    assert stage.spool.can_be_joined
    assert len(b"".join(stage.spool._chunks)) < MOST  # what is on disk is not in memory
    source.arrives(*sent[8:], b"")
    assert [await all_of(first), await all_of(late)] == [b"".join(sent)] * 2
    assert (stage.told, stage.disk.written) == (["kept"], b"".join(sent))
    assert (stage.disk.is_released, stage.disk.is_left) == (True, True)


@pytest.mark.parametrize(
    ("error", "reason"), [(StoreError("full"), Reason.STORE), (TooLargeError("large"), Reason.TOO_LARGE)]
)
async def test_when_the_disk_fails_all_viewers_still_get_all_of_it(error: StoreError, reason: Reason) -> None:
    source, sent = ArrivingBody(), pieces(20)
    stage = Stage(source, Disk(5_000, error))
    fast, slow = stage.spool.reader(), stage.spool.reader()
    source.arrives(*sent, b"")
    await settled()
    assert not stage.spool.can_be_joined
    assert await asyncio.gather(all_of(fast), all_of(slow)) == [b"".join(sent)] * 2
    assert stage.told == [reason]
    assert stage.disk.is_released


async def test_without_a_disk_the_origin_is_read_no_faster_than_the_slowest_viewer() -> None:
    source, sent = ArrivingBody(), pieces(30, 200_000)
    stage = Stage(source, Disk(0))
    fast, slow = stage.spool.reader(), stage.spool.reader()
    source.arrives(*sent, b"")
    reading = asyncio.create_task(all_of(fast))
    await settled()
    await settled()
    assert source._arrivals.qsize() > 20  # it waits for the slow one
    assert not reading.done()
    assert await all_of(slow) == await reading == b"".join(sent)


async def test_what_is_kept_in_memory_alone_is_read_no_faster_than_by_the_fastest_viewer() -> None:
    source, sent = ArrivingBody(), [bytes([65 + number]) * 600_000 for number in range(4)]
    stage = Stage(source, is_paced=True)
    slow, fast = stage.spool.reader(), stage.spool.reader()
    source.arrives(*sent, b"")
    await settled()
    assert source._arrivals.qsize() == 3  # two pieces are more than a viewer may lag behind
    got = [await fast.read()]
    await settled()
    assert source._arrivals.qsize() == 2
    assert b"".join(got) + await all_of(fast) == b"".join(sent)
    await settled()
    assert stage.told == [b"".join(sent)]
    assert await all_of(slow) == b"".join(sent)


async def test_a_slow_viewer_that_leaves_holds_nobody_up() -> None:
    source, sent = ArrivingBody(), pieces(30, 200_000)
    stage = Stage(source, Disk(0))
    fast, slow = stage.spool.reader(), stage.spool.reader()
    source.arrives(*sent, b"")
    reading = asyncio.create_task(all_of(fast))
    await settled()
    slow.close()
    async with asyncio.timeout(5):
        assert await reading == b"".join(sent)


async def test_it_goes_on_for_the_others_when_the_first_viewer_leaves() -> None:
    source, sent = ArrivingBody(), pieces(10)
    stage = Stage(source)
    first, second = stage.spool.reader(), stage.spool.reader()
    source.arrives(*sent[:5])
    await first.read()
    first.close()
    source.arrives(*sent[5:], b"")
    assert await all_of(second) == b"".join(sent)
    assert stage.told == ["kept"]


@pytest.mark.parametrize("begun", [False, True])
async def test_when_all_leave_the_origin_is_left_alone(begun: bool) -> None:
    source = ArrivingBody()
    stage = Stage(source)
    readers = [stage.spool.reader(), stage.spool.reader()]
    if begun:
        source.arrives(*pieces(5))
        await settled()
    for reader in readers:
        reader.close()
        reader.close()
    await settled()
    assert (stage.told, source.is_closed, stage.spool.can_be_joined) == ([Reason.INCOMPLETE], True, False)
    assert len(stage.background._carried) == 0
    assert stage.disk.is_left is begun


async def test_what_breaks_off_breaks_off_for_all_and_is_not_kept() -> None:
    source, sent = ArrivingBody(), pieces(5)
    stage = Stage(source)
    fast, slow = stage.spool.reader(), stage.spool.reader()
    source.arrives(*sent, BROKEN)
    got = b"".join([await fast.read() for _ in sent])
    for reader in (fast, slow):
        with pytest.raises(OriginError, match="broke off"):
            got += await all_of(reader)
    assert got == b"".join(sent)
    assert stage.told == [Reason.INCOMPLETE]


@pytest.mark.parametrize("count", [1, 5])
async def test_what_is_not_as_long_as_it_said_is_not_kept(count: int) -> None:
    source = ArrivingBody(length=700 * count + 1)
    stage = Stage(source)
    reader = stage.spool.reader()
    source.arrives(*pieces(count), b"")
    with pytest.raises(OriginError, match="not as long"):
        await all_of(reader)
    assert stage.told == [Reason.INCOMPLETE]


async def test_a_part_that_is_not_as_long_as_its_range_goes_to_its_viewer_alone() -> None:
    source = ArrivingBody()
    stage = Stage(source, length=3_501)
    reader = stage.spool.reader()
    source.arrives(*pieces(5), b"")
    assert await all_of(reader) == b"".join(pieces(5))
    assert stage.told == [Reason.INCOMPLETE]


def failing(disk: Disk) -> None:
    disk.outcome = StoreError("full")


def purged(disk: Disk) -> None:
    disk.outcome = Outcome.PURGED


@pytest.mark.parametrize(("happens", "reason"), [(failing, Reason.STORE), (purged, Reason.INVALIDATED)])
async def test_what_the_disk_does_not_take_in_the_end_is_served_all_the_same(
    happens: Callable[[Disk], None], reason: Reason
) -> None:
    source, sent = ArrivingBody(), pieces(10)
    stage = Stage(source)
    happens(stage.disk)
    reader = stage.spool.reader()
    source.arrives(*sent, b"")
    assert await all_of(reader) == b"".join(sent)
    assert stage.told == [reason]


async def test_a_stop_of_the_location_ends_it() -> None:
    source = ArrivingBody()
    stage = Stage(source)
    reader = stage.spool.reader()
    source.arrives(*pieces(3))
    await settled()
    await stage.background.close()
    with pytest.raises(OriginError, match="given up"):
        await all_of(reader)
    assert (stage.told, source.is_closed) == ([Reason.INCOMPLETE], True)


async def test_what_would_cover_something_newer_goes_to_its_viewer_alone() -> None:
    source, sent = ArrivingBody(), pieces(10)
    stage = Stage(source)
    stage.is_superseded = True
    reader = stage.spool.reader()
    source.arrives(*sent, b"")
    assert await all_of(reader) == b"".join(sent)
    assert (stage.told, stage.disk.is_left) == ([Reason.SUPERSEDED], True)
