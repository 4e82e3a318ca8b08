"""Requests that come again: what is remembered of them, for how long, and in how much memory."""

import gc
import itertools
import tracemalloc
from collections.abc import Iterator
from weakref import ref

import pytest

from edgefn.model.headers import Headers
from edgefn.model.message import Request
from edgefn.model.settings import CachePolicy, Selecting, Selection, ViewerLimits
from edgefn.proxy.background import Background
from edgefn.proxy.cache import Cache
from edgefn.proxy.flights import Flights
from edgefn.proxy.relay import RelayRepeat
from edgefn.proxy.repeats import Cut, Repeat, Repeats, cut
from edgefn.rules.purges import Everything
from edgefn.stores.ledger import LocalLedger
from edgefn.stores.memory import MemoryStore
from edgefn.stores.stock import Stock
from edgefn.wire.essence import Essences
from tests.proxy.cache_stage import NOW, Clock, Origin, asking, saying

ROOM = 1024**2
DATE = ("Date", "Thu, 28 May 2026 20:26:40 GMT")  # NOW
LASTS = ("Cache-Control", "max-age=60")
HEAD = b"HTTP/1.1 200 OK\r\n%bX-Amz-Cf-Id: %b\r\nContent-Length: 5\r\n\r\n"


class Place:
    """A cache, and what is remembered of its hits."""

    def __init__(
        self, *lines: tuple[str, str], room: int = ROOM, policy: CachePolicy | None = None, body: str = "hello"
    ) -> None:
        self.clock = Clock()
        self.stock = Stock(MemoryStore(1024**2), LocalLedger(), None, self.clock)
        flights = Flights(epoch=self.stock.epoch)
        self.cache = Cache(self.stock, policy or CachePolicy(), flights, self.clock, Background())
        self.origin = Origin(lambda request: saying(body, *(lines or (DATE, LASTS))))
        self.repeats = Repeats(room, ViewerLimits())
        self._ids = itertools.count(1)

    async def comes(self, block: bytes = b"GET /a", request: Request | None = None) -> tuple[bytes, bytes] | None:
        """Let a request come in; return its answer if it was remembered."""
        known = self.repeats.get(block)
        answer = None if known is None else known.answer(f"id-{next(self._ids)}")
        if answer is None:
            self.repeats.drop(block)
            asked = request or asking()
            response = await self.cache.serve(asked, self.origin)
            if response.headers.get("age") is not None:
                lines = [line for line in response.headers if line not in (DATE, LASTS)]
                head = HEAD % ("".join(f"{name}: {value}\r\n" for name, value in lines).encode(), asked.id.encode())
                self.repeats.learn(block, asked, head, self.cache)
        return answer

    async def is_remembered(self) -> "Place":
        for _ in range(3):  # a miss, a hit, and one that comes twice
            assert await self.comes() is None
        return self


async def test_what_comes_twice_is_answered_with_its_own_id_and_age() -> None:
    place = await Place().is_remembered()
    told = b"Age: 0\r\nCache-Status: edgefn; hit; ttl=60\r\n"
    assert await place.comes() == (HEAD % (told, b"id-1"), b"hello")
    place.clock.passes(12.5)
    told = b"Age: 12\r\nCache-Status: edgefn; hit; ttl=47\r\n"
    assert await place.comes() == (HEAD % (told, b"id-2"), b"hello")
    assert await place.comes() == (HEAD % (told, b"id-3"), b"hello")
    assert len(place.origin.asked) == 1


async def test_an_answer_says_nothing_of_the_cache_where_that_is_not_wanted() -> None:
    place = await Place(policy=CachePolicy(cache_status=False)).is_remembered()
    assert await place.comes() == (HEAD % (b"Age: 0\r\n", b"id-1"), b"hello")


async def test_what_is_no_longer_fresh_goes_the_usual_way() -> None:
    place = await Place().is_remembered()
    place.clock.passes(59.9)
    assert await place.comes() is not None
    place.clock.passes(0.1)
    assert await place.comes() is None
    assert len(place.origin.asked) == 2


async def test_what_was_purged_or_replaced_goes_the_usual_way() -> None:
    place = await Place().is_remembered()
    await place.stock.purge(Everything(), soft=False)
    place.clock.passes(1)
    assert await place.comes() is None
    assert len(place.origin.asked) == 2
    await place.comes()
    assert await place.comes() is not None
    (stored,) = place.stock.peek(key := place.cache.source_of(asking()).key)  # type: ignore[union-attr]
    place.stock.put(key, stored.softened(NOW), place.stock.epoch())
    assert await place.comes() is None


@pytest.mark.parametrize("line", [("If-None-Match", '"x"'), ("If-Modified-Since", DATE[1]), ("Range", "bytes=0-1")])
async def test_what_asks_for_less_than_the_whole_is_not_remembered(line: tuple[str, str]) -> None:
    place = Place()
    for _ in range(5):
        assert await place.comes(request=asking("/a", line)) is None


async def test_a_remembered_request_keeps_no_connection_alive() -> None:
    place = Place()
    sent: list[int] = []
    asked = Request(**{**{name: getattr(asking(), name) for name in asking().__slots__},
                       "interim": lambda status, headers: sent.append(status)})  # fmt: skip
    for _ in range(3):
        await place.comes(request=asked)
    known = place.repeats.get(b"GET /a")
    assert known is not None
    known.request.interim(103, Headers())
    assert sent == []


async def test_no_more_is_remembered_than_there_is_room_for() -> None:
    place = Place(room=40_000)
    names = [b"GET /%d" % number for number in range(200)]
    for name in names:
        for _ in range(3):
            await place.comes(name)
    remembered = [name for name in names if place.repeats.get(name) is not None]
    assert 0 < len(remembered) < 40, "by what one takes at least"
    assert remembered[-1] == names[-1]


async def test_bodies_lie_in_the_store_alone() -> None:
    place = await Place(room=10_000, body="a" * 20_000).is_remembered()
    assert await place.comes() is not None
    source = place.cache.source_of(asking())
    assert source is not None
    stored = ref(*place.stock.peek(source.key))
    assert stored() is not None
    await place.stock.remove(source.key)
    assert stored() is None


def kept_by(places: list[Repeats]) -> int:
    """Return the bytes of memory that come free with them."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    places.clear()
    gc.collect()
    return before - tracemalloc.get_traced_memory()[0]


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("query", ["", "q" * 3_000])
async def test_long_heads_take_no_more_than_there_is_room_for(query: str) -> None:
    place = Place(room=200_000)
    place.stock = Stock(MemoryStore(2**24), LocalLedger(), None, place.clock)
    for number in range(80):
        lines = [(f"X-{number}-{line}", f"{line} of {number}") for line in range(100)]
        for _ in range(4):
            name = GET.replace(b"/a", b"/%d?%b" % (number, query.encode())) % b"A: b\r\n"
            await place.comes(name, asking(f"/{number}?{query}", *lines))
    places, place.repeats = [place.repeats], Repeats(0, ViewerLimits())
    assert 20_000 < kept_by(places) < 200_000


@pytest.mark.usefixtures("traced")
def test_nor_do_those_of_requests_that_are_passed_on() -> None:
    class Passing:
        def repeat_of(self, request: Request) -> RelayRepeat:
            return RelayRepeat(self, request, b"f" * 500, b"b" * 500)  # type: ignore[arg-type]

    places = [Repeats(400_000, ViewerLimits())]
    for number in range(80):
        for _ in range(2):
            lines = [(f"X-{number}-{line}", f"{line} of {number}") for line in range(100)]
            asked = asking(f"/{number}", *lines)
            asked.headers.memo = Headers(asked.headers).names()  # as whoever makes the origin's head leaves something
            places[0].learn_relay(b"GET /%d" % number, Passing(), asked)  # type: ignore[arg-type]
    del asked, lines  # else the last one is kept here
    assert 100_000 < kept_by(places) < 400_000


def all_repeats() -> list[object]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, Repeat)]


async def test_no_name_of_a_request_outlives_what_it_stands_for() -> None:
    place = Place()
    names = [GET % b"Cookie: n=%d\r\n" % number for number in range(3)]
    for name in names * 6:
        await place.comes(name)
    assert {id(place.repeats.get(name)) for name in names} == {id(each) for each in all_repeats()}
    await place.stock.purge(Everything(), soft=False)
    place.clock.passes(1)
    assert await place.comes(names[0]) is None
    assert all_repeats() == []
    assert await place.comes(names[0]) is None
    for name in names:
        assert await place.comes(name) is not None


async def test_what_is_asked_for_stays_while_others_come_and_go() -> None:
    place = Place(room=40_000)
    for name in [b"GET /%d" % number for number in range(200)]:
        for _ in range(3):
            await place.comes(name)
        await place.comes(b"GET /often")
    assert place.repeats.get(b"GET /often") is not None


async def test_one_that_is_learned_again_and_again_takes_the_room_of_one() -> None:
    place = Place(room=40_000)
    asked = asking()
    for name in (b"GET /a", b"GET /b"):
        for _ in range(3):
            await place.comes(name, asked)
    for _ in range(100):
        source = place.cache.source_of(asked)
        assert source is not None
        found = place.cache.hit_again(source)
        assert found is not None
        told = "".join(f"{name}: {value}\r\n" for name, value in place.cache.told_of(*found))
        place.repeats.learn(b"GET /b", asked, HEAD % (told.encode(), asked.id.encode()), place.cache)
    assert place.repeats.get(b"GET /a") is not None
    assert place.repeats.get(b"GET /b") is not None


async def test_very_long_requests_are_not_remembered() -> None:
    place = Place()
    for _ in range(5):
        assert await place.comes(b"GET /" + b"a" * 4_096) is None


GET = b"GET /a HTTP/1.1\r\nHost: a\r\n%b\r\n"


async def test_what_differs_only_in_what_matters_to_nobody_is_known() -> None:
    place = Place()
    for number in range(3):
        assert await place.comes(GET % (b"Cookie: n=%d\r\n" % number)) is None
    assert await place.comes(GET % b"Cookie: n=3\r\nUser-Agent: me\r\n") is not None
    assert await place.comes(GET % b"") is not None
    assert await place.comes(GET % b"Accept-Encoding: gzip\r\n") is None
    assert await place.comes(GET % b"Cookie : n=4\r\n") is None, "no request at all"


@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        (CachePolicy(headers=("user-agent",)), (DATE, LASTS)),
        (CachePolicy(cookies=Selection(Selecting.ONLY, ("n",))), (DATE, LASTS)),
        (CachePolicy(), (DATE, LASTS, ("Vary", "Accept-Encoding, Cookie"))),
    ],
)
async def test_where_other_fields_matter_all_bytes_do(policy: CachePolicy, lines: tuple[tuple[str, str], ...]) -> None:
    place = Place(*lines, policy=policy)
    for number in range(5):
        assert await place.comes(GET % (b"Cookie: n=%d\r\n" % number)) is None
    assert await place.comes(GET % b"Cookie: n=4\r\n") is None, "it came once, and now twice"
    assert await place.comes(GET % b"Cookie: n=4\r\n") is not None


@pytest.mark.parametrize("lines", [(), (("Vary", "Origin, Accept-Encoding"),)])
async def test_what_comes_again_to_the_letter_is_known_by_all_its_bytes(
    lines: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(DATE, LASTS, *lines)
    for number in range(6):
        await place.comes(GET % (b"Cookie: n=%d\r\n" % (number // 3)))
    monkeypatch.setattr(Essences, "of", lambda self, block: None)
    assert await place.comes(GET % b"Cookie: n=1\r\n") is not None
    assert await place.comes(GET % b"Cookie: n=2\r\n") is None


async def test_variants_side_by_side_are_each_known() -> None:
    place = Place()
    vary = ("Vary", "Origin")
    place.origin.says = lambda request: saying(request.headers.get("origin") or "none", DATE, LASTS, vary)
    asked = {
        b"": asking(),
        b"Origin: a\r\n": asking("/a", ("Origin", "a")),
        b"Origin: b\r\n": asking("/a", ("Origin", "b")),
    }
    answers: list[tuple[bytes, bytes] | None] = []
    for _ in range(4):
        answers = [await place.comes(GET % line, request) for line, request in asked.items()]
    assert [None if answer is None else answer[1] for answer in answers] == [b"none", b"a", b"b"]
    assert len(place.origin.asked) == 3


async def test_what_was_purged_is_known_by_neither_name() -> None:
    place = Place()
    for _ in range(6):
        await place.comes(GET % b"Cookie: n=1\r\n")
    await place.stock.purge(Everything(), soft=False)
    place.clock.passes(1)
    assert await place.comes(GET % b"Cookie: n=1\r\n") is None
    assert place.repeats.get(GET % b"Cookie: n=2\r\n") is None


@pytest.mark.parametrize(
    ("head", "pieces"),
    [
        (b"A: 1\r\nAge: 0\r\nId: me\r\n\r\n", Cut(b"A: 1\r\n", b"Id: ", b"\r\n\r\n")),
        (b"A: me\r\nAge: 0\r\nId: me\r\n\r\n", None),
        (b"Age: 0\r\nId: me\r\nB: me\r\n\r\n", None),
        (b"Age: 0\r\nAge: 0\r\nId: me\r\n\r\n", None),
        (b"Id: me\r\nAge: 0\r\n\r\n", None),
        (b"Age: 1\r\nId: me\r\n\r\n", None),
        (b"Age: 0\r\nId: you\r\n\r\n", None),
    ],
)
def test_a_head_is_cut_where_that_is_beyond_doubt(head: bytes, pieces: Cut | None) -> None:
    assert cut(head, b"Age: 0\r\n", b"me") == pieces
