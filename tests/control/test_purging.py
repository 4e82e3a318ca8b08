"""Purging through the control API."""

from pathlib import Path

import pytest

from edgefn.control.purging import MOST_PURGES, purge_endpoints
from edgefn.rules.purges import ByHost, ByPath, ByTag, Everything, Purge
from edgefn.stores.base import Purged, StoreError
from edgefn.stores.stock import Hit
from tests.control.stage import control_api


class Location:
    """Remembers what it was to purge."""

    def __init__(self, error: StoreError | None = None) -> None:
        self.purged: list[tuple[Purge, bool]] = []
        self.error = error

    async def purge(self, purge: Purge, *, soft: bool) -> Hit:
        if self.error is not None:
            raise self.error
        self.purged.append((purge, soft))
        return Hit(len(self.purged), Purged(2, 20), Purged(3, 30))


async def test_each_purge_is_done_and_counted(tmp_path: Path) -> None:
    location = Location()
    async with control_api(tmp_path, purge_endpoints(location.purge)) as stage:
        wanted = [{"url": "https://x/a*"}, {"path": "/b"}, {"host": "Y"}, {"tag": "t"}, {"everything": True}]
        status, told = await stage.ask("POST", "/v1/purges", json={"purges": wanted, "soft": True})
    counts = {"memory": {"entries": 2, "bytes": 20}, "disk": {"entries": 3, "bytes": 30}}
    assert status == 200
    assert told == {
        "purged": [
            {"purge": {"path": "/a*", "host": "x"}, **counts},
            {"purge": {"path": "/b"}, **counts},
            {"purge": {"host": "y"}, **counts},
            {"purge": {"tag": "t"}, **counts},
            {"purge": {"everything": True}, **counts},
        ],
        "soft": True,
    }
    assert location.purged == [
        (each, True) for each in (ByPath("/a*", "x"), ByPath("/b"), ByHost("y"), ByTag("t"), Everything())
    ]
    assert stage.audited[-1]["purges"] == ["x/a*", "/b", "host y", "tag t", "everything"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "purges"),
        ({"purges": []}, "purges"),
        ({"purges": {"tag": "a"}}, "purges"),
        ({"purges": [{"tag": "a"}] * (MOST_PURGES + 1)}, "purges"),
        ({"purges": [{"tag": "a"}, "b"]}, "purges[1]"),
        ({"purges": [{"tag": "a"}, {"path": "b"}]}, "purges[1]"),
        ({"purges": [{"tag": "a"}], "soft": "yes"}, "soft"),
        ({"purges": [{"tag": "a"}], "hard": True}, "hard"),
    ],
)
async def test_what_is_not_understood_purges_nothing(tmp_path: Path, sent: dict, field: str) -> None:
    location = Location()
    async with control_api(tmp_path, purge_endpoints(location.purge)) as stage:
        status, told = await stage.ask("POST", "/v1/purges", json=sent)
    assert (status, told["error"]["field"], location.purged) == (400, field, [])


async def test_a_purge_that_failed_says_so(tmp_path: Path) -> None:
    location = Location(StoreError("disk full"))
    async with control_api(tmp_path, purge_endpoints(location.purge)) as stage:
        status, told = await stage.ask("POST", "/v1/purges", json={"purges": [{"tag": "t"}]})
    assert (status, told["error"]["code"]) == (503, "purge-failed")
    assert told["error"]["message"] == "tag t: disk full; it is not known what is purged: repeat it"


async def test_a_token_for_purges_is_enough_and_one_for_reading_is_not(tmp_path: Path) -> None:
    location = Location()
    async with control_api(tmp_path, purge_endpoints(location.purge)) as stage:
        for scope, expected in (("purge", 200), ("read", 403), ("deploy", 403)):
            token = await stage.issued(scope, scope)
            status, _ = await stage.ask("POST", "/v1/purges", token=token, json={"purges": [{"everything": True}]})
            assert (scope, status) == (scope, expected)
