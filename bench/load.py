"""Loading a server with wrk, and reading what it says."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.peers import LOAD_CORE

_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %.1f %.1f %.1f\\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


@dataclass(frozen=True)
class Measured:
    """One run: requests per second, failed requests, and latencies in microseconds."""

    rate: float
    failed: int
    p50: float
    p99: float
    p999: float


def wrk(directory: Path, url: str, *, connections: int, seconds: int) -> Measured:
    """Run wrk once on the load core."""
    script = directory / "report.lua"
    script.write_text(_REPORT)
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", told)
    if found is None:
        raise RuntimeError(f"wrk said something unexpected:\n{told}")
    requests, microseconds, failed = (int(found[n]) for n in (1, 2, 3))
    return Measured(requests / microseconds * 1e6, failed, float(found[4]), float(found[5]), float(found[6]))
