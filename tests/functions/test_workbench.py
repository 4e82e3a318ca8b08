"""Versions tried before they go live, and invoked by hand, in real sandboxes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgefn.functions.bundle import Bundle, BundleFile
from edgefn.functions.function_log import LogLine
from edgefn.functions.runner import Surroundings
from edgefn.functions.workbench import Workbench
from edgefn.model.publishing import Blob, Manifest
from edgefn.model.settings import FunctionSettings, Settings
from edgefn.node import world
from edgefn.node.hosting import function_hosts
from edgefn.node.scratch import scratch_directory


class Bench:
    """A workbench, the bundles that it can fetch, and what it logged."""

    def __init__(self) -> None:
        self.bundles: dict[str, Bundle] = {}
        self.lines: list[LogLine] = []
        self.workbench: Workbench

    def version(self, code: str, runtime: str = "js", file: str = "index.js", number: int = 1) -> Manifest:
        bundle = Bundle.of([BundleFile(file, code.encode())])
        self.bundles[bundle.digest] = bundle
        settings = FunctionSettings("f", "", runtime, f"{file.partition('.')[0]}.handler", timeout=2.0)
        return Manifest(settings, number, bundle.digest, Blob("0" * 64, 1))

    async def fetch(self, manifest: Manifest) -> Bundle:
        return self.bundles[manifest.bundle]

    async def trial(self, code: str, runtime: str = "js", file: str = "index.js") -> str | None:
        manifest = self.version(code, runtime, file)
        return await self.workbench.trial(manifest, self.bundles[manifest.bundle])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench()
    settings = Settings("t", (), (), {}, data_dir=str(tmp_path))
    around = Surroundings(world.invocation_id, world.timestamp, bench.lines.append)
    with scratch_directory() as scratch:
        async with function_hosts(settings, lambda line: None) as hosts:
            bench.workbench = Workbench(hosts, Path(scratch), bench.fetch, around)
            yield bench
            await bench.workbench.close()


@pytest.mark.parametrize(
    ("runtime", "file", "code", "words"),
    [
        ("js", "index.js", "let a = 1\nlet b = nothing.there\nexports.handler = async () => b", "index.js:2"),
        ("nodejs20.x", "index.js", "let a = 1\nlet b = nothing.there\nexports.handler = 1", "index.js:2"),
        ("nodejs20.x", "index.js", "exports.handler = (", "index.js:1"),
        ("python3.11", "index.py", "import os\n\nhandler = nothing\n", "index.py"),
        ("nodejs20.x", "index.js", "exports.other = 1", "handler"),
    ],
)
async def test_code_that_does_not_start_says_why_and_where(
    bench: Bench, runtime: str, file: str, code: str, words: str
) -> None:
    why = await bench.trial(code, runtime, file)
    assert why is not None
    assert words in why
    assert "/var/" not in why


@pytest.mark.parametrize(
    ("runtime", "file", "code"),
    [
        ("js", "index.js", "exports.handler = async () => 1"),
        ("nodejs20.x", "index.js", "console.log('starting'); exports.handler = async () => 1"),
        ("python3.11", "index.py", "def handler(event, context): return 1"),
    ],
)
async def test_code_that_starts_passes_and_leaves_no_trace_in_the_log(
    bench: Bench, runtime: str, file: str, code: str
) -> None:
    assert await bench.trial(code, runtime, file) is None
    assert bench.lines == []


async def test_a_version_is_invoked_with_its_own_log(bench: Bench) -> None:
    version = bench.version("exports.handler = async (e) => { console.log('seen', e.n); return {n: e.n + 1}; }")
    invoked = await asyncio.gather(*(bench.workbench.invoke(version, b'{"n": %d}' % n) for n in range(4)))
    assert [each.outcome for each in invoked] == [{"result": {"n": n + 1}} for n in range(4)]
    assert [sum("seen" in line for line in each.log) for each in invoked] == [1, 1, 1, 1]
    assert all(f"seen {n}" in "".join(each.log) for n, each in enumerate(invoked))
    assert len([line for line in bench.lines if line.text.startswith("START")]) == 4


async def test_no_more_than_eight_versions_stay_warm(bench: Bench) -> None:
    for number in range(1, 11):
        version = bench.version(f"exports.handler = async () => {number}", number=number)
        assert (await bench.workbench.invoke(version, b"{}")).outcome == {"result": number}
    again = bench.version("exports.handler = async () => 1", number=1)
    assert (await bench.workbench.invoke(again, b"{}")).outcome == {"result": 1}
