"""How a fleet hears what its locations have done: at once, and nothing twice."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.functions.mirror import mirror as mirroring
from edgefn.functions.mirror.mirror import Mirror, Station
from edgefn.functions.purging import SUBJECT, Purging
from edgefn.functions.replicas.nats import layout, streams
from edgefn.functions.replicas.nats.layout import Keeping
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.model.location_status import status_from_json
from edgefn.model.publishing import LocationStatus
from edgefn.rules.purges import ByTag, Everything, Purge, written
from tests.functions.mirror.stage import LOCATION_KEYS, fleet, fresh_id


async def test_a_purge_is_confirmed_as_soon_as_it_is_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "HEARTBEAT_SECONDS", 3_600.0)
    applied: list[Purge] = []

    async def apply(purge: Purge, *, soft: bool) -> object:
        applied.append(purge)
        return soft

    def total(_: Sequence[LocationStatus]) -> LocationStatus:
        return LocationStatus("fra1", 0, time.time(), purge=purging.applied)

    station = Station("fra1", total, time.time, fresh_id, random.random, lambda _: None)
    async with fleet(tmp_path / "hub") as run, opened(tmp_path / "fra1", time.time, fresh_id) as local:
        upstream = run.hub.location("fra1")
        mirror = Mirror(upstream, local, LOCATION_KEYS, station)
        purging = Purging(local, apply, mirror.tell)
        tasks = [asyncio.create_task(mirror.run()), asyncio.create_task(purging.run())]
        async with asyncio.timeout(20):
            while not applied:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for number in range(5):
                sequence = await run.control.order_purge(written(ByTag(str(number))).encode())
                async for _, status in run.replica.follow_statuses():
                    if status_from_json(status).purge >= sequence:
                        break
            while (kept := await local.get(SUBJECT)) is None or int(kept.value) < purging.applied:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert applied == [Everything(), *(ByTag(str(number)) for number in range(5))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await upstream.close()


async def test_what_is_no_news_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "HEARTBEAT_SECONDS", 3_600.0)
    told = [LocationStatus("fra1", 1, 1.0)]
    station = Station("fra1", lambda _: told[-1], time.time, fresh_id, random.random, lambda _: None)
    async with fleet(tmp_path / "hub") as run, opened(tmp_path / "fra1", time.time, fresh_id) as local:
        upstream = run.hub.location("fra1")
        mirror = Mirror(upstream, local, LOCATION_KEYS, station)
        task = asyncio.create_task(mirror._tell_fleet())
        sequences = []
        async with asyncio.timeout(20):
            for generation in (2, 3):
                for at in (2.0, 3.0):  # only its time differs
                    told.append(replace(told[-1], at=at))
                    mirror.tell()
                    while mirror._news.is_set():  # noqa: ASYNC110
                        await asyncio.sleep(0)
                told.append(replace(told[-1], generation=generation))
                mirror.tell()
                async for _, status in run.replica.follow_statuses():
                    if status_from_json(status).generation == generation:
                        break
                newest = await streams.read(run.replica.link, layout.STATUSES, f"{layout.STATUS}.fra1")
                assert newest is not None
                sequences.append(newest.sequence)
        assert sequences == [2, 3]
        task.cancel()
        await asyncio.wait((task,))
        await upstream.close()


async def test_a_board_of_statuses_that_was_kept_otherwise_is_made_anew(tmp_path: Path) -> None:
    async with fleet(tmp_path / "hub") as run:
        link = run.replica.link
        settings = dict(layout.streams(Keeping())[layout.STATUSES])
        mode = settings.pop("persist_mode")
        await streams._call(link, f"STREAM.DELETE.{layout.STATUSES}", b"")
        await streams.create(link, layout.STATUSES, settings)
        await run.replica.set_status("fra1", b"before")
        await run.replica.begin("another", Keeping())
        assert await run.replica.statuses() == {}
        await run.replica.set_status("fra1", b"after")
        assert await run.replica.statuses() == {"fra1": b"after"}
        info = await streams._call(link, f"STREAM.INFO.{layout.STATUSES}", b"")
        assert isinstance(config := info["config"], dict)
        assert config["persist_mode"] == mode == "async"
