"""What every ledger of purges promises. Its makers open it in a directory of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from edgefn.rules.purges import ByKey, ByTag, Everything
from edgefn.stores.base import Ledger
from edgefn.stores.disk.store import opened
from edgefn.stores.ledger import LocalLedger


@asynccontextmanager
async def local(directory: Path) -> AsyncIterator[Ledger]:
    yield LocalLedger()


def on_disk(directory: Path) -> AbstractAsyncContextManager[Ledger]:
    return opened(directory, 0)


MAKERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Ledger]]] = {"local": local, "disk": on_disk}


@pytest.fixture(params=MAKERS)
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with MAKERS[request.param](tmp_path / "ledger") as made:
        yield made


async def test_a_new_one_knows_of_no_purge(ledger: Ledger) -> None:
    assert list(ledger.orders_since(ledger.epoch) or ()) == []


async def test_purges_are_numbered_in_their_order(ledger: Ledger) -> None:
    begin = ledger.epoch
    await ledger.purge(ByTag("a"), soft=True, now=5.0)
    then = ledger.epoch
    await ledger.remove("http\nx\n/")
    await ledger.purge(Everything(), soft=False, now=7.0)
    assert begin < then < ledger.epoch
    orders = ledger.orders_since(begin)
    assert orders is not None
    assert [order.purge for order in orders] == [ByTag("a"), ByKey("http\nx\n/"), Everything()]
    assert [(order.is_soft, order.at) for order in orders][::2] == [(True, 5.0), (False, 7.0)]
    assert [order.epoch for order in orders] == sorted({order.epoch for order in orders})
    assert (orders[0].epoch, orders[-1].epoch) == (then, ledger.epoch)
    assert list(ledger.orders_since(then) or ()) == list(orders[1:])


async def test_what_lies_too_far_back_is_not_known(ledger: Ledger) -> None:
    begin = ledger.epoch
    for number in range(4_200):
        await ledger.remove(f"http\nx\n/{number}")
    assert ledger.orders_since(begin) is None
    assert len(ledger.orders_since(ledger.epoch - 10) or ()) == 10
