"""A duty to fetch has one holder, ends once, and never gets lost."""

import asyncio

import pytest

from edgefn.proxy.flights import Duty, Flights, Landing
from tests.proxy.cache_stage import settled


async def led(flights: Flights, name: str = "a") -> Duty:
    duty = await flights.board(name)
    assert isinstance(duty, Duty)
    return duty


async def waiting(flights: Flights, count: int = 1) -> list["asyncio.Task[Duty | Landing]"]:
    waiters = [asyncio.ensure_future(flights.board("a")) for _ in range(count)]
    await settled()
    return waiters


async def test_the_first_on_board_has_the_duty_and_the_others_wait() -> None:
    flights = Flights()
    duty = await led(flights)
    waiters = await waiting(flights, 3)
    assert not any(waiter.done() for waiter in waiters)
    duty.landed()
    assert await asyncio.gather(*waiters) == [Landing.STORED] * 3
    assert len(flights) == 0


async def test_names_do_not_wait_for_each_other() -> None:
    flights = Flights()
    assert isinstance(await flights.board("a"), Duty)
    assert isinstance(await flights.board("b"), Duty)
    assert len(flights) == 2


async def test_leaving_the_block_by_an_error_hands_the_duty_on() -> None:
    flights = Flights()
    duty = await led(flights)
    first, second = await waiting(flights, 2)
    with pytest.raises(ZeroDivisionError), duty:
        raise ZeroDivisionError
    heir = await first
    assert isinstance(heir, Duty)
    assert not second.done()
    heir.landed()
    assert await second is Landing.STORED


async def test_leaving_the_block_in_peace_ends_nothing() -> None:
    flights = Flights()
    with await led(flights):
        pass
    (waiter,) = await waiting(flights)
    assert not waiter.done()
    waiter.cancel()


async def test_a_duty_ends_once() -> None:
    flights = Flights()
    duty = await led(flights)
    duty.hand_on()
    successor = await led(flights)
    (waiter,) = await waiting(flights)
    duty.landed()
    duty.unshared()
    duty.hand_on()
    await settled()
    assert not waiter.done()
    successor.landed()
    assert await waiter is Landing.STORED


async def test_unshared_lets_everybody_go_and_is_remembered_until_something_lands() -> None:
    flights = Flights()
    duty = await led(flights)
    waiters = await waiting(flights, 2)
    duty.unshared()
    assert await asyncio.gather(*waiters) == [Landing.UNSHARED] * 2
    assert await flights.board("a") is Landing.UNSHARED
    flights.alone("a").landed()
    assert isinstance(await flights.board("a"), Duty)


async def test_a_duty_that_nobody_waits_for_teaches_nothing_by_failing() -> None:
    flights = Flights()
    flights.alone("a").unshared()
    assert isinstance(await flights.board("a"), Duty)


async def test_a_duty_alone_is_nothing_to_wait_for() -> None:
    flights = Flights()
    flights.alone("a")
    assert await flights.join("a") is Landing.NOBODY
    assert len(flights) == 1


async def test_waiting_has_a_bound() -> None:
    flights = Flights(patience=0.005)
    duty = await led(flights)
    assert await flights.board("a") is Landing.LATE
    assert duty.waiters == {}


async def test_a_waiter_that_leaves_is_forgotten() -> None:
    flights = Flights()
    duty = await led(flights)
    (waiter,) = await waiting(flights)
    waiter.cancel()
    await settled()
    assert duty.waiters == {}
    duty.hand_on()
    assert len(flights) == 0


async def test_an_heir_cancelled_in_that_moment_hands_on() -> None:
    flights = Flights()
    duty = await led(flights)
    first, second = await waiting(flights, 2)
    duty.hand_on()
    first.cancel()
    await settled()
    assert first.cancelled()
    assert isinstance(second.result(), Duty)


async def test_invalidation_reaches_every_fetch_of_the_uri_and_no_other() -> None:
    flights = Flights()
    leader, variant, alone, other = (
        await led(flights, "a"),
        await led(flights, "a\rfr"),
        flights.alone("a"),
        flights.alone("ab"),
    )
    (waiter,) = await waiting(flights)
    flights.invalidate("a")
    assert [duty.is_outdated for duty in (leader, variant, alone, other)] == [True, True, True, False]
    heir = await waiter
    assert isinstance(heir, Duty)
    assert not heir.is_outdated


async def test_boarding_without_waiting_leads_or_flies_alone_or_does_neither() -> None:
    flights = Flights()
    duty = flights.board_nowait("a")
    assert duty is not None
    assert flights.board_nowait("a") is None
    (waiter,) = await waiting(flights)
    duty.unshared()
    assert await waiter is Landing.UNSHARED
    for _ in range(2):
        assert flights.board_nowait("a") is not None
    assert await flights.join("a") is Landing.NOBODY
    flights.alone("a").landed()
    assert isinstance(await flights.board("a"), Duty)
