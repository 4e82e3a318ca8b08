"""How fast are answers from the cache, and those on their way into it? edgefn beside nginx, Varnish and Envoy, one run.

    python -m bench.cache [--rounds 3] [--seconds 3] [--only WORD] [--json FILE]

Each proxy has one core, and answers from memory or from the page cache; wrk has the other core, with the origin, whose
connections are kept alive. No access log anywhere. Before it measures, the bench makes sure that what is stored is
served again, and after each run, by what the origin has counted, that hits were hits and misses were misses.

Rates are what wrk saw; where it was itself at the end of its core (marked *), the proxy might do more. CPU is the user
and system time that the proxy takes per request, which neither wrk nor a busy neighbour can blur: a proxy whose request
costs half as much does twice as much on a core of its own.

Envoy is measured where `envoy` is on the PATH, Varnish where `varnishd` is. `10 MB` and `100 KB` are one object each;
10 MB is measured with 64 connections only, and by bytes: with 512 of them hardly one would end in the time. `zipf`
draws from 10,000 keys, the nth in proportion to 1/n. `two workers` puts edgefn and wrk together on one core, then both
on two cores: what twice the machine is worth. All of it takes about ten minutes.
"""

import argparse
import contextlib
import http.client
import json
import math
import os
import platform
import statistics
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench import peers
from bench.load import Measured, another_header, commit, never_twice, wrk, zipf

SIZES = {"1k": 1_024, "100k": 102_400, "10m": 10_485_760}
KEYS = 10_000
EDGEFN = "edgefn"
_ALL_CORES = f"{peers.LOAD_CORE},{peers.PROXY_CORE}"
_LARGE = 1_000_000
_MOST_MISSES = 0.02  # of what should be hits: the first request of each key, and what was not admitted at first

_CONFIG = """\
location: ben1
listen: 127.0.0.1:{port}
admin: off
data_dir: {data}
access_log: off
workers: {workers}
cache: {{memory: 2GB}}
origins:
  app: {{url: "http://127.0.0.1:{origin}", keepalive_timeout: 60s}}
routes:
  - {{path: "*", origin: app}}
"""


@dataclass(frozen=True)
class Load:
    """What is asked for: `size` names the kind of object, `keys` how many there are; None: another one each time.

    `headers`: each request has another X-Request-Id, so that no two are the same.
    """

    name: str
    size: str
    keys: int | None
    connections: int
    headers: bool = False


LOADS = (
    Load("1 KB, 64 conn.", "1k", 1, 64),
    Load("1 KB, 512 conn.", "1k", 1, 512),
    Load("1 KB, other headers, 64 conn.", "1k", 1, 64, headers=True),
    Load("1 KB zipf, 64 conn.", "1k", KEYS, 64),
    Load("1 KB zipf, 512 conn.", "1k", KEYS, 512),
    Load("100 KB, 64 conn.", "100k", 1, 64),
    Load("100 KB, 512 conn.", "100k", 1, 512),
    Load("10 MB, 64 conn.", "10m", 1, 64),
    Load("1 KB miss, 64 conn.", "1k", None, 64),
)
TWO_WORKERS = Load("1 KB, 64 conn.", "1k", 1, 64)


@dataclass(frozen=True)
class Run:
    """One run of one subject under one load."""

    measured: Measured
    memory: int


@dataclass(frozen=True)
class Subject:
    """A proxy that runs, and where."""

    name: str
    port: int
    server: peers.Running


class Bench:
    """One origin, and the proxies before it."""

    def __init__(self, directory: Path, origin: int, seconds: int) -> None:
        self._directory = directory
        self._origin = origin
        self._seconds = seconds
        self._fresh = 0

    @contextlib.contextmanager
    def subjects(self) -> Iterator[list[Subject]]:
        """Run every proxy that is here, with an empty cache, each on the same core."""
        home = self._directory / str(peers.free_port())
        home.mkdir()
        commands = {EDGEFN: self._edgefn, "nginx": peers.nginx_cache}
        commands |= {"varnish": peers.varnish} if peers.is_here("varnishd") else {}
        commands |= {"envoy": peers.envoy} if peers.is_here("envoy") else {}
        with contextlib.ExitStack() as running:
            found = []
            for name, command in commands.items():
                port = peers.free_port()
                arguments = command(home, port, self._origin)
                server = running.enter_context(peers.started(arguments, port, peers.PROXY_CORE))
                found.append(Subject(name, port, server))
            yield found

    def _edgefn(self, directory: Path, port: int, origin: int, workers: int = 1) -> list[str]:
        name = f"edge{workers}-{port}"
        config = _CONFIG.format(port=port, origin=origin, data=directory / name, workers=workers)
        return peers.edgefn(directory, name, config)

    def run(self, subject: Subject, load: Load, cores: str = peers.LOAD_CORE) -> Run:
        """Run `load` once. Raises `RuntimeError` when the cache does not do what is to be measured."""
        path = f"/{load.size}/"
        lua = ""
        if load.keys is None:
            self._fresh += 1
            lua = never_twice(f"{path}{self._fresh}-")
        elif load.headers:
            lua = another_header(f"{path}1")
        elif load.keys > 1:
            lua = zipf(path, load.keys)
        url = f"http://127.0.0.1:{subject.port}{path}1"
        before = self._asked()
        measured = wrk(
            self._directory, url, connections=load.connections, seconds=self._seconds,
            server=subject.server, requests=lua, cores=cores,
        )  # fmt: skip
        share = (self._asked() - before - 1) / max(1.0, measured.rate * self._seconds)
        if share < 0.9 if load.keys is None else share > _MOST_MISSES:
            raise RuntimeError(f"{subject.name}, {load.name}: the origin got {share:.1%} of the requests")
        return Run(_by_volume(measured, SIZES[load.size]), subject.server.memory())

    def warm(self, subject: Subject, load: Load) -> None:
        """Fill the cache, and make sure that it serves what it holds."""
        if load.keys is None:
            return
        paths = [f"/{load.size}/{number}" for number in range(1, load.keys + 1)]
        *_, first, second = fetched(subject.port, [*paths, paths[0], paths[0]])
        if first != second or first[0] != SIZES[load.size]:
            raise RuntimeError(f"{subject.name} does not cache {load.size}: {first}, then {second}")

    def _asked(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._origin}/status", timeout=20) as answer:
            return int(answer.read().split()[9])

    def two_workers(self, rounds: int) -> dict[str, list[Run]]:
        """Return the runs of one worker with wrk on one core, and of two workers with wrk on two, interleaved."""
        runs: dict[str, list[Run]] = {}
        for _ in range(rounds):
            for workers, cores in ((1, peers.PROXY_CORE), (2, _ALL_CORES)):
                port = peers.free_port()
                arguments = self._edgefn(self._directory, port, self._origin, workers)
                with peers.started(arguments, port, cores) as server:
                    server.settle()
                    subject = Subject(EDGEFN, port, server)
                    for _ in range(8):  # so that each worker has it
                        self.warm(subject, TWO_WORKERS)
                    runs.setdefault(f"{workers} on {workers}", []).append(self.run(subject, TWO_WORKERS, cores))
        return runs


def _by_volume(measured: Measured, size: int) -> Measured:
    """Return a run whose large objects are counted by their bytes: many are under way when the time is up."""
    if size < _LARGE or not measured.volume:
        return measured
    worth = measured.volume / size
    return replace(measured, rate=worth, cpu=measured.cpu * max(measured.rate, 1e-9) / worth)


def fetched(port: int, paths: list[str]) -> list[tuple[int, str | None]]:
    """Return of each answer how long the body is, and which of the origin's answers it came with."""
    found = []
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            found.append((len(answer.read()), answer.headers.get("X-Origin-Id")))
    return found


def measure(rounds: int, seconds: int, only: str) -> dict[str, dict[str, list[Run]]]:
    """Return the runs by load and subject, interleaved."""
    with peers.scratch() as directory, contextlib.ExitStack() as running:
        origin = peers.free_port()
        running.enter_context(peers.started(peers.nginx_files(directory, origin, SIZES), origin, peers.LOAD_CORE))
        bench = Bench(directory, origin, seconds)
        runs: dict[str, dict[str, list[Run]]] = {}
        for load in (load for load in LOADS if only in load.name):
            with bench.subjects() as subjects:
                for subject in subjects:
                    bench.warm(subject, load)
                for _ in range(rounds):
                    for subject in subjects:
                        runs.setdefault(load.name, {}).setdefault(subject.name, []).append(bench.run(subject, load))
            _show(load.name, runs[load.name])
        if only in "two workers":
            runs["two workers"] = bench.two_workers(rounds)
            _show("two workers", runs["two workers"])
        return runs


def row(runs: list[Run], ours: list[Run]) -> dict[str, object]:
    """Return medians and spreads, and how `ours` compare, round by round."""
    measured = [run.measured for run in runs]
    rates = [each.rate for each in measured]
    pairs = list(zip([run.measured for run in ours], measured, strict=True))
    return {
        "rate": round(statistics.median(rates)),
        "spread": [round(min(rates)), round(max(rates))],
        "load_bound": any(each.is_load_bound for each in measured),
        "cpu_us": round(statistics.median(each.cpu for each in measured), 1),
        "p50_us": statistics.median(each.p50 for each in measured),
        "p99_us": statistics.median(each.p99 for each in measured),
        "memory_mb": round(statistics.median(run.memory for run in runs) / 1e6),
        "failed": sum(each.failed for each in measured),
        "edgefn_by_rate": round(statistics.median(_ratio(mine.rate, other.rate) for mine, other in pairs), 2),
        "edgefn_by_cpu": round(statistics.median(_ratio(other.cpu, mine.cpu) for mine, other in pairs), 2),
    }


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else math.nan


def _show(name: str, runs: dict[str, list[Run]]) -> None:
    ours = next(iter(runs.values()))
    print(
        f"\n{name:22}{'requests/s':>12}{'spread':>16}{'CPU us':>9}{'p50 us':>9}{'p99 us':>9}{'MB':>7}{'failed':>8}"
        f"{'edgefn x, by rate':>19}{'by CPU':>8}"
    )
    for subject, each in runs.items():
        told = row(each, ours)
        spread = "-".join(str(rate) for rate in told["spread"])  # type: ignore[attr-defined]
        mark = "*" if told["load_bound"] else " "
        print(
            f"  {subject:20}{told['rate']:>11}{mark}{spread:>16}{told['cpu_us']:>9}{told['p50_us']:>9.0f}"
            f"{told['p99_us']:>9.0f}{told['memory_mb']:>7}{told['failed']:>8}{told['edgefn_by_rate']:>19}"
            f"{told['edgefn_by_cpu']:>8}",
            flush=True,
        )


def summary(runs: dict[str, dict[str, list[Run]]]) -> dict[str, object]:
    """Return everything, for machines."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
        "python": platform.python_version(),
        "commit": commit(),
        "loads": {
            load: {name: row(each, next(iter(by_subject.values()))) for name, each in by_subject.items()}
            for load, by_subject in runs.items()
        },
        "runs": {
            load: {name: [asdict(run) for run in each] for name, each in by_subject.items()}
            for load, by_subject in runs.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", help="the loads with this in their name")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    peers.need("wrk", "nginx", "taskset")
    absent = [name for name in ("varnishd", "envoy") if not peers.is_here(name)]
    print(f"commit {commit()}; medians of {given.rounds} interleaved rounds; * wrk was at the end of its core")
    print(f"not measured, not installed: {', '.join(absent)}" if absent else "all peers are here")
    text = json.dumps(summary(measure(given.rounds, given.seconds, given.only)))
    if given.json:
        given.json.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
