"""What does a function at viewer-request cost a cached hit? edgefn beside nginx + njs, Envoy + Lua and workerd.

    python -m bench.hooks [--rounds 5] [--seconds 4] [--fetch] [--only WORD] [--json FILE]

A kilobyte from the cache, one core for the server, no logs, keep-alive; wrk has the other core. *small*: a path gets
its index.html; edgefn runs it in C and in AssemblyScript. *typical*: a regular expression rewrites the path, a cookie
chooses a variant that is a part of the cache key; edgefn runs it as a CloudFront Function. edgefn and njs have a fresh
isolate for each request, Envoy and workerd keep one; workerd has no cache and answers from its worker. CPU is the user
and system time that the server takes per request, which a busy neighbour blurs least. Added latency is the p50 of one
connection less that of the same server without a hook.

Then neighbours: guests in endless loops, 0, 4 and 50 at a time, while four connections ask for a cached page, and four
for a page with the typical hook. At last the first call of functions that were never seen before. `--fetch` installs
Envoy and workerd into build/bench; a peer that is not there is left out, and said to be.
"""

import argparse
import contextlib
import http.client
import json
import platform
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wasmtime import wat2wasm

from bench import hook_peers, peers
from bench.hook_peers import AbsentError, Peer
from bench.load import Measured, commit, wrk
from bench.peers import Running

ROOT = Path(__file__).resolve().parent.parent
COOKIE = "session=0123456789abcdef; variant=b; theme=dark"
_ASKS = f'wrk.headers["Cookie"] = "{COOKIE}"\n'
PATHS = {
    "/plain/": ("/plain/page.html", "/plain/page.html"),
    "/small/": ("/small/docs", "/small/docs/index.html"),
    "/as/": ("/as/docs", "/as/docs/index.html"),
    "/typical/": ("/typical/old/first-steps", "/typical/articles/first-steps/index.html"),
}
"""By the beginning of a path: what is asked for, and what the origin is to be asked for."""

TYPICAL = r"""function handler(event) {
  var request = event.request;
  var found = /^\/typical\/old\/([a-z0-9-]+)$/.exec(request.uri);
  if (found) {
    request.uri = '/typical/articles/' + found[1] + '/index.html';
  }
  var cookie = request.cookies.variant;
  request.headers['x-variant'] = { value: cookie && /^[ab]$/.test(cookie.value) ? cookie.value : 'a' };
  return request;
}
"""

_SPINNER = """(module (memory (export "memory") 1)
    (func (export "alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle") (param i32 i32) (result i64) (loop $again (br $again)) (unreachable)))"""

_CONFIG = """\
location: ben1
listen: 127.0.0.1:{port}
admin: off
data_dir: {home}/var
access_log: off
function_log: off
origins:
  app: {{url: "http://127.0.0.1:{origin}"}}
functions:
  small: {{path: {guests}/wasm-c.wasm, runtime: wasm}}
  small-as: {{path: {guests}/wasm-assemblyscript.wasm, runtime: wasm}}
  typical: {{path: {home}/typical.js, runtime: cloudfront-js-2.0}}
  spins: {{path: {home}/spins.wasm, runtime: wasm, timeout: 5s, concurrency: 64}}
routes:
  - {{path: /plain/*, origin: app}}
  - {{path: /small/*, origin: app, hooks: {{viewer-request: small}}}}
  - {{path: /as/*, origin: app, hooks: {{viewer-request: small-as}}}}
  - path: /typical/*
    origin: app
    cache: {{key: {{headers: [X-Variant], cookies: none, query: all}}}}
    hooks: {{viewer-request: typical}}
  - {{path: /spin, origin: app, hooks: {{viewer-request: spins}}}}
  - {{path: "*", origin: app}}
"""

OURS = {
    "none": "edgefn",
    "C": "edgefn + C, small",
    "as": "edgefn + AssemblyScript, small",
    "cff": "edgefn + CFF, typical",
}
BASE = {"edgefn": OURS["none"], "nginx": "nginx cache"}
"""What a subject's latency is compared with, by the first word of its name."""


def edgefn(directory: Path, port: int, origin: int) -> Peer:
    """Return edgefn with its functions."""
    home = directory / "edge"
    home.mkdir()
    (home / "typical.js").write_text(TYPICAL)
    (home / "spins.wasm").write_bytes(wat2wasm(_SPINNER))
    guests = ROOT / "build" / "guests"
    config = _CONFIG.format(port=port, origin=origin, home=home, guests=guests)
    subjects = ((OURS["none"], "/plain/"), (OURS["C"], "/small/"), (OURS["as"], "/as/"), (OURS["cff"], "/typical/"))
    return Peer(peers.edgefn(directory, "edge", config), subjects)


MAKERS: tuple[Callable[[Path, int, int], Peer], ...] = (
    edgefn,
    hook_peers.nginx_njs,
    hook_peers.envoy,
    hook_peers.workerd,
)


@dataclass(frozen=True)
class Subject:
    """What is measured: a URL, and the server behind it."""

    url: str
    server: Running


@contextlib.contextmanager
def servers(only: str) -> Iterator[tuple[Path, dict[str, Subject], int]]:
    """Give a directory, the subjects, and edgefn's port, while all servers run."""
    with peers.scratch() as directory, contextlib.ExitStack() as running:
        origin = peers.free_port()
        running.enter_context(peers.started(hook_peers.origin(directory, origin), origin, peers.LOAD_CORE))
        subjects, edge = {}, 0
        for make in MAKERS:
            port = peers.free_port()
            try:
                peer = make(directory, port, origin)
            except AbsentError as absent:
                print(f"left out: {absent}")
                continue
            wanted = {name: path for name, path in peer.subjects if only in name or name in BASE.values()}
            server = running.enter_context(peers.started(peer.command, port, peers.PROXY_CORE))
            edge = edge or port
            for name, path in wanted.items():
                subjects[name] = Subject(checked(f"http://127.0.0.1:{port}{path}"), server)
        yield directory, subjects, edge


def checked(url: str) -> str:
    """Return the URL to load below this one, having seen that the path and the variant come out right, twice."""
    place, _, path = url.removeprefix("http://").partition("/")
    asked, expected = PATHS[f"/{path}"]
    for _ in range(2):
        request = urllib.request.Request(f"http://{place}{asked}", headers={"Cookie": COOKIE})
        with urllib.request.urlopen(request, timeout=20) as answer:
            body, seen = answer.read(), (answer.headers["X-Origin-Path"], answer.headers["X-Origin-Variant"])
        variant = "b" if path == "typical/" else None
        if len(body) != peers.BODY_SIZE or seen != (expected, variant):
            raise RuntimeError(f"{url} does not do what is to be measured: {len(body)} bytes, {seen}")
    return f"http://{place}{asked}"


def measure(rounds: int, seconds: int, only: str) -> dict[str, object]:
    """Return all that there is to tell."""
    with servers(only) as (directory, subjects, edge):
        for subject in subjects.values():
            wrk(directory, subject.url, connections=4, seconds=1, requests=_ASKS)
        runs: dict[str, list[tuple[Measured, Measured]]] = {name: [] for name in subjects}
        for _ in range(rounds):
            for name, subject in subjects.items():
                url, server = subject.url, subject.server
                many = wrk(directory, url, connections=64, seconds=seconds, server=server, requests=_ASKS)
                one = wrk(directory, url, connections=1, seconds=max(1, seconds // 2), requests=_ASKS)
                runs[name].append((many, one))
        beside = {}
        for spinning in (0, 4, 50):
            with spinners(edge, spinning):
                for name in (OURS["none"], OURS["cff"]):
                    if name in subjects:
                        took = wrk(directory, subjects[name].url, connections=4, seconds=seconds, requests=_ASKS)
                        beside[f"{name}, beside {spinning} that spin"] = took
    return {
        "machine": f"{platform.machine()}, {platform.release()}",
        "commit": commit(),
        "subjects": summary(runs),
        "neighbours": {name: asdict(took) for name, took in beside.items()},
        "first_calls_ms": first_calls(),
    }


@contextlib.contextmanager
def spinners(port: int, count: int) -> Iterator[None]:
    """Keep `count` guests in endless loops until the block ends: whoever is stopped at its limit is asked for anew."""
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/spin")
                connection.getresponse().read()
            connection.close()

    threads = [threading.Thread(target=spin) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def first_calls() -> dict[str, float]:
    """Return the milliseconds from a new function's files to its first result, in a location that runs already."""
    told = subprocess.run(
        ["taskset", "-c", peers.PROXY_CORE, sys.executable, "-m", "bench.first_calls"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    result: dict[str, float] = json.loads(told.stdout)
    return result


def summary(runs: dict[str, list[tuple[Measured, Measured]]]) -> dict[str, dict[str, float]]:
    """Return medians, spreads, and what each hook adds."""
    alone = {name: statistics.median(one.p50 for _, one in pairs) for name, pairs in runs.items()}
    rows = {}
    for name, pairs in runs.items():
        rates = [many.rate for many, _ in pairs]
        base = BASE.get(name.split()[0])
        rows[name] = {
            "rate": round(statistics.median(rates)),
            "least": round(min(rates)),
            "most": round(max(rates)),
            "cpu_us": round(statistics.median(many.cpu for many, _ in pairs), 1),
            "p50_us": statistics.median(many.p50 for many, _ in pairs),
            "p99_us": statistics.median(many.p99 for many, _ in pairs),
            "alone_us": alone[name],
            "failed": sum(many.failed + one.failed for many, one in pairs),
        }
        if base in alone and base != name:
            rows[name]["added_us"] = round(alone[name] - alone[base], 1)
    return rows


def ratios(rows: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield how we stand beside those who do the same."""
    for ours, theirs in (
        (OURS["C"], "nginx + njs, small"),
        (OURS["as"], "nginx + njs, small"),
        (OURS["cff"], "nginx + njs, typical"),
        (OURS["cff"], "workerd, typical, no cache"),
        (OURS["cff"], "Envoy cache + Lua, typical"),
    ):
        if ours in rows and theirs in rows:
            rate, cpu = rows[ours]["rate"] / rows[theirs]["rate"], rows[theirs]["cpu_us"] / rows[ours]["cpu_us"]
            yield f"{ours} / {theirs}: {rate:.2f} by requests/s, {cpu:.2f} by CPU"


def show(told: dict[str, object], rounds: int) -> None:
    """Print the tables."""
    rows, beside, first = told["subjects"], told["neighbours"], told["first_calls_ms"]
    assert isinstance(rows, dict)
    assert isinstance(beside, dict)
    assert isinstance(first, dict)
    print(f"{told['machine']}, commit {told['commit']}; medians of {rounds} interleaved rounds, one core")
    heads = f"{'requests/s':>11}{'spread':>15}{'CPU us':>8}{'p50 us':>8}{'p99 us':>8}{'alone':>7}"
    print(f"{'':32}{heads}{'added':>7}{'failed':>8}")
    for name, row in rows.items():
        spread = f"{row['least']}-{row['most']}"
        added = row.get("added_us", "")
        print(
            f"{name:32}{row['rate']:>11}{spread:>15}{row['cpu_us']:>8.1f}{row['p50_us']:>8.0f}{row['p99_us']:>8.0f}"
            f"{row['alone_us']:>7.0f}{added:>7}{row['failed']:>8}"
        )
    for line in ratios(rows):
        print(line)
    for name, took in beside.items():
        print(f"{name}: {took['rate']:.0f}/s, p50 {took['p50'] / 1000:.2f} ms, p99 {took['p99'] / 1000:.2f} ms")
    for name, milliseconds in first.items():
        print(f"{name}: {milliseconds:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--fetch", action="store_true", help="install Envoy and workerd first")
    parser.add_argument("--only", metavar="WORD", default="", help="subjects with this in their names")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    peers.need("wrk", "nginx", "taskset")
    if given.fetch:
        hook_peers.fetch()
    subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "build_guests.py"), "--fetch", "wasm-c", "wasm-assemblyscript"], check=True
    )
    told = measure(given.rounds, given.seconds, given.only)
    show(told, given.rounds)
    if given.json:
        given.json.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
