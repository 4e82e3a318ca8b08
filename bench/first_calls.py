"""How long does a new function take from its files to its first result, where others of its runtime run already?

    python -m bench.first_calls

Prints JSON: milliseconds by kind of function, the median of several functions whose code was never seen before.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from wasmtime import wat2wasm

from edgefn.cli.samples import SAMPLES
from edgefn.functions.registry import Registry
from edgefn.functions.runner import Surroundings
from edgefn.model.settings import FunctionSettings, SandboxSettings, Settings
from edgefn.node import world
from edgefn.node.hosting import function_hosts
from edgefn.sandbox.base import Returned

_TIMES = 9

_SCRIPT = "function handler(event) {{ event.request.headers['x-n'] = {{ value: '{n}' }}; return event.request; }}\n"
_HANDLER = "exports.handler = async (event) => ({{ ...event.Records[0].cf.request, n: {n} }});\n"
_GUEST = """(module (memory (export "memory") 2) (data (i32.const 16) "{n:03}")
    (func (export "alloc") (param i32) (result i32) (i32.const 4096))
    (func (export "handle") (param i32 i32) (result i64) (i64.const 0x0000001000000003)))"""

_KINDS = {
    "a CloudFront Function": ("cloudfront-js-2.0", ".js", _SCRIPT, "cloudfront-viewer-request"),
    "a Lambda@Edge handler in runtime js": ("js", ".js", _HANDLER, "viewer-request"),
    "a small guest, compiled": ("wasm", ".wasm", _GUEST, "viewer-request"),
}


async def measured(home: Path) -> dict[str, float]:
    settings = Settings(
        "ben1", listen=(), routes=(), origins={}, functions={}, data_dir=str(home), sandbox=SandboxSettings(parked=0)
    )
    around = Surroundings(world.invocation_id, world.timestamp, lambda _line: None)
    told = {}
    async with function_hosts(settings, lambda _line: None) as hosts:
        registry = Registry(hosts, home, around)
        for kind, (runtime, suffix, code, sample) in _KINDS.items():
            event, took, called = SAMPLES[sample].event(), [], []
            for number in range(_TIMES + 1):
                path = home / f"{runtime}-{number}{suffix}"
                text = code.format(n=number)
                path.write_bytes(wat2wasm(text) if suffix == ".wasm" else text.encode())
                handler = f"{path.stem}.handler"
                function = FunctionSettings(f"f{number}", str(path), runtime, handler)
                began = time.perf_counter()
                opening = await registry.open({function.name: function})
                opened = time.perf_counter()
                outcome = await opening.opened[function.name].runner.run(event, None)
                assert isinstance(outcome, Returned), outcome
                took.append((time.perf_counter() - began) * 1000)
                called.append((time.perf_counter() - opened) * 1000)
                await registry.discard(opening)
            told[f"{kind}, from files to first result"] = round(statistics.median(took[1:]), 2)
            told[f"{kind}, first call"] = round(statistics.median(called[1:]), 3)
    return told


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as home:
        print(json.dumps(asyncio.run(measured(Path(home)))))


if __name__ == "__main__":
    main()
