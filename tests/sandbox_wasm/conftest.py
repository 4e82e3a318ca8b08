"""Stages for the tests of guests. Compiled code is kept for the whole run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.sandbox.wasm.cache import CodeCache, cache_key
from tests.sandbox_wasm.stage import Stage


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CodeCache:
    directory = tmp_path_factory.mktemp("compiled")
    return CodeCache(directory, cache_key(directory))


@pytest.fixture
async def stage(tmp_path: Path, cache: CodeCache) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, cache)
    yield stage
    await stage.host.close()
    assert stage.room.cells.in_use == 0
