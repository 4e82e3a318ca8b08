"""Work that nobody waits for has an owner that ends it."""

import asyncio
import logging

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.proxy.background import Background
from tests.proxy.cache_stage import settled


class Work:
    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.may_end, self.over = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        try:
            await self.may_end.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.ended += 1
            self.over.set()


async def test_there_is_one_at_a_time_by_each_name() -> None:
    background, work = Background(), Work()
    for name in ("a", "a", "b"):
        background.start(name, work)
    await settled()
    assert (work.begun, len(background)) == (2, 2)
    work.may_end.set()
    await settled()
    assert (work.ended, len(background)) == (2, 0)
    background.start("a", work)
    await settled()
    assert work.begun == 3


async def test_there_is_a_bound() -> None:
    background, work = Background(most=2), Work()
    for name in "abc":
        background.start(name, work)
    await settled()
    assert work.begun == 2
    await background.close()


async def test_closing_ends_it_all() -> None:
    background, work = Background(), Work()
    background.start("a", work)
    await settled()
    await background.close()
    assert (work.begun, work.ended, len(background)) == (1, 1, 0)


async def test_it_has_no_forever(caplog: pytest.LogCaptureFixture) -> None:
    background, work = Background(patience=0.001), Work()
    background.start("a\nb", work)
    async with asyncio.timeout(5):
        await work.over.wait()
    await settled()
    assert (work.ended, len(background)) == (1, 0)
    assert "a\\x0ab" in caplog.text


@pytest.mark.parametrize(
    ("error", "level"),
    [(OriginError(OriginFailure.CONNECT, "gone"), logging.WARNING), (ZeroDivisionError(), logging.ERROR)],
)
async def test_what_goes_wrong_is_logged(error: Exception, level: int, caplog: pytest.LogCaptureFixture) -> None:
    background, work = Background(), Work()
    work.error = error
    work.may_end.set()
    background.start("a", work)
    await settled()
    assert [record.levelno for record in caplog.records] == [level]
