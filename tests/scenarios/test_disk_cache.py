"""A location with a disk cache, through its front door: what it serves from where, and what it survives."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError

from edgefn.model.message import Body
from edgefn.stores.base import Found
from edgefn.stores.disk.base import GoneError
from edgefn.stores.disk.store import DiskStore
from tests.fakes.scripted_origin import Conversation, Script, ScriptedOrigin, ok
from tests.proxy.cache_stage import settled
from tests.scenarios.edge import Answer, Edge

CONFIG = """
cache: {memory: 1MB, disk: 64MB}
origins: {app: {url: "http://{origin}"}}
routes: [{path: "*", origin: app}]
"""
FRESH = "Cache-Control: max-age=600"
MANY = bytes(range(251)) * 4_000  # a megabyte in which each place looks different
PATIENCE = 10.0
SHOP = "shop.test"  # each start has a port of its own


def body_of(target: str) -> bytes:
    size = int(target.rpartition("/")[2].partition("?")[0])
    return (hashlib.sha256(target.encode()).digest() * (size // 32 + 1))[:size]


async def sized(conversation: Conversation) -> None:
    """Answer `/anything/SIZE` with so many bytes."""
    while (seen := await conversation.request()) is not None:
        await conversation.send(ok(body_of(seen.target), FRESH, 'ETag: "v1"'))


async def test_a_restart_keeps_the_cache_warm(tmp_path: Path) -> None:
    async with ScriptedOrigin(sized) as origin:
        targets = [f"/{size}" for size in (0, 100, 40_000, 300_000)]
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            for target in targets:
                assert (await edge.get(target, Host=SHOP)).body == body_of(target)
        asked = len(origin.requests)
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            for target in targets:
                answer = await edge.get(target, Host=SHOP)
                assert (answer.body, answer.x_cache) == (body_of(target), "Hit"), target
                assert "hit" in answer["Cache-Status"]
        assert len(origin.requests) == asked == len(targets)


async def test_what_is_large_is_read_from_disk_and_ranges_of_it_too(tmp_path: Path) -> None:
    async with ScriptedOrigin(sized) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        whole = (await edge.get("/900000")).body
        again = await edge.get("/900000")
        assert (again.x_cache, again.body == whole) == ("Hit", True)
        part = await edge.get("/900000", Range="bytes=700000-700099")
        assert (part.status, part["Content-Range"], part.body) == (
            206, "bytes 700000-700099/900000", whole[700_000:700_100],
        )  # fmt: skip
        beyond = await edge.get("/900000", Range="bytes=900000-")
        assert (beyond.status, beyond["Content-Range"]) == (416, "bytes */900000")
        known = await edge.get("/900000", If_None_Match='"v1"')
        assert (known.status, known.x_cache) == (304, "Hit")
        head = await edge.ask("HEAD", "/900000")
        assert (head.status, head["Content-Length"], head.x_cache) == (200, "900000", "Hit")
        assert len(origin.requests) == 1


async def test_viewers_follow_a_large_body_while_it_is_coming(tmp_path: Path) -> None:
    """The second one comes when half of it is here, and gets the first half at once."""
    half, goes_on = asyncio.Event(), asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        head = f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {len(MANY)}\r\n\r\n".encode()
        await conversation.send(head + MANY[:600_000])
        half.set()
        if await conversation.hold(goes_on):
            await conversation.send(MANY[600_000:])

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            first = group.create_task(edge.get("/big"))
            await half.wait()
            async with edge.session.get(f"{edge.base}/big") as second:
                begun = await second.content.readexactly(600_000)
                assert begun == MANY[:600_000]
                assert "collapsed" in second.headers["Cache-Status"]
                goes_on.set()
                assert await second.content.read() == MANY[600_000:]
        assert first.result().body == MANY
        assert origin.connections == 1
        assert (await edge.get("/big")).x_cache == "Hit"


async def test_a_body_of_unknown_length_is_kept_too(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for begin in range(0, len(MANY), 100_000):
            piece = MANY[begin : begin + 100_000]
            await conversation.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        await conversation.send(b"0\r\n\r\n")
        await conversation.stall()

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        first, second = await edge.get("/chunked"), await edge.get("/chunked")
        assert first.body == second.body == MANY
        assert (first.x_cache, second.x_cache, origin.connections) == ("Miss", "Hit", 1)


async def test_what_broke_off_is_not_kept(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        head = f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {len(MANY)}\r\n\r\n".encode()
        await conversation.send(head + MANY[:600_000])
        conversation.close()

    async def whole(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.send(ok(MANY, FRESH))

    async with ScriptedOrigin(script, whole) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        with pytest.raises(ClientPayloadError):
            await edge.get("/big")
        assert (await edge.get("/big")).body == MANY
        assert (await edge.get("/big")).x_cache == "Hit"
        assert not [path for path in (tmp_path / "var/cache/bodies").rglob("*") if path.is_file()][1:]


async def test_a_validated_large_response_keeps_its_body(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            if seen.header("If-None-Match") == '"v1"':
                await conversation.send(
                    b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: max-age=600\r\n\r\n'
                )
            else:
                await conversation.send(ok(MANY, "Cache-Control: max-age=0", 'ETag: "v1"'))

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        assert (await edge.get("/big")).x_cache == "Miss"
        validated = await edge.get("/big")
        assert (validated.x_cache, validated.body == MANY) == ("RefreshHit", True)
        hit = await edge.get("/big")
        assert (hit.x_cache, hit.body == MANY) == ("Hit", True)
        assert len(origin.requests) == 2


async def test_what_grows_beyond_memory_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    """A no-cache of the viewer's fetches the page anew while the old, small one is still fresh in memory."""
    contents = iter([b"small", MANY])

    async def script(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.send(ok(next(contents), FRESH))

    config = CONFIG.replace("origin: app}]", "origin: app, cache: {honour_request: true}}]")
    async with ScriptedOrigin(script) as origin, Edge(config, tmp_path, origin=origin.address) as edge:
        assert (await edge.get("/a")).body == b"small"
        assert (await edge.get("/a", Cache_Control="no-cache")).body == MANY
        hit = await edge.get("/a")
        assert (hit.x_cache, hit.body == MANY) == ("Hit", True)


async def test_a_head_updates_a_large_response_on_disk(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            whole = ok(MANY, "Cache-Control: max-age=0" if seen.method == "GET" else FRESH, 'ETag: "v1"')
            await conversation.send(whole if seen.method == "GET" else whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        assert (await edge.get("/big")).x_cache == "Miss"
        assert (await edge.ask("HEAD", "/big")).x_cache == "Miss"
        hit = await edge.get("/big")
        assert (hit.x_cache, hit.body == MANY) == ("Hit", True)


async def test_a_head_that_tells_of_another_response_ends_a_large_part_on_disk(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            if seen.method == "HEAD":
                await conversation.send(
                    f'HTTP/1.1 200 OK\r\nETag: "v2"\r\nContent-Length: {len(MANY)}\r\n\r\n'.encode()
                )
            elif seen.header("If-None-Match") is not None:
                await conversation.send(ok(b"v2" * (len(MANY) // 2), FRESH, 'ETag: "v2"'))
            else:
                place = f"Content-Range: bytes 0-899999/{len(MANY)}"
                part = ok(MANY[:900_000], FRESH, 'ETag: "v1"', place)
                await conversation.send(part.replace(b"200 OK", b"206 Partial Content", 1))

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        assert (await edge.get("/big", Range="bytes=0-899999")).body == MANY[:900_000]
        held = await edge.get("/big", Range="bytes=500000-500099")
        assert (held.x_cache, held.body) == ("Hit", MANY[500_000:500_100])
        assert (await edge.ask("HEAD", "/big")).x_cache == "Miss"
        anew = await edge.get("/big", Range="bytes=500000-500099")
        assert anew["ETag"] == '"v2"'


async def test_a_large_answer_that_was_slow_does_not_cover_a_newer_one(tmp_path: Path) -> None:
    """What a viewer with no-cache got was made later, and is stored already when the slow one comes to its end."""
    half, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(conversation: Conversation) -> None:
        await conversation.request()
        head = f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {len(MANY)}\r\nAge: 60\r\n\r\n".encode()
        await conversation.send(head + MANY[:600_000])
        half.set()
        if await conversation.hold(goes_on):
            await conversation.send(MANY[600_000:])

    new = bytes(reversed(MANY))

    async def fast(conversation: Conversation) -> None:
        while await conversation.request():
            await conversation.send(ok(new, FRESH))

    config = CONFIG.replace("origin: app}]", "origin: app, cache: {honour_request: true}}]")
    async with ScriptedOrigin(slow, fast) as origin, Edge(config, tmp_path, origin=origin.address) as edge:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            first = group.create_task(edge.get("/big"))
            await half.wait()
            assert (await edge.get("/big", Cache_Control="no-cache")).body == new  # it does not follow the old one
            while (await edge.get("/big", Cache_Control="only-if-cached", Range="bytes=0-9")).status != 206:
                pass  # until it is on disk
            goes_on.set()
            await first
            while "collapsed" in (hit := await edge.get("/big"))["Cache-Status"]:
                pass  # until the slow one has been looked at
        assert first.result().body == MANY
        assert (hit.x_cache, hit.body == new, len(origin.requests)) == ("Hit", True, 2)


async def test_behind_a_large_response_it_is_validated_once(tmp_path: Path) -> None:
    """What comes may not be stored, so nobody gets the old one any more."""
    answers = iter([ok(MANY, "Cache-Control: max-age=0, stale-while-revalidate=600", 'ETag: "v1"')])

    async def script(conversation: Conversation) -> None:
        while await conversation.request() is not None:
            await conversation.send(next(answers, ok(b"new", "Cache-Control: no-store")))

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        assert (await edge.get("/big")).x_cache == "Miss"
        assert (await edge.get("/big")).body == MANY
        async with asyncio.timeout(PATIENCE):
            while (await edge.get("/big")).body != b"new":
                pass  # until what came behind it has been looked at
        assert (await edge.get("/big")).body == b"new"


async def test_a_vary_miss_is_told_from_disk_too(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            await conversation.send(ok(f"{seen.header('X-A')}".encode() * 100_000, FRESH, "Vary: X-A"))

    async with ScriptedOrigin(script) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        assert "uri-miss" in (await edge.get("/v", X_A="1"))["Cache-Status"]
        assert "vary-miss" in (await edge.get("/v", X_A="2"))["Cache-Status"]
        for value in ("1", "2"):
            answer = await edge.get("/v", X_A=value)
            assert (answer.x_cache, answer.body) == ("Hit", value.encode() * 100_000)


async def test_many_who_come_at_once_after_a_restart_ask_the_disk(tmp_path: Path) -> None:
    async with ScriptedOrigin(sized) as origin:
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            for target in ("/9000", "/900000"):
                await edge.get(target, Host=SHOP)
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            targets = ["/9000", "/900000"] * 20
            answers = await asyncio.gather(*(edge.get(target, Host=SHOP) for target in targets))
            assert [answer.body for answer in answers] == [body_of(target) for target in targets]
            assert {answer.x_cache for answer in answers} == {"Hit"}
        assert len(origin.requests) == 2


async def test_what_changes_a_large_response_drops_it_from_disk(tmp_path: Path) -> None:
    async with ScriptedOrigin(sized) as origin:
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            for target in ("/900000", "/200"):
                await edge.get(target, Host=SHOP)
                await edge.ask("POST", target, headers={"Host": SHOP})
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            told = [(await edge.get(target, Host=SHOP)).x_cache for target in ("/900000", "/200")]
            assert told == ["Miss", "Miss"]


def damage(directory: Path, at: int) -> None:
    """Change a byte of the one large body there is."""
    (path,) = (path for path in directory.rglob("bodies/*/*") if path.is_file())
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def having(tag: str) -> Script:
    """Return an origin that has MANY under the tag, and answers ranges of it."""

    async def script(conversation: Conversation) -> None:
        while (seen := await conversation.request()) is not None:
            wanted = seen.header("range") if seen.header("if-range") in {None, tag} else None
            if wanted is None:
                await conversation.send(ok(MANY, FRESH, f"ETag: {tag}"))
                continue
            first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
            part = MANY[first : last + 1]
            told = f"Content-Range: bytes {first}-{last}/{len(MANY)}\r\nContent-Length: {len(part)}\r\nETag: {tag}"
            await conversation.send(f"HTTP/1.1 206 Partial Content\r\n{FRESH}\r\n{told}\r\n\r\n".encode() + part)

    return script


@pytest.mark.parametrize("asked", [None, "bytes=5000-900000"])
async def test_where_a_large_body_is_damaged_the_rest_comes_from_the_origin(tmp_path: Path, asked: str | None) -> None:
    ranged = {} if asked is None else {"Range": asked}
    expected = MANY if asked is None else MANY[5_000:900_001]
    async with ScriptedOrigin(having('"v1"')) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        await edge.get("/large")
        damage(tmp_path, 700_000)
        answer = await edge.get("/large", If_None_Match='"other"', **ranged)
        assert (answer.x_cache, answer.body == expected) == ("Hit", True)
        again = origin.requests[-1]
        assert (again.header("if-range"), again.header("if-none-match")) == ('"v1"', None)
        assert (again.header("range") or "").startswith("bytes=")
        assert len(origin.requests) == 2
        answer = await edge.get("/large", **ranged)
        assert (answer.x_cache, answer.body == expected) == ("Miss", True), "what is damaged is not kept"


async def test_what_is_dropped_before_it_is_opened_is_looked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, get = DiskStore.open, DiskStore.get
    looked, drops = asyncio.Event(), iter(range(2))
    others: list[asyncio.Task[Answer]] = []

    async def dropped(self: DiskStore, found: Found, first: int = 0, length: int | None = None) -> Body:
        if next(drops, None) is None:
            return await opened(self, found, first, length)
        looked.clear()
        others.append(asyncio.create_task(edge.get("/900000")))
        await looked.wait()  # so that somebody else is looking when we do so again
        raise GoneError("another worker has just dropped it")

    async def slowly(self: DiskStore, key: str) -> Sequence[Found]:
        looked.set()
        await settled()
        return await get(self, key)

    async with ScriptedOrigin(sized) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        await edge.get("/900000")
        monkeypatch.setattr(DiskStore, "open", dropped)
        monkeypatch.setattr(DiskStore, "get", slowly)
        async with asyncio.timeout(PATIENCE):
            answers = [await edge.get("/900000"), *await asyncio.gather(*others)]
        assert [answer.body == body_of("/900000") for answer in answers] == [True, True, True]


async def test_what_is_always_dropped_before_it_is_opened_comes_from_the_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dropped(self: DiskStore, found: Found, first: int = 0, length: int | None = None) -> Body:
        raise GoneError("another worker has just dropped it")

    config = CONFIG.replace("origin: app}", "origin: app, cache: {honour_request: true}}")
    async with ScriptedOrigin(sized) as origin, Edge(config, tmp_path, origin=origin.address) as edge:
        await edge.get("/900000")
        monkeypatch.setattr(DiskStore, "open", dropped)
        answer = await edge.get("/900000")
        assert (answer.x_cache, answer.body == body_of("/900000")) == ("Miss", True)
        assert (await edge.get("/900000", **{"Cache-Control": "only-if-cached"})).status == 504
        assert len(origin.requests) == 2


@pytest.mark.parametrize("tag", ['W/"v1"', '"v2"'])
async def test_nothing_is_put_together_that_may_not_belong_together(tmp_path: Path, tag: str) -> None:
    """The origin has something else by now, or what it has says not for sure that it is the same."""
    first = having('"v1"' if tag == '"v2"' else tag)
    async with ScriptedOrigin(first) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        await edge.get("/large", Host=SHOP)
    damage(tmp_path, 700_000)
    async with ScriptedOrigin(having(tag)) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        with pytest.raises(ClientPayloadError):
            await edge.get("/large", Host=SHOP)
        answer = await edge.get("/large", Host=SHOP)
        assert (answer.x_cache, answer.body == MANY) == ("Miss", True)


async def test_without_a_disk_what_was_there_is_gone(tmp_path: Path) -> None:
    """Turned on again, it would not know of the purges in between."""
    async with ScriptedOrigin(sized) as origin:
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            await edge.get("/200", Host=SHOP)
        async with Edge(CONFIG.replace(", disk: 64MB", ""), tmp_path, origin=origin.address) as edge:
            assert (await edge.get("/200", Host=SHOP)).x_cache == "Miss"
            assert not (tmp_path / "var/cache").exists()
        async with Edge(CONFIG, tmp_path, origin=origin.address) as edge:
            assert (await edge.get("/200", Host=SHOP)).x_cache == "Miss"


async def test_a_disk_that_can_not_be_used_is_told_of_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/cache").write_text("no directory")
    async with ScriptedOrigin(sized) as origin, Edge(CONFIG, tmp_path, origin=origin.address) as edge:
        assert [(await edge.get("/200")).x_cache for _ in range(2)] == ["Miss", "Hit"]
        assert (await edge.get("/900000")).body == body_of("/900000")
    assert caplog.text.count("going on in memory alone") == 1
