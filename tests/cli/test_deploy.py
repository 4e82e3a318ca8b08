"""Publishing from the command line: a version is made, refused, moved to, gone back from, deleted, and run."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.running import Running, edgefn
from tests.cli.test_serve import command, configuration
from tests.free_ports import free_port

ONE = "exports.handler = async (event) => { console.log('this is one'); return {one: true}; };\n"
JS = ("--runtime", "js", "--wait", "none")


class Place:
    """A location, and somebody at its command line."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.folder = folder
        self.config = config

    def code(self, text: str) -> Path:
        path = self.folder / "fn" / "index.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path.parent

    async def run(self, *arguments: str | Path) -> tuple[int, str]:
        return await command(*arguments, "--config", self.config)

    async def json(self, *arguments: str | Path) -> dict:
        status, told = await self.run(*arguments, "--json")
        assert status == 0, told
        return json.loads(told)

    async def deploy(self, text: str, *more: str) -> tuple[int, str]:
        return await self.run("deploy", self.code(text), "--name", "f", *JS, *more)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    config = configuration(tmp_path, "127.0.0.1:1", admin=free_port())
    async with Running("serve", config) as location:
        await location.url()
        yield Place(tmp_path, config)
        assert "Traceback" not in location.told


async def test_layers_are_published_with_the_function(place: Place) -> None:
    layer = place.folder / "layer" / "python"
    layer.mkdir(parents=True)
    (layer / "shared.py").write_text("word = 'from the layer'")
    code = place.folder / "app" / "lambda_function.py"
    code.parent.mkdir()
    code.write_text("import shared\ndef lambda_handler(event, context): return shared.word\n")
    more = ("--name", "layered", "--runtime", "python3.11", "--wait", "none", "--layer", place.folder / "layer")
    status, told = await place.run("deploy", code.parent, *more)
    assert (status, told) == (0, "layered:1 published; layered:live -> 1 (generation 1)\n")
    status, told = await place.run("invoke", "layered:live", "--sample", "viewer-request")
    assert (status, "from the layer" in told) == (0, True), told
    status, told = await place.run("deploy", code.parent, *more, "--runtime", "js")
    assert (status, "--layer: runtime js has no /opt" in told) == (2, True)


async def test_the_life_of_a_function(place: Place) -> None:
    assert await place.deploy(ONE) == (0, "f:1 published; f:live -> 1 (generation 1)\n")
    assert await place.deploy(ONE) == (
        0,
        "f:1 has this code and these settings already; f:live -> 1 (generation 1)\n",
    )
    status, told = await place.deploy("let a = 1\nlet b = nothing.there\n")
    assert (status, "nothing is not defined" in told, "index.js:2" in told) == (1, True, True), told
    assert await place.deploy(ONE.replace("one", "two"), "--weight", "10%") == (
        0,
        "f:2 published; f:live -> 1 (90%), 2 (10%) (generation 2)\n",
    )
    status, told = await place.run("alias", "set", "f", "live", "2", "--wait", "none")
    assert (status, told.splitlines()[1].split()) == (0, ["live", "2", "1", "-", "-"]), told
    status, told = await place.run("versions", "f", "--delete", "1", "--wait", "none")
    assert (status, "is what the alias live would roll back to" in told) == (1, True), told
    assert await place.run("rollback", "f", "--wait", "none") == (0, "f:live -> 1 (generation 4)\n")
    status, told = await place.run("versions", "f")
    listed = [line.split()[0] for line in told.splitlines()]
    assert (status, listed) == (0, ["VERSION", "$LATEST", "2", "1"]), told
    status, told = await place.run("versions", "f", "--delete", "2", "--wait", "none")
    assert (status, told) == (0, "f:2 is deleted (generation 5)\n")


async def test_a_published_function_is_run_and_its_log_is_found_again(place: Place) -> None:
    await place.deploy(ONE)
    status, told = await place.run("invoke", "f:live", "--sample", "viewer-request")
    assert (status, '{"result": {"one": true}}' in told, "this is one" in told) == (0, True, True), told
    whole = await place.json("functions")
    assert [function["name"] for function in whole["functions"]] == ["f"]
    status, told = await place.run("logs", "--function", "f:1", "--json")
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["text"].split()[0] for line in lines if "this is one" not in line["text"]] == [
        "START",
        "END",
        "REPORT",
    ]
    invocation = lines[0]["invocation"]
    status, told = await place.run("logs", "--request", invocation)
    assert (status, told.count(invocation) >= 3, "this is one" in told) == (0, True, True)
    assert (await place.run("logs", "--request", "another")) == (0, "edgefn logs: nothing of that is in the logs\n")
    status, told = await place.run("invoke", "f:3", "--sample", "viewer-request")
    assert (status, "f has no version or alias '3'" in told) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("deploy", "nowhere", "--name", "f"), "nowhere: there is no such file or folder"),
        (("deploy", "hooks/pixel"), "required: --name"),
        (("deploy", "hooks/pixel", "--name", "f", "--weight", "0%"), "'0%' is no share; write one such as 10%"),
        (("deploy", "hooks/pixel", "--name", "f", "--wait", "most"), "write all, none, or a part such as 95%"),
        (("deploy", "hooks/pixel", "--name", "f", "--env", "X"), "'X' has no =; write NAME=VALUE"),
        (("alias", "set", "f", "live", "6", "7"), "write one version, or two of which one has its share"),
        (("alias", "set", "f", "live", "--sticky", "ip"), "write cookie:NAME or header:NAME"),
        (("alias", "set", "f", "live", "--rollback-at", "5"), "write the errors, the time and the number"),
        (("logs", "--limit", "x"), "'x' is no number of lines"),
        (("invoke", "no/where", "--sample", "viewer-request"), "it is no NAME[:QUALIFIER] of a published function"),
        (
            ("invoke", "f", "--memory", "256", "--sample", "viewer-request"),
            "a published function has its own",
        ),
    ],
)
def test_bad_arguments_are_named(here, arguments: tuple[str, ...], told: str) -> None:
    done = here(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


async def test_whoever_may_only_read_can_not_deploy(place: Place) -> None:
    _, secret = await place.run("token", "new", "reader", "--scope", "read")
    there = {"EDGEFN_CONTROL": f"http://{_admin(place.config)}", "EDGEFN_TOKEN": secret.strip()}
    assert edgefn("functions", environment=there).returncode == 0
    done = edgefn("deploy", place.code(ONE), "--name", "f", *JS, environment=there)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the token 'reader' has not the scope deploy" in done.stderr


def _admin(config: Path) -> str:
    return next(line.split()[1] for line in config.read_text().splitlines() if line.startswith("admin:"))


async def test_what_was_published_is_there_after_a_restart(tmp_path: Path) -> None:
    config = configuration(tmp_path, "127.0.0.1:1", admin=free_port())
    place = Place(tmp_path, config)
    for run in (1, 2):
        async with Running("serve", config) as location:
            await location.url()
            if run == 1:
                await place.deploy(ONE)
            else:
                status, told = await place.run("invoke", "f:live", "--sample", "viewer-request")
                assert (status, '{"result": {"one": true}}' in told) == (0, True), told


READER = """import cf from 'cloudfront';
async function handler(event) {
  return {statusCode: 200, body: await cf.kvs().get('greeting').catch(() => 'no greeting')};
}
"""


async def test_a_function_is_published_with_its_key_value_store_and_without_it_again(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text('{"greeting": "hello"}')
    config = configuration(tmp_path, "127.0.0.1:1", "kvs: {words: words.json}", admin=free_port())
    async with Running("serve", config) as location:
        await location.url()
        place = Place(tmp_path, config)
        code = place.code(READER)
        publish = ("deploy", code, "--name", "f", "--runtime", "cloudfront-js-2.0", "--wait", "none")
        assert (await place.json(*publish, "--kvs", "words"))["version"]["settings"]["kvs"] == "words"
        invoke = ("invoke", "f:live", "--sample", "viewer-request")
        status, told = await place.run(*invoke)
        assert (status, '"body": "hello"' in told) == (0, True), told
        assert (await place.json(*publish))["version"]["settings"]["kvs"] == "words", "it stays as it is"
        assert "kvs" not in (await place.json(*publish, "--no-kvs"))["version"]["settings"]
        status, told = await place.run(*invoke)
        assert (status, "no greeting" in told) == (0, True), told
        status, told = await place.run(*publish, "--kvs", "word")
        assert status == 1
        assert 'there is no key-value store "word" in `kvs` of the configuration here; it has: words; add it' in told
        status, told = await place.run(*publish, "--kvs", "words", "--runtime", "js")
        assert (status, "--kvs: runtime js can't read key-value stores" in told) == (1, True), told
        status, told = await place.run(*publish, "--kvs", "")
        assert (status, "--kvs: '' is no name" in told) == (2, True), told
