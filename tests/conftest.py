"""What all tests share: the event loop that edgefn runs on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

# What commands keep for the user is kept here instead; the processes that tests start inherit it.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / "build" / "test-cache")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], uvloop.Loop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--node", default="", help="the Node.js that the tests of sandboxed functions run on")
    parser.addoption("--python", default="", help="the Python that the tests of sandboxed functions run on")
