"""A location's credentials: what they open, what they don't, and how they end."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from edgefn.functions.replicas.base import Record, ReplicaError, Stored
from edgefn.functions.replicas.nats import accounts
from edgefn.functions.replicas.nats.authority import Authority
from edgefn.functions.replicas.nats.claims import UserClaims, user_token
from edgefn.functions.replicas.nats.layout import (
    BLOBS,
    PURGES,
    RECORDS,
    STATUSES,
    location_inbox,
    location_may_publish,
    location_may_subscribe,
)
from edgefn.functions.replicas.nats.link import Address, Login
from edgefn.functions.replicas.nats.nkeys import KeyPair, NkeyError, Owner
from edgefn.functions.replicas.nats.replica import NatsReplica
from tests.functions.nats.stage import begun, digest, head, hub, opened, pieces, user_key
from tests.waiting import until

OUR_STREAMS = (RECORDS, BLOBS, PURGES, STATUSES)
FORBIDDEN_TO_SEND = [
    "edgefn.record.head",
    "edgefn.record.alias.hello.live",
    "edgefn.record.trust",
    "edgefn.incarnation",
    f"edgefn.blob.{'0' * 64}",
    f"edgefn.blob.{'0' * 64}.0",
    "edgefn.purge",
    "edgefn.status.ams1",
    "edgefn.feed.record.head",
    "edgefn.feed.purge",
    "edgefn.feed.status.fra1",
    "edgefn.feed.asked",
    "edgefn.told.ams1",
    "_INBOX_ams1.1.1",
    "_INBOX.1.1",
    "anything.else",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.CREATE.MINE",
    f"$JS.API.DIRECT.GET.{STATUSES}",
    f"$JS.API.DIRECT.GET.{STATUSES}.edgefn.status.ams1",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.CLAIMS.UPDATE",
    *(
        f"$JS.API.{call}.{stream}"
        for stream in OUR_STREAMS
        for call in (
            "STREAM.CREATE",
            "STREAM.UPDATE",
            "STREAM.DELETE",
            "STREAM.PURGE",
            "STREAM.INFO",
            "STREAM.MSG.GET",
            "STREAM.MSG.DELETE",
            "STREAM.SNAPSHOT",
            "STREAM.RESTORE",
            "STREAM.LEADER.STEPDOWN",
            "CONSUMER.CREATE",
            "CONSUMER.CREATE.x",
            "CONSUMER.DURABLE.CREATE",
            "CONSUMER.NAMES",
            "CONSUMER.MSG.NEXT",
        )
    ),
]
FORBIDDEN_TO_HEAR = [
    ">",
    "*.>",
    "edgefn.>",
    "edgefn.record.>",
    "edgefn.status.>",
    "edgefn.feed.>",
    "edgefn.feed.status.>",
    "edgefn.told.*",
    "edgefn.told.ams1",
    "_INBOX_ams1.>",
    "_INBOX.>",
    "_R_.>",
    "$JS.>",
    "$JS.API.>",
    "$SYS.>",
]


async def overwritten_by_an_answer(attacker: NatsReplica, control: NatsReplica) -> bool:
    """Let an attacker name a forbidden subject as the one to be answered on, for everything that it may ask.

    Return whether anything that locations read has changed.
    """
    before = await control.append([Record("alias.a.live", b"old"), head(1)], {})
    await attacker.incarnation()
    client = attacker.link._client
    assert client is not None
    for asked in ("record.alias.a.live", "incarnation"):
        for answer_on in ("edgefn.record.head", "edgefn.purge", "edgefn.status.ams1", "edgefn.blob.x"):
            await client.publish(f"$JS.API.DIRECT.GET.{RECORDS}.edgefn.{asked}", b"", reply=answer_on)
            await client.publish("edgefn.status.fra1", b"me", reply=answer_on)
    await client.flush()
    await attacker.incarnation()
    # What the server still does for it comes before what it does for the control plane on the same streams.
    await control.set_status("control", b"last")
    found = await control.get("head")
    return (
        found is None
        or found.sequence != before
        or await control.last_purge() > 0
        or "ams1" in await control.statuses()
        or await control.has_blob("0" * 64)
    )


async def test_a_location_reads_everything_and_writes_its_own_status(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        await control.append([Record("fn.a", b"1"), head(1)], {})
        await control.put_blob(digest(b"blob"), pieces(b"blob"))
        location = running.location("fra1")
        assert [record.value for record in await location.read()] == [b"1", b"1"]
        assert [piece async for piece in location.get_blob(digest(b"blob"))] == [b"blob"]
        assert await location.last_purge() == 0
        await location.set_status("fra1", b"here")
        assert await control.statuses() == {"fra1": b"here"}
        await location.close()


async def test_names_that_begin_alike_or_have_dots_are_told_apart(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        names = ("fra1", "fra1.cage-2", "fra1_cage-2", "f")
        locations = {name: running.location(name) for name in names}
        for name, location in locations.items():
            await location.set_status(name, name.encode())
            for other in set(names) - {name}:
                with pytest.raises(ReplicaError, match="refuses us"):
                    await location.set_status(other, b"forged")
                async with location.link.listening(f"{location_inbox(other)}.>") as ear:
                    await until(lambda refused=ear: refused.is_refused, seconds=5)
        assert await control.statuses() == {name: name.encode() for name in names}
        for location in locations.values():
            await location.close()


@pytest.mark.parametrize("name", ["", "*", ">", "a.>", "fra 1", "fra1~x", ".a", "é", "a" * 64])
def test_what_is_no_name_of_a_location_gets_no_token(name: str) -> None:
    with pytest.raises(ReplicaError, match="no name of a location"):
        Authority.begin(os.urandom).location_token(name, user_key().public, 0, 1)


async def test_nobody_can_guess_where_a_location_is_answered(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, _):
        one, other = running.location("fra1"), running.location("fra1")
        assert one.link._inbox(1) != other.link._inbox(1)
        assert len(one.link._inbox(1)) >= len("_INBOX_fra1.") + 32
        await one.close()
        await other.close()


async def test_a_location_can_send_to_no_forbidden_subject(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        location = running.location("fra1")
        await location.incarnation()
        for subject in FORBIDDEN_TO_SEND:
            with pytest.raises(ReplicaError, match="refuses us"):
                await location.link.ask(subject, b"{}")
        assert await control.read() == []
        assert await control.last_purge() == 0
        assert await control.statuses() == {}
        await location.close()


async def test_a_location_can_hear_no_forbidden_subject(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, _):
        location = running.location("fra1")
        await location.incarnation()
        for subject in FORBIDDEN_TO_HEAR:
            async with location.link.listening(subject) as ear:
                await until(lambda refused=ear: refused.is_refused, seconds=5)
        async with location.link.listening("edgefn.feed.record.>") as ear:
            assert not ear.is_refused
        await location.close()


async def test_an_answer_to_a_location_can_not_be_led_into_the_streams(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        location = running.location("fra1")
        assert not await overwritten_by_an_answer(location, control)
        await location.close()


async def test_in_one_account_with_the_streams_it_could(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        key, now = user_key(), int(time.time())
        claims = UserClaims("fra1", key.public, location_may_publish("fra1"), location_may_subscribe("fra1"), now + 60)
        token = user_token(claims, running.authority.keys["fleet"], now)
        attacker = opened(Address((running.url,), lambda: Login(token, key), inbox=location_inbox("fra1")))
        assert await overwritten_by_an_answer(attacker, control)
        await attacker.close()


async def test_a_revoked_location_is_cut_within_two_seconds_and_others_are_not(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        key = user_key()
        stolen, other, system = running.location("fra1", key), running.location("ams1"), running.system()
        await stolen.incarnation()
        await other.incarnation()
        now = int(time.time())
        running.authority = running.authority.revoke(key.public, now)
        await accounts.tell(system, running.authority, now + 1)
        await until(lambda: not stolen.link.is_up, seconds=2)
        with pytest.raises(ReplicaError, match="Authorization Violation"):
            await stolen.incarnation()
        assert (other.link.connections, control.link.connections) == (1, 1)
        assert await other.incarnation() == "first-log"
        for replica in (stolen, other):
            await replica.close()
        await system.close()


async def test_a_revocation_holds_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, _):
        key, system = user_key(), running.system()
        location = running.location("fra1", key)
        assert await location.incarnation() == "first-log"
        now = int(time.time())
        running.authority = running.authority.revoke(key.public, now)
        await accounts.tell(system, running.authority, now + 1)
        await system.close()
        await running.server.stop()
        await running.restart()
        with pytest.raises(ReplicaError, match="Authorization Violation"):
            await location.incarnation()
        await location.close()


async def test_a_token_that_runs_out_is_replaced_by_its_successor(tmp_path: Path) -> None:
    async with begun(tmp_path) as (running, control):
        key, now = user_key(), int(time.time())
        tokens = [running.authority.location_token("fra1", key.public, now, now + left) for left in (2, 60)]
        given = iter(tokens)
        address = Address((running.url,), lambda: Login(next(given, tokens[-1]), key), inbox=location_inbox("fra1"))
        location = opened(address)
        following = location.follow(0, "")
        first = asyncio.ensure_future(anext(following))
        await until(lambda: location.link.connections == 2)
        await control.append([head(1)], {})
        async with asyncio.timeout(20):
            assert await first == Stored(2, "head", b"1")
        await location.close()


async def test_a_key_that_nobody_vouched_for_opens_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as running:
        stranger = Authority.begin(os.urandom)
        key, now = user_key(), int(time.time())
        token = stranger.location_token("fra1", key.public, now, now + 60)
        replica = opened(Address((running.url,), lambda: Login(token, key), inbox=location_inbox("fra1")))
        with pytest.raises(ReplicaError, match="Authorization Violation"):
            await replica.incarnation()
        await replica.close()


def test_the_keys_survive_writing_and_reading() -> None:
    authority = Authority.begin(os.urandom).revoke(user_key().public, 1234)
    again = Authority.read(authority.write())
    assert again.accounts(5) == authority.accounts(5)
    assert again.revoked == authority.revoked


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"keys": {}, "revoked": {}}', '{"keys": [], "revoked": 1}'])
def test_a_damaged_file_of_keys_says_so(damage: str) -> None:
    with pytest.raises(ReplicaError, match="damaged"):
        Authority.read(damage)


def test_a_seed_is_read_back_and_nothing_else_is() -> None:
    key = user_key()
    assert KeyPair.from_seed(key.seed).public == key.public
    assert key.seed not in repr(key)
    for damaged in (
        "",
        "no",
        key.public,
        key.seed[:-1],
        key.seed.replace(key.seed[5], "7" if key.seed[5] != "7" else "6"),
    ):
        with pytest.raises(NkeyError) as told:
            KeyPair.from_seed(damaged)
        assert key.seed[8:] not in str(told.value)


def test_only_the_key_of_a_user_can_be_registered_or_revoked() -> None:
    authority = Authority.begin(os.urandom)
    account = KeyPair(Owner.ACCOUNT, os.urandom(32))
    for wrong in (account.public, user_key().seed, "", "UABC"):
        with pytest.raises(ReplicaError, match="the key that the location printed"):
            authority.location_token("fra1", wrong, 0, 1)
        with pytest.raises(ReplicaError):
            authority.revoke(wrong, 0)
