"""A location whose origin leads back to itself: told at once, and not when the headers have become too long."""

import asyncio
from pathlib import Path

import pytest

from tests.fakes.scripted_origin import Conversation, ScriptedOrigin
from tests.free_ports import free_port
from tests.scenarios.edge import Edge

ROUND = """
listen: 127.0.0.1:{port}
origins: {app: {url: "http://127.0.0.1:{port}"}}
routes:
  - {path: /passed/*, origin: app, cache: {policy: CachingDisabled}}
  - {path: "*", origin: app}
"""


@pytest.mark.parametrize("path", ["/stored", "/passed/on"])
async def test_an_origin_that_is_the_location_itself_is_told(tmp_path: Path, path: str) -> None:
    async with Edge(ROUND, tmp_path, port=free_port()) as edge:
        for _ in range(3):  # the later ones on connections that are open already
            async with asyncio.timeout(10):
                answer = await edge.get(path)
            assert (answer.status, answer.x_cache) == (508, "Error")
            assert "leads back to this location" in answer.text


async def test_who_claims_to_have_been_here_gets_an_error_that_nobody_else_gets(tmp_path: Path) -> None:
    async def serve(conversation: Conversation) -> None:
        while await conversation.request():
            conversation.writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok")

    async with ScriptedOrigin(serve) as origin:
        text = 'origins: {app: {url: "http://{app}"}}\nroutes: [{path: "*", origin: app}]\n'
        async with Edge(text, tmp_path, app=origin.address) as edge:
            here = (await edge.get("/other"))["Via"]
            assert (await edge.get("/a", Via=f"1.0 fred, {here}")).status == 508
            assert (await edge.get("/a", Via="1.0 fred")).text == "ok"
            assert len(origin.requests) == 2
