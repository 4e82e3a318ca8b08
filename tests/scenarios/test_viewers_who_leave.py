"""Viewers that leave at the worst moment: the origin's answer is given up with them, wherever it is just then."""

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest

from tests.fakes.scripted_origin import Conversation, SeenRequest
from tests.fakes.website import Website, page
from tests.scenarios.edge import Edge

CONFIG = """
origins: {app: {url: "http://{origin}"}}
%s
routes:
  - {path: /passed/*, origin: app, cache: {policy: CachingDisabled}}
  - {path: "*", origin: app}
"""
DISK = "cache: {memory: 4MB, disk: 64MB}"
PAGES = "error_pages: {404: {path: /page}}"
FRESH = "Cache-Control: max-age=60"
PATIENCE = 4.0
BEGUN = b"HTTP/1.1 %b\r\nCache-Control: max-age=60\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000


class Abandoned:
    """A page whose first answer only begins, when the test says so; the next ones are whole."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[int] = asyncio.Queue()
        self.is_given_up = asyncio.Event()

    async def __call__(self, conversation: Conversation, seen: SeenRequest) -> None:
        if self.asked.empty() and not self.is_given_up.is_set():
            self.asked.put_nowait(conversation.writer.get_extra_info("socket").fileno())
            await conversation.stall()
            self.is_given_up.set()
        else:
            await conversation.send(page(200, b"whole", FRESH))


def viewer_of(edge: Edge, path: str) -> socket.socket:
    """Return a viewer's socket on which `path` has been asked for, and which is reset where it is closed."""
    host, port = edge.base.removeprefix("http://").split(":")
    viewer = socket.create_connection((host, int(port)))
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    viewer.sendall(f"GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode())
    return viewer


@pytest.mark.parametrize("path", ["/passed/a", "/a"])
@pytest.mark.parametrize("more", ["", DISK])
async def test_one_that_leaves_just_before_the_answer_comes(path: str, more: str, tmp_path: Path) -> None:
    """Its end is heard of in one turn of the loop with the answer, and before it."""
    abandoned = Abandoned()
    async with Website({path: abandoned}) as site, Edge(CONFIG % more, tmp_path, origin=site.address) as edge:
        await edge.get("/first")  # a connection lies ready now
        viewer = viewer_of(edge, path)
        origin = await abandoned.asked.get()
        viewer.close()
        os.write(origin, BEGUN % b"200 OK")
        async with asyncio.timeout(PATIENCE):
            await abandoned.is_given_up.wait()
            assert (await edge.get(path, Host="shop.test")).text == "whole"


async def test_one_that_leaves_while_the_page_for_its_error_is_fetched(tmp_path: Path) -> None:
    missing, shown = Abandoned(), Abandoned()
    pages = {"/missing": missing, "/page": shown}
    async with Website(pages) as site, Edge(CONFIG % PAGES, tmp_path, origin=site.address) as edge:
        viewer = viewer_of(edge, "/missing")
        os.write(await missing.asked.get(), BEGUN % b"404 Not Found")
        await shown.asked.get()
        viewer.close()
        async with asyncio.timeout(PATIENCE):
            await missing.is_given_up.wait()
            await shown.is_given_up.wait()
