"""Names to addresses."""

import asyncio
import socket
import threading

import pytest

from edgefn.model.errors import OriginFailure
from edgefn.wire.resolving import Resolver, is_address
from tests.fakes.scripted_origin import ScriptedOrigin, answering, ok
from tests.waiting import until
from tests.wire.asking import asker


class FakeLoop:
    """A loop whose clock and resolver the test owns."""

    def __init__(self, *answers: tuple[str, ...] | OSError) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._answers = list(answers)

    def time(self) -> float:
        return self.now

    async def getaddrinfo(self, host: str, port: None, **kind: int) -> list[tuple[object, ...]]:
        assert port is None
        assert kind == {"type": socket.SOCK_STREAM}
        self.asked.append(host)
        await self.gate.wait()
        answer = self._answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answer]


def resolver(loop: FakeLoop) -> Resolver:
    return Resolver(loop)  # type: ignore[arg-type]  # it is asked for nothing else


async def test_an_address_needs_no_lookup() -> None:
    loop = FakeLoop()
    assert await resolver(loop).addresses("192.0.2.1") == ("192.0.2.1",)
    assert await resolver(loop).addresses("2001:db8::1") == ("2001:db8::1",)
    assert loop.asked == []


async def test_an_answer_holds_for_half_a_minute() -> None:
    loop = FakeLoop(("192.0.2.1", "192.0.2.2", "192.0.2.1"), ("192.0.2.3",))
    names = resolver(loop)
    assert await names.addresses("app.example") == ("192.0.2.1", "192.0.2.2")
    loop.now += 29.9
    assert await names.addresses("app.example") == ("192.0.2.1", "192.0.2.2")
    loop.now += 0.2
    assert await names.addresses("app.example") == ("192.0.2.3",)


async def test_a_failure_holds_for_a_second() -> None:
    loop = FakeLoop(socket.gaierror("no such name"), (), ("192.0.2.1",))
    names = resolver(loop)
    for _ in range(3):
        with pytest.raises(OSError, match="no such name"):
            await names.addresses("app.example")
    assert loop.asked == ["app.example"]
    loop.now += 1.1
    with pytest.raises(OSError, match="no address"):
        await names.addresses("app.example")
    loop.now += 1.1
    assert await names.addresses("app.example") == ("192.0.2.1",)


async def test_one_lookup_serves_all_who_wait_for_it() -> None:
    loop = FakeLoop(("192.0.2.1",))
    names = resolver(loop)
    loop.gate.clear()
    tasks = [asyncio.create_task(names.addresses("app.example")) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    loop.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found.count(("192.0.2.1",)) == 19
    assert loop.asked == ["app.example"]


async def test_when_the_one_who_looks_up_gives_up_another_does_it() -> None:
    loop = FakeLoop(("192.0.2.1",))
    names = resolver(loop)
    loop.gate.clear()
    first = asyncio.create_task(names.addresses("app.example"))
    second = asyncio.create_task(names.addresses("app.example"))
    await asyncio.sleep(0)
    first.cancel()
    loop.gate.set()
    assert await second == ("192.0.2.1",)
    assert loop.asked == ["app.example"] * 2


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", True), ("::1", True), ("localhost", False), ("1.2.3", False), ("", False), ("a\x00b", False)],
)
def test_what_is_an_address(host: str, answer: bool) -> None:
    assert is_address(host) is answer


async def test_slow_names_of_functions_hold_up_only_their_like(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    asked: list[str] = []
    known = socket.getaddrinfo

    def look_up(host: str, port: int | None, *args: int, **kind: int) -> object:
        if not host.endswith(".slow.example"):
            return known(host, port, *args, **kind)
        asked.append(host)
        assert go_on.wait(20)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with ScriptedOrigin(answering(ok(b"hello"))) as origin, asker(origin) as app:
        chosen = [asyncio.create_task(app.failure(id="", domain=f"{n}.slow.example")) for n in range(50)]
        await until(lambda: len(asked) == 4)
        assert await app.get(domain="localhost") == b"hello"
        assert len(asked) == 4
        go_on.set()
        assert {failure for failure, _ in await asyncio.gather(*chosen)} == {OriginFailure.DNS}
        assert len(asked) == 50
