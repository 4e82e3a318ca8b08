"""What does one core pass on per second, and what does a warm hook add? edgefn beside nginx proxy_pass, one run.

    python -m bench.passing [--rounds 5] [--seconds 4] [--json FILE]

No caching and no access log anywhere; 1 KB from the same origin; every connection is kept alive on both sides. The
proxy has a core of its own; wrk and the origin share the other. A hook's function runs on the proxy's core too. Added
latency is the p50 of one connection, with the hook less without it. CPU is the user and system time per request that
the proxy and its sandboxes take with 64 connections: neither wrk at the end of its core (marked *) nor a busy neighbour
can blur that much. Before it measures, the bench makes sure that each subject passes the body on and that the hook's
header reaches the origin. It takes about two and a half minutes.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import urllib.request
from dataclasses import asdict
from pathlib import Path

from bench import peers
from bench.load import Measured, commit, wrk

NGINX = "nginx proxy_pass"

_CONFIG = """\
location: ben1
listen: 127.0.0.1:{port}
admin: off
data_dir: {data}
access_log: off
origins:
  app: {{url: "http://127.0.0.1:{origin}", keepalive_timeout: 60s}}
functions:
  node: {{path: {hooks}/node, runtime: nodejs20.x, handler: index.handler, provisioned: 4, concurrency: 64}}
  python: {{path: {hooks}/python, runtime: python3.11, handler: index.handler, provisioned: 4, concurrency: 64}}
routes:
  - {{path: /plain, origin: app, cache: {{policy: CachingDisabled}}}}
  - {{path: /node, origin: app, cache: {{policy: CachingDisabled}}, hooks: {{viewer-request: node}}}}
  - {{path: /python, origin: app, cache: {{policy: CachingDisabled}}, hooks: {{viewer-request: python}}}}
  - {{path: "*", origin: app}}
"""

_NODE = """exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  request.headers['x-bench'] = [{ key: 'X-Bench', value: '1' }];
  return request;
};
"""

_PYTHON = """def handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    request["headers"]["x-bench"] = [{"key": "X-Bench", "value": "1"}]
    return request
"""


def measure(rounds: int, seconds: int) -> dict[str, list[tuple[Measured, Measured]]]:
    """Return for each subject its runs, interleaved: one with 64 connections, one with 1."""
    with peers.scratch() as directory, contextlib.ExitStack() as running:
        origin, nginx, edge = peers.free_port(), peers.free_port(), peers.free_port()
        running.enter_context(peers.started(peers.nginx_origin(directory, origin), origin, peers.LOAD_CORE))
        proxy = peers.nginx_proxy(directory, nginx, origin)
        beside = running.enter_context(peers.started(proxy, nginx, peers.PROXY_CORE))
        config = _CONFIG.format(port=edge, origin=origin, data=directory / "var", hooks=_hooks(directory))
        ours = running.enter_context(peers.started(peers.edgefn(directory, "edge", config), edge, peers.PROXY_CORE))
        subjects = {
            NGINX: f"http://127.0.0.1:{nginx}/plain",
            "edgefn, no hook": f"http://127.0.0.1:{edge}/plain",
            "edgefn, Node hook": f"http://127.0.0.1:{edge}/node",
            "edgefn, Python hook": f"http://127.0.0.1:{edge}/python",
        }
        for name, url in subjects.items():
            check(url, hooked="hook" in name and "no hook" not in name)
            wrk(directory, url, connections=4, seconds=1)
        runs: dict[str, list[tuple[Measured, Measured]]] = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, url in subjects.items():
                server = beside if name == NGINX else ours
                many = wrk(directory, url, connections=64, seconds=seconds, server=server)
                one = wrk(directory, url, connections=1, seconds=max(1, seconds // 2))
                runs[name].append((many, one))
        return runs


def check(url: str, *, hooked: bool) -> None:
    """Make sure that `url` answers with the origin's body, and that the hook's header, if any, reached the origin."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        body, seen = answer.read(), answer.headers.get("X-Bench-Seen")
    if len(body) != peers.BODY_SIZE or (seen == "1") is not hooked:
        raise RuntimeError(f"{url} does not do what is to be measured: {len(body)} bytes, X-Bench {seen}")


def _hooks(directory: Path) -> Path:
    for name, file, source in (("node", "index.js", _NODE), ("python", "index.py", _PYTHON)):
        (directory / "hooks" / name).mkdir(parents=True)
        (directory / "hooks" / name / file).write_text(source)
    return directory / "hooks"


def summary(runs: dict[str, list[tuple[Measured, Measured]]]) -> dict[str, object]:
    """Return medians, spreads, ratios and added latencies."""
    rates = {name: [many.rate for many, _ in pairs] for name, pairs in runs.items()}
    alone = {name: statistics.median(one.p50 for _, one in pairs) for name, pairs in runs.items()}
    base = rates[NGINX]
    beside = [many.cpu for many, _ in runs[NGINX]]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.release()}",
        "commit": commit(),
        "subjects": {
            name: {
                "rate": round(statistics.median(rates[name])),
                "spread": [round(min(rates[name])), round(max(rates[name]))],
                "ratio_to_nginx": round(
                    statistics.median(ours / theirs for ours, theirs in zip(rates[name], base, strict=True)), 3
                ),
                "load_bound": any(many.is_load_bound for many, _ in pairs),
                "cpu_us": round(statistics.median(many.cpu for many, _ in pairs), 1),
                "ratio_by_cpu": round(
                    statistics.median(theirs / many.cpu for (many, _), theirs in zip(pairs, beside, strict=True)), 3
                ),
                "p50_us": statistics.median(many.p50 for many, _ in pairs),
                "p99_us": statistics.median(many.p99 for many, _ in pairs),
                "p50_alone_us": alone[name],
                "added_us": round(alone[name] - alone["edgefn, no hook"], 1),
                "failed": sum(many.failed + one.failed for many, one in pairs),
            }
            for name, pairs in runs.items()
        },
        "runs": {name: [[asdict(many), asdict(one)] for many, one in pairs] for name, pairs in runs.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    peers.need("wrk", "nginx", "taskset")
    told = summary(measure(given.rounds, given.seconds))
    print(f"{told['machine']}, commit {told['commit']}; medians of {given.rounds} interleaved rounds")
    print(
        f"{'':20}{'requests/s':>12}{'spread':>16}{'x nginx':>9}{'CPU us':>8}{'x nginx':>9}"
        f"{'p50 us':>9}{'p99 us':>9}{'alone us':>10}{'added us':>10}{'failed':>8}"
    )
    subjects = told["subjects"]
    assert isinstance(subjects, dict)
    for name, row in subjects.items():
        spread = f"{row['spread'][0]}-{row['spread'][1]}"
        print(
            f"{name:20}{row['rate']:>11}{'*' if row['load_bound'] else ' '}{spread:>16}{row['ratio_to_nginx']:>9}"
            f"{row['cpu_us']:>8}{row['ratio_by_cpu']:>9}{row['p50_us']:>9.0f}{row['p99_us']:>9.0f}{row['p50_alone_us']:>10.0f}{row['added_us']:>10.0f}{row['failed']:>8}"
        )
    text = json.dumps(told)
    if given.json:
        given.json.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
