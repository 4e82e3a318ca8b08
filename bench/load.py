"""Loading a server with wrk, and reading what it says."""

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.peers import LOAD_CORE, Running

_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %.1f %.1f %.1f %.0f\\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), summary.bytes))
end
"""
_SATURATED = 0.93


@dataclass(frozen=True)
class Measured:
    """One run: requests and bytes per second, failed requests, and latencies in microseconds.

    `load` is how much of its core wrk itself has used, 1.0 at most; `cpu` is what a request cost the server and all
    its children, in microseconds of user and system time.
    """

    rate: float
    failed: int
    p50: float
    p99: float
    p999: float
    load: float = 0.0
    cpu: float = 0.0
    volume: float = 0.0

    @property
    def is_load_bound(self) -> bool:
        """Return whether wrk had no time left: the server might do more than was measured."""
        return self.load > _SATURATED


def wrk(  # what one run is made of
    directory: Path,
    url: str,
    *,
    connections: int,
    seconds: int,
    server: Running | None = None,
    requests: str = "",
    cores: str = LOAD_CORE,
) -> Measured:
    """Run wrk once on the load core, or with a thread on each of `cores`.

    `requests` is Lua that chooses what is asked for. `server` is whose CPU time is told per request.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua", dir=directory) as script:
        script.write(_REPORT + requests)
        script.flush()
        threads = len(cores.split(","))
        command = ["taskset", "-c", cores, "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s"]
        before, began = 0.0 if server is None else server.cpu_seconds(), time.monotonic()
        process = subprocess.Popen([*command, "--timeout", "10s", "-s", script.name, url], stdout=subprocess.PIPE)
        told, usage = _awaited(process, seconds + 30)
        wall = time.monotonic() - began
        spent = 0.0 if server is None else server.cpu_seconds() - before
    found = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", told)
    if found is None:
        raise RuntimeError(f"wrk said something unexpected:\n{told}")
    number, microseconds, failed = (int(found[n]) for n in (1, 2, 3))
    per_second = 1e6 / microseconds
    p50, p99, p999 = (float(found[n]) for n in (4, 5, 6))
    return Measured(
        number * per_second, failed, p50, p99, p999, usage / wall / threads, spent / max(1, number) * 1e6,
        int(found[7]) * per_second,
    )  # fmt: skip


def _awaited(process: "subprocess.Popen[bytes]", patience: float) -> tuple[str, float]:
    """Return what a process printed, and its CPU seconds."""
    assert process.stdout is not None
    deadline = time.monotonic() + patience
    with process.stdout as pipe:
        told = pipe.read().decode()
    if time.monotonic() > deadline:
        raise RuntimeError("wrk did not end in time")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"wrk ended with status {process.returncode}: {told}")
    return told, usage.ru_utime + usage.ru_stime


_ZIPF = """
local keys, total, sums = %(keys)d, 0, {}
for n = 1, keys do
  total = total + 1 / n
  sums[n] = total
end
local function drawn()
  local point, low, high = math.random() * total, 1, keys
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sums[middle] < point then low = middle + 1 else high = middle end
  end
  return low
end
local draws, place = {}, 0
init = function(arguments)
  math.randomseed(%(seed)d)
  local texts = {}
  for n = 1, keys do texts[n] = wrk.format("GET", "%(path)s" .. n) end
  for n = 1, 65536 do draws[n] = texts[drawn()] end
end
request = function()
  place = place %% 65536 + 1
  return draws[place]
end
"""


def zipf(path: str, keys: int, seed: int = 1) -> str:
    """Return Lua that asks for `path` followed by 1 to `keys`, n being drawn in proportion to 1/n."""
    return _ZIPF % {"keys": keys, "path": path, "seed": seed}


def never_twice(path: str) -> str:
    """Return Lua that asks for `path` followed by one number after the other. For one thread only."""
    return f"""
local number = 0
request = function()
  number = number + 1
  return wrk.format("GET", "{path}" .. number)
end
"""


def another_header(path: str) -> str:
    """Return Lua that asks for `path` with another X-Request-Id each time. For one thread only."""
    return f"""
local number = 0
request = function()
  number = number + 1
  return wrk.format("GET", "{path}", {{["X-Request-Id"] = "request-" .. number}})
end
"""


def commit() -> str:
    """Return which commit is measured."""
    told = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"
