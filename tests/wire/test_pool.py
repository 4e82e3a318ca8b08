"""Which connection serves which request, and which request may be sent again."""

import asyncio
import os
import socket

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.message import BytesBody
from edgefn.wire.berth import PoolLimits
from edgefn.wire.pool import Pool
from tests.fakes.scripted_origin import Conversation, Script, ScriptedOrigin, answering, ok
from tests.waiting import until
from tests.wire.asking import Dripping, asker, asking, content


async def hangs_up_on_the_second(conversation: Conversation) -> None:
    await conversation.request()
    await conversation.send(ok(b"first"))
    await conversation.request()


async def resets_the_second(conversation: Conversation) -> None:
    await hangs_up_on_the_second(conversation)
    conversation.reset()


def held(go_on: asyncio.Event) -> tuple[list[int], Script]:
    """Return a list of the connections that asked, and a script that answers all when `go_on` is set."""
    asked: list[int] = []

    async def script(conversation: Conversation) -> None:
        while await conversation.request() is not None:
            asked.append(conversation.number)
            if await conversation.hold(go_on):
                await conversation.send(ok())

    return asked, script


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        for _ in range(5):
            assert await app.get() == b"hello"
        assert app.connections == (0, 1)
        assert [attempt.reused for attempt in app.attempts] == [False, True, True, True, True]
        assert {attempt.origin for attempt in app.attempts} == {"app"}
    assert origin.connections == 1


async def test_requests_at_one_time_have_a_connection_each() -> None:
    go_on = asyncio.Event()
    asked, script = held(go_on)
    async with ScriptedOrigin(script) as origin, asker(origin) as app, asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(app.get())
        await until(lambda: len(asked) == 8)
        assert app.connections == (8, 0)
        go_on.set()
    assert sorted(asked) == list(range(1, 9))


@pytest.mark.parametrize("script", [hangs_up_on_the_second, resets_the_second])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
async def test_an_idempotent_request_on_a_stale_connection_is_sent_again_on_a_fresh_one(
    script: Script, method: str
) -> None:
    head_only = b"HTTP/1.1 204 None\r\n\r\n"
    async with ScriptedOrigin(script, answering(head_only)) as origin, asker(origin) as app:
        assert await app.get() == b"first"
        body = BytesBody(b"again") if method == "PUT" else None
        assert (await app.send(asking(method, "/", body=body))).status == 204
        assert app.outcomes == ["200", "OriginCommError", "204"]
        assert [attempt.reused for attempt in app.attempts] == [False, True, False]
    assert [(seen.method, seen.connection) for seen in origin.requests] == [("GET", 1), (method, 1), (method, 2)]
    assert origin.requests[1].body == origin.requests[2].body


@pytest.mark.parametrize("script", [hangs_up_on_the_second, resets_the_second])
@pytest.mark.parametrize("method", ["POST", "PATCH", "BREW"])
async def test_what_is_not_idempotent_is_never_sent_twice(script: Script, method: str) -> None:
    async with ScriptedOrigin(script, answering(ok())) as origin, asker(origin) as app:
        await app.get()
        assert (await app.failure(asking(method)))[0] is OriginFailure.CLOSED
    assert [seen.method for seen in origin.requests] == ["GET", method]


async def test_a_body_that_is_partly_gone_can_not_be_sent_again() -> None:
    async with ScriptedOrigin(hangs_up_on_the_second, answering(ok())) as origin, asker(origin) as app:
        await app.get()
        failure, _ = await app.failure(asking("PUT", body=Dripping(b"hello", length=5)))
        assert failure in {OriginFailure.CLOSED, OriginFailure.WRITE}
    assert len(origin.requests) == 2


async def test_a_fresh_connection_that_breaks_is_no_reason_to_try_again() -> None:
    async def hangs_up(conversation: Conversation) -> None:
        await conversation.request()

    async with ScriptedOrigin(hangs_up) as origin, asker(origin) as app:
        assert (await app.failure())[0] is OriginFailure.CLOSED
        assert app.outcomes == ["OriginCommError"]
    assert len(origin.requests) == 1


async def test_a_response_that_has_begun_is_no_reason_to_try_again() -> None:
    async def breaks_off(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(ok())
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200")

    async with ScriptedOrigin(breaks_off, answering(ok())) as origin, asker(origin) as app:
        await app.get()
        assert (await app.failure())[0] is OriginFailure.CLOSED
    assert len(origin.requests) == 2


async def test_the_second_try_is_the_last() -> None:
    async def hangs_up(conversation: Conversation) -> None:
        await conversation.request()

    async with ScriptedOrigin(hangs_up_on_the_second, hangs_up) as origin, asker(origin) as app:
        await app.get()
        assert (await app.failure())[0] is OriginFailure.CLOSED
    assert len(origin.requests) == 3


async def test_an_idle_connection_that_the_origin_closes_is_forgotten_at_once() -> None:
    hang_up = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(ok())
        await hang_up.wait()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        await app.get()
        hang_up.set()
        await until(lambda: app.connections == (0, 0))
        assert (await app.send(asking("POST"))).status == 200
        assert app.outcomes == ["200", "200"]


def spoken_to(connections: list[socket.socket]) -> Script:
    """Return a script that tells of its connections by their sockets, and on each says what the test has it say."""

    async def script(conversation: Conversation) -> None:
        connections.append(socket.socket(fileno=os.dup(conversation.writer.get_extra_info("socket").fileno())))
        while await conversation.request() is not None:
            await conversation.send(ok(b"of %d" % len(connections)))

    return script


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("ends", [False, True])
async def test_what_the_origin_said_unasked_is_no_response_though_the_loop_has_not_seen_it_yet(
    method: str, *, ends: bool
) -> None:
    connections: list[socket.socket] = []
    async with ScriptedOrigin(spoken_to(connections)) as origin, asker(origin) as app:
        assert await app.get() == b"of 1"
        if ends:
            connections[0].shutdown(socket.SHUT_WR)
        else:
            connections[0].send(ok(b"unasked"))
        assert await content(await app.send(asking(method))) == b"of 2"
        assert await app.get() == b"of 2"
        assert app.connections == (0, 1)
    for each in connections:
        each.close()


async def test_idle_connections_are_closed_after_their_time() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        await app.get(keepalive_timeout=0.1)
        assert app.connections == (0, 1)
        await origin.until_open(0)
        assert app.pool.statistics().origins == ()


async def test_without_a_keepalive_time_nothing_is_kept() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        await app.get(keepalive_timeout=0.0)
        assert app.connections == (0, 0)


async def test_connection_close_is_obeyed() -> None:
    async with ScriptedOrigin(answering(ok(b"x", "Connection: close"))) as origin, asker(origin) as app:
        await app.get()
        assert app.connections == (0, 0)
        await app.get()
    assert origin.connections == 2


async def test_only_so_many_idle_connections_are_kept() -> None:
    go_on = asyncio.Event()
    asked, script = held(go_on)
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(idle=2)) as app:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(app.get())
            await until(lambda: len(asked) == 5)
            go_on.set()
        assert app.connections == (0, 2)
        await origin.until_open(2)


async def test_those_who_wait_for_a_connection_are_served_in_turn() -> None:
    go_on = asyncio.Event()
    _, script = held(go_on)
    served: list[int] = []

    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(connections=1)) as app:

        async def ask(number: int) -> None:
            await app.send(asking("GET", f"/{number}"))
            served.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(ask(number))
            await until(lambda: app.waiting == 5)
            go_on.set()
        assert served == list(range(6))
        assert app.connections == (0, 1)
    assert [seen.target for seen in origin.requests] == [f"/{number}" for number in range(6)]
    assert origin.connections == 1


async def test_when_a_connection_breaks_the_first_in_line_opens_another() -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(ok(b"x", "Connection: close"))

    async with ScriptedOrigin(once) as origin, asker(origin, PoolLimits(connections=1)) as app:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(app.get()) for _ in range(5)]
        assert [task.result() for task in tasks] == [b"x"] * 5
    assert origin.connections == 5


async def test_nobody_waits_for_a_connection_longer_than_for_connecting() -> None:
    asked, script = held(asyncio.Event())
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(connections=1)) as app:
        first = asyncio.create_task(app.send())
        await until(lambda: len(asked) == 1)
        failure, why = await app.failure(connect_timeout=0.1)
        assert failure is OriginFailure.CONNECT_TIMEOUT
        assert why.endswith("no connection became free within 0.1 s")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_the_line_has_a_bound() -> None:
    asked, script = held(asyncio.Event())
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(connections=1, waiting=1)) as app:
        waiting = [asyncio.create_task(app.send()) for _ in range(2)]
        await until(lambda: len(asked) == 1)
        assert "too many requests" in (await app.failure())[1]
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_who_gives_up_waiting_leaves_the_line() -> None:
    go_on = asyncio.Event()
    asked, script = held(go_on)
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(connections=1)) as app:
        first = asyncio.create_task(app.get())
        await until(lambda: len(asked) == 1)
        second = asyncio.create_task(app.get())
        third = asyncio.create_task(app.get())
        await until(lambda: app.waiting == 2)
        second.cancel()
        await asyncio.wait([second])
        assert app.waiting == 1
        go_on.set()
        assert await first == await third == b"hello"


async def test_a_connection_given_to_one_who_just_gave_up_goes_to_the_next() -> None:
    go_on = asyncio.Event()
    asked, script = held(go_on)
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(connections=1)) as app:
        first = asyncio.create_task(app.send())
        await until(lambda: len(asked) == 1)
        second = asyncio.create_task(app.get())
        third = asyncio.create_task(app.get())
        await until(lambda: app.waiting == 2)
        first.add_done_callback(lambda _: second.cancel())  # just when the second one's turn has come
        go_on.set()
        await asyncio.wait([first, second, third])
        assert second.cancelled()
        assert third.result() == b"hello"
        assert app.connections == (0, 1)


async def test_a_retry_gets_a_fresh_connection_even_when_it_must_wait_in_line() -> None:
    scripts = (hangs_up_on_the_second, answering(ok(b"again")))
    async with ScriptedOrigin(*scripts) as origin, asker(origin, PoolLimits(connections=1)) as app:
        await app.get()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(app.get()) for _ in range(3)]
        assert [task.result() for task in tasks] == [b"again"] * 3
        assert app.connections == (0, 1)


async def test_giving_up_on_a_response_closes_its_connection() -> None:
    asked, script = held(asyncio.Event())
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        sending = asyncio.create_task(app.send())
        await until(lambda: len(asked) == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert app.connections == (0, 0)
        await origin.until_open(0)


async def test_giving_up_just_when_the_response_is_whole_leaves_the_connection_alone() -> None:
    go_on = asyncio.Event()
    asked, script = held(go_on)
    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        sending = asyncio.create_task(app.send())
        await until(lambda: len(asked) == 1)
        go_on.set()
        while app.connections == (1, 0):  # noqa: ASYNC110 the very turn of the loop matters
            await asyncio.sleep(0)
        assert not sending.done()
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        assert app.connections == (0, 1)
        assert await app.get() == b"hello"
    assert origin.connections == 1


async def test_a_closed_port_is_tried_as_often_as_allowed() -> None:
    async with ScriptedOrigin(answering(ok())) as origin:
        pass
    async with asker(origin) as app:
        failure, why = await app.failure(connection_attempts=2)
        assert failure is OriginFailure.CONNECT
        assert f"origin app at 127.0.0.1:{origin.port}: no connection" in why
        assert app.outcomes == ["OriginConnectError"] * 2
        assert (await app.failure(asking("POST"), connection_attempts=1))[0] is OriginFailure.CONNECT
        assert len(app.outcomes) == 3
        assert app.connections == (0, 0)


async def test_a_name_without_an_address_is_a_dns_failure_and_not_tried_again() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        failure, why = await app.failure(domain="nowhere.invalid")
        assert failure is OriginFailure.DNS
        assert "nowhere.invalid" in why
        assert app.outcomes == ["OriginDnsError"]


async def test_an_address_overrides_where_to_connect() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        assert await app.get(domain="nowhere.invalid", port=1, address=origin.address) == b"hello"
        assert app.pool.statistics().origins[0].address == origin.address


class TwoAddresses:
    """A resolver for a name of which only the second address listens."""

    async def addresses(self, host: str) -> tuple[str, ...]:
        return ("127.0.0.2", "127.0.0.1")


async def test_the_addresses_of_a_name_are_tried_in_turn() -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        app.pool._connector._resolvers.configured = TwoAddresses()
        assert await app.get(domain="app.example", connection_attempts=1) == b"hello"
        assert app.outcomes == ["200"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:http", ":"])
async def test_an_address_without_a_port_is_an_error(address: str) -> None:
    async with ScriptedOrigin(answering(ok())) as origin, asker(origin) as app:
        assert (await app.failure(address=address))[0] is OriginFailure.DNS


async def test_closing_fails_what_is_under_way_and_what_comes_later() -> None:
    asked, script = held(asyncio.Event())
    async with ScriptedOrigin(script) as origin, asker(origin, PoolLimits(connections=2)) as app:
        never = asyncio.Event()
        tasks = [
            asyncio.create_task(app.failure()),
            asyncio.create_task(app.failure(asking("POST", body=Dripping(b"x", never, length=5)))),
            asyncio.create_task(app.failure()),
        ]
        await until(lambda: len(asked) == 1 and app.waiting == 1)
        await app.pool.close()
        failures = {(await task)[0] for task in tasks}
        assert failures <= {OriginFailure.CLOSED, OriginFailure.CONNECT}
        assert (await app.failure())[0] is OriginFailure.CONNECT
        await origin.until_open(0)


async def test_a_body_still_arriving_when_the_pool_closes_is_not_taken_for_whole() -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await conversation.stall()

    async with ScriptedOrigin(script) as origin, asker(origin) as app:
        response = await app.send()
        await app.pool.close()
        with pytest.raises(OriginError):
            await content(response)


async def test_a_pool_without_work_sets_no_timers() -> None:
    pool = Pool()
    assert pool.statistics().origins == ()
    await pool.close()


async def test_many_callers_get_each_its_own_answer() -> None:
    async def echo(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            await conversation.send(ok(seen.target.encode()))

    async with ScriptedOrigin(echo) as origin, asker(origin, PoolLimits(connections=8)) as app:

        async def ask(number: int) -> bool:
            response = await app.send(asking("GET", f"/{number}"))
            return await content(response) == f"/{number}".encode()

        assert all(await asyncio.gather(*[ask(number) for number in range(500)]))
        assert app.connections == (0, 8)
    assert origin.connections == 8
