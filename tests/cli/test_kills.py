"""A location with a disk cache that is killed under load. `python -m bench.kills` does it twenty times."""

from pathlib import Path

from bench.kills import run


async def test_after_kill_9_it_is_warm_and_serves_nothing_old_or_torn(tmp_path: Path) -> None:
    told = await run(tmp_path, times=2, workers=2, seed=3, pause=0.5)
    assert told["wrong"] == []
    warm, acknowledged = told["least warm after a kill"], told["purges acknowledged"]
    assert isinstance(warm, float)
    assert warm > 0.8, told
    assert acknowledged, told
    assert "Traceback" not in (tmp_path / "log").read_text()
