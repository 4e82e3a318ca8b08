"""Stages for the tests of JavaScript functions. The engine is built if need be, and compiled once for the whole run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.sandbox.wasm.cache import CodeCache, cache_key
from tests.project.sources import script
from tests.sandbox_js.stage import Shelf, Stage


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CodeCache:
    script("build_engine.py").build()
    directory = tmp_path_factory.mktemp("compiled-js")
    return CodeCache(directory, cache_key(directory))


@pytest.fixture
async def stage(tmp_path: Path, cache: CodeCache) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, cache)
    yield stage
    await stage.host.close()
    assert stage.room.cells.in_use == 0


@pytest.fixture
def shelved(stage: Stage) -> Stage:
    stage.shelf = Shelf()
    return stage
