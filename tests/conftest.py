"""What all tests share: the event loop that edgefn runs on."""

from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], uvloop.Loop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--node", default="", help="the Node.js that the tests of sandboxed functions run on")
    parser.addoption("--python", default="", help="the Python that the tests of sandboxed functions run on")
