"""Opens what runs functions: the process sandboxes, when a configuration has functions at all."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from edgefn.model.errors import SettingsError
from edgefn.model.settings import SandboxSettings
from edgefn.node import world
from edgefn.sandbox.process.ground import LauncherConfig
from edgefn.sandbox.process.hiring import Senses
from edgefn.sandbox.process.host import ProcessHost
from edgefn.sandbox.process.launch import LaunchError
from edgefn.sandbox.process.launcher import ProcessLauncher


def launcher_config(settings: SandboxSettings, directory: str) -> LauncherConfig:
    """Return how sandboxes are started; runtimes are looked for on this process's own PATH too."""
    path = os.pathsep.join(dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *_SYSTEM]))
    return LauncherConfig(directory=directory, mode=settings.mode, user=settings.user, path=path)


_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")


def runtime_directory() -> str:
    """Return a fresh directory for sandboxes that the user they run as may enter, wherever the checkout lies."""
    directory = tempfile.mkdtemp(prefix="edgefn-")
    os.chmod(directory, 0o711)  # noqa: S103  # others may pass through; they can't list it
    return directory


@asynccontextmanager
async def function_host(settings: SandboxSettings, tell: Callable[[str], None]) -> AsyncIterator[ProcessHost]:
    """Give the host of process sandboxes until the block ends. Raises `SettingsError` where this machine has none."""
    async with AsyncExitStack() as stack:
        directory = runtime_directory()
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        try:
            launcher = ProcessLauncher(launcher_config(settings, directory))
        except LaunchError as error:
            told = f"functions can't run on this machine: {error} (`edgefn doctor` says more)"
            raise SettingsError((told,)) from error
        stack.push_async_callback(launcher.close)
        tell(f"functions run in sandboxes of tier {launcher.tier.value}")
        host = ProcessHost(launcher, parked=settings.parked, senses=Senses(world.monotonic, _today, world.pseudonym))
        stack.push_async_callback(host.close)
        yield host


def _today() -> str:
    return datetime.now(UTC).strftime("%Y/%m/%d")
