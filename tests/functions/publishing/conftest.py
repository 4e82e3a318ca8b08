"""Somebody who publishes into a replica of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.functions.publishing import Publisher
from tests.functions.publishing.stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "replica") as made:
        yield made


@pytest.fixture
def publisher(stage: Stage) -> Publisher:
    return stage.publisher()
