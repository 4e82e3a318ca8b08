"""Opens what runs functions, by their runtime: processes, or guests on the event loop."""

import ipaddress
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edgefn.functions.kvs_file import StoreError
from edgefn.functions.opening import Host
from edgefn.model.errors import SettingsError
from edgefn.model.settings import SandboxSettings, Settings
from edgefn.node import world
from edgefn.node.scratch import scratch_directory
from edgefn.node.shelf import Shelf
from edgefn.sandbox.base import Code, Log, OpenError, Sandbox
from edgefn.sandbox.js.loader import JsLoader
from edgefn.sandbox.js.profiles import LIMITS, PROFILES
from edgefn.sandbox.process.ground import LauncherConfig, found_for
from edgefn.sandbox.process.hiring import Senses as ProcessSenses
from edgefn.sandbox.process.host import ProcessHost
from edgefn.sandbox.process.launch import LaunchError
from edgefn.sandbox.process.launcher import ProcessLauncher
from edgefn.sandbox.wasm.cache import CacheError, CodeCache, cache_key
from edgefn.sandbox.wasm.engine import Sizes
from edgefn.sandbox.wasm.fibers import Bounds
from edgefn.sandbox.wasm.host import WasmHost
from edgefn.sandbox.wasm.program import Loader
from edgefn.sandbox.wasm.room import EngineRoom
from edgefn.sandbox.wasm.room import Senses as WasmSenses

_WASM_RUNTIMES = frozenset({"wasm", *PROFILES})
_GUESTS = 128  # guests at one time, beyond one warm slot for each function
_SPINNING = 64  # of them that run on beyond their first slice


def launcher_config(settings: SandboxSettings, directory: str) -> LauncherConfig:
    """Return how sandboxes are started; runtimes are looked for on this process's own PATH too."""
    path = os.pathsep.join(dict.fromkeys([*os.environ.get("PATH", "").split(os.pathsep), *_SYSTEM]))
    return LauncherConfig(
        directory=directory,
        mode=settings.mode,
        user=settings.user,
        path=path,
        home=os.path.expanduser("~"),
        interpreters=settings.interpreters,
    )


def interpreter_warnings(settings: Settings) -> list[str]:
    """Return what is to be said of runtimes that this machine has no interpreter of their own for."""
    config = launcher_config(settings.sandbox, "")
    runtimes = dict.fromkeys(function.runtime for function in settings.functions.values())
    return found_for(config, runtimes)


_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Stores:
    """The key-value stores of this machine. `known` returns the absolute paths by their names.

    `spare` is the path of the one for functions whose own is not here; "": they can't be opened.
    """

    known: Callable[[], Mapping[str, str]]
    spare: str = ""


class FunctionHosts:
    """Opens functions by their runtime; what runs a kind of them is started with the first one."""

    def __init__(self, settings: Settings, tell: Callable[[str], None], stack: AsyncExitStack, stores: Stores) -> None:
        self._settings = settings
        self._stores = stores
        self.lent: dict[str, str] = {}
        """The paths of the key-value stores that published functions were given, by their names."""
        self._tell = tell
        self._stack = stack
        self._processes: ProcessHost | None = None
        self._tier = ""
        self._guests: WasmHost | None = None
        self._shelf = Shelf(tell, stack)

    async def open(self, code: Code, *, concurrency: int, provisioned: int, idle_timeout: float, log: Log) -> Sandbox:
        """Return the sandboxes of `code`. Raises `OpenError`; `SettingsError` where this machine can't run its kind."""
        code = self._with_store(code)
        host: Host = self._wasm_host() if code.runtime in _WASM_RUNTIMES else self._process_host()
        async with self._shelf.fetched(code):
            return await host.open(
                code, concurrency=concurrency, provisioned=provisioned, idle_timeout=idle_timeout, log=log
            )

    def _with_store(self, code: Code) -> Code:
        """Return the code with the path of its key-value store: what is published names one of this machine's."""
        if not code.kvs or os.path.isabs(code.kvs):
            return code
        known = self._stores.known()
        path = known.get(code.kvs, self._stores.spare)
        if not path:
            named = ", ".join(sorted(known)) or "none"
            missing = f'there is no key-value store "{code.kvs}" in `kvs` of the configuration here; it has: {named}'
            raise OpenError(f"{missing}; add it, and `edgefn reload`") from StoreError(missing)
        self.lent[code.kvs] = path
        return replace(code, kvs=path)

    @property
    def tier(self) -> str:
        """Return how strong the walls around processes are; "" while no function needs one."""
        return self._tier

    def _process_host(self) -> ProcessHost:
        if self._processes is None:
            sandbox = self._settings.sandbox
            directory = self._stack.enter_context(scratch_directory())
            try:
                launcher = ProcessLauncher(launcher_config(sandbox, directory))
            except LaunchError as error:
                told = f"functions can't run on this machine: {error} (`edgefn doctor` says more)"
                raise SettingsError((told,)) from error
            self._stack.push_async_callback(launcher.close)
            if launcher.loopback_only:
                _refuse_strangers(self._settings)
            self._tier = launcher.tier.value
            self._tell(f"functions run in sandboxes of tier {self._tier}")
            senses = ProcessSenses(world.monotonic, _today, world.pseudonym)
            self._processes = ProcessHost(launcher, parked=sandbox.parked, senses=senses)
            self._stack.push_async_callback(self._processes.close)
        return self._processes

    def _wasm_host(self) -> WasmHost:
        if self._guests is None:
            cache = Path(self._settings.data_dir) / "compiled"
            try:
                code = CodeCache(cache, cache_key(cache))
            except (CacheError, OSError) as error:
                raise SettingsError((f"data_dir: compiled functions can't be kept: {error}",)) from error
            sizes = Sizes(slots=len(self._settings.functions) + _GUESTS)
            senses = WasmSenses(world.monotonic, world.thread_cpu, world.wall, world.random)
            room = EngineRoom(sizes, Bounds(spinning=_SPINNING), code, senses)
            scripts = JsLoader(room, self._shelf.of)
            loaders: dict[str, Loader] = {"wasm": room.loader(), **dict.fromkeys(PROFILES, scripts)}
            self._guests = WasmHost(room, loaders, LIMITS, self._shelf.reader_of)
            self._stack.push_async_callback(self._guests.close)
        return self._guests


@asynccontextmanager
async def function_hosts(
    settings: Settings, tell: Callable[[str], None], stores: Stores | None = None
) -> AsyncIterator[FunctionHosts]:
    """Give what opens functions until the block ends. `tell` takes lines for the operator.

    `stores` are those of `settings`, unless others are given.
    """
    async with AsyncExitStack() as stack:
        yield FunctionHosts(settings, tell, stack, stores or Stores(lambda: settings.kvs))


def _refuse_strangers(settings: Settings) -> None:
    """Raise `SettingsError` when viewers could come from elsewhere while functions run without walls."""
    public = [listen.host for listen in settings.listen if not _is_loopback(listen.host)]
    if public:
        told = f"listen: {public[0]}: with sandbox.mode none-i-know only loopback addresses are allowed"
        raise SettingsError((told,))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _today() -> str:
    return datetime.now(UTC).strftime("%Y/%m/%d")
