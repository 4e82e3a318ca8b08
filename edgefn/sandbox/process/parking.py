"""Parked workers: started and sandboxed, but without a function, so that assigning one takes a millisecond."""

import asyncio
import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from edgefn.sandbox.base import Code
from edgefn.sandbox.process.environment import interpreter_environment
from edgefn.sandbox.process.launch import Language, Launcher, LaunchError, Start
from edgefn.sandbox.process.tasks import Tasks
from edgefn.sandbox.process.worker import Worker, make_slot

_REFILL_DELAY = 0.05
"""Seconds before a new worker starts in the place of a taken one: the event that took it comes first."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is fixed when a worker starts: versions with the same profile share its parked workers."""

    language: Language
    memory: int
    network: tuple[str, ...]
    runtime: str


def profile_of(code: Code, language: Language) -> Profile:
    """Return the profile that a version needs."""
    return Profile(language, code.memory, code.network, code.runtime)


class Parking:
    """Keeps `spaces` parked workers for each profile in use. A worker that was taken never comes back."""

    def __init__(
        self, launcher: Launcher, home: str, spaces: int, monotonic: Callable[[], float], tasks: Tasks
    ) -> None:
        self._launcher = launcher
        self._home = home
        self._spaces = spaces
        self._monotonic = monotonic
        self._tasks = tasks
        self._users: Counter[Profile] = Counter()
        self._parked: dict[Profile, list[Worker]] = {}
        self._filling: set[Profile] = set()
        self._numbers = itertools.count(1)

    @property
    def parked(self) -> int:
        """Return how many workers stand ready."""
        return sum(len(workers) for workers in self._parked.values())

    def use(self, profile: Profile) -> None:
        """Count one more user of `profile`."""
        self._users[profile] += 1

    def disuse(self, profile: Profile) -> None:
        """Count one user less; with the last one its parked workers go."""
        self._users[profile] -= 1
        if self._users[profile] <= 0:
            del self._users[profile]
            for worker in self._parked.pop(profile, []):
                worker.kill()

    async def fill(self, profile: Profile) -> None:
        """Start workers one by one until all spaces are taken. One that fails ends it, until the next `take`."""
        if profile in self._filling:
            return
        self._filling.add(profile)
        try:
            while self._users[profile] and len(self._parked.setdefault(profile, [])) < self._spaces:
                worker = await self._start(profile)
                if not self._users[profile]:
                    worker.kill()
                    return
                worker.on_gone = lambda gone: self._forget(profile, gone)
                self._parked.setdefault(profile, []).append(worker)
        except LaunchError:  # whoever needs a worker next will meet the same, and report it
            return
        finally:
            self._filling.discard(profile)

    async def close(self) -> None:
        """Kill every parked worker, and start no more."""
        self._users.clear()
        workers = [worker for parked in self._parked.values() for worker in parked]
        self._parked.clear()
        for worker in workers:
            worker.kill()
        for worker in workers:
            await worker.gone()

    async def take(self, profile: Profile) -> Worker:
        """Return a functionless worker: a parked one, else a new one. Raises `LaunchError`."""
        workers = self._parked.get(profile, [])
        while workers:
            worker = workers.pop()
            if worker.is_alive:
                worker.on_gone = None
                self._tasks.start(self._refill(profile))
                return worker
        worker = await self._start(profile)
        self._tasks.start(self._refill(profile))
        return worker

    async def _refill(self, profile: Profile) -> None:
        await asyncio.sleep(_REFILL_DELAY)
        await self.fill(profile)

    def _forget(self, profile: Profile, worker: Worker) -> None:
        workers = self._parked.get(profile, [])
        if worker in workers:
            workers.remove(worker)

    async def _start(self, profile: Profile) -> Worker:
        try:
            slot = make_slot(self._home, f"slot{next(self._numbers)}")
        except OSError as error:
            raise LaunchError(f"no slot directory could be made in {self._home}: {error}") from error
        environment = interpreter_environment()
        start = Start(profile.language, slot, profile.memory, environment, profile.network, profile.runtime)
        try:
            process = await self._launcher.start(start)
        except BaseException:
            shutil.rmtree(slot, ignore_errors=True)
            raise
        worker = Worker(process, slot, self._monotonic)
        self._tasks.start(worker.watch())
        try:
            await worker.ready()
        except asyncio.CancelledError:
            worker.kill()
            raise
        return worker
