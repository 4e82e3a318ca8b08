"""What functions log in all locations, read at the control plane: asked for, bounded, and honest about the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from edgefn.control import fleet_logs
from edgefn.control.fleet_logs import FleetBook
from edgefn.control.log_endpoints import OwnBook
from edgefn.functions import log_answering
from edgefn.functions.log_answering import LogAnswers
from edgefn.functions.log_asking import Asked, Told
from edgefn.functions.logbook import LogEntry, LogFile
from edgefn.functions.replicas.nats.calls import Calls
from tests.functions.nats.stage import Hub, begun


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000Z"


class Writer:
    """A process of a location that logs."""

    def __init__(self, directory: Path, location: str) -> None:
        self._file = LogFile(directory)
        self._location = location
        self.close = self._file.close

    def log(self, second: int, text: str, function: str = "geo") -> None:
        entry = LogEntry(at(second), self._location, function, "1", "i", "r", text)
        self._file.write(entry.line() + "\n")
        self._file.flush()


class Scene:
    """A hub, a control plane that reads, and locations that log."""

    def __init__(self, hub: Hub, calls: Calls, folder: Path, stack: AsyncExitStack) -> None:
        self._hub = hub
        self._folder = folder
        self._stack = stack
        self.members: set[str] = set()
        own = OwnBook(folder / "control", lambda _: at(5))
        ids = iter(range(100))
        self.book = FleetBook(calls, lambda: self.members, own, lambda: at(59), lambda: f"id-{next(ids)}")

    async def location(self, name: str) -> Writer:
        """Have a location that answers."""
        self.members.add(name)
        replica = self._hub.location(name)
        self._stack.push_async_callback(replica.close)
        await replica.incarnation()  # it is connected
        directory = self._folder / name
        answers = LogAnswers(Calls(replica.link), name, directory, lambda _: at(5))
        task = asyncio.create_task(answers.run())
        self._stack.push_async_callback(ended, task)
        writer = self.writer(name)
        while not replica.link._ears:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await replica.incarnation()  # what it listens to has reached the server
        return writer

    def writer(self, name: str) -> Writer:
        writer = Writer(self._folder / name, name)
        self._stack.callback(writer.close)
        return writer

    async def read(self, **asked: object) -> list[str]:
        """Return what is read, as location and text."""
        question = Asked("", **asked)  # type: ignore[arg-type]
        async with asyncio.timeout(20), aclosing(self.book.lines(question)) as coming:
            return [f"{entry.location} {entry.text}" async for entries in coming for entry in entries]


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait((task,))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with begun(tmp_path / "hub") as (hub, control), AsyncExitStack() as stack:
        await control.incarnation()
        yield Scene(hub, Calls(control.link), tmp_path, stack)


async def test_the_lines_of_all_locations_come_in_order_and_can_be_chosen_from(scene: Scene) -> None:
    fra1, ams1 = await scene.location("fra1"), await scene.location("ams1.b")
    fra1.log(1, "one")
    ams1.log(2, "two")
    fra1.log(8, "three")
    ams1.log(9, "four", "auth")
    scene.writer("control").log(3, "tried")
    everything = ["fra1 one", "ams1.b two", "control tried", "fra1 three", "ams1.b four"]
    assert await scene.read() == everything
    assert await scene.read(function="geo", most=2) == ["control tried", "fra1 three"]
    assert await scene.read(location="ams1.b") == ["ams1.b two", "ams1.b four"]
    assert await scene.read(location="control") == ["control tried"]
    assert await scene.read(since=60.0) == ["fra1 three", "ams1.b four"]


async def test_who_does_not_answer_is_named(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_logs, "PATIENCE", 0.5)
    (await scene.location("fra1")).log(1, "one")
    scene.members.add("nyc1")
    assert await scene.read() == ["fra1 one", "nyc1 no answer within 0.5 s: its logs are missing here"]


async def test_what_is_more_than_travels_is_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_answering, "MOST_BYTES", 2_000)
    fra1 = await scene.location("fra1")
    for number in range(50):
        fra1.log(1, f"line {number:02} {'x' * 100}")
    told = await scene.read()
    assert 5 <= len(told) - 1 < 15
    assert told[-2].startswith("fra1 line 49")
    dropped = int(told[-1].removeprefix("fra1 ").split()[0])
    assert dropped + len(told) - 1 == 50
    assert "lines dropped here" in told[-1]


async def test_lines_are_followed_as_they_come_and_a_flood_is_cut_to_a_rate(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_answering, "LINES_PER_SECOND", 40)
    fra1, ams1 = await scene.location("fra1"), await scene.location("ams1")
    fra1.log(1, "before")
    async with asyncio.timeout(30), aclosing(scene.book.lines(Asked("", follow=True))) as coming:
        assert [each.text for each in await anext(coming)] == ["before"]
        ams1.log(2, "new")
        assert [each.text for each in await some(coming)] == ["new"]
        for number in range(500):
            fra1.log(3, f"flood {number}")
        told, dropped = 0, 0
        while told + dropped < 500:
            for each in await some(coming):
                if each.function == "edgefn":
                    dropped += int(each.text.split()[0])
                else:
                    told += 1
        assert told < 100
        assert dropped > 400


async def some(coming: AsyncIterator[list[LogEntry]]) -> list[LogEntry]:
    """Return the next lines, whenever there are some."""
    while not (entries := await anext(coming)):
        pass
    return entries


async def test_a_location_stops_when_nobody_asks_any_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_answering, "RENEWAL_SECONDS", 0.2)
    fra1 = await scene.location("fra1")
    calls = scene.book.line
    assert isinstance(calls, Calls)
    async with calls.answers() as answers:
        await calls.ask(Asked("mine", follow=True).to_json())
        assert await answers.next(10) == ("fra1", Told("mine", is_end=True).to_json())
        await asyncio.sleep(1.5)  # which is longer than three times 0.2 s
        fra1.log(1, "unheard")
        assert await answers.next(1.0) is None


async def test_a_location_speaks_for_itself_only_and_what_is_no_answer_is_passed_over(scene: Scene) -> None:
    fra1 = await scene.location("fra1")
    fra1.log(1, "mine")
    calls = scene.book.line
    assert isinstance(calls, Calls)
    liar = Calls(scene._hub.location("liar").link)
    scene._stack.push_async_callback(liar._link.close)
    forged = LogEntry(at(2), "fra1", "geo", "1", "i", "r", "forged")
    told = [Told("id-0", (forged,)).to_json(), b"{}", b"\xff", Told("other", (forged,), 9, is_end=True).to_json()]

    @asynccontextmanager
    async def hearing() -> AsyncIterator[object]:
        async with calls.answers() as heard:
            for each in told:
                await liar.tell("liar", each)
                await liar.tell("fra1", each)  # refused
            yield heard

    scene.members.add("liar")
    told.append(Told("id-0", is_end=True).to_json())

    class Line:
        ask = calls.ask
        answers = staticmethod(hearing)

    object.__setattr__(scene.book, "line", Line())
    assert await scene.read() == ["fra1 mine", "liar forged"]
