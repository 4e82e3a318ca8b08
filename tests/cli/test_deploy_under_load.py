"""Deployments to a location of two workers while viewers ask: none of them sees a failure, or what was before."""

import asyncio
from pathlib import Path

from aiohttp import ClientSession, TCPConnector

from tests.cli.running import Running
from tests.cli.test_serve import command
from tests.free_ports import free_port

CODE = "exports.handler = async () => ({status: '200', body: 'NUMBER'});\n"


async def test_no_request_fails_in_two_workers_while_versions_go_live(tmp_path: Path) -> None:
    config = tmp_path / "edgefn.yaml"
    config.write_text(f"""
location: fra1
listen: 127.0.0.1:{free_port()}
admin: 127.0.0.1:{free_port()}
data_dir: ./var
workers: 2
access_log: off
origins: {{app: {{url: "http://127.0.0.1:1"}}}}
routes: [{{path: "*", origin: app, hooks: {{viewer-request: "greet:live"}}}}]
""")
    code = tmp_path / "fn" / "index.js"
    code.parent.mkdir()

    async def deploy(number: int) -> None:
        code.write_text(CODE.replace("NUMBER", str(number)))
        status, told = await command("deploy", code.parent, "--name", "greet", "--runtime", "js", "--config", config)
        assert (status, "done: 1 of 1 location" in told) == (0, True), told

    async with Running("serve", config) as location:
        url = await location.url()
        await deploy(0)
        answers: list[tuple[int, str]] = []
        stop = asyncio.Event()

        async def viewer(session: ClientSession) -> None:
            while not stop.is_set():
                async with session.get(url) as answer:
                    answers.append((answer.status, await answer.text()))
                await asyncio.sleep(0.01)

        async with ClientSession(connector=TCPConnector(force_close=True)) as session, asyncio.TaskGroup() as viewers:
            for _ in range(4):
                viewers.create_task(viewer(session))
            for number in (1, 2):
                await deploy(number)
                since = len(answers)
                async with asyncio.timeout(20):
                    while len(answers) < since + 24:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                assert {text for _, text in answers[since + 4 :]} == {str(number)}
            stop.set()
        assert {status for status, _ in answers} == {200}
        assert {text for _, text in answers} >= {"0", "1", "2"}
