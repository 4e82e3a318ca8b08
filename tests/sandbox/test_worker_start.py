"""Workers that don't come up, on a launcher without walls that runs any program in their stead."""

import secrets
import time
from pathlib import Path

import pytest

from edgefn.sandbox.base import Code, Failed, Invocation
from edgefn.sandbox.process.hiring import Senses
from edgefn.sandbox.process.host import ProcessHost
from edgefn.sandbox.process.launch import Language
from tests.fakes.plain_launcher import PlainLauncher

SENSES = Senses(time.monotonic, lambda: "2026/01/02", lambda: secrets.token_hex(16))


async def outcome_of(tmp_path: Path, program: str) -> Failed:
    (tmp_path / "slots").mkdir()
    (tmp_path / "bundle").mkdir()
    (tmp_path / "program.py").write_text(program)
    launcher = PlainLauncher(tmp_path / "slots", {Language.PYTHON: tmp_path / "program.py"})
    host = ProcessHost(launcher, parked=1, senses=SENSES)
    code = Code("f", "1", "arn", str(tmp_path / "bundle"), "python3.11", "index.handler", 1.0, 128, {})
    try:
        version = await host.open(code, concurrency=1, provisioned=0, idle_timeout=1, log=lambda id_, text: None)
        outcome = await version.run(Invocation("id", b"{}"))
    finally:
        await host.close()
    assert isinstance(outcome, Failed)
    assert list((tmp_path / "slots").iterdir()) == []
    return outcome


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('no interpreter today')", "it ended at once: no interpreter today"),
        (
            "import os; os.write(3, b'x' * 100)\nimport time; time.sleep(60)",
            "it ended at once: edgefn: worker killed: a header of 2021161080 bytes",
        ),
        ("import os; os.write(3, b'\\x02\\0\\0\\0\\0\\0\\0\\0{}')\nimport time; time.sleep(60)", "it ended at once"),
    ],
    ids=["exits", "garbage", "another frame"],
)
async def test_a_worker_that_does_not_come_up_says_why(tmp_path: Path, program: str, message: str) -> None:
    outcome = await outcome_of(tmp_path, program)
    assert outcome.type == "Sandbox.LaunchError"
    assert message in outcome.message
