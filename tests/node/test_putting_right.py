"""A location that publishes for itself puts right what others write into its replica, and writes down that it did."""

import asyncio
from pathlib import Path

import orjson

from edgefn.functions.replicas.base import Record
from edgefn.functions.replicas.sqlite.replica import opened
from edgefn.node import world
from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.fakes.greetings import GREET, publisher_on, saying
from tests.free_ports import free_port


async def test_what_somebody_wrote_without_publishing_is_put_right_and_audited(tmp_path: Path) -> None:
    config = tmp_path / "edgefn.yaml"
    admin, audit = f"127.0.0.1:{free_port()}", tmp_path / "var" / "audit.log"
    config.write_text(
        f"location: fra1\nlisten: 127.0.0.1:{free_port()}\nadmin: {admin}\ndata_dir: ./var\n"
        'access_log: off\norigins: {app: {url: "http://127.0.0.1:9"}}\nroutes: [{path: "*", origin: app}]\n'
    )
    async with opened(tmp_path / "var" / "replica", world.wall, world.pseudonym) as replica:
        deployed = await publisher_on(replica).deploy(GREET, saying("one"), alias="live")
        async with Running("serve", config) as location:
            await location.url()
            there = ("--control", f"http://{admin}", "--token-file", tmp_path / "var" / "admin.token")
            status, told = await command("status", *there)
            assert "published: generation 1" in told, (status, told)
            await replica.append([Record("alias.greet.live", b"")], {})
            await location.says("put right in generation 2")
            async with asyncio.timeout(20):
                while "put-right" not in audit.read_text():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert "alias.greet.live: somebody without the key had written that" in (await command("status", *there))[1]
        alias = await replica.get("alias.greet.live")
        assert alias is not None
        assert alias.value != b""
        assert deployed.generation == 1
        lines = [orjson.loads(line) for line in audit.read_bytes().splitlines()]
        righted = [line for line in lines if line["what"] == "put-right"]
        assert [(each["who"], each["subjects"], each["generation"]) for each in righted] == [
            ("edgefn", ["alias.greet.live"], 2)
        ]
