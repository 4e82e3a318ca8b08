"""A location in traffic in which nothing is usual. `python -m bench.soak --rough` does it for as long as you like."""

from pathlib import Path

from bench.kills import CACHE
from bench.soak import run


async def test_no_request_fails_and_no_answer_is_wrong(tmp_path: Path) -> None:
    told = await run(tmp_path, seconds=3, workers=2, seed=5, cache=CACHE, is_rough=True)
    assert (told["failed"], told["wrong"]) == ([], [])
    answered = told["answered"]
    assert isinstance(answered, int)
    assert answered > 50
    assert "Traceback" not in (tmp_path / "log").read_text()
