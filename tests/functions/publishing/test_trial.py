"""Versions are tried in real sandboxes before they go live, and the publisher reads why one does not start."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.committing import PublishError
from edgefn.functions.publishing import Publisher
from edgefn.functions.runner import Surroundings
from edgefn.functions.signing import Keys
from edgefn.functions.workbench import Workbench
from edgefn.model.publishing import Manifest
from edgefn.model.settings import FunctionSettings, SandboxSettings, Settings
from edgefn.node.hosting import function_hosts
from edgefn.node.scratch import scratch_directory
from tests.fakes.published import settings
from tests.functions.publishing.stage import Stage, senses, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "replica") as made:
        yield made


@pytest.fixture
async def publisher(stage: Stage, tmp_path: Path) -> AsyncIterator[Publisher]:
    with scratch_directory() as scratch:
        around = Settings(
            "trial",
            listen=(),
            routes=(),
            origins={},
            kvs={"redirects": str(tmp_path / "redirects.json")},
            data_dir=str(tmp_path),
            sandbox=SandboxSettings(parked=0),
        )
        async with function_hosts(around, lambda _line: None) as hosts:
            printed = Surroundings(lambda: "id", lambda: "now", lambda _line: None)

            async def fetch(manifest: Manifest) -> Bundle:
                raise AssertionError(f"nothing of {manifest.label} is fetched to be tried")

            bench = Workbench(hosts, Path(scratch), fetch, printed)
            yield Publisher(stage.replica, Keys(), bench.trial, senses(stage.clock))
            await bench.close()
            assert os.listdir(scratch) == [".lock"]


def files(**texts: str) -> Bundle:
    return Bundle.of([BundleFile(name.replace("_", "."), text.encode()) for name, text in texts.items()])


NODE, PYTHON = settings(), settings(runtime="python3.11", handler="app.handler")
JS = settings(runtime="cloudfront-js-2.0", handler="index.handler")

BROKEN: list[tuple[FunctionSettings, Bundle, str]] = [
    (NODE, files(index_js="exports.handler = async ( => 1;"), "SyntaxError"),
    (NODE, files(index_js="throw new TypeError('no configuration');"), "no configuration"),
    (NODE, files(index_js="exports.other = 1;"), "handler"),
    (NODE, files(index_js="require('left-pad');"), "left-pad"),
    (NODE, files(index_js="process.exit(3);"), "exit"),
    (PYTHON, files(app_py="def handler(event, context:\n  pass"), "app"),
    (PYTHON, files(app_py="import nothing_like_this"), "nothing_like_this"),
    (JS, files(index_js="function handler(event) { return event.request"), "SyntaxError"),
    (settings(runtime="wasm"), files(index_wasm="this is no module"), "module"),
]


@pytest.mark.parametrize(("broken", "code", "told"), BROKEN)
async def test_what_does_not_start_is_not_published(
    publisher: Publisher, broken: FunctionSettings, code: Bundle, told: str
) -> None:
    with pytest.raises(PublishError) as caught:
        await publisher.deploy(broken, code, alias="live")
    assert str(caught.value).startswith("hello is not published, as it does not start: ")
    assert told in str(caught.value)
    assert (await publisher.catalog()).generation == 0


async def test_what_starts_is_published(publisher: Publisher) -> None:
    for name, sound, code in (
        ("node", NODE, files(index_js="exports.handler = async (event) => event;")),
        ("python", PYTHON, files(app_py="def handler(event, context):\n    return event\n")),
        ("js", JS, files(index_js="function handler(event) { return event.request; }")),
    ):
        deployed = await publisher.deploy(replace(sound, name=name), code, alias="live")
        assert await publisher.read_bundle(deployed.manifest) == code
    assert set((await publisher.catalog()).functions) == {"node", "python", "js"}


async def test_a_published_function_names_a_key_value_store_of_the_machine_that_runs_it(
    publisher: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "redirects.json").write_text('{"/old": "/new"}')
    code = "import cf from 'cloudfront';\nconst store = cf.kvs();\nfunction handler(event) { return event.request; }"
    reading = replace(JS, kvs="redirects")
    assert (await publisher.deploy(reading, files(index_js=code), alias="live")).manifest.settings.kvs == "redirects"
    with pytest.raises(PublishError, match=r'there is no key-value store "other" in `kvs` .* it has: redirects'):
        await publisher.deploy(replace(JS, kvs="other"), files(index_js=code), alias="live")
