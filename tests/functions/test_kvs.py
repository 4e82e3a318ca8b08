"""Key-value stores in files: read in memory, changed as a whole, noticed by those who read."""

import asyncio
import gc
import json
import os
from pathlib import Path

import pytest

from edgefn.functions.kvs import KeyValueStore, KeyValueStores
from edgefn.functions.kvs_file import StoreError, import_file, parsed, read_content, update
from edgefn.rules.kvs import Changes

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "document",
    [{"data": [{"key": "a", "value": "1"}, {"key": "b", "value": {"c": 2}}]}, {"a": "1", "b": {"c": 2}}],
    ids=["AWS's form", "plain"],
)
def test_a_store_is_read_in_both_forms(tmp_path: Path, document: object) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(document))
    store = KeyValueStore(path)
    assert (store.get("a"), store.get("b"), store.get("c")) == (b"1", b'{"c":2}', None)
    assert json.loads(store.about())["keyCount"] == 2


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"data": [{"key": 1, "value": ""}]}', r"data\[0\]: is no"),
        (b'{"data": [{"key": "a", "value": ""}, {"key": "a", "value": ""}]}', "the key 'a' stands there twice"),
        (json.dumps({"k": "v" * 1025}).encode(), "at most 1024"),
    ],
)
def test_a_file_that_is_no_store_is_refused(source: bytes, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        parsed(source, NOW)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.json: can't be read: No such file"):
        KeyValueStore(tmp_path / "nowhere.json")


def test_changes_are_kept_and_change_the_etag(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    first = update(path, Changes({"a": "1"}), now=NOW)
    second = update(path, Changes({"b": "2"}, ["a"]), now=NOW + 1, if_match=first.etag)
    assert (first.pairs, second.pairs) == ({"a": "1"}, {"b": "2"})
    assert first.etag != second.etag
    assert second.created == "2023-11-14T22:13:20.000Z"
    assert read_content(path).pairs == second.pairs


def test_a_change_by_somebody_else_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    first = update(path, Changes({"a": "1"}), now=NOW)
    update(path, Changes({"a": "2"}), now=NOW)
    with pytest.raises(StoreError, match="changed by somebody else"):
        update(path, Changes({"a": "3"}), now=NOW, if_match=first.etag)
    assert read_content(path).pairs == {"a": "2"}


def test_a_change_beyond_a_limit_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    update(path, Changes({"a": "1"}), now=NOW)
    with pytest.raises(StoreError, match="at most 1024"):
        update(path, Changes({"b": "v" * 2000}), now=NOW)
    assert read_content(path).pairs == {"a": "1"}
    assert [name for name in os.listdir(tmp_path) if name.startswith(".unfinished")] == []


def test_an_import_takes_the_place_of_all(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    update(path, Changes({"a": "1"}), now=NOW)
    content = import_file(path, b'{"data": [{"key": "b", "value": "2"}]}', now=NOW + 9)
    assert (content.pairs, content.created) == ({"b": "2"}, "2023-11-14T22:13:20.000Z")


def test_a_reader_sees_a_change_when_it_looks(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    update(path, Changes({"a": "1"}), now=NOW)
    store = KeyValueStore(path)
    assert store.refresh() is False
    update(path, Changes({"a": "2"}), now=NOW)
    assert store.get("a") == b"1"
    assert store.refresh() is True
    assert store.get("a") == b"2"


def test_all_files_of_a_directory_are_one_store(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"/a": "1"}')
    (tmp_path / "b.json").write_text('{"/b": "2"}')
    (tmp_path / "notes.txt").write_text("no JSON")
    store = KeyValueStore(tmp_path)
    assert (store.get("/a"), store.get_by_bytes(b"/b"), store.get_by_bytes(b"\xff")) == (b"1", b"2", None)
    (tmp_path / "c.json").write_text('{"/c": "3"}')
    assert store.refresh() is True
    assert store.get("/c") == b"3"


def test_a_key_in_two_files_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"/a": "1"}')
    (tmp_path / "b.json").write_text('{"/a": "1"}')
    with pytest.raises(StoreError, match=r"b\.json: the key '/a' stands in another file"):
        read_content(tmp_path)


def test_a_directory_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory; change one of its files"):
        update(tmp_path, Changes({"a": "1"}), now=NOW)
    assert os.listdir(tmp_path) == []


def test_a_change_leaves_the_mode_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    update(path, Changes({"a": "1"}), now=NOW)
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    update(path, Changes({"a": "2"}), now=NOW)
    assert path.stat().st_mode & 0o777 == 0o640


async def test_a_store_that_breaks_keeps_its_values_and_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "s.json"
    stores = KeyValueStores(told.append)
    update(path, Changes({"a": "1"}), now=NOW)
    store = await stores.open(path)
    path.write_text("{")
    await stores.refresh()
    await stores.refresh()
    assert store.get("a") == b"1"
    assert len(told) == 1
    assert "s.json: is not JSON" in told[0]
    path.unlink()
    await stores.refresh()
    await stores.refresh()
    assert (store.get("a"), len(told)) == (b"1", 2)
    update(path, Changes({"a": "3"}), now=NOW)
    await stores.refresh()
    assert (store.get("a"), len(told)) == (b"3", 2)


async def test_a_store_is_open_while_somebody_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    update(path, Changes({"a": "1"}), now=NOW)
    stores = KeyValueStores(print)
    store = await stores.open(path)
    assert await stores.open(path) is store
    assert stores.held(path) is store
    del store
    await asyncio.sleep(0)  # the step of this task that it was loaded for holds it, too
    gc.collect()
    assert stores.held(path) is None


async def test_the_watch_brings_changes(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    update(path, Changes({"a": "1"}), now=NOW)
    stores = KeyValueStores(print)
    store = await stores.open(path)
    update(path, Changes({"a": "2"}), now=NOW)
    watch = asyncio.create_task(stores.watch(0.005))
    async with asyncio.timeout(10):
        while store.get("a") != b"2":  # noqa: ASYNC110  # the watch tells nobody
            await asyncio.sleep(0.005)
    watch.cancel()
