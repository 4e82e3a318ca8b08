"""What several stories of a location look at."""

import pytest

from edgefn.model.settings import ViewerLimits
from edgefn.wire.viewer_head import HeadReader, ViewerHead


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The requests that were read the usual way, as far as they have come."""
    seen: list[bytes] = []
    read = HeadReader.read

    def counted(self: HeadReader, block: bytes, limits: ViewerLimits) -> ViewerHead:
        seen.append(block)
        return read(self, block, limits)

    monkeypatch.setattr(HeadReader, "read", counted)
    return seen
