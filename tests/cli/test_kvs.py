"""`edgefn kvs`: a store's file is made, read, changed and refused."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.running import Here


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "redirects.json")


def test_what_is_put_can_be_read_listed_and_deleted(here: Here, store: str) -> None:
    put = here("kvs", "put", store, "/old", "/new", "/a", "/b")
    assert (put.returncode, put.stdout) == (0, f"{store}: 2 keys, 12 bytes\n")
    assert here("kvs", "get", store, "/old").stdout == "/new\n"
    assert here("kvs", "list", store).stdout == "/a\t/b\n/old\t/new\n"
    assert here("kvs", "list", store, "--prefix", "/o").stdout == "/old\t/new\n"
    assert here("kvs", "delete", store, "/a").stdout == f"{store}: 1 key, 8 bytes\n"
    assert here("kvs", "list", store).stdout == "/old\t/new\n"


def test_an_import_takes_the_place_of_all(here: Here, store: str) -> None:
    here("kvs", "put", store, "/old", "/new")
    done = here("kvs", "import", store, "-", stdin=b'{"data": [{"key": "/x", "value": "/y"}]}')
    assert (done.returncode, done.stdout) == (0, f"{store}: 1 key, 4 bytes\n")
    assert here("kvs", "get", store, "/old").returncode == 1


def test_json_is_for_scripts(here: Here, store: str) -> None:
    put = json.loads(here("kvs", "put", store, "/old", "/new", "--json").stdout)
    assert (put["store"], put["keys"], put["size"]) == (store, 1, 8)
    assert json.loads(here("kvs", "get", store, "/old", "--json").stdout) == {"key": "/old", "value": "/new"}
    listed = json.loads(here("kvs", "list", store, "--json").stdout)
    assert listed == {**put, "items": [{"key": "/old", "value": "/new"}]}
    assert put["etag"] != json.loads(here("kvs", "put", store, "/old", "/z", "--json").stdout)["etag"]


def test_a_configuration_names_its_stores(here: Here, tmp_path: Path) -> None:
    config = tmp_path / "edgefn.yaml"
    config.write_text(
        "location: fra1\nlisten: 127.0.0.1:0\norigins: {app: {url: http://127.0.0.1:9}}\n"
        'kvs: {redirects: ./redirects.json}\nroutes: [{path: "*", origin: app}]\n'
    )
    assert here("kvs", "put", "redirects", "/old", "/new", "--config", str(config)).returncode == 0
    assert json.loads((tmp_path / "redirects.json").read_text())["data"] == [{"key": "/old", "value": "/new"}]
    done = here("kvs", "get", "redirect", "/old", "--config", str(config))
    assert done.returncode == 2
    assert done.stderr == f'{config}: kvs: there is no store "redirect"; did you mean redirects?\n'


def test_a_key_that_is_not_there_is_named_and_nothing_else_goes(here: Here, store: str) -> None:
    here("kvs", "put", store, "/old", "/new")
    done = here("kvs", "delete", store, "/old", "/nowhere")
    assert (done.returncode, done.stderr) == (1, f'{store}: there is no key "/nowhere"\n')
    assert here("kvs", "get", store, "/old").stdout == "/new\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("put", "{store}", "/old"), "{store}: the key '/old' has no value behind it"),
        (("put", "{store}", "k", "v" * 1025), "{store}: the value of 'k' has 1025 bytes: at most 1024 are allowed"),
        (("put", "{store}", "k" * 513, "v"), "has 513 bytes: 1 to 512 are allowed"),
        (("put", "{store}", *(f"{n}" for n in range(102))), "{store}: an update may change at most 50 keys"),
        (("get", "{store}", "k"), "{store}: can't be read: No such file or directory"),
        (("list", "{folder}/broken.json"), "{folder}/broken.json: is not JSON"),
        (("put", "{folder}", "k", "v"), "{folder}: is a directory; change one of its files"),
        (("put", "/dev/null/s.json", "k", "v"), "/dev/null/s.json: can't be written: Not a directory"),
        (("import", "{store}", "{folder}/broken.json"), "{folder}/broken.json: is not JSON"),
        (("import", "{store}", "nowhere.json"), "nowhere.json: can't be read: No such file or directory"),
    ],
)
def test_what_can_not_be_done_says_why_and_changes_nothing(
    here: Here, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    names = {"store": f"{tmp_path}/store.json", "folder": f"{tmp_path}/folder"}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "broken.json").write_text("{")
    done = here("kvs", *(word.format(**names) for word in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert told.format(**names) in done.stderr
    assert not os.path.exists(names["store"])


@pytest.mark.parametrize("action", ["put", "get", "list", "delete", "import"])
def test_every_action_has_help_with_examples(here: Here, action: str) -> None:
    done = here("kvs", action, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"examples:\n  edgefn kvs {action} " in done.stdout
