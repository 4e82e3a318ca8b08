"""The benches know parts of the program that nobody else calls as they do: they must still fit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "bench").glob("*.py") if path.stem != "__init__"))
def test_a_bench_can_be_imported(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import bench.{name}"], cwd=ROOT, env=os.environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_every_path_through_the_program_can_be_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.parts", "--repeats", "1", "--only", "path:"],
        cwd=ROOT, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    lines = done.stdout.decode().splitlines()
    costs = [float(line.split()[-2]) for line in lines if line.startswith("path:")]
    assert len(costs) == 7, done.stderr.decode()
    assert min(costs) > 0
