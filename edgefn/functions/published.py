"""The published versions that one worker keeps open, and the pointers by which hooks reach them.

A catalog is applied in two steps: whatever its aliases point at is opened first (staged), then all pointers are swapped
at once. What can't be opened leaves its pointers where they were. Events that run end on the version they began with.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import orjson

from edgefn.functions.pointer import Aim, Pointer
from edgefn.functions.runner import Runner
from edgefn.model.publishing import LATEST, Alias, Catalog, FailedVersion, Manifest
from edgefn.model.settings import FunctionSettings
from edgefn.rules.automatic_rollback import RollBack

Key: TypeAlias = tuple[str, str]
"""A function and a qualifier."""

Judge: TypeAlias = Callable[[FunctionSettings], Sequence[str]]
"""Says what is wrong with a function where hooks name it."""

_AT_ONCE = 4
_PATIENCE = 60.0
_OPENING = 180.0
"""Seconds for which one version may hold up all others while it is opened."""

_log = logging.getLogger("edgefn")


FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds before what may pass is tried again: twice as long each time, up to the second."""


class OpeningError(Exception):
    """A version can't be opened. The message says why; it `may_pass` when that is no fault of the version."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class Opener(Protocol):
    """Makes a version ready to run."""

    async def open(self, manifest: Manifest) -> Runner:
        """Fetch, unpack and start a version. Raises `OpeningError`."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a worker runs after a catalog was applied."""

    generation: int
    versions: Mapping[str, tuple[str, ...]]
    """The versions behind each "function:qualifier"."""
    rolled_back: Mapping[str, RollBack]
    """The "function:alias" of those that this worker has rolled back by itself."""
    failed: tuple[FailedVersion, ...]


@dataclass(slots=True)
class Published:
    """Opens what is wanted of a catalog. `report` takes a line for the operator."""

    opener: Opener
    now: Callable[[], float]
    report: Callable[[str], None]
    _catalog: Catalog = field(default_factory=Catalog)
    _generation: int = 0
    _judges: Mapping[Key, Judge] = field(default_factory=dict)
    _pointers: dict[Key, Pointer] = field(default_factory=dict)
    _open: dict[bytes, Runner] = field(default_factory=dict)
    _failed: dict[bytes, FailedVersion] = field(default_factory=dict)
    _passing: dict[bytes, Manifest] = field(default_factory=dict)
    _ailing: asyncio.Event = field(default_factory=asyncio.Event)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: dict[asyncio.Task[None], Runner] = field(default_factory=dict)
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pointer(self, function: str, qualifier: str) -> Pointer:
        """Return the pointer of a name; it aims at nothing until a catalog with that name is applied."""
        key = function, qualifier
        if key not in self._pointers:
            self._pointers[key] = Pointer(function, qualifier, self.now, self.report)
        return self._pointers[key]

    async def want(self, judges: Mapping[Key, Judge]) -> None:
        """Keep open what these names stand for, and let go of what nobody names any more.

        A version that its name's judge finds flaws in does not go live under that name.
        """
        for key in judges:
            self.pointer(*key)
        async with self._applying:
            self._judges = judges
            for key in set(self._pointers).difference(judges):
                del self._pointers[key]
            await self._flip()

    async def apply(self, catalog: Catalog) -> Running:
        """Stage and flip; return what runs then. What could not be opened is tried again with the next catalog."""
        async with self._applying:
            self._catalog = catalog
            self._failed.clear()
            self._passing.clear()
            await self._flip()
            self._generation = catalog.generation
            return self.running

    def lacking(self, function: str, qualifier: str) -> str:
        """Return why nothing can run under a name that is wanted, "" when something can."""
        if self.pointer(function, qualifier).versions:
            return ""
        live = _named(self._catalog, function, qualifier).live
        found = (failure.why for manifest in live if (failure := self._failed.get(_key(manifest))) is not None)
        return next(found, "nothing is published under this name")

    @property
    def running(self) -> Running:
        """Return what runs now."""
        pointers = self._pointers.values()
        versions = {pointer.label: pointer.versions for pointer in pointers}
        rolled_back = {pointer.label: pointer.rolled_back for pointer in pointers if pointer.rolled_back}
        return Running(self._generation, versions, rolled_back, tuple(self._failed.values()))

    async def _flip(self) -> None:
        wanted = {key: _named(self._catalog, *key) for key in self._pointers}
        await self._stage(manifest for name in wanted.values() for manifest in name.manifests)
        for key, name in wanted.items():
            pointer = self._pointers[key]
            if all(self._is_fit(key, manifest) for manifest in name.live):  # else it stays where it was
                pointer.aim(self._aim(name, pointer.runners))
        live = {_key(manifest) for name in wanted.values() for manifest in name.live}
        self._failed = {key: failure for key, failure in self._failed.items() if key in live}
        self._passing = {key: manifest for key, manifest in self._passing.items() if key in self._failed}
        self._retire(wanted.values())

    def _is_fit(self, key: Key, manifest: Manifest) -> bool:
        """Return whether a version is open, and may stand where hooks name it."""
        flaws = self._judges[key](manifest.settings) if key in self._judges else ()
        if flaws:
            self._fail(manifest, "; ".join(flaws))
        return not flaws and _key(manifest) in self._open

    def _fail(self, manifest: Manifest, why: str) -> None:
        self._failed[_key(manifest)] = FailedVersion(manifest.function, manifest.version, why)
        self.report(f"{manifest.label} does not go live: {why}")

    async def _stage(self, manifests: Iterable[Manifest]) -> None:
        bound = asyncio.Semaphore(_AT_ONCE)
        missing = {_key(manifest): manifest for manifest in manifests}

        async def open_one(key: bytes, manifest: Manifest) -> None:
            async with bound:
                try:
                    self._open[key] = await self._opened(manifest)
                except OpeningError as error:
                    self._fail(manifest, str(error))
                    if error.may_pass:
                        self._passing[key] = manifest
                        self._ailing.set()

        async with asyncio.TaskGroup() as group:
            for key, manifest in missing.items():
                if key not in self._open and key not in self._failed:
                    group.create_task(open_one(key, manifest))

    async def _opened(self, manifest: Manifest) -> Runner:
        """Open a version. Raises `OpeningError`, whatever happens: others must still come and go."""
        try:
            async with asyncio.timeout(_OPENING):
                return await self.opener.open(manifest)
        except OpeningError:
            raise
        except TimeoutError as error:
            raise OpeningError(f"it was not open after {_OPENING:g} s", may_pass=True) from error
        except Exception as error:
            _log.exception("%s could not be opened", manifest.label)
            why = f"opening it failed inside edgefn ({type(error).__name__}); the log says how"
            raise OpeningError(why) from error

    async def heal(self, changed: Callable[[], None]) -> None:
        """Try again what could not be opened for reasons that may pass, for ever; `changed` when one could.

        Files that were missing, a disk that was full, a machine that was too slow. Nothing else waits for it.
        """
        while True:
            await self._ailing.wait()
            wait = FIRST_RETRY
            while self._passing:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._hurry.wait()
                self._hurry.clear()
                wait = min(2 * wait, LAST_RETRY)
                for key, manifest in list(self._passing.items()):
                    if await self._try_again(key, manifest):
                        changed()
            self._ailing.clear()

    def hurry(self) -> None:
        """Have what could not be opened tried again now: the machine has changed."""
        self._hurry.set()

    async def _try_again(self, key: bytes, manifest: Manifest) -> bool:
        """Open a version and take it into use; return whether anything is different now."""
        failed = self._failed.get(key)
        try:
            runner = await self._opened(manifest)
        except OpeningError as error:
            async with self._applying:
                if key not in self._passing or self._failed.get(key) is not failed:
                    return False
                if not error.may_pass:
                    del self._passing[key]
                is_news = failed is None or failed.why != str(error)
                if is_news:
                    self._fail(manifest, str(error))
                return is_news
        async with self._applying:
            if key not in self._passing or key in self._open:  # another catalog came meanwhile, and saw to it
                await runner.close()
                return False
            del self._passing[key], self._failed[key]
            self._open[key] = runner
            await self._flip()
            self.report(f"{manifest.label} could be opened at last")
            return True

    def _aim(self, name: "_Name", until_now: tuple[Runner, ...]) -> Aim:
        """Return the new aim. Where the previous version is not open, what ran until now is the last good one."""
        runners = tuple(self._open[_key(manifest)] for manifest in name.live)
        before = None if name.previous is None else self._open.get(_key(name.previous))
        if before is None and name.previous is not None:
            before = next((runner for runner in until_now if runner not in runners), None)
        return Aim(runners, before, name.alias)

    def _retire(self, names: Iterable["_Name"]) -> None:
        """Close what no pointer aims at, once its events are over; the previous version of an alias stays warm."""
        needed = {_key(manifest) for name in names for manifest in name.manifests}
        aimed = {id(runner) for pointer in self._pointers.values() for runner in pointer.runners}
        for key, runner in list(self._open.items()):
            if key not in needed and id(runner) not in aimed:
                del self._open[key]
                task = asyncio.get_running_loop().create_task(runner.close_when_idle(_PATIENCE))
                self._closing[task] = runner
                task.add_done_callback(self._closing.pop)

    async def close(self) -> None:
        """Stop everything."""
        closing = dict(self._closing)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        for runner in (*closing.values(), *self._open.values()):
            await runner.close()
        self._open.clear()


@dataclass(frozen=True, slots=True)
class _Name:
    """What a qualifier stands for in a catalog: the versions that events may run on; with none it is not published."""

    live: tuple[Manifest, ...] = ()
    previous: Manifest | None = None
    alias: Alias | None = None

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """Return all versions to keep open."""
        return self.live if self.previous is None else (*self.live, self.previous)


def _key(manifest: Manifest) -> bytes:
    """Return what is different for whatever needs a runner of its own: a draft changes under the same name.

    Files that are sealed anew are the same files.
    """
    return orjson.dumps((manifest.settings, manifest.version, manifest.bundle), option=orjson.OPT_SORT_KEYS)


def _named(catalog: Catalog, function: str, qualifier: str) -> _Name:
    published = catalog.functions.get(function)
    if published is None:
        return _Name()
    if qualifier == LATEST:
        return _Name() if published.draft is None else _Name((published.draft,))
    if qualifier.isascii() and qualifier.isdigit():
        manifest = published.versions.get(int(qualifier))
        return _Name() if manifest is None else _Name((manifest,))
    alias = published.aliases.get(qualifier)
    targets = () if alias is None else tuple(published.versions.get(target.version) for target in alias.targets)
    live = tuple(manifest for manifest in targets if manifest is not None)
    if alias is None or len(live) != len(targets):
        return _Name()
    return _Name(live, None if alias.previous is None else published.versions.get(alias.previous), alias)
