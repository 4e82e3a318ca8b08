"""Long work on the event loop comes in bites: a fleet with many functions holds up no viewer."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.functions import catalog as catalogs
from edgefn.functions.bites import BITE, fed_in_bites, in_bites
from edgefn.functions.catalog import Applied, CatalogBuilder
from edgefn.functions.committing import Committer
from edgefn.functions.following import Following
from edgefn.functions.heads import Head
from edgefn.functions.mirror.blobs import Blobs
from edgefn.functions.mirror.records import Records
from edgefn.functions.replicas.base import Record, Stored
from edgefn.functions.replicas.sqlite.replica import SqliteReplica, opened
from edgefn.functions.signing import Keys, SigningKey
from edgefn.model.publishing import Alias, Blob, Catalog, Manifest, PublishedFunction, Target
from edgefn.model.settings import FunctionSettings
from tests.functions.mirror.stage import fresh_id
from tests.functions.publishing.stage import senses

KEYS = Keys(signing=SigningKey(bytes(32)))
FUNCTIONS = 100


def many() -> Catalog:
    functions = {}
    for number in range(FUNCTIONS):
        name = f"f{number}"
        manifest = Manifest(FunctionSettings(name, "", "nodejs20.x"), 1, f"{number:064x}", Blob(f"{number:064x}", 5))
        alias = Alias(name, "live", (Target(1),))
        functions[name] = PublishedFunction(name, versions={1: manifest}, aliases={"live": alias}, last_version=1)
    return Catalog(functions)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return CatalogBuilder(KEYS).records(many(), Head().following("op", "a log"))


class Turns:
    """Counts how often others had their turn."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> "Turns":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


def test_a_head_makes_little_work_however_much_came_before_it(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, most, seen = catalogs.read, 0, 0

    def counted(*told: object) -> object:
        nonlocal seen
        seen += 1
        return read(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogs, "read", counted)
    builder = CatalogBuilder(KEYS)
    outcome = None
    for number, record in enumerate(records, start=1):
        seen = 0
        outcome = builder.take(Stored(number, record.subject, record.value))
        most = max(most, seen)
    assert isinstance(outcome, Applied)
    assert len(outcome.catalog.functions) == FUNCTIONS
    assert most == 1


async def test_others_have_their_turn_after_each_bite() -> None:
    async def feed() -> AsyncIterator[int]:
        for number in range(10 * BITE):
            yield number

    async with Turns() as turns:
        assert [each async for each in in_bites(range(10 * BITE))] == list(range(10 * BITE))
        assert turns.count >= 9
        before = turns.count
        assert [each async for each in fed_in_bites(feed())] == list(range(10 * BITE))
        assert turns.count >= before + 9


class Known(SqliteReplica):
    """A replica that answers at once, so that whoever reads it is not kept waiting by it."""

    def __init__(self, directory: Path, stored: list[Stored]) -> None:
        super().__init__(directory, time.time)
        self._stored = stored

    async def incarnation(self) -> str:
        return "a log"

    async def read(self, after: int = 0) -> list[Stored]:
        return [each for each in self._stored if each.sequence > after]


@pytest.mark.parametrize("reader", ["worker", "publisher", "mirror"])
async def test_whoever_reads_all_that_is_published_does_so_in_bites(
    reader: str, records: list[Record], tmp_path: Path
) -> None:
    stored = [Stored(number, each.subject, each.value) for number, each in enumerate(records, start=1)]
    replica = Known(tmp_path, stored)
    got = 0
    async with Turns() as turns:
        if reader == "worker":

            async def apply(catalog: Catalog) -> None:
                nonlocal got
                got = len(catalog.functions)

            await Following(replica, CatalogBuilder(KEYS), apply, lambda _: None, lambda: None).catch_up()
        elif reader == "publisher":
            got = len((await Committer(replica, KEYS, senses(time.time), 0.0).catalog()).functions)
        else:
            mirror = Records(replica, replica, KEYS, Blobs(replica, replica), lambda _: None, lambda: None, time.time)
            await mirror.load()
            got = len(mirror.builder.catalog.functions)
        assert got == FUNCTIONS
        assert turns.count >= len(records) // BITE
    await replica.close()


async def test_a_follower_reads_in_bites_too(records: list[Record], tmp_path: Path) -> None:
    applied: asyncio.Queue[int] = asyncio.Queue()

    async def apply(catalog: Catalog) -> None:
        applied.put_nowait(len(catalog.functions))

    async with opened(tmp_path, time.time, fresh_id) as replica, Turns() as turns:
        following = Following(replica, CatalogBuilder(KEYS), apply, lambda _: None, lambda: None)
        task = asyncio.create_task(following.run())
        await replica.append(records, {})
        async with asyncio.timeout(20):
            assert await applied.get() == FUNCTIONS
        assert turns.count >= len(records) // BITE
        task.cancel()
        await asyncio.wait((task,))
