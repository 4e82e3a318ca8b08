"""One launcher for all tests of sandboxed functions, on the loop that the proxy uses."""

import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from edgefn.configuration.functions import PROCESS_RUNTIMES
from edgefn.sandbox.process.ground import LauncherConfig
from edgefn.sandbox.process.hiring import Senses
from edgefn.sandbox.process.host import ProcessHost
from edgefn.sandbox.process.landlock import OLDEST_ABI
from edgefn.sandbox.process.launcher import ProcessLauncher
from edgefn.sandbox.process.machine import landlock_abi
from tests.fakes.counting_launcher import CountingLauncher
from tests.sandbox.stage import Stage

# Whether this kernel has what the tier needs is itself tested, in test_tiers.
collect_ignore = [] if landlock_abi() >= OLDEST_ABI else ["test_landlock.py"]

SENSES = Senses(time.monotonic, lambda: "2026/01/02", lambda: secrets.token_hex(16))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real_launcher(request: pytest.FixtureRequest) -> AsyncIterator[ProcessLauncher]:
    directory = tempfile.mkdtemp(prefix="edgefn-test-")
    wanted = {"nodejs": request.config.getoption("--node"), "python": request.config.getoption("--python")}
    interpreters = {name: path for name in PROCESS_RUNTIMES for kind, path in wanted.items() if path and kind in name}
    launcher = ProcessLauncher(LauncherConfig(directory, interpreters=interpreters))
    yield launcher
    await launcher.close()
    shutil.rmtree(directory)


@pytest_asyncio.fixture(loop_scope="session")
async def stage(real_launcher: ProcessLauncher, tmp_path: Path) -> AsyncIterator[Stage]:
    """A host without parked workers."""
    launcher = CountingLauncher(real_launcher)
    host = ProcessHost(launcher, parked=0, senses=SENSES)
    yield Stage(host, launcher, tmp_path)
    await host.close()


@pytest_asyncio.fixture(loop_scope="session")
async def parking_stage(real_launcher: ProcessLauncher, tmp_path: Path) -> AsyncIterator[Stage]:
    """A host with one parked worker per profile."""
    launcher = CountingLauncher(real_launcher)
    host = ProcessHost(launcher, parked=1, senses=SENSES)
    yield Stage(host, launcher, tmp_path)
    await host.close()
