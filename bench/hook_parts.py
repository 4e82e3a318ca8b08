"""What does a cached hit with a guest at viewer-request cost, in CPU time? As `bench.parts`, without sockets and peers.

    python -m bench.hook_parts [--repeats 40] [--only WORD]

The functions are those of `bench.hooks`. *path* is the whole program from `data_received` to `transport.write`; viewers
send the same request again, but for *path, varied*, where a cookie of theirs is another one each time. *runner* is only
what a hook calls, over and over, and *at once* the same in the instance that stands ready. First build the guest:
`.ci/build_guests.py --fetch wasm-c`.
"""

import argparse
import asyncio
import platform
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import uvloop

from bench.hooks import COOKIE, ROOT, TYPICAL
from bench.parts import CACHEABLE, WholePath, site_with
from edgefn.configuration.loader import load
from edgefn.functions.callee import Configured
from edgefn.functions.registry import Registry
from edgefn.functions.runner import Runner, Surroundings
from edgefn.model.settings import Settings
from edgefn.node import world
from edgefn.node.collecting import settle
from edgefn.node.hosting import function_hosts

_CONFIG = """\
location: ben1
listen: 127.0.0.1:8080
admin: off
access_log: off
function_log: off
data_dir: {home}/var
origins:
  app: {{url: "http://127.0.0.1:9000", keepalive_timeout: 60s}}
functions:
  small: {{path: {guests}/wasm-c.wasm, runtime: wasm}}
  typical: {{path: {home}/typical.js, runtime: cloudfront-js-2.0}}
routes:
  - {{path: /small/*, origin: app, hooks: {{viewer-request: small}}}}
  - path: /typical/*
    origin: app
    cache: {{key: {{headers: [X-Variant], cookies: none, query: all}}}}
    hooks: {{viewer-request: typical}}
  - {{path: "*", origin: app}}
"""
_ASKED = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nCookie: " + COOKIE.encode() + b"\r\n\r\n"
_VARIED = _ASKED.replace(b"\r\n\r\n", b"; n=%%d\r\n\r\n")
PATHS = {
    "path: no hook": _ASKED % b"/plain/page.html",
    "path: C, small": _ASKED % b"/small/docs",
    "path: CloudFront Function, typical": _ASKED % b"/typical/old/first-steps",
    "path, varied: no hook": _VARIED % b"/plain/page.html",
    "path, varied: C, small": _VARIED % b"/small/docs",
    "path, varied: CloudFront Function, typical": _VARIED % b"/typical/old/first-steps",
}
_EVENTS = {
    "small": b'{"Records":[{"cf":{"request":{"uri":"/small/docs","headers":{},"method":"GET","querystring":""}}}]}',
    "typical": b'{"version":"1.0","context":{"eventType":"viewer-request"},"viewer":{"ip":"127.0.0.1"},'
    b'"request":{"method":"GET","uri":"/typical/old/first-steps","querystring":{},"headers":{},"cookies":{}},'
    b'"edge":{"rawQuery":null}}',
}


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[tuple[Settings, dict[str, Runner]]]:
    """Give the settings, and the runners of their functions, until the block ends."""
    (home / "typical.js").write_text(TYPICAL)
    config = _CONFIG.format(home=home, guests=ROOT / "build" / "guests")
    settings = load(config, filename="bench.yaml", base=str(home))
    around = Surroundings(world.invocation_id, world.timestamp, lambda _line: None, reports=False)
    async with function_hosts(settings, lambda _line: None) as hosts:
        registry = Registry(hosts, home, around)
        opening = await registry.open(settings.functions)
        try:
            yield settings, {name: entry.runner for name, entry in opening.opened.items()}
        finally:
            await registry.discard(opening)


async def runner_cost(runner: Runner, event: bytes, repeats: int, calls: int = 500) -> float:
    """Return the least CPU time of an event, in microseconds."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            await runner.run(event, None)
        best = min(best, time.process_time() - began)
    return best / calls * 1e6


def cost_at_once(runner: Runner, event: bytes, repeats: int, calls: int = 500) -> float:
    """Return the least CPU time of an event that ends within its first slice, in microseconds."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            runner.run_now(event)
        best = min(best, time.process_time() - began)
    return best / calls * 1e6


async def measure(only: str, repeats: int) -> dict[str, float]:
    """Return the cost of each row whose name has `only` in it."""
    costs = {}
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as name:
        async with opened(Path(name)) as (settings, runners):
            made = partial(site_with, settings, lambda hook: Configured(runners[hook.function]))
            for row, asked in PATHS.items():
                if only in row:
                    costs[row] = await WholePath(asked, CACHEABLE).run(500, repeats, made)
            for function, event in _EVENTS.items():
                if only in f"runner: {function}":
                    costs[f"runner: {function}"] = await runner_cost(runners[function], event, repeats)
                if only in f"at once: {function}":
                    costs[f"at once: {function}"] = cost_at_once(runners[function], event, repeats)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--only", default="", help="the rows with this in their name")
    given = parser.parse_args()
    settle()  # as a running location does
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        costs = loop.run(measure(given.only, given.repeats))
    print(f"Python {platform.python_version()}, {platform.machine()}; least of {given.repeats} repeats")
    for name, cost in costs.items():
        print(f"{name:52}{cost:9.2f} us")


if __name__ == "__main__":
    main()
